//! An index has what was written, and its embeddings find their images.

use vlp_index::Index;

use crate::support::{DIM, unit_vector, write};

#[test]
fn images_and_texts_are_those_that_were_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("index");
    write(&path, 10, 9);
    let index = Index::open(&path).unwrap();
    assert_eq!(index.header().samples, 10);
    assert_eq!(index.skipped(), ["sample 3 is broken"]);
    let names: Vec<&str> = index
        .images()
        .iter()
        .map(|image| image.name.as_str())
        .collect();
    assert_eq!(names.len(), 9);
    assert_eq!((names[3], index.images()[3].key), ("4.png", 1004));
    // A text of images of several segments is one.
    let texts = index.texts().iter();
    let common: Vec<_> = texts.filter(|text| text.text == "common").collect();
    assert_eq!(common.len(), 1);
    assert_eq!(common[0].images, [0, 3, 7]);
    assert_eq!(index.texts_of(7).collect::<Vec<_>>(), ["common"]);
    assert_eq!(index.texts_of(9).count(), 0);
    // Each image is the best one for its own embedding.
    for (number, image) in index.images().iter().enumerate() {
        let query = unit_vector(image.sample as u64, DIM);
        let best = index.image_embeddings().top(&query, 1).unwrap()[0];
        assert_eq!(best.index, number);
        assert!((best.score - 1.0).abs() < 1e-3);
        let thumbnail = index.thumbnail(number).unwrap().unwrap();
        assert_eq!(thumbnail, vec![image.sample as u8; image.sample + 1]);
    }
    assert_eq!(index.thumbnail(9).unwrap(), None);
    let query = unit_vector(999, DIM);
    let best = index.text_embeddings().top(&query, 1).unwrap()[0];
    assert_eq!(index.texts()[best.index].text.as_str(), "common");
}
