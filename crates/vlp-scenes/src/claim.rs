use crate::{NUMBER_WORDS, Phrase, Relation, Scene, SceneObject, Side, phrase::others};

/// A statement about a scene that is either true or false.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Claim {
    /// At least one object matches.
    Exists(Phrase),
    /// Exactly this many objects match, 0 to 6.
    Count(usize, Phrase),
    /// The outermost object on a side matches.
    Outermost(Side, Phrase),
    /// Exactly one object matches the first phrase, and it matches the second as well.
    Only(Phrase, Phrase),
    /// Some object that matches the first phrase has this direction from another that matches the second.
    Related(Phrase, Relation, Phrase),
    /// More objects match the first phrase than the second.
    More(Phrase, Phrase),
}

impl Claim {
    /// Whether the claim is true of a scene.
    pub fn holds(&self, scene: &Scene) -> bool {
        match self {
            Self::Exists(what) => scene.count(what) > 0,
            Self::Count(number, what) => scene.count(what) == *number,
            Self::Outermost(side, what) => side
                .outermost(scene)
                .is_some_and(|object| what.matches(object)),
            Self::Only(which, what) => {
                scene.has_unique(which)
                    && scene
                        .objects
                        .iter()
                        .any(|object| which.matches(object) && what.matches(object))
            }
            Self::Related(a, relation, b) => pairs(scene).any(|(first, second)| {
                a.matches(first)
                    && b.matches(second)
                    && Relation::between(first, second) == *relation
            }),
            Self::More(a, b) => scene.count(a) > scene.count(b),
        }
    }

    /// The claim as a sentence without a full stop.
    pub fn sentence(&self) -> String {
        match self {
            Self::Exists(what) => format!("there is {}", what.with_article()),
            Self::Count(1, what) => format!("there is exactly one {}", what.noun()),
            Self::Count(0, what) => format!("there are no {}", what.plural()),
            Self::Count(number, what) => format!(
                "there are exactly {} {}",
                NUMBER_WORDS[*number.min(&6)],
                what.plural()
            ),
            Self::Outermost(side, what) => {
                format!("the {} shape is {}", side.word(), what.with_article())
            }
            Self::Only(which, what) => {
                format!("the only {} is {}", which.noun(), what.with_article())
            }
            Self::Related(a, relation, b) => {
                let (a, b) = (a.with_article(), b.with_article());
                format!("{a} is {} {b}", relation.word())
            }
            Self::More(a, b) => format!("there are more {} than {}", a.plural(), b.plural()),
        }
    }

    /// The noun phrases in the claim.
    pub(crate) fn phrases(&self) -> Vec<Phrase> {
        match self {
            Self::Exists(a) | Self::Count(_, a) | Self::Outermost(_, a) => vec![*a],
            Self::Only(a, b) | Self::Related(a, _, b) | Self::More(a, b) => vec![*a, *b],
        }
    }

    /// All claims that differ from this one in one property, number, side or direction.
    pub(crate) fn variants(&self) -> Vec<Self> {
        let phrase_variants =
            |a: &Phrase, b: &Phrase, claim: &dyn Fn(Phrase, Phrase) -> Self| -> Vec<Self> {
                let first = a.variants().into_iter().map(|a| claim(a, *b));
                first
                    .chain(b.variants().into_iter().map(|b| claim(*a, b)))
                    .collect()
            };
        match *self {
            Self::Exists(what) => what.variants().into_iter().map(Self::Exists).collect(),
            Self::Count(number, what) => {
                let numbers = (0..NUMBER_WORDS.len()).filter(|&other| other != number);
                let phrases = what.variants().into_iter();
                numbers
                    .map(|other| Self::Count(other, what))
                    .chain(phrases.map(|what| Self::Count(number, what)))
                    .collect()
            }
            Self::Outermost(side, what) => {
                let phrases = what.variants().into_iter();
                others(Side::ALL, side)
                    .map(|other| Self::Outermost(other, what))
                    .chain(phrases.map(|what| Self::Outermost(side, what)))
                    .collect()
            }
            Self::Only(which, what) => phrase_variants(&which, &what, &Self::Only),
            Self::Related(a, relation, b) => {
                let mut variants = phrase_variants(&a, &b, &|a, b| Self::Related(a, relation, b));
                variants.extend(
                    others(Relation::ALL, relation).map(|other| Self::Related(a, other, b)),
                );
                variants
            }
            Self::More(a, b) => phrase_variants(&a, &b, &Self::More),
        }
    }
}

/// All ordered pairs of two different objects.
pub(crate) fn pairs(scene: &Scene) -> impl Iterator<Item = (&SceneObject, &SceneObject)> {
    let objects = scene.objects.iter().enumerate();
    objects.flat_map(move |(index, first)| {
        let others = scene.objects.iter().enumerate();
        others
            .filter(move |&(other, _)| other != index)
            .map(move |(_, second)| (first, second))
    })
}
