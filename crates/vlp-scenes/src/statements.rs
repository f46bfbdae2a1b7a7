use rand::{Rng, RngExt};
use rand_chacha::ChaCha8Rng;
use vlp_data::rng;

use crate::{Claim, NUMBER_WORDS, Phrase, Relation, Scene, Scenes, claim::pairs};

/// Attempts to find a claim with a true and a false pair, and attempts to find the second pair of each.
const CLAIM_ATTEMPTS: usize = 20;
const PAIR_ATTEMPTS: usize = 60;

/// A statement about two scenes, as in NLVR2.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// Index of the sentence; the two statements with this sentence share it.
    pub set: usize,
    /// Index of the scene pair of this sentence, 0 or 1.
    pub pair: usize,
    /// Index of the left scene.
    pub left: usize,
    /// Index of the right scene.
    pub right: usize,
    /// The sentence, without a full stop.
    pub text: String,
    /// Whether it is true of the two scenes.
    pub label: bool,
}

/// The claim of a sentence about two scenes.
#[derive(Debug, Clone, Copy)]
enum PairClaim {
    Both(Phrase),
    ExactlyOne(Phrase),
    Left(Claim),
    Right(Claim),
    MoreLeft(Phrase),
    Total(usize, Phrase),
}

impl PairClaim {
    fn holds(&self, left: &Scene, right: &Scene) -> bool {
        match self {
            Self::Both(phrase) => left.count(phrase) > 0 && right.count(phrase) > 0,
            Self::ExactlyOne(phrase) => (left.count(phrase) > 0) != (right.count(phrase) > 0),
            Self::Left(claim) => claim.holds(left),
            Self::Right(claim) => claim.holds(right),
            Self::MoreLeft(phrase) => left.count(phrase) > right.count(phrase),
            Self::Total(number, phrase) => left.count(phrase) + right.count(phrase) == *number,
        }
    }

    fn sentence(&self) -> String {
        match self {
            Self::Both(phrase) => format!("both images contain {}", phrase.with_article()),
            Self::ExactlyOne(phrase) => {
                format!("exactly one image contains {}", phrase.with_article())
            }
            Self::Left(claim) => format!("in the left image {}", claim.sentence()),
            Self::Right(claim) => format!("in the right image {}", claim.sentence()),
            Self::MoreLeft(phrase) => {
                let plural = phrase.plural();
                format!("there are more {plural} in the left image than in the right image")
            }
            Self::Total(1, phrase) => format!("there is one {} in total", phrase.noun()),
            Self::Total(number, phrase) => {
                let number = NUMBER_WORDS[*number.min(&6)];
                format!("there are {number} {} in total", phrase.plural())
            }
        }
    }

    /// A random claim about an object of one of the scenes; it may be true or false of the pair.
    fn random(left: &Scene, right: &Scene, rng: &mut impl Rng) -> Self {
        let scene = if rng.random_bool(0.5) { left } else { right };
        let objects = scene.shuffled_objects(rng);
        let object = objects[0];
        let color_and_shape = Phrase::color_and_shape(object);
        let phrase = if rng.random_bool(0.5) {
            Phrase::with_shape(object.shape)
        } else {
            Phrase::with_color(object.color)
        };
        match rng.random_range(0..6) {
            0 => Self::Both(phrase),
            1 => Self::ExactlyOne(color_and_shape),
            2 => Self::Left(Claim::Count(scene.count(&phrase), phrase)),
            3 => {
                let clear_pair = pairs(scene).find(|(a, b)| Relation::is_clear(a, b));
                let related = clear_pair.map(|(a, b)| {
                    let relation = Relation::between(a, b);
                    Claim::Related(
                        Phrase::color_and_shape(a),
                        relation,
                        Phrase::color_and_shape(b),
                    )
                });
                Self::Right(related.unwrap_or(Claim::Exists(color_and_shape)))
            }
            4 => Self::MoreLeft(phrase),
            _ => Self::Total((left.count(&phrase) + right.count(&phrase)).min(6), phrase),
        }
    }
}

impl Scenes {
    /// Sentence `set` with two pairs of scenes of this split, true of one pair and false of the other.
    ///
    /// Labels are therefore balanced, and the text alone carries no information about them.
    /// `None` if no such pairs were found, as in a split of few scenes.
    pub fn statements(&self, set: usize) -> Option<[Statement; 2]> {
        let count = self.config.count;
        if count < 2 {
            return None;
        }
        let (seed, split) = (self.config.seed, self.config.split as u64);
        let mut rng = rng(seed, split, set as u64, "statement");
        let random_pair = |rng: &mut ChaCha8Rng| {
            let left = rng.random_range(0..count);
            // Never the same scene twice.
            (left, (left + rng.random_range(1..count)) % count)
        };
        let holds = |claim: &PairClaim, (left, right): (usize, usize)| {
            claim.holds(&self.cached_scene(left), &self.cached_scene(right))
        };
        for _ in 0..CLAIM_ATTEMPTS {
            let first = random_pair(&mut rng);
            let (left, right) = (self.cached_scene(first.0), self.cached_scene(first.1));
            let claim = PairClaim::random(&left, &right, &mut rng);
            let label = holds(&claim, first);
            let Some(second) = (0..PAIR_ATTEMPTS)
                .map(|_| random_pair(&mut rng))
                .find(|&pair| holds(&claim, pair) != label)
            else {
                continue;
            };
            let mut labeled = [(first, label), (second, !label)];
            if !rng.random_bool(0.5) {
                labeled.reverse();
            }
            let text = claim.sentence();
            let mut numbers = 0..;
            return Some(labeled.map(|((left, right), label)| Statement {
                set,
                pair: numbers.next().unwrap_or_default(),
                left,
                right,
                text: text.clone(),
                label,
            }));
        }
        None
    }
}
