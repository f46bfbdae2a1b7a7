use rand::{Rng, RngExt};
use rand_chacha::ChaCha8Rng;

use super::{COUNTS, Claim, Phrase, Relation, Scene, Scenes, captions::shuffled, claim::pairs};
use crate::rng;

/// A statement about two scenes, NLVR2's task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// Number of the statement; its two scene pairs share it.
    pub set: usize,
    /// 0 or 1: which of the two.
    pub pair: usize,
    /// Index of the left scene.
    pub left: usize,
    /// Index of the right scene.
    pub right: usize,
    /// The statement, without a full stop.
    pub text: String,
    /// Whether it is true of the two.
    pub label: bool,
}

/// What is said of two scenes.
#[derive(Debug, Clone, Copy)]
enum Said {
    Both(Phrase),
    OneAlone(Phrase),
    Left(Claim),
    Right(Claim),
    MoreLeft(Phrase),
    Total(usize, Phrase),
}

impl Said {
    fn holds(&self, left: &Scene, right: &Scene) -> bool {
        let count =
            |scene: &Scene, what: &Phrase| scene.things.iter().filter(|t| what.fits(t)).count();
        match self {
            Self::Both(what) => count(left, what) > 0 && count(right, what) > 0,
            Self::OneAlone(what) => (count(left, what) > 0) != (count(right, what) > 0),
            Self::Left(claim) => claim.holds(left),
            Self::Right(claim) => claim.holds(right),
            Self::MoreLeft(what) => count(left, what) > count(right, what),
            Self::Total(number, what) => count(left, what) + count(right, what) == *number,
        }
    }

    fn text(&self) -> String {
        match self {
            Self::Both(what) => format!("both images contain {}", what.with_article()),
            Self::OneAlone(what) => format!("exactly one image contains {}", what.with_article()),
            Self::Left(claim) => format!("in the left image {}", claim.sentence()),
            Self::Right(claim) => format!("in the right image {}", claim.sentence()),
            Self::MoreLeft(what) => {
                format!(
                    "there are more {} in the left image than in the right image",
                    what.plural()
                )
            }
            Self::Total(1, what) => format!("there is one {} in total", what.noun()),
            Self::Total(number, what) => {
                format!(
                    "there are {} {} in total",
                    COUNTS[*number.min(&6)],
                    what.plural()
                )
            }
        }
    }
}

impl Scenes {
    /// Statement `set` with two pairs of scenes of this split: it is true of one pair and false of the other, so that
    /// labels are balanced and words alone tell nothing. `None` where the split has too few scenes for it.
    pub fn statements(&self, set: usize) -> Option<[Statement; 2]> {
        let count = self.config.count;
        if count < 2 {
            return None;
        }
        let mut rng = rng(
            self.config.seed,
            self.config.split as u64,
            set as u64,
            "statement",
        );
        let two = |rng: &mut ChaCha8Rng| {
            let left = rng.random_range(0..count);
            // The right one is another one.
            (left, (left + rng.random_range(1..count)) % count)
        };
        let holds = |said: &Said, (left, right): (usize, usize)| {
            said.holds(&self.recall(left), &self.recall(right))
        };
        for _ in 0..20 {
            let first = two(&mut rng);
            let said = say(&self.recall(first.0), &self.recall(first.1), &mut rng);
            let label = holds(&said, first);
            let Some(second) = (0..60)
                .map(|_| two(&mut rng))
                .find(|&pair| holds(&said, pair) != label)
            else {
                continue;
            };
            let order = if rng.random_bool(0.5) {
                [(first, label), (second, !label)]
            } else {
                [(second, !label), (first, label)]
            };
            let text = said.text();
            let mut pair = 0..;
            return Some(order.map(|((left, right), label)| Statement {
                set,
                pair: pair.next().unwrap_or_default(),
                left,
                right,
                text: text.clone(),
                label,
            }));
        }
        None
    }
}

/// Something about what the two scenes show, true of them or not.
fn say(left: &Scene, right: &Scene, rng: &mut impl Rng) -> Said {
    let scene = if rng.random_bool(0.5) { left } else { right };
    let things = shuffled(scene, rng);
    let thing = things[0];
    let shape = Phrase {
        shape: Some(thing.shape),
        ..Phrase::default()
    };
    let colour = Phrase {
        colour: Some(thing.colour),
        ..Phrase::default()
    };
    let kind = Phrase {
        colour: Some(thing.colour),
        ..shape
    };
    let one = if rng.random_bool(0.5) { shape } else { colour };
    let number = scene.things.iter().filter(|thing| one.fits(thing)).count();
    match rng.random_range(0..6) {
        0 => Said::Both(one),
        1 => Said::OneAlone(kind),
        2 => Said::Left(Claim::Count(number, one)),
        3 => {
            let clear = pairs(scene).find(|(a, b)| Relation::is_clear(a, b));
            let related = clear.map(|(a, b)| {
                let named = |thing: &super::Thing| Phrase {
                    colour: Some(thing.colour),
                    shape: Some(thing.shape),
                    ..Phrase::default()
                };
                Claim::Related(named(a), Relation::between(a, b), named(b))
            });
            Said::Right(related.unwrap_or(Claim::Exists(kind)))
        }
        4 => Said::MoreLeft(one),
        _ => {
            let total = left
                .things
                .iter()
                .chain(&right.things)
                .filter(|thing| one.fits(thing))
                .count();
            Said::Total(total.min(6), one)
        }
    }
}
