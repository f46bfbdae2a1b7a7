//! Seeds that the crates write themselves.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::io::{Cursor, Read};
use std::path::Path;
use std::sync::Arc;

use tar::{Builder, EntryType, Header};
use vlp_data::read::{GenericOptions, cache, generic};
use vlp_data::shards::{Folder, PackOptions, ShardOptions, open, pack};
use vlp_text::WordPieceTokenizer;
use vlp_weights::SafetensorsWriter;

use super::put;

type Done = Result<(), Box<dyn Error>>;

const JPEG: &[u8] = include_bytes!("../../../vlp-data/tests/data/gray.jpg");
const PNG: &[u8] = include_bytes!("../../../vlp-data/tests/data/bit.png");

/// As those of the target `index_caches`, which changes its own copy of them.
const RECORDS: &str = r#"{"image": "1.jpg", "image_id": 1, "coco_id": 1, "caption": ["a red circle", "a circle"], "boxes": [{"bbox": [1, 2, 8, 6], "label": "circle", "attributes": ["red", "small"]}]}
{"image": "2.png", "question": "what color is it?", "answers": ["red", "red", "blue"], "consensus": "red", "id": 7, "question_type": "what color", "answer_type": "other"}
{"image": "1.jpg", "image2": "2.png", "text": "both are red", "label": true, "id": "dev-0-0"}
{"image": "1.jpg", "text": "it is red", "label": "entailment", "image_id": 1}
"#;

pub(super) fn put_all() -> Done {
    let folder = tempfile::tempdir()?;
    put_sets(folder.path())?;
    put_archives()?;
    put_weights(folder.path())?;
    let tokens = [
        "[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "red", "##d", "r",
    ];
    let json = WordPieceTokenizer::from_tokens(tokens)?.to_tokenizer_json()?;
    put(
        "word_pieces",
        "tokenizer",
        format!("3{json}\x1ered redd").as_bytes(),
    )?;
    #[cfg(feature = "burn")]
    super::with_burn::put_all(folder.path())?;
    Ok(())
}

/// The pickle in an archive of `torch.save`.
pub(super) fn pickle(archive: &[u8]) -> Option<Vec<u8>> {
    let mut archive = zip::ZipArchive::new(Cursor::new(archive)).ok()?;
    let index = (0..archive.len()).find(|index| {
        let entry = archive.by_index_raw(*index);
        entry.is_ok_and(|entry| entry.name().is_ok_and(|name| name.ends_with("data.pkl")))
    })?;
    let mut bytes = vec![];
    archive.by_index(index).ok()?.read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

/// Shards, their indices and manifest, and what caches hold.
fn put_sets(folder: &Path) -> Done {
    let images = folder.join("images");
    fs::create_dir(&images)?;
    fs::write(images.join("1.jpg"), JPEG)?;
    fs::write(images.join("2.png"), PNG)?;
    // Its folder is part of the set's name.
    fs::create_dir(folder.join("data"))?;
    let file = folder.join("data/records.jsonl");
    fs::write(&file, RECORDS)?;
    let options = GenericOptions::default().with_images(Some(images));
    let path = folder.join("folders.index");
    let source = cache::open_or_build(&path, &[], "", || generic(&file, options))?.source;
    put(
        "index_caches",
        "folders",
        &[b"1", &cached(&path)?[..]].concat(),
    )?;

    let set = folder.join("set");
    let options = PackOptions::default().with_shard_samples(2);
    pack(&source, &set, &options)?;
    for entry in fs::read_dir(&set)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let bytes = fs::read(&path)?;
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("tar") => {
                put("tar", &name, &[b"1", &bytes[..]].concat())?;
                put(
                    "tar",
                    &format!("{name}.packed"),
                    &[b"p", &bytes[..]].concat(),
                )?;
            }
            // The magic bytes and the layout number are left out.
            Some("idx") => put("index_caches", &name, &[b"2", &bytes[12..]].concat())?,
            _ => put("index_caches", &name, &[b"3", &bytes[..]].concat())?,
        }
    }
    let path = folder.join("shards.index");
    let options = ShardOptions::default().with_index(Some(path.clone()));
    open(Arc::new(Folder::open(&set)?), options)?;
    put(
        "index_caches",
        "shards",
        &[b"1", &cached(&path)?[..]].concat(),
    )?;
    put("index_caches", "changes", b"0\x10\0\x01\x80\0\x01")?;
    put("index_caches", "length", b"0\x80")
}

