//! A model implements the methods of its own heads alone.

use vlp_data::{Image, ResizedImage};
use vlp_serve::{
    Attended, CaptionMethod, Head, Hypotheses, Model, ModelError, ModelInfo, SearchQuery,
    SearchSubject,
};

use crate::colors::{ALL_HEADS, Colors};

/// A model that says that it has all heads, and has none.
struct NoHeads(ModelInfo);

impl Model for NoHeads {
    fn info(&self) -> &ModelInfo {
        &self.0
    }

    fn resize(&self, image: &Image) -> Result<ResizedImage, ModelError> {
        Ok(ResizedImage {
            image: image.clone(),
            original_width: image.width,
            original_height: image.height,
            key: image.key(),
        })
    }

    fn padded_size(&self, image: &ResizedImage) -> (usize, usize) {
        image.padded_size(1)
    }
}

#[test]
fn methods_that_are_not_implemented_name_the_head() {
    let model = NoHeads(Colors::new("none", &ALL_HEADS).info().clone());
    let image = model.resize(&Image::filled(4, 4, [255; 3])).unwrap();
    let texts = ["red".to_owned()];
    let query = SearchQuery {
        subject: SearchSubject::Images("red".into()),
        top: 1,
        rerank: 0,
    };
    let (attended, hypotheses) = (Attended::default(), Hypotheses::default());
    let pairs = [(&image, &texts[..])];
    let errors = [
        (Head::Detect, model.detect(&[&image], 0).err()),
        (
            Head::Caption,
            model.caption(&[&image], &CaptionMethod::Default).err(),
        ),
        (Head::Answer, model.answer(&pairs, 1).err()),
        (Head::Match, model.match_texts(&pairs).err()),
        (
            Head::Statement,
            model
                .judge_statements(&[([&image, &image], &texts[..])])
                .err(),
        ),
        (Head::Entail, model.entail(&[(&image, &hypotheses)]).err()),
        (
            Head::Attention,
            model.attention(&[(&image, &attended)]).err(),
        ),
        (Head::Codes, model.codes(&[&image]).err()),
        (Head::Codes, model.code(0).err()),
        (Head::Features, model.grid_features(&[&image]).err()),
        (Head::Features, model.text_features(&["red"]).err()),
        (Head::Features, model.joint_features(&pairs).err()),
        (Head::Search, model.search(&query).err()),
    ];
    for (head, error) in errors {
        let error = error.unwrap();
        assert_eq!(error, ModelError::MissingHead(head));
        assert_eq!(
            error.to_string(),
            format!("the model has no head `{}`", head.name())
        );
    }
    assert!(model.examples().is_empty());
    assert_eq!(model.thumbnail(0).unwrap(), None);
}
