use rand::{Rng, RngExt};
use rand_chacha::ChaCha8Rng;
use vlp_data::{AnswerType, rng};

use crate::{Phrase, Relation, Scene, SceneObject, Scenes, Side, random::pick};

/// Probability that an annotator gives another answer than the right one.
const DISSENT: f64 = 0.06;
/// Largest number of annotators that may dissent, so that the right answer is always the most frequent.
const MAX_DISSENT: usize = 3;

/// A question about a scene with ten annotators' answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// The question, ending in a question mark.
    pub text: String,
    /// VQA v2's `question_type`: the first words of the question.
    pub question_type: &'static str,
    /// VQA v2's `answer_type`.
    pub answer_type: AnswerType,
    /// The right answer.
    pub answer: String,
    /// Ten annotators' answers; at most three differ from the right one.
    pub answers: Vec<String>,
}

impl Scenes {
    /// The questions about a scene, at most one each of: how many, what color, what texture, which shape, is there, and
    /// is one object left of (right of, above, below) another.
    ///
    /// Questions without a unique answer in the scene are left out. Yes and no are equally likely.
    pub fn questions(&self, scene: &Scene) -> Vec<Question> {
        let mut rng = rng(scene.seed, 0, 0, "questions");
        let objects = scene.shuffled_objects(&mut rng);
        let questions = [
            self.how_many(scene, &objects, &mut rng),
            self.what_color(scene, &objects, &mut rng),
            self.what_texture(scene, &mut rng),
            self.which_shape(scene, &objects, &mut rng),
            self.is_there(scene, &objects, &mut rng),
            is_placed(scene, &objects, &mut rng),
        ];
        questions.into_iter().flatten().collect()
    }

    fn how_many(
        &self,
        scene: &Scene,
        objects: &[&SceneObject],
        rng: &mut ChaCha8Rng,
    ) -> Option<Question> {
        let object = objects.first()?;
        let phrase = match rng.random_range(0..4) {
            0 => Phrase::default(),
            1 => Phrase::with_color(object.color),
            2 => Phrase::with_shape(object.shape),
            // Any configured shape: the answer may be 0.
            _ => Phrase::with_shape(pick(&self.config.shapes, rng)),
        };
        let number = scene.count(&phrase);
        let other_answers = [number + 1, number.saturating_sub(1)].map(|n| n.to_string());
        let question = Question {
            text: format!("how many {} are there?", phrase.plural()),
            question_type: "how many",
            answer_type: AnswerType::Number,
            answer: number.to_string(),
            answers: vec![],
        };
        Some(question.annotated(&other_answers, rng))
    }

    fn what_color(
        &self,
        scene: &Scene,
        objects: &[&SceneObject],
        rng: &mut ChaCha8Rng,
    ) -> Option<Question> {
        let by_shape = |object: &SceneObject| Phrase::with_shape(object.shape);
        let (object, which) = first_unique(scene, objects, by_shape)?;
        let colors = self.config.colors.iter().map(|color| color.word());
        let text = format!("what color is the {}?", which.noun());
        let question = Question::other(text, "what color is the", object.color.word());
        Some(question.annotated(&strings(colors), rng))
    }

    fn what_texture(&self, scene: &Scene, rng: &mut ChaCha8Rng) -> Option<Question> {
        let side = pick(Side::ALL, rng);
        let object = side.outermost(scene)?;
        let textures = self.config.textures.iter().map(|texture| texture.word());
        let text = format!("what texture is the {} shape?", side.word());
        let question = Question::other(text, "what", object.texture.word());
        Some(question.annotated(&strings(textures), rng))
    }

    fn which_shape(
        &self,
        scene: &Scene,
        objects: &[&SceneObject],
        rng: &mut ChaCha8Rng,
    ) -> Option<Question> {
        let by_color = |object: &SceneObject| Phrase::with_color(object.color);
        let (object, which) = first_unique(scene, objects, by_color)?;
        let shapes = self.config.shapes.iter().map(|shape| shape.word());
        let text = format!("which shape is {}?", which.adjectives());
        let question = Question::other(text, "which", object.shape.word());
        Some(question.annotated(&strings(shapes), rng))
    }

