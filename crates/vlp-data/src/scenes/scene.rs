use rand::{Rng, RngExt};

use super::{Background, Colour, ScenesConfig, Shape, Size, Texture};
use crate::rng;

/// Greatest overlap of two boxes, as intersection over union.
const MAX_IOU: f32 = 0.1;
/// Greatest share of the smaller of two boxes that the other may cover.
const MAX_COVER: f32 = 0.25;
/// Least distance in x (in y) between the centres of the outermost object on a side and the next, so that which one is
/// outermost can be seen.
const CLEAR: f32 = 0.04;
/// Distance that boxes keep from the picture's border.
const MARGIN: f32 = 0.02;

/// One drawn object; lengths are shares of the picture's side, x to the right and y downwards.
#[derive(Debug, Clone, PartialEq)]
pub struct Thing {
    /// What it is.
    pub shape: Shape,
    /// Its colour.
    pub colour: Colour,
    /// Its size.
    pub size: Size,
    /// Its filling.
    pub texture: Texture,
    /// Centre of its box.
    pub x: f32,
    /// Centre of its box.
    pub y: f32,
    /// Longer side of its box.
    pub extent: f32,
    /// Turn in degrees, -12 to 12.
    pub angle: f32,
    /// Width of its box.
    pub width: f32,
    /// Height of its box.
    pub height: f32,
}

impl Thing {
    /// Left, top, right, bottom of the tight box, 0 to 1.
    pub fn bbox(&self) -> [f32; 4] {
        let (half_width, half_height) = (self.width / 2.0, self.height / 2.0);
        [
            self.x - half_width,
            self.y - half_height,
            self.x + half_width,
            self.y + half_height,
        ]
    }

    /// Whether two things overlap more than scenes allow.
    fn clashes(&self, other: &Self) -> bool {
        let (a, b) = (self.bbox(), other.bbox());
        let width = (a[2].min(b[2]) - a[0].max(b[0])).max(0.0);
        let height = (a[3].min(b[3]) - a[1].max(b[1])).max(0.0);
        let shared = width * height;
        let (area_a, area_b) = (self.width * self.height, other.width * other.height);
        shared > MAX_IOU * (area_a + area_b - shared) || shared > MAX_COVER * area_a.min(area_b)
    }
}

/// What a picture shows; the same at any resolution.
#[derive(Debug, Clone, PartialEq)]
pub struct Scene {
    /// One to six objects, the first drawn undermost.
    pub things: Vec<Thing>,
    /// Kind of background.
    pub background: Background,
    /// Two light tints, red, green and blue.
    pub tints: [[u8; 3]; 2],
    /// Direction of a gradient in degrees.
    pub slope: f32,
    /// Seed of the grain.
    pub grain: u64,
}

impl Scene {
    /// A pure function of the configuration (but for its resolution and count) and the index.
    pub(super) fn generate(config: &ScenesConfig, index: usize) -> Self {
        let mut rng = rng(config.seed, config.split as u64, index as u64, "scene");
        let count = rng.random_range(config.min_objects..=config.max_objects);
        let tint = |rng: &mut _| -> [u8; 3] {
            std::array::from_fn(|_| Rng::next_u32(rng) as u8 % 46 + 205)
        };
        let tints = [tint(&mut rng), tint(&mut rng)];
        let background = pick(&config.backgrounds, &mut rng);
        let (slope, grain) = (rng.random_range(0.0..360.0), rng.random());
        let things = (0..400)
            .find_map(|_| scatter(config, count, &mut rng))
            .unwrap_or_else(|| grid(config, count, &mut rng));
        Self {
            things,
            background,
            tints,
            slope,
            grain,
        }
    }
}

fn pick<T: Copy>(from: &[T], rng: &mut impl Rng) -> T {
    from[rng.random_range(0..from.len())]
}

fn thing(config: &ScenesConfig, size: Size, rng: &mut impl Rng) -> Thing {
    let (least, most) = config.extents(size);
    let mut thing = Thing {
        shape: pick(&config.shapes, rng),
        colour: pick(&config.colours, rng),
        size,
        texture: pick(&config.textures, rng),
        x: 0.5,
        y: 0.5,
        extent: rng.random_range(least..=most),
        angle: rng.random_range(-12.0..=12.0),
        width: 0.0,
        height: 0.0,
    };
    thing.measure();
    thing
}

/// Things at random places, or `None` when one finds no room or no side has a clear outermost one.
fn scatter(config: &ScenesConfig, count: usize, rng: &mut impl Rng) -> Option<Vec<Thing>> {
    let mut things: Vec<Thing> = Vec::with_capacity(count);
    for _ in 0..count {
        let mut next = thing(config, pick(&config.sizes, rng), rng);
        let (edge_x, edge_y) = (MARGIN + next.width / 2.0, MARGIN + next.height / 2.0);
        let placed = (0..30).any(|_| {
            next.x = rng.random_range(edge_x..=1.0 - edge_x);
            next.y = rng.random_range(edge_y..=1.0 - edge_y);
            !things.iter().any(|other| other.clashes(&next))
        });
        if !placed {
            return None;
        }
        things.push(next);
    }
    (clear(things.iter().map(|t| t.x)) && clear(things.iter().map(|t| t.y))).then_some(things)
}

/// Whether the least and the greatest stand apart from the others.
fn clear(places: impl Iterator<Item = f32>) -> bool {
    let mut places: Vec<f32> = places.collect();
    places.sort_by(f32::total_cmp);
    let [first, second, ..] = places.as_slice() else {
        return true;
    };
    let [.., before, last] = places.as_slice() else {
        return true;
    };
    second - first >= CLEAR && last - before >= CLEAR
}

/// Things of the least extent in the cells of a grid: there is always room.
fn grid(config: &ScenesConfig, count: usize, rng: &mut impl Rng) -> Vec<Thing> {
    let columns = (count as f32).sqrt().ceil() as usize;
    let cell = 1.0 / columns as f32;
    let least = |size: &Size| config.extents(*size).0;
    let smallest = config
        .sizes
        .iter()
        .copied()
        .min_by(|a, b| least(a).total_cmp(&least(b)));
    let place = |number: usize| {
        let mut next = thing(config, smallest.unwrap_or(Size::Small), rng);
        next.extent = smallest.map_or(next.extent, |size| config.extents(size).0);
        next.measure();
        next.x = cell * ((number % columns) as f32 + 0.5);
        next.y = cell * ((number / columns) as f32 + 0.5);
        next
    };
    (0..count).map(place).collect()
}
