use rand::{Rng, RngExt};
use rand_chacha::ChaCha8Rng;

use super::{Claim, End, Phrase, Relation, Scene, Scenes, Thing, captions::shuffled};
use crate::{AnswerType, rng};

/// Chance that an annotator gives another answer than the right one.
const DISSENT: f64 = 0.06;
/// Most annotators that may dissent, so that the right answer is always the most frequent.
const MAX_DISSENT: usize = 3;

/// A question about a scene with ten annotators' answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// The question, ending in a question mark.
    pub text: String,
    /// VQA v2's `question_type`: its first words.
    pub kind: &'static str,
    /// The kind of the answer.
    pub answer_type: AnswerType,
    /// The right answer.
    pub answer: String,
    /// Ten annotators' answers; at most three differ from the right one.
    pub answers: Vec<String>,
}

impl Scenes {
    /// Questions about a scene: how many, what colour, what texture, which shape, is there, and is one left of another;
    /// those for which the scene has an unambiguous answer. Yes and no are equally likely.
    pub fn questions(&self, scene: &Scene) -> Vec<Question> {
        let mut rng = rng(scene.grain, 0, 0, "questions");
        let things = shuffled(scene, &mut rng);
        let made = [
            self.how_many(scene, &things, &mut rng),
            self.what_colour(scene, &things, &mut rng),
            self.what_texture(scene, &mut rng),
            self.which_shape(scene, &things, &mut rng),
            self.is_there(scene, &things, &mut rng),
            self.is_placed(scene, &things, &mut rng),
        ];
        made.into_iter().flatten().collect()
    }

    fn how_many(&self, scene: &Scene, things: &[&Thing], rng: &mut ChaCha8Rng) -> Option<Question> {
        let thing = things.first()?;
        let what = match rng.random_range(0..4) {
            0 => Phrase::default(),
            1 => Phrase {
                colour: Some(thing.colour),
                ..Phrase::default()
            },
            2 => Phrase {
                shape: Some(thing.shape),
                ..Phrase::default()
            },
            // Any shape of the set: the answer may be 0.
            _ => Phrase {
                shape: Some(pick(&self.config.shapes, rng)),
                ..Phrase::default()
            },
        };
        let number = scene.things.iter().filter(|thing| what.fits(thing)).count();
        let text = format!("how many {} are there?", what.plural());
        let others = [number + 1, number.saturating_sub(1)].map(|n| n.to_string());
        Some(ask(
            text,
            "how many",
            AnswerType::Number,
            number.to_string(),
            &others,
            rng,
        ))
    }

    fn what_colour(
        &self,
        scene: &Scene,
        things: &[&Thing],
        rng: &mut ChaCha8Rng,
    ) -> Option<Question> {
        let by = |thing: &Thing| Phrase {
            shape: Some(thing.shape),
            ..Phrase::default()
        };
        let (thing, which) = unique(scene, things, by)?;
        let text = format!("what color is the {}?", which.noun());
        let others: Vec<_> = self
            .config
            .colours
            .iter()
            .map(|c| c.word().to_owned())
            .collect();
        Some(ask(
            text,
            "what color is the",
            AnswerType::Other,
            thing.colour.word().into(),
            &others,
            rng,
        ))
    }

    fn what_texture(&self, scene: &Scene, rng: &mut ChaCha8Rng) -> Option<Question> {
        let end = pick(&[End::Left, End::Right, End::Top, End::Bottom], rng);
        let thing = end.of(scene)?;
        let text = format!("what texture is the {} shape?", end.word());
        let others: Vec<_> = self
            .config
            .textures
            .iter()
            .map(|t| t.word().to_owned())
            .collect();
        Some(ask(
            text,
            "what",
            AnswerType::Other,
            thing.texture.word().into(),
            &others,
            rng,
        ))
    }

    fn which_shape(
        &self,
        scene: &Scene,
        things: &[&Thing],
        rng: &mut ChaCha8Rng,
    ) -> Option<Question> {
        let by = |thing: &Thing| Phrase {
            colour: Some(thing.colour),
            ..Phrase::default()
        };
        let (thing, which) = unique(scene, things, by)?;
        let text = format!("which shape is {}?", which.bare());
        let others: Vec<_> = self
            .config
            .shapes
            .iter()
            .map(|s| s.word().to_owned())
            .collect();
        Some(ask(
            text,
            "which",
            AnswerType::Other,
            thing.shape.word().into(),
            &others,
            rng,
        ))
    }

