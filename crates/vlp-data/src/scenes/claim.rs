use super::{COUNTS, Colour, Scene, Shape, Size, Texture, Thing};

/// Which things a noun phrase picks out: those that agree with every property named.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Phrase {
    /// Size, if named.
    pub size: Option<Size>,
    /// Texture, if named.
    pub texture: Option<Texture>,
    /// Colour, if named.
    pub colour: Option<Colour>,
    /// Shape, if named.
    pub shape: Option<Shape>,
}

impl Phrase {
    /// Whether the phrase is true of a thing.
    pub fn fits(&self, thing: &Thing) -> bool {
        self.size.is_none_or(|size| size == thing.size)
            && self.texture.is_none_or(|texture| texture == thing.texture)
            && self.colour.is_none_or(|colour| colour == thing.colour)
            && self.shape.is_none_or(|shape| shape == thing.shape)
    }

    /// The adjectives in the order size, texture, colour, with a space after each.
    fn adjectives(&self) -> String {
        let words = [
            self.size.map(Size::word),
            self.texture.map(Texture::word),
            self.colour.map(Colour::word),
        ];
        words
            .into_iter()
            .flatten()
            .fold(String::new(), |text, word| text + word + " ")
    }

    /// The adjectives alone, such as `striped red`.
    pub fn bare(&self) -> String {
        self.adjectives().trim_end().to_owned()
    }

    /// `large striped red circle`, or `large shape` where no shape is named.
    pub fn noun(&self) -> String {
        self.adjectives() + self.shape.map_or("shape", Shape::word)
    }

    /// `large striped red circles`.
    pub fn plural(&self) -> String {
        self.adjectives() + &self.shape.map_or("shapes".into(), Shape::plural)
    }

    /// `a large striped red circle`.
    pub fn with_article(&self) -> String {
        let noun = self.noun();
        format!("{} {noun}", if noun.starts_with('o') { "an" } else { "a" })
    }

    /// All phrases that differ from this one in the value of one named property.
    pub(super) fn variants(&self) -> Vec<Self> {
        let mut all = Vec::new();
        if let Some(old) = self.size {
            all.extend(others(Size::ALL, old).map(|new| Self {
                size: Some(new),
                ..*self
            }));
        }
        if let Some(old) = self.texture {
            all.extend(others(Texture::ALL, old).map(|new| Self {
                texture: Some(new),
                ..*self
            }));
        }
        if let Some(old) = self.colour {
            all.extend(others(Colour::ALL, old).map(|new| Self {
                colour: Some(new),
                ..*self
            }));
        }
        if let Some(old) = self.shape {
            all.extend(others(Shape::ALL, old).map(|new| Self {
                shape: Some(new),
                ..*self
            }));
        }
        all
    }
}

fn others<T: Copy + PartialEq>(all: &'static [T], old: T) -> impl Iterator<Item = T> {
    all.iter().copied().filter(move |&new| new != old)
}

/// A side of the scene.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum End {
    /// Left.
    Left,
    /// Right.
    Right,
    /// Top.
    Top,
    /// Bottom.
    Bottom,
}

impl End {
    /// `leftmost`, `rightmost`, `topmost` or `lowest`.
    pub fn word(self) -> &'static str {
        ["leftmost", "rightmost", "topmost", "lowest"][self as usize]
    }

    /// The other side.
    pub fn opposite(self) -> Self {
        [Self::Right, Self::Left, Self::Bottom, Self::Top][self as usize]
    }

    /// The thing whose centre lies outermost.
    pub fn of(self, scene: &Scene) -> Option<&Thing> {
        let place = |thing: &Thing| match self {
            Self::Left => thing.x,
            Self::Right => -thing.x,
            Self::Top => thing.y,
            Self::Bottom => -thing.y,
        };
        scene
            .things
            .iter()
            .min_by(|a, b| place(a).total_cmp(&place(b)))
    }
}

/// Where one thing is, seen from another. Of two things exactly one holds: the axis along which their centres lie farther
/// apart decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Relation {
    /// Left of it.
    LeftOf,
    /// Right of it.
    RightOf,
    /// Above it.
    Above,
    /// Below it.
    Below,
}

impl Relation {
    /// Where `a` is, seen from `b`.
    pub fn between(a: &Thing, b: &Thing) -> Self {
        let (dx, dy) = (a.x - b.x, a.y - b.y);
        match (dx.abs() >= dy.abs(), dx < 0.0, dy < 0.0) {
            (true, true, _) => Self::LeftOf,
            (true, false, _) => Self::RightOf,
            (false, _, true) => Self::Above,
            (false, _, false) => Self::Below,
        }
    }

    /// Whether the deciding axis is plain to see: one distance is at least 1.3 times the other.
    pub fn is_clear(a: &Thing, b: &Thing) -> bool {
        let (dx, dy) = ((a.x - b.x).abs(), (a.y - b.y).abs());
        dx.max(dy) >= 1.3 * dx.min(dy)
    }

