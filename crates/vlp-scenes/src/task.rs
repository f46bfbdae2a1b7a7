use rand::RngExt;
use vlp_data::{DataError, Label, LabelSpace, Object, Record, Sample, Source, read::name_key, rng};

use crate::{Question, Scenes, ScenesConfig, Statement};

/// Questions per scene; every scene has at least this many.
const QUESTIONS: usize = 2;
/// Hypotheses per scene, one of each label.
const HYPOTHESES: usize = 3;
/// Maximum number of attempts to generate a statement; in varied scenes about one in fifty attempts fails.
const STATEMENT_ATTEMPTS: usize = 64;
/// Distance between the statement numbers of two attempts.
const ATTEMPT_STRIDE: usize = 1 << 40;

/// A downstream task over generated scenes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Task {
    /// Two questions per scene with ten answers each.
    Vqa,
    /// Statements about two scenes: a fourth as many sentences as scenes, each true of one pair and false of another.
    Nlvr2,
    /// Three hypotheses per scene, one of each label.
    SnliVe,
}

/// Generated scenes as the samples of a downstream task; each sample is generated when it is requested.
///
/// [`Scenes::write_to`] writes the same questions, statements and hypotheses under the same ids, but all questions of a
/// scene.
#[derive(Debug, Clone)]
pub struct ScenesTask {
    scenes: Scenes,
    task: Task,
    name: String,
}

impl ScenesTask {
    /// A task over the scenes of a configuration.
    ///
    /// # Errors
    /// As [`Scenes::new`], and [`DataError::Config`] if the scenes are too few or too similar for statements.
    pub fn new(config: ScenesConfig, task: Task) -> Result<Self, DataError> {
        let scenes = Scenes::new(config)?;
        let samples = match task {
            Task::Vqa => "questions",
            Task::Nlvr2 => "statements",
            Task::SnliVe => "hypotheses",
        };
        let source = Self {
            name: format!("{} {samples}", scenes.name()),
            scenes,
            task,
        };
        if task == Task::Nlvr2 && !source.is_empty() {
            source.statement(0)?;
        }
        Ok(source)
    }

    /// The scenes.
    pub fn scenes(&self) -> &Scenes {
        &self.scenes
    }

    /// The task.
    pub fn task(&self) -> Task {
        self.task
    }

    /// The right answer to a sample's question, for building an answer vocabulary; `None` for other tasks.
    pub fn consensus(&self, index: usize) -> Option<String> {
        if self.task != Task::Vqa || index >= self.len() {
            return None;
        }
        Some(self.question(index).1.answer)
    }

    fn check_index(&self, index: usize) -> Result<(), DataError> {
        if index < self.len() {
            return Ok(());
        }
        Err(DataError::Index {
            name: self.name.clone(),
            index,
            len: self.len(),
        })
    }

    /// A question and its index among those of the scene.
    fn question(&self, index: usize) -> (usize, Question) {
        let scene = self.scenes.cached_scene(index / QUESTIONS);
        let mut questions = self.scenes.questions(&scene);
        // A random start makes all question types equally frequent.
        let start = rng(scene.seed, 0, 0, "asked").random_range(0..questions.len());
        let number = (start + index % QUESTIONS) % questions.len();
        (number, questions.swap_remove(number))
    }

    pub(crate) fn statement(&self, index: usize) -> Result<Statement, DataError> {
        let (set, pair) = (index / 2, index % 2);
        let statements = (0..STATEMENT_ATTEMPTS)
            .find_map(|attempt| self.scenes.statements(set + attempt * ATTEMPT_STRIDE));
        match statements {
            Some([first, second]) => Ok(if pair == 0 { first } else { second }),
            None => Err(DataError::Config {
                field: "scenes.count",
                reason: format!(
                    "{} scenes are too few or too similar for statements about two",
                    self.scenes.len()
                ),
            }),
        }
    }

    /// NLVR2's name of a pair of images.
    pub(crate) fn pair_name(&self, index: usize) -> String {
        let split = self.scenes.config().split.nlvr2_name();
        format!("{split}-{}-{}", index / 2, index % 2)
    }

