use rand::{Rng, RngExt};

use super::{Claim, End, Phrase, Relation, Scene, Scenes, Thing, captions::shuffled, claim::pairs};
use crate::{Entailment, rng};

/// A sentence about a scene, SNLI-VE's task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hypothesis {
    /// The sentence, without a full stop.
    pub text: String,
    /// Its label.
    pub label: Entailment,
    /// Five annotators' labels; at most one differs from the label.
    pub annotators: [Entailment; 5],
    /// What it claims; `None` for the neutral one, which no picture shows.
    pub claim: Option<Claim>,
}

impl Scenes {
    /// Three hypotheses about a scene, one of each label.
    ///
    /// The false one is the true one of another draw with one word changed, so these two cannot be told apart without the
    /// picture. The neutral one tells of what no picture shows (what a shape is made of, who drew it) and can be known by
    /// its words, as many of SNLI's can.
    pub fn hypotheses(&self, scene: &Scene) -> [Hypothesis; 3] {
        let mut rng = rng(scene.grain, 0, 0, "hypotheses");
        Entailment::ALL.map(|label| {
            let claim = match label {
                Entailment::Entailment => Some(self.true_claim(scene, &mut rng)),
                Entailment::Contradiction => Some(self.false_claim(scene, &mut rng)),
                Entailment::Neutral => None,
            };
            let text = claim.map_or_else(|| neutral(scene, &mut rng), |claim| claim.sentence());
            let mut annotators = [label; 5];
            if rng.random_bool(0.2) {
                annotators[rng.random_range(0..5)] = Entailment::ALL[rng.random_range(0..3)];
            }
            Hypothesis {
                text,
                label,
                annotators,
                claim,
            }
        })
    }

    fn true_claim(&self, scene: &Scene, rng: &mut impl Rng) -> Claim {
        let things = shuffled(scene, rng);
        let thing = things[0];
        let clear = pairs(scene)
            .filter(|(a, b)| Relation::is_clear(a, b))
            .collect::<Vec<_>>();
        match rng.random_range(0..4) {
            0 if !clear.is_empty() => {
                let (a, b) = clear[rng.random_range(0..clear.len())];
                Claim::Related(named(a), Relation::between(a, b), named(b))
            }
            1 if scene.things.len() > 1 => {
                let end = [End::Left, End::Right, End::Top, End::Bottom][rng.random_range(0..4)];
                Claim::Outermost(end, named(end.of(scene).unwrap_or(thing)))
            }
            2 => {
                // A shape of the set may also be missing from the scene.
                let shape = self.config.shapes[rng.random_range(0..self.config.shapes.len())];
                let what = Phrase {
                    shape: Some(shape),
                    ..Phrase::default()
                };
                Claim::Count(
                    scene.things.iter().filter(|thing| what.fits(thing)).count(),
                    what,
                )
            }
            _ => Claim::Exists(Phrase {
                size: Some(thing.size),
                ..named(thing)
            }),
        }
    }

    fn false_claim(&self, scene: &Scene, rng: &mut impl Rng) -> Claim {
        let known = |phrase: &Phrase| {
            phrase
                .colour
                .is_none_or(|c| self.config.colours.contains(&c))
                && phrase.shape.is_none_or(|s| self.config.shapes.contains(&s))
        };
        for _ in 0..40 {
            let truth = self.true_claim(scene, rng);
            let mut near: Vec<Claim> = match truth {
                // A neighbouring direction may be true to the eye, the opposite is plainly false.
                Claim::Related(a, relation, b) => vec![Claim::Related(a, relation.opposite(), b)],
                Claim::Outermost(end, what) => {
                    let opposite = Claim::Outermost(end.opposite(), what);
                    what.variants()
                        .into_iter()
                        .map(|what| Claim::Outermost(end, what))
                        .chain([opposite])
                        .collect()
                }
                Claim::Count(number, what) => {
                    let most = self.config.max_objects;
                    (0..=most)
                        .filter(|n| n.abs_diff(number) == 1)
                        .map(|n| Claim::Count(n, what))
                        .collect()
                }
                other => other.variants(),
            };
            near.retain(|claim| !claim.holds(scene) && claim.phrases().iter().all(known));
            if !near.is_empty() {
                return near.swap_remove(rng.random_range(0..near.len()));
            }
        }
        // Nothing was false of forty draws: a number always can be.
        Claim::Count((scene.things.len() + 1) % 7, Phrase::default())
    }
}

fn named(thing: &Thing) -> Phrase {
    Phrase {
        colour: Some(thing.colour),
        shape: Some(thing.shape),
        ..Phrase::default()
    }
}

fn neutral(scene: &Scene, rng: &mut impl Rng) -> String {
    let noun = named(shuffled(scene, rng)[0]).noun();
    let stuff = ["wood", "paper", "metal", "glass", "plastic"][rng.random_range(0..5)];
    let state = ["heavy", "cold", "wet", "new", "old", "soft"][rng.random_range(0..6)];
    match rng.random_range(0..4) {
        0 => format!("the {noun} is made of {stuff}"),
        1 => format!("the {noun} is {state}"),
        2 => format!("the {noun} belongs to a child"),
        _ => format!("the {noun} is painted on {stuff}"),
    }
}
