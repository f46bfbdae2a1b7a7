//! What a run does for the server.

use vlp_data::{Image, ResizedImage};
use vlp_serve::{
    Answer, Attended, Attention, Caption, CaptionMethod, Code, CodeGrid, Entailment, ExampleImage,
    Hypotheses, JointTensors, MatchScore, Model, ModelError, ModelInfo, Object, QueryAttention,
    SearchHits, SearchQuery, SearchSubject, Tensor,
};

use super::ServedRun;
use super::convert;
use super::search::{image_hits, text_hits};
use super::typical::TypicalPatches;
use crate::predict::{AttentionRequest, HypothesisRequest, ImageAttention};
use crate::search::SearchOptions;

impl Model for ServedRun {
    fn info(&self) -> &ModelInfo {
        &self.info
    }

    fn examples(&self) -> &[ExampleImage] {
        &self.examples
    }

    fn resize(&self, image: &Image) -> Result<ResizedImage, ModelError> {
        self.predictor.resize(image).map_err(convert::error)
    }

    fn padded_size(&self, image: &ResizedImage) -> (usize, usize) {
        self.predictor.padded_size(image)
    }

    fn detect(
        &self,
        images: &[&ResizedImage],
        label_space: usize,
    ) -> Result<Vec<Vec<Object>>, ModelError> {
        let objects = (self.predictor).detect_label_space(images, label_space, 0.0);
        let images = objects.map_err(convert::error)?.into_iter();
        let images = images.map(|objects| objects.into_iter().map(convert::object).collect());
        Ok(images.collect())
    }

    fn caption(
        &self,
        images: &[&ResizedImage],
        method: &CaptionMethod,
    ) -> Result<Vec<Vec<Caption>>, ModelError> {
        let defaults = self.predictor.caption_options();
        let missing = || ModelError::Failed("the run has no caption head".into());
        let options = convert::caption_options(defaults.ok_or_else(missing)?, method);
        let captions = self.predictor.caption_batch(images, &options);
        let images = captions.map_err(convert::error)?.into_iter();
        let images = images.map(|captions| captions.into_iter().map(convert::caption).collect());
        Ok(images.collect())
    }

    fn answer(
        &self,
        asked: &[(&ResizedImage, &[String])],
        top: usize,
    ) -> Result<Vec<Vec<Vec<Answer>>>, ModelError> {
        let answers = self.predictor.answer_batch(asked, top);
        let images = answers.map_err(convert::error)?.into_iter();
        let images = images.map(|questions| questions.into_iter().map(convert::answers).collect());
        Ok(images.collect())
    }

    fn match_texts(
        &self,
        pairs: &[(&ResizedImage, &[String])],
    ) -> Result<Vec<Vec<MatchScore>>, ModelError> {
        let probabilities = self.predictor.match_batch(pairs).map_err(convert::error)?;
        let images = pairs.iter().zip(probabilities);
        let images = images.map(|((_, texts), probabilities)| {
            let texts = texts.iter().zip(probabilities);
            let scores = texts.map(|(text, probability)| MatchScore {
                text: text.clone(),
                probability,
            });
            scores.collect()
        });
        Ok(images.collect())
    }

    fn judge_statements(
        &self,
        asked: &[([&ResizedImage; 2], &[String])],
    ) -> Result<Vec<Vec<f32>>, ModelError> {
        self.predictor
            .statement_batch(asked)
            .map_err(convert::error)
    }

