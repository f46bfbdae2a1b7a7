use rand::{Rng, RngExt};
use vlp_data::{Entailment, rng};

use crate::{Claim, Phrase, Relation, Scene, Scenes, Side, claim::pairs, random::pick};

/// Attempts to turn a true claim into a false one.
const FALSE_CLAIM_ATTEMPTS: usize = 40;

/// A sentence about a scene, as in SNLI-VE.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hypothesis {
    /// The sentence, without a full stop.
    pub text: String,
    /// The gold label.
    pub label: Entailment,
    /// Five annotators' labels; at most one differs from the gold label.
    pub annotator_labels: [Entailment; 5],
    /// What it claims; `None` for the neutral one, which the image cannot decide.
    pub claim: Option<Claim>,
}

impl Scenes {
    /// Three hypotheses about a scene, one of each label in the order of [`Entailment::ALL`].
    ///
    /// The contradiction is a random true claim with one word changed, so that only the image separates it from the
    /// entailment. The neutral one is about something that no image shows (such as the material of an object) and can be
    /// recognized by its words, as is often the case in SNLI.
    pub fn hypotheses(&self, scene: &Scene) -> [Hypothesis; 3] {
        let mut rng = rng(scene.seed, 0, 0, "hypotheses");
        Entailment::ALL.map(|label| {
            let claim = match label {
                Entailment::Entailment => Some(self.true_claim(scene, &mut rng)),
                Entailment::Contradiction => Some(self.false_claim(scene, &mut rng)),
                Entailment::Neutral => None,
            };
            let text = claim.map_or_else(
                || neutral_sentence(scene, &mut rng),
                |claim| claim.sentence(),
            );
            let mut annotator_labels = [label; 5];
            if rng.random_bool(0.2) {
                annotator_labels[rng.random_range(0..5)] = pick(&Entailment::ALL, &mut rng);
            }
            Hypothesis {
                text,
                label,
                annotator_labels,
                claim,
            }
        })
    }

    fn true_claim(&self, scene: &Scene, rng: &mut impl Rng) -> Claim {
        let objects = scene.shuffled_objects(rng);
        let object = objects[0];
        let clear_pairs: Vec<_> = pairs(scene)
            .filter(|(a, b)| Relation::is_clear(a, b))
            .collect();
        match rng.random_range(0..4) {
            0 if !clear_pairs.is_empty() => {
                let (a, b) = pick(&clear_pairs, rng);
                let relation = Relation::between(a, b);
                Claim::Related(
                    Phrase::color_and_shape(a),
                    relation,
                    Phrase::color_and_shape(b),
                )
            }
            1 if scene.objects.len() > 1 => {
                let side = pick(Side::ALL, rng);
                let outermost = side.outermost(scene).unwrap_or(object);
                Claim::Outermost(side, Phrase::color_and_shape(outermost))
            }
            2 => {
                // The count of a shape that the scene lacks is 0.
                let phrase = Phrase::with_shape(pick(&self.config.shapes, rng));
                Claim::Count(scene.count(&phrase), phrase)
            }
            _ => Claim::Exists(Phrase {
                size: Some(object.size),
                ..Phrase::color_and_shape(object)
            }),
        }
    }

    fn false_claim(&self, scene: &Scene, rng: &mut impl Rng) -> Claim {
        for _ in 0..FALSE_CLAIM_ATTEMPTS {
            let mut candidates = match self.true_claim(scene, rng) {
                // A neighboring direction may look true; the opposite is clearly false.
                Claim::Related(a, relation, b) => vec![Claim::Related(a, relation.opposite(), b)],
                Claim::Outermost(side, phrase) => {
                    let phrases = phrase.variants().into_iter();
                    phrases
                        .map(|phrase| Claim::Outermost(side, phrase))
                        .chain([Claim::Outermost(side.opposite(), phrase)])
                        .collect()
                }
                Claim::Count(number, phrase) => (0..=self.config.max_objects)
                    .filter(|other| other.abs_diff(number) == 1)
                    .map(|other| Claim::Count(other, phrase))
                    .collect(),
                claim => claim.variants(),
            };
            candidates.retain(|claim| {
                let mut phrases = claim.phrases().into_iter();
                !claim.holds(scene) && phrases.all(|phrase| self.can_generate(&phrase))
            });
            if !candidates.is_empty() {
                return candidates.swap_remove(rng.random_range(0..candidates.len()));
            }
        }
        Claim::Count((scene.objects.len() + 1) % 7, Phrase::default())
    }
}

fn neutral_sentence(scene: &Scene, rng: &mut impl Rng) -> String {
    let noun = Phrase::color_and_shape(scene.shuffled_objects(rng)[0]).noun();
    let material = pick(&["wood", "paper", "metal", "glass", "plastic"], rng);
    let state = pick(&["heavy", "cold", "wet", "new", "old", "soft"], rng);
    match rng.random_range(0..4) {
        0 => format!("the {noun} is made of {material}"),
        1 => format!("the {noun} is {state}"),
        2 => format!("the {noun} belongs to a child"),
        _ => format!("the {noun} is painted on {material}"),
    }
}