/// What a cache holds after its key, as if no folder had been searched: those of this machine are on no other.
fn cached(path: &Path) -> Result<Vec<u8>, Box<dyn Error>> {
    /// Searched folders and measured images: two empty lists.
    const SEARCHED: [u8; 3] = [0x92, 0x90, 0x90];
    /// A source is a list of 14 parts, and the first one a short text.
    const SOURCE: [u8; 2] = [0x9e, 0xa0];
    let bytes = fs::read(path)?;
    let is_source = |pair: &[u8]| pair[0] == SOURCE[0] && pair[1] & 0xe0 == SOURCE[1];
    let start = bytes
        .windows(2)
        .position(is_source)
        .ok_or("no source in the cache")?;
    Ok([&SEARCHED, &bytes[start..]].concat())
}

/// Archives as other programs write them: long names, PAX extensions, links, other kinds.
fn put_archives() -> Done {
    let mut archive = Builder::new(vec![]);
    let mut add = |name: &str, kind: EntryType, bytes: &[u8]| {
        let mut header = Header::new_ustar();
        header.set_size(bytes.len() as u64);
        header.set_entry_type(kind);
        header.set_mode(0o644);
        archive.append_data(&mut header, name, bytes)
    };
    add("a.txt", EntryType::Regular, b"a red circle")?;
    add("a.png", EntryType::Regular, PNG)?;
    add(
        "b/c.json",
        EntryType::Regular,
        br#"[{"caption": "one"}, {"caption": "two", "label": false}]"#,
    )?;
    add("b/c.right.png", EntryType::Regular, PNG)?;
    add("b/c.jpg", EntryType::Regular, JPEG)?;
    add("d", EntryType::Directory, b"")?;
    add(
        &format!("{}.txt", "long/".repeat(40)),
        EntryType::Regular,
        b"text",
    )?;
    put("tar", "other", &[b"1", &archive.into_inner()?[..]].concat())?;
    let mut archive = Builder::new(vec![]);
    archive.append_pax_extensions([("path", &b"e.png"[..]), ("mtime", &b"1.5"[..])])?;
    let mut header = Header::new_gnu();
    header.set_size(PNG.len() as u64);
    archive.append_data(&mut header, "f.png", PNG)?;
    let mut header = Header::new_gnu();
    header.set_size(0);
    header.set_entry_type(EntryType::Symlink);
    archive.append_link(&mut header, "g.png", "f.png")?;
    put(
        "tar",
        "extensions",
        &[b"1", &archive.into_inner()?[..]].concat(),
    )
}

fn put_weights(folder: &Path) -> Done {
    let shapes = [("module.a", vec![2]), ("module._orig_mod.b", vec![])];
    let shapes = shapes.map(|(name, shape)| (name.to_owned(), shape));
    let path = folder.join("model.safetensors");
    let metadata = BTreeMap::from([("format".to_owned(), "pt".to_owned())]);
    let mut writer = SafetensorsWriter::create(&path, &BTreeMap::from(shapes), &metadata)?;
    writer.write("module.a", &[1.0, f32::NAN])?;
    writer.write("module._orig_mod.b", &[-0.0])?;
    writer.finish()?;
    put(
        "safetensors",
        "written",
        &[b"0", &fs::read(path)?[..]].concat(),
    )
}