    fn entail(
        &self,
        asked: &[(&ResizedImage, &Hypotheses)],
    ) -> Result<Vec<Vec<Entailment>>, ModelError> {
        let requests = asked.iter().map(|(image, asked)| {
            let request = HypothesisRequest {
                premise: asked.premise.as_deref(),
                hypotheses: &asked.hypotheses,
            };
            (*image, request)
        });
        let requests: Vec<(&ResizedImage, HypothesisRequest<'_>)> = requests.collect();
        let probabilities = self.predictor.entail_batch(&requests);
        let images = probabilities.map_err(convert::error)?.into_iter();
        let images = images.map(|of| of.into_iter().map(convert::entailment).collect());
        Ok(images.collect())
    }

    fn attention(
        &self,
        attended: &[(&ResizedImage, &Attended)],
    ) -> Result<Vec<Attention>, ModelError> {
        let requests = attended.iter().map(|(image, attended)| {
            let request = AttentionRequest {
                queries: &attended.queries,
                captions: &attended.captions,
                texts: &attended.texts,
            };
            (*image, request)
        });
        let requests: Vec<(&ResizedImage, AttentionRequest<'_>)> = requests.collect();
        let attention = self.predictor.attention_batch(&requests);
        let images = attention.map_err(convert::error)?.into_iter();
        let images = images.zip(attended);
        Ok(images
            .map(|(attention, (_, of))| maps(attention, of))
            .collect())
    }

    fn codes(&self, images: &[&ResizedImage]) -> Result<Vec<CodeGrid>, ModelError> {
        let codes = self.predictor.codes_batch(images);
        let images = codes.map_err(convert::error)?.into_iter();
        let images = images.map(|codes| CodeGrid {
            rows: codes.rows,
            columns: codes.columns,
            codes: codes.codes,
        });
        Ok(images.collect())
    }

    fn code(&self, code: usize) -> Result<Code, ModelError> {
        let name = &self.info.name;
        let Some(data) = self.data.as_ref().filter(|_| !self.examples.is_empty()) else {
            return Ok(Code {
                model: name.clone(),
                code,
                uses: 0,
                cells: 0,
                words: vec![],
                patches: vec![],
            });
        };
        let typical = self.typical.get_or_init(|| {
            let trained = self.predictor.trained();
            let patches = TypicalPatches::new(trained, data, self.example_count);
            patches.map_err(|error| error.to_string())
        });
        let typical = typical.as_ref();
        let typical = typical.map_err(|error| ModelError::Failed(error.clone()))?;
        let unknown = || ModelError::Failed(format!("the dictionary has no code {code}"));
        typical.code(name, code).ok_or_else(unknown)
    }

    fn grid_features(&self, images: &[&ResizedImage]) -> Result<Vec<Tensor>, ModelError> {
        let features = self.predictor.grid_features(images);
        let images = features.map_err(convert::error)?.into_iter();
        Ok(images.map(convert::tensor).collect())
    }

    fn text_features(&self, texts: &[&str]) -> Result<Vec<Tensor>, ModelError> {
        let features = self.predictor.text_features(texts).into_iter();
        Ok(features.map(convert::tensor).collect())
    }

    fn joint_features(
        &self,
        pairs: &[(&ResizedImage, &[String])],
    ) -> Result<Vec<Vec<JointTensors>>, ModelError> {
        let features = self.predictor.joint_features(pairs);
        let images = features.map_err(convert::error)?.into_iter();
        let images = images.map(|texts| texts.into_iter().map(convert::joint).collect());
        Ok(images.collect())
    }

    fn search(&self, query: &SearchQuery) -> Result<SearchHits, ModelError> {
        let missing = || ModelError::Failed("the run is served without an index".into());
        let search = self.search.as_ref().ok_or_else(missing)?;
        let options = SearchOptions {
            top: query.top,
            rerank: query.rerank,
        };
        match &query.subject {
            SearchSubject::Images(text) => {
                let hits = self.predictor.search_images(search, text, options);
                hits.map(image_hits).map_err(convert::error)
            }
            SearchSubject::Texts(image) => {
                let hits = self.predictor.search_texts(search, image, options);
                hits.map(text_hits).map_err(convert::error)
            }
        }
    }

    fn thumbnail(&self, image: usize) -> Result<Option<Vec<u8>>, ModelError> {
        let Some(search) = &self.search else {
            return Ok(None);
        };
        let thumbnail = search.index().thumbnail(image);
        thumbnail.map_err(|error| ModelError::Failed(error.to_string()))
    }
}

fn maps(attention: ImageAttention, of: &Attended) -> Attention {
    let queries = of.queries.iter().zip(attention.queries);
    let captions = of.captions.iter().zip(attention.captions);
    let texts = of.texts.iter().zip(attention.texts);
    Attention {
        rows: attention.rows,
        columns: attention.columns,
        queries: queries
            .map(|(&query, weights)| QueryAttention { query, weights })
            .collect(),
        captions: captions
            .map(|(text, maps)| convert::text_attention(text, maps))
            .collect(),
        texts: texts
            .map(|(text, maps)| convert::text_attention(text, maps))
            .collect(),
    }
}
