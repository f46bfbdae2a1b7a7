//! Writing, being killed, resuming.

use std::fs;

use vlp_index::{Index, IndexError, IndexHeader, IndexWriter};

use crate::support::{DIM, files, header, segment, write};

const SAMPLES: usize = 10;

#[test]
fn a_resumed_index_has_the_bytes_of_an_uninterrupted_one() {
    let folder = tempfile::tempdir().unwrap();
    let (whole, parts) = (folder.path().join("whole"), folder.path().join("parts"));
    write(&whole, SAMPLES, 9);
    for segments in [0, 1, 2, 9] {
        write(&parts, SAMPLES, segments);
        // What a process leaves that is killed after it has written segments, and before it has noted them.
        if segments < 9 {
            let error = Index::open(&parts).unwrap_err();
            assert!(
                matches!(
                    error,
                    IndexError::Incomplete {
                        samples: SAMPLES,
                        ..
                    }
                ),
                "{error}"
            );
            fs::write(parts.join("000003.jpegs"), "other").unwrap();
            fs::write(parts.join("000003.safetensors"), "half").unwrap();
            fs::write(parts.join(".000003.safetensors.7-0.partial"), "half").unwrap();
            fs::write(parts.join(".index.json.7-0.partial"), "half").unwrap();
        }
    }
    assert_eq!(files(&parts), files(&whole));
    // Once more: nothing changes.
    write(&parts, SAMPLES, 9);
    assert_eq!(files(&parts), files(&whole));
}

#[test]
fn an_index_of_something_else_is_refused_in_words() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("index");
    write(&path, SAMPLES, 2);
    let before = files(&path);
    type Change = fn(&mut IndexHeader);
    let changes: [(Change, &str); 5] = [
        (
            |h| h.run.fingerprint = "fedcba9876543210".into(),
            "another run or checkpoint (tiny, 7 steps, fingerprint 0123456789ab)",
        ),
        (|h| h.run.dim = 9, "another run or checkpoint"),
        (
            |h| h.data = vec!["data.source=\"coco:x\"".into()],
            "of data.source=\"scenes\", not of data.source=\"coco:x\"",
        ),
        (
            |h| h.samples = 11,
            "had 10 samples when it was begun and has 11 now",
        ),
        (|h| h.thumbnail_side = 0, "16 pixels, not 0"),
    ];
    for (change, expected) in changes {
        let mut other = header(SAMPLES);
        change(&mut other);
        let line = IndexWriter::open(&path, &other).unwrap_err().to_string();
        assert!(
            line.contains(expected) && line.contains("use another folder"),
            "{line}"
        );
    }
    assert_eq!(files(&path), before);
    // The run may have been moved.
    let mut moved = header(SAMPLES);
    moved.run.path = "elsewhere".into();
    IndexWriter::open(&path, &moved).unwrap();
}

#[test]
fn what_others_made_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let other = folder.path().join("other");
    fs::create_dir(&other).unwrap();
    fs::write(other.join("notes.txt"), "mine").unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "mine").unwrap();
    for path in [&other, &file] {
        let line = IndexWriter::open(path, &header(3)).unwrap_err().to_string();
        assert!(
            line.contains("already exists and is not an index"),
            "{line}"
        );
        let line = Index::open(path).unwrap_err().to_string();
        assert!(line.contains("has no index.json"), "{line}");
    }
    assert_eq!(files(&other).len(), 1);
    // An empty folder is fine, and so is what a writer leaves that was killed at once.
    let empty = folder.path().join("empty");
    fs::create_dir(&empty).unwrap();
    for name in [".lock", ".index.json.7-0.partial"] {
        fs::write(empty.join(name), "").unwrap();
    }
    let _writer = IndexWriter::open(&empty, &header(3)).unwrap();
    let line = IndexWriter::open(&empty, &header(3))
        .unwrap_err()
        .to_string();
    assert!(line.contains("another process writes this index"), "{line}");
}

#[test]
fn segments_that_do_not_fit_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = IndexWriter::open(folder.path().join("index"), &header(3)).unwrap();
    let whole = segment(&writer, 0..3);
    let mut push = |samples: usize, text_embeddings: Vec<f32>| {
        let mut segment = segment(&writer, 0..3);
        segment.set_text_embeddings(text_embeddings);
        writer.push(samples, segment).unwrap_err().to_string()
    };
    let rows = vec![0.5; 3 * DIM];
    assert!(push(4, rows.clone()).contains("a segment of 4 samples; 3 are left"));
    assert!(push(0, rows).contains("a segment of 0 samples"));
    let line = push(3, vec![0.5; DIM]);
    assert!(
        line.contains("8 numbers of text embeddings; 3 rows of 8 are needed"),
        "{line}"
    );
    for value in [f32::NAN, 1e6] {
        let line = push(3, [vec![0.5; 2 * DIM], vec![value; DIM]].concat());
        assert!(line.contains("the embedding of text 2"), "{line}");
    }
    let late = segment(&writer, 0..3);
    writer.push(2, whole).unwrap();
    let line = writer.push(1, late).unwrap_err().to_string();
    assert!(line.contains("begun before the last one"), "{line}");
    let line = writer.finish().unwrap_err().to_string();
    assert!(line.contains("incomplete, with 2 of 3 samples"), "{line}");
}

#[test]
fn a_resumed_writer_has_the_images_and_texts_that_were_there() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("index");
    write(&path, SAMPLES, 2);
    let writer = IndexWriter::open(&path, &header(SAMPLES)).unwrap();
    let resumed = writer.resumed();
    let resumed: Vec<_> = resumed
        .map(|(image, texts)| (image.sample, image.pixel_hash, texts))
        .collect();
    // Sample 3 could not be read.
    let expected = [
        (0, 0, vec!["common"]),
        (1, 7, vec!["text 1"]),
        (2, 14, vec!["text 2"]),
        (4, 28, vec!["common"]),
        (5, 35, vec!["text 5"]),
    ];
    assert_eq!(resumed, expected);
    let new = IndexWriter::open(folder.path().join("new"), &header(SAMPLES)).unwrap();
    assert_eq!(new.resumed().count(), 0);
}