    /// Index of the scene of a sample; `None` for statements, which have two.
    fn scene_index(&self, index: usize) -> Option<usize> {
        match self.task {
            Task::Vqa => Some(index / QUESTIONS),
            Task::SnliVe => Some(index / HYPOTHESES),
            Task::Nlvr2 => None,
        }
    }

    fn annotation(&self, index: usize) -> Result<Annotation, DataError> {
        self.check_index(index)?;
        let record = |id: String| Record {
            id,
            ..Record::default()
        };
        Ok(match self.task {
            Task::Vqa => {
                let (scene, (number, question)) = (index / QUESTIONS, self.question(index));
                Annotation {
                    text: question.text,
                    label: Label::Answers(question.answers),
                    record: Record {
                        id: (self.scenes.key(scene) * 1000 + number as u64).to_string(),
                        question_type: Some(question.question_type.into()),
                        answer_type: Some(question.answer_type),
                    },
                    scene,
                    second_scene: None,
                }
            }
            Task::Nlvr2 => {
                let statement = self.statement(index)?;
                Annotation {
                    text: statement.text,
                    label: Label::Truth(statement.label),
                    record: record(format!("{}-0", self.pair_name(index))),
                    scene: statement.left,
                    second_scene: Some(statement.right),
                }
            }
            Task::SnliVe => {
                let (scene, number) = (index / HYPOTHESES, index % HYPOTHESES);
                let key = self.scenes.key(scene);
                let hypotheses = self.scenes.hypotheses(&self.scenes.cached_scene(scene));
                let hypothesis = hypotheses[number].clone();
                let letter = &hypothesis.label.name()[..1];
                Annotation {
                    text: hypothesis.text,
                    label: Label::Entailment(hypothesis.label),
                    record: record(format!("{key}.jpg#{number}{letter}")),
                    scene,
                    second_scene: None,
                }
            }
        })
    }
}

/// A sample without its images and objects.
struct Annotation {
    text: String,
    label: Label,
    record: Record,
    scene: usize,
    second_scene: Option<usize>,
}

impl Source for ScenesTask {
    fn name(&self) -> &str {
        &self.name
    }

    fn len(&self) -> usize {
        let scenes = self.scenes.len();
        match self.task {
            Task::Vqa => scenes * QUESTIONS,
            Task::Nlvr2 => scenes.div_ceil(4) * 2,
            Task::SnliVe => scenes * HYPOTHESES,
        }
    }

    fn labels(&self) -> &LabelSpace {
        self.scenes.labels()
    }

    /// The scene's key; for a statement the hash of its pair's name, as in the reader of NLVR2 files.
    fn key(&self, index: usize) -> u64 {
        if index >= self.len() {
            return 0;
        }
        match self.scene_index(index) {
            Some(scene) => self.scenes.key(scene),
            None => name_key(&self.pair_name(index)),
        }
    }

    fn size(&self, index: usize) -> (usize, usize) {
        if index >= self.len() {
            return (0, 0);
        }
        self.scenes.size(0)
    }

    fn captions(&self, index: usize) -> Result<Vec<String>, DataError> {
        Ok(vec![self.annotation(index)?.text])
    }

    fn label(&self, index: usize) -> Result<Option<Label>, DataError> {
        Ok(Some(self.annotation(index)?.label))
    }

    /// The objects of the scene; `None` for statements.
    fn objects(&self, index: usize) -> Result<Option<Vec<Object>>, DataError> {
        self.check_index(index)?;
        let scene = self.scene_index(index);
        Ok(scene.map(|scene| {
            self.scenes
                .labeled_objects(&self.scenes.cached_scene(scene))
        }))
    }

    fn load(&self, index: usize) -> Result<Sample, DataError> {
        let annotation = self.annotation(index)?;
        let resolution = self.scenes.config().resolution;
        let draw = |scene: usize| self.scenes.cached_scene(scene).draw(resolution);
        Ok(Sample {
            key: self.key(index),
            name: annotation.record.id.clone(),
            image: draw(annotation.scene),
            second_image: annotation.second_scene.map(draw),
            captions: vec![annotation.text],
            objects: self.objects(index)?,
            label: Some(annotation.label),
            record: Some(annotation.record),
        })
    }
}
