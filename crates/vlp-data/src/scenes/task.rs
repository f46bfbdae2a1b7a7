use rand::RngExt;

use super::{Scenes, ScenesConfig, Split, Statement};
use crate::{DataError, Label, LabelSpace, Object, Record, Sample, Source, read::name_key, rng};

/// Questions taken of each scene: every scene has at least so many.
const QUESTIONS: usize = 2;
/// Draws of a statement before it is given up; one in some fifty fails where scenes are varied.
const DRAWS: usize = 64;
/// Statements in place of one that a split has no scenes for are drawn under numbers that start here, times the draw.
const REDRAW: usize = 1 << 40;

/// A downstream task over generated scenes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Task {
    /// Questions with ten answers: two of each scene's, drawn by the scene.
    Vqa,
    /// Statements about two scenes: as many as a fourth of the scenes, each true of one pair and false of another.
    Nlvr2,
    /// Hypotheses about a scene: one of each of the three labels.
    SnliVe,
}

/// Generated scenes as the samples of a downstream task, made when they are asked for. The same questions, statements
/// and hypotheses, under the same ids, as [`Scenes::write_to`] writes (of the questions two a scene).
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
    /// As [`Scenes::new`], and [`DataError::Config`] where the scenes are too few or too much alike for statements.
    pub fn new(config: ScenesConfig, task: Task) -> Result<Self, DataError> {
        let scenes = Scenes::new(config)?;
        let what = match task {
            Task::Vqa => "questions",
            Task::Nlvr2 => "statements",
            Task::SnliVe => "hypotheses",
        };
        let source = Self {
            name: format!("{} {what}", scenes.name()),
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

    /// The right answer of a sample's question, which a vocabulary is built from; `None` for other tasks.
    pub fn consensus(&self, index: usize) -> Option<String> {
        if self.task != Task::Vqa || index >= self.len() {
            return None;
        }
        Some(self.question(index).1.answer)
    }

    fn check(&self, index: usize) -> Result<(), DataError> {
        if index < self.len() {
            return Ok(());
        }
        Err(DataError::Index {
            name: self.name.clone(),
            index,
            len: self.len(),
        })
    }

    /// A question and its number among the scene's.
    fn question(&self, index: usize) -> (usize, super::Question) {
        let scene = self.scenes.recall(index / QUESTIONS);
        let mut questions = self.scenes.questions(&scene);
        // From a random one on, so that all kinds are asked equally often.
        let start = rng(scene.grain, 0, 0, "asked").random_range(0..questions.len());
        let number = (start + index % QUESTIONS) % questions.len();
        (number, questions.swap_remove(number))
    }

    fn statement(&self, index: usize) -> Result<Statement, DataError> {
        let (set, pair) = (index / 2, index % 2);
        let made = (0..DRAWS).find_map(|draw| self.scenes.statements(set + draw * REDRAW));
        match made {
            Some([first, second]) => Ok(if pair == 0 { first } else { second }),
            None => Err(DataError::Config {
                field: "scenes.count",
                reason: format!(
                    "{} scenes are too few or too much alike for statements of two",
                    self.scenes.len()
                ),
            }),
        }
    }

    /// NLVR2's name of a pair of pictures.
    fn pair(&self, index: usize) -> String {
        let split = match self.scenes.config().split {
            Split::Train => "train",
            Split::Val => "dev",
            Split::Test => "test1",
        };
        format!("{split}-{}-{}", index / 2, index % 2)
    }

    fn about(&self, index: usize) -> Result<About, DataError> {
        self.check(index)?;
        let id = |id: String| Record {
            id,
            ..Record::default()
        };
        Ok(match self.task {
            Task::Vqa => {
                let (scene, (number, question)) = (index / QUESTIONS, self.question(index));
                About {
                    text: question.text,
                    label: Label::Answers(question.answers),
                    record: Record {
                        id: (self.scenes.key(scene) * 1000 + number as u64).to_string(),
                        question_type: Some(question.kind.into()),
                        answer_type: Some(question.answer_type),
                    },
                    scene,
                    second: None,
                }
            }
            Task::Nlvr2 => {
                let statement = self.statement(index)?;
                About {
                    text: statement.text,
                    label: Label::Truth(statement.label),
                    record: id(format!("{}-0", self.pair(index))),
                    scene: statement.left,
                    second: Some(statement.right),
                }
            }
            Task::SnliVe => {
                let (scene, number) = (index / 3, index % 3);
                let key = self.scenes.key(scene);
                let hypotheses = self.scenes.hypotheses(&self.scenes.recall(scene));
                let hypothesis = hypotheses[number].clone();
                let letter = &hypothesis.label.word()[..1];
                About {
                    text: hypothesis.text,
                    label: Label::Entailment(hypothesis.label),
                    record: id(format!("{key}.jpg#{number}{letter}")),
                    scene,
                    second: None,
                }
            }
        })
    }
}

/// A sample without its pictures.
struct About {
    text: String,
    label: Label,
    record: Record,
    scene: usize,
    second: Option<usize>,
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
            Task::SnliVe => scenes * 3,
        }
    }

    fn labels(&self) -> &LabelSpace {
        self.scenes.labels()
    }

    /// The scene's key; for a statement the hash of its pair's name, as the reader of NLVR2 files gives.
    fn key(&self, index: usize) -> u64 {
        if index >= self.len() {
            return 0;
        }
        match self.task {
            Task::Vqa => self.scenes.key(index / QUESTIONS),
            Task::SnliVe => self.scenes.key(index / 3),
            Task::Nlvr2 => name_key(&self.pair(index)),
        }
    }

    fn size(&self, index: usize) -> (usize, usize) {
        if index >= self.len() {
            return (0, 0);
        }
        self.scenes.size(0)
    }

    fn captions(&self, index: usize) -> Result<Vec<String>, DataError> {
        Ok(vec![self.about(index)?.text])
    }

    fn label(&self, index: usize) -> Result<Option<Label>, DataError> {
        Ok(Some(self.about(index)?.label))
    }

    fn objects(&self, index: usize) -> Result<Option<Vec<Object>>, DataError> {
        self.check(index)?;
        let scene = match self.task {
            Task::Vqa => index / QUESTIONS,
            Task::SnliVe => index / 3,
            Task::Nlvr2 => return Ok(None),
        };
        Ok(Some(self.scenes.objects_of(&self.scenes.recall(scene))))
    }

    /// The picture or the two, the text and the label; objects are those of the one scene, of two none are given.
    fn load(&self, index: usize) -> Result<Sample, DataError> {
        let about = self.about(index)?;
        let draw = |scene: usize| {
            self.scenes
                .recall(scene)
                .draw(self.scenes.config().resolution)
        };
        let alone = about.second.is_none();
        Ok(Sample {
            key: self.key(index),
            name: about.record.id.clone(),
            picture: draw(about.scene),
            second: about.second.map(draw),
            captions: vec![about.text],
            objects: alone.then(|| self.scenes.objects_of(&self.scenes.recall(about.scene))),
            label: Some(about.label),
            record: Some(about.record),
        })
    }
}
