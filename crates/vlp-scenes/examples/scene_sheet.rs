//! Writes a contact sheet of generated scenes as PNG and prints their captions.
//!
//! `cargo run -p vlp-scenes --example scene_sheet -- scenes.png [resolution] [all]`; `all` draws every shape and color.
#![allow(clippy::print_stdout)]

use vlp_data::Source;
use vlp_scenes::{Color, Scenes, ScenesConfig, Shape};

const COLUMNS: usize = 6;
const ROWS: usize = 4;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let file = arguments.next().unwrap_or_else(|| "scenes.png".into());
    let resolution = arguments.next().map_or(Ok(128), |text| text.parse())?;
    let mut config = ScenesConfig::default().with_resolution(resolution);
    if arguments.next().is_some_and(|word| word == "all") {
        config.shapes = Shape::ALL.to_vec();
        config.colors = Color::ALL.to_vec();
    }
    let scenes = Scenes::new(config)?;

    let cell = resolution + 4;
    let mut sheet = image::RgbImage::new((cell * COLUMNS) as u32, (cell * ROWS) as u32);
    for index in 0..COLUMNS * ROWS {
        let sample = scenes.load(index)?;
        println!("{}:", sample.name);
        for caption in &sample.captions {
            println!("  {caption}");
        }
        let side = resolution as u32;
        let image =
            image::RgbImage::from_raw(side, side, sample.image.rgb).ok_or("wrong image size")?;
        let (column, row) = (index % COLUMNS, index / COLUMNS);
        image::imageops::replace(
            &mut sheet,
            &image,
            (column * cell) as i64,
            (row * cell) as i64,
        );
    }
    sheet.save(&file)?;
    println!("{file}: {} scenes", COLUMNS * ROWS);
    Ok(())
}
