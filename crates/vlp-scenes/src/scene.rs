use rand::{Rng, RngExt, seq::SliceRandom};
use vlp_data::rng;

use crate::{Background, Phrase, SceneObject, ScenesConfig, Size, random::pick};

/// Smallest distance in x (or y) between the centers of the outermost object on a side and the next one, so that the
/// outermost one is visually unambiguous.
const CLEARANCE: f32 = 0.04;
/// Distance of boxes from the image border.
const MARGIN: f32 = 0.02;
/// Attempts to place all objects of a scene, and attempts to place each object.
const SCENE_ATTEMPTS: usize = 400;
const OBJECT_ATTEMPTS: usize = 30;

/// The content of an image, independent of its resolution.
#[derive(Debug, Clone, PartialEq)]
pub struct Scene {
    /// One to six objects in drawing order.
    pub objects: Vec<SceneObject>,
    /// Kind of background.
    pub background: Background,
    /// Two light background colors, red, green and blue.
    pub tints: [[u8; 3]; 2],
    /// Direction of a gradient background in degrees.
    pub gradient_angle: f32,
    /// Number of marks behind the objects.
    pub clutter: usize,
    /// How much darker the unlit side is, 0 to 0.9.
    pub shade: f32,
    /// Seed of a noise background, of marks and light, and of the captions, questions and hypotheses.
    pub seed: u64,
}

impl Scene {
    /// A pure function of the configuration (without resolution and count) and the index.
    pub(crate) fn generate(config: &ScenesConfig, index: usize) -> Self {
        let mut rng = rng(config.seed, config.split as u64, index as u64, "scene");
        let count = rng.random_range(config.min_objects..=config.max_objects);
        let tint = |rng: &mut _| -> [u8; 3] {
            std::array::from_fn(|_| Rng::next_u32(rng) as u8 % 46 + 205)
        };
        let tints = [tint(&mut rng), tint(&mut rng)];
        let background = pick(&config.backgrounds, &mut rng);
        let (gradient_angle, seed) = (rng.random_range(0.0..360.0), rng.random());
        let held_out = held_out_object(config, index, count);
        let objects = (0..SCENE_ATTEMPTS)
            .find_map(|_| scatter(config, count, held_out, &mut rng))
            .unwrap_or_else(|| grid(config, count, held_out, &mut rng));
        Self {
            objects,
            background,
            tints,
            gradient_angle,
            clutter: config.clutter,
            shade: config.shade,
            seed,
        }
    }

    /// Number of objects that a phrase matches.
    pub(crate) fn count(&self, phrase: &Phrase) -> usize {
        let objects = self.objects.iter();
        objects.filter(|object| phrase.matches(object)).count()
    }

    /// Whether a phrase matches exactly one object.
    pub(crate) fn has_unique(&self, phrase: &Phrase) -> bool {
        self.count(phrase) == 1
    }

    /// The objects in random order.
    pub(crate) fn shuffled_objects(&self, rng: &mut impl Rng) -> Vec<&SceneObject> {
        let mut objects: Vec<&SceneObject> = self.objects.iter().collect();
        objects.shuffle(rng);
        objects
    }
}

/// Which of `count` objects is of a combination held out, if one must be.
fn held_out_object(config: &ScenesConfig, index: usize, count: usize) -> Option<usize> {
    // A stream of its own: everything else is drawn as without it.
    let mut rng = rng(config.seed, config.split as u64, index as u64, "held out");
    config.shows_held_out().then(|| rng.random_range(0..count))
}

/// Objects at random positions; `None` if one of them does not fit or the outermost one on a side is ambiguous.
fn scatter(
    config: &ScenesConfig,
    count: usize,
    held_out: Option<usize>,
    rng: &mut impl Rng,
) -> Option<Vec<SceneObject>> {
    let mut objects: Vec<SceneObject> = Vec::with_capacity(count);
    for index in 0..count {
        let size = pick(&config.sizes, rng);
        let mut object = SceneObject::random(config, size, held_out == Some(index), rng);
        let (min_x, min_y) = (MARGIN + object.width / 2.0, MARGIN + object.height / 2.0);
        let fits = (0..OBJECT_ATTEMPTS).any(|_| {
            object.x = rng.random_range(min_x..=1.0 - min_x);
            object.y = rng.random_range(min_y..=1.0 - min_y);
            !objects.iter().any(|other| other.overlaps(&object))
        });
        if !fits {
            return None;
        }
        objects.push(object);
    }
    let clear = has_clearance(objects.iter().map(|object| object.x))
        && has_clearance(objects.iter().map(|object| object.y));
    clear.then_some(objects)
}

/// Whether the smallest and the largest coordinate have [`CLEARANCE`] from the others.
fn has_clearance(coordinates: impl Iterator<Item = f32>) -> bool {
    let mut coordinates: Vec<f32> = coordinates.collect();
    coordinates.sort_by(f32::total_cmp);
    let gap = |pair: &[f32]| pair[1] - pair[0] >= CLEARANCE;
    let mut gaps = coordinates.windows(2);
    let first = gaps.next().is_none_or(gap);
    first && gaps.last().is_none_or(gap)
}

/// Objects of the smallest extent, one in each grid cell; these always fit.
fn grid(
    config: &ScenesConfig,
    count: usize,
    held_out: Option<usize>,
    rng: &mut impl Rng,
) -> Vec<SceneObject> {
    let columns = (count as f32).sqrt().ceil() as usize;
    let cell = 1.0 / columns as f32;
    let min_extent = |size: &Size| config.extent_range(*size).0;
    let smallest = config
        .sizes
        .iter()
        .copied()
        .min_by(|a, b| min_extent(a).total_cmp(&min_extent(b)));
    let object = |index: usize| {
        let size = smallest.unwrap_or(Size::Small);
        let mut object = SceneObject::random(config, size, held_out == Some(index), rng);
        object.extent = smallest.map_or(object.extent, |size| min_extent(&size));
        object.update_box_size();
        object.x = cell * ((index % columns) as f32 + 0.5);
        object.y = cell * ((index / columns) as f32 + 0.5);
        object
    };
    (0..count).map(object).collect()
}