    /// `left of`, `right of`, `above` or `below`.
    pub fn word(self) -> &'static str {
        ["left of", "right of", "above", "below"][self as usize]
    }

    /// The other way round.
    pub fn opposite(self) -> Self {
        [Self::RightOf, Self::LeftOf, Self::Below, Self::Above][self as usize]
    }
}

/// What a sentence says about a scene.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Claim {
    /// Some thing is such.
    Exists(Phrase),
    /// Exactly so many things are such, 0 to 6.
    Count(usize, Phrase),
    /// The thing outermost on a side is such.
    Outermost(End, Phrase),
    /// Exactly one thing is the first, and it is the second.
    Only(Phrase, Phrase),
    /// Some thing such is there, seen from some other thing such.
    Related(Phrase, Relation, Phrase),
    /// There are more of the first than of the second.
    More(Phrase, Phrase),
}

impl Claim {
    /// Whether the claim is true of a scene.
    pub fn holds(&self, scene: &Scene) -> bool {
        let count = |phrase: &Phrase| {
            scene
                .things
                .iter()
                .filter(|thing| phrase.fits(thing))
                .count()
        };
        match self {
            Self::Exists(what) => count(what) > 0,
            Self::Count(number, what) => count(what) == *number,
            Self::Outermost(end, what) => end.of(scene).is_some_and(|thing| what.fits(thing)),
            Self::Only(which, what) => {
                count(which) == 1
                    && scene
                        .things
                        .iter()
                        .any(|thing| which.fits(thing) && what.fits(thing))
            }
            Self::Related(a, relation, b) => pairs(scene).any(|(one, other)| {
                a.fits(one) && b.fits(other) && Relation::between(one, other) == *relation
            }),
            Self::More(a, b) => count(a) > count(b),
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
                COUNTS[*number.min(&6)],
                what.plural()
            ),
            Self::Outermost(end, what) => {
                format!("the {} shape is {}", end.word(), what.with_article())
            }
            Self::Only(which, what) => {
                format!("the only {} is {}", which.noun(), what.with_article())
            }
            Self::Related(a, relation, b) => {
                format!(
                    "{} is {} {}",
                    a.with_article(),
                    relation.word(),
                    b.with_article()
                )
            }
            Self::More(a, b) => format!("there are more {} than {}", a.plural(), b.plural()),
        }
    }

    /// The noun phrases in it.
    pub(super) fn phrases(&self) -> Vec<Phrase> {
        match self {
            Self::Exists(a) | Self::Count(_, a) | Self::Outermost(_, a) => vec![*a],
            Self::Only(a, b) | Self::Related(a, _, b) | Self::More(a, b) => vec![*a, *b],
        }
    }

    /// Claims that differ from this one in one word's meaning.
    pub(super) fn variants(&self) -> Vec<Self> {
        let both = |a: &Phrase, b: &Phrase, make: &dyn Fn(Phrase, Phrase) -> Self| -> Vec<Self> {
            let first = a.variants().into_iter().map(|a| make(a, *b));
            first
                .chain(b.variants().into_iter().map(|b| make(*a, b)))
                .collect()
        };
        match self {
            Self::Exists(what) => what.variants().into_iter().map(Self::Exists).collect(),
            Self::Count(number, what) => {
                let numbers = (0..COUNTS.len()).filter(|other| other != number);
                let whats = what
                    .variants()
                    .into_iter()
                    .map(|what| Self::Count(*number, what));
                numbers
                    .map(|other| Self::Count(other, *what))
                    .chain(whats)
                    .collect()
            }
            Self::Outermost(end, what) => {
                let whats = what
                    .variants()
                    .into_iter()
                    .map(|what| Self::Outermost(*end, what));
                [End::Left, End::Right, End::Top, End::Bottom]
                    .into_iter()
                    .filter(|other| other != end)
                    .map(|other| Self::Outermost(other, *what))
                    .chain(whats)
                    .collect()
            }
            Self::Only(which, what) => both(which, what, &Self::Only),
            Self::Related(a, relation, b) => {
                let mut all = both(a, b, &|a, b| Self::Related(a, *relation, b));
                let relations = [
                    Relation::LeftOf,
                    Relation::RightOf,
                    Relation::Above,
                    Relation::Below,
                ];
                all.extend(
                    relations
                        .into_iter()
                        .filter(|r| r != relation)
                        .map(|r| Self::Related(*a, r, *b)),
                );
                all
            }
            Self::More(a, b) => both(a, b, &Self::More),
        }
    }
}

/// All ordered pairs of two different things.
pub(super) fn pairs(scene: &Scene) -> impl Iterator<Item = (&Thing, &Thing)> {
    let things = &scene.things;
    things.iter().enumerate().flat_map(move |(i, one)| {
        things
            .iter()
            .enumerate()
            .filter(move |(j, _)| *j != i)
            .map(move |(_, other)| (one, other))
    })
}