    fn is_there(&self, scene: &Scene, things: &[&Thing], rng: &mut ChaCha8Rng) -> Option<Question> {
        let thing = things.first()?;
        let mut what = Phrase {
            colour: Some(thing.colour),
            shape: Some(thing.shape),
            ..Phrase::default()
        };
        let yes = rng.random_bool(0.5);
        if !yes {
            // One word of a thing that is there is changed, so neither word alone gives the answer away.
            let near: Vec<Phrase> = what
                .variants()
                .into_iter()
                .filter(|near| {
                    near.colour
                        .is_some_and(|c| self.config.colours.contains(&c))
                })
                .filter(|near| near.shape.is_some_and(|s| self.config.shapes.contains(&s)))
                .filter(|near| !Claim::Exists(*near).holds(scene))
                .collect();
            what = *near.get(rng.random_range(0..near.len().max(1)))?;
        }
        Some(yes_no(
            format!("is there {}?", what.with_article()),
            "is there a",
            yes,
            rng,
        ))
    }

    fn is_placed(
        &self,
        scene: &Scene,
        things: &[&Thing],
        rng: &mut ChaCha8Rng,
    ) -> Option<Question> {
        let by = |thing: &Thing| Phrase {
            colour: Some(thing.colour),
            shape: Some(thing.shape),
            ..Phrase::default()
        };
        let named: Vec<&Thing> = things
            .iter()
            .copied()
            .filter(|thing| alone(scene, &by(thing)))
            .collect();
        let clear = |a: &Thing| {
            named
                .iter()
                .copied()
                .find(|&b| !std::ptr::eq(a, b) && Relation::is_clear(a, b))
        };
        let (a, b) = named.iter().find_map(|&a| Some((a, clear(a)?)))?;
        let (yes, truth) = (rng.random_bool(0.5), Relation::between(a, b));
        let relation = if yes { truth } else { truth.opposite() };
        let text = format!(
            "is the {} {} the {}?",
            by(a).noun(),
            relation.word(),
            by(b).noun()
        );
        Some(yes_no(text, "is the", yes, rng))
    }
}

fn pick<T: Copy>(from: &[T], rng: &mut ChaCha8Rng) -> T {
    from[rng.random_range(0..from.len())]
}

fn alone(scene: &Scene, which: &Phrase) -> bool {
    scene
        .things
        .iter()
        .filter(|thing| which.fits(thing))
        .count()
        == 1
}

/// The first thing that a phrase picks out alone.
fn unique<'a>(
    scene: &Scene,
    things: &[&'a Thing],
    by: impl Fn(&Thing) -> Phrase,
) -> Option<(&'a Thing, Phrase)> {
    things
        .iter()
        .map(|&thing| (thing, by(thing)))
        .find(|(_, which)| alone(scene, which))
}

fn yes_no(text: String, kind: &'static str, yes: bool, rng: &mut impl Rng) -> Question {
    let [right, wrong] = if yes { ["yes", "no"] } else { ["no", "yes"] };
    ask(
        text,
        kind,
        AnswerType::YesNo,
        right.into(),
        &[wrong.into()],
        rng,
    )
}

/// The question with ten answers, of which some are among `others`.
fn ask(
    text: String,
    kind: &'static str,
    answer_type: AnswerType,
    answer: String,
    others: &[String],
    rng: &mut impl Rng,
) -> Question {
    let others: Vec<&String> = others.iter().filter(|&other| *other != answer).collect();
    let mut dissent = 0;
    let mut give = || {
        if others.is_empty() || dissent == MAX_DISSENT || !rng.random_bool(DISSENT) {
            return answer.clone();
        }
        dissent += 1;
        others[rng.random_range(0..others.len())].clone()
    };
    let answers = (0..10).map(|_| give()).collect();
    Question {
        text,
        kind,
        answer_type,
        answer,
        answers,
    }
}