    fn is_there(
        &self,
        scene: &Scene,
        objects: &[&SceneObject],
        rng: &mut ChaCha8Rng,
    ) -> Option<Question> {
        let mut phrase = Phrase::color_and_shape(objects.first()?);
        let yes = rng.random_bool(0.5);
        if !yes {
            // Changes one word about an existing object, so that neither word alone gives the answer away.
            let mut absent = phrase.variants();
            absent.retain(|phrase| self.can_generate(phrase) && scene.count(phrase) == 0);
            phrase = *absent.get(rng.random_range(0..absent.len().max(1)))?;
        }
        let text = format!("is there {}?", phrase.with_article());
        Some(Question::yes_no(text, "is there a", yes, rng))
    }
}

fn is_placed(scene: &Scene, objects: &[&SceneObject], rng: &mut ChaCha8Rng) -> Option<Question> {
    let phrase = Phrase::color_and_shape;
    let unique: Vec<&SceneObject> = objects
        .iter()
        .copied()
        .filter(|object| scene.has_unique(&phrase(object)))
        .collect();
    let partner = |a: &SceneObject| {
        unique
            .iter()
            .copied()
            .find(|&b| !std::ptr::eq(a, b) && Relation::is_clear(a, b))
    };
    let (a, b) = unique.iter().find_map(|&a| Some((a, partner(a)?)))?;
    let (yes, truth) = (rng.random_bool(0.5), Relation::between(a, b));
    let relation = if yes { truth } else { truth.opposite() };
    let (first, second) = (phrase(a).noun(), phrase(b).noun());
    let text = format!("is the {first} {} the {second}?", relation.word());
    Some(Question::yes_no(text, "is the", yes, rng))
}

fn strings<'a>(words: impl Iterator<Item = &'a str>) -> Vec<String> {
    words.map(str::to_owned).collect()
}

/// The first object whose phrase matches no other object of the scene.
fn first_unique<'a>(
    scene: &Scene,
    objects: &[&'a SceneObject],
    phrase: impl Fn(&SceneObject) -> Phrase,
) -> Option<(&'a SceneObject, Phrase)> {
    objects
        .iter()
        .map(|&object| (object, phrase(object)))
        .find(|(_, which)| scene.has_unique(which))
}

impl Question {
    /// A question of the answer type `other`, without annotators' answers.
    fn other(text: String, question_type: &'static str, answer: &str) -> Self {
        Self {
            text,
            question_type,
            answer_type: AnswerType::Other,
            answer: answer.into(),
            answers: vec![],
        }
    }

    fn yes_no(text: String, question_type: &'static str, yes: bool, rng: &mut impl Rng) -> Self {
        let [right, wrong] = if yes { ["yes", "no"] } else { ["no", "yes"] };
        let question = Self {
            answer_type: AnswerType::YesNo,
            ..Self::other(text, question_type, right)
        };
        question.annotated(&[wrong.into()], rng)
    }

    /// Adds ten annotators' answers; those that dissent choose among `alternatives`.
    fn annotated(mut self, alternatives: &[String], rng: &mut impl Rng) -> Self {
        let wrong: Vec<&String> = alternatives
            .iter()
            .filter(|&alternative| *alternative != self.answer)
            .collect();
        let mut dissent = 0;
        let mut annotate = || {
            if wrong.is_empty() || dissent == MAX_DISSENT || !rng.random_bool(DISSENT) {
                return self.answer.clone();
            }
            dissent += 1;
            wrong[rng.random_range(0..wrong.len())].clone()
        };
        self.answers = (0..10).map(|_| annotate()).collect();
        self
    }
}
