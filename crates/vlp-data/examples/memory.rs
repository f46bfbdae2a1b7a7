//! Memory and time of reading annotation files: writes synthetic COCO files of a given size, or reads them without or with
//! the index cache (written in the first run, read in the second).
//!
//! `cargo run -p vlp-data --example memory -- write FOLDER 500` (megabytes of instances), then
//! `/usr/bin/time -v target/debug/examples/memory read FOLDER` (or `cached FOLDER`) for the peak.
#![allow(clippy::print_stdout)]

use std::{
    fs::{self, File},
    io::{BufWriter, Write},
    path::Path,
    time::Instant,
};

use vlp_data::{
    Limits, Source,
    read::{CocoFiles, cache, coco},
};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["write", folder, megabytes] => write(Path::new(folder), megabytes.parse()?),
        ["read", folder] => read(Path::new(folder), false),
        ["cached", folder] => read(Path::new(folder), true),
        _ => Err("write FOLDER MEGABYTES, read FOLDER or cached FOLDER".into()),
    }
}

/// Records in the proportions of COCO's training set: an image has five captions and seven boxes, each with a polygon of 40
/// corners. All records refer to the same image file.
fn write(folder: &Path, megabytes: u64) -> Result<(), Box<dyn std::error::Error>> {
    fs::create_dir_all(folder.join("annotations"))?;
    fs::create_dir_all(folder.join("images"))?;
    image::RgbImage::new(8, 8).save(folder.join("images/a.png"))?;
    let open = |name: &str| File::create(folder.join("annotations").join(name)).map(BufWriter::new);
    let (mut captions, mut instances) = (open("captions_x.json")?, open("instances_x.json")?);
    write!(
        instances,
        "{{\"categories\": [{{\"id\": 1, \"name\": \"dog\"}}], \"annotations\": ["
    )?;
    let polygon: Vec<String> = (0..80)
        .map(|corner| format!("{}.{:02}", corner * 7 % 640, corner % 100))
        .collect();
    let polygon = polygon.join(", ");
    let (mut images, mut written) = (0_u64, 0);
    while written < megabytes << 20 {
        for number in 0..7 {
            let id = images * 7 + number;
            let comma = if id == 0 { "" } else { ",\n" };
            let record = format!(
                "{comma}{{\"segmentation\": [[{polygon}]], \"area\": 5.5, \"iscrowd\": 0, \"image_id\": {images}, \
                 \"bbox\": [1.5, 1, 3, 4.25], \"category_id\": 1, \"id\": {id}}}"
            );
            written += record.len() as u64;
            instances.write_all(record.as_bytes())?;
        }
        images += 1;
    }
    write!(instances, "]}}")?;
    write!(captions, "{{\"images\": [")?;
    for id in 0..images {
        let comma = if id == 0 { "" } else { ",\n" };
        write!(
            captions,
            "{comma}{{\"id\": {id}, \"file_name\": \"a.png\", \"width\": 8, \"height\": 8}}"
        )?;
    }
    write!(captions, "], \"annotations\": [")?;
    for id in 0..images * 5 {
        let comma = if id == 0 { "" } else { ",\n" };
        write!(
            captions,
            "{comma}{{\"id\": {id}, \"image_id\": {}, \"caption\": \"A dog number {id} is walking along the street.\"}}",
            id / 5
        )?;
    }
    write!(captions, "]}}")?;
    println!("{images} images");
    Ok(())
}

fn read(folder: &Path, cached: bool) -> Result<(), Box<dyn std::error::Error>> {
    let start = Instant::now();
    let files = CocoFiles::find(folder, None)?;
    let build = || coco(&files, &Limits::default());
    let source = if cached {
        let index = folder.join("x.index");
        let opened = cache::open_or_build(&index, &files.inputs(), "", build)?;
        println!("{}; {} bytes", opened.state, fs::metadata(&index)?.len());
        opened.source
    } else {
        build()?
    };
    let megabytes = |bytes: usize| bytes as f64 / f64::from(1 << 20);
    println!(
        "{}\n{:.2} s, index of {:.1} MB for {} samples",
        source.report(),
        start.elapsed().as_secs_f64(),
        megabytes(source.index_bytes()),
        source.len()
    );
    Ok(())
}
