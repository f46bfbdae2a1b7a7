use rand::{Rng, RngExt, seq::SliceRandom};

use super::{COUNTS, Claim, End, Phrase, Relation, Scene, ScenesConfig, Thing};
use crate::rng;

/// How a caption says what it claims.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Wording {
    /// `red circle on the left and blue star on the right`
    Sides,
    /// `the top one is striped red and the bottom one dotted blue`
    TopAndBottom,
    /// `three shapes and the leftmost is a large striped red circle`
    CountAndEnd,
    /// `a large red circle is left of a small blue star`
    Where,
    /// `the only red shape is a large striped circle`
    Only,
    /// `only one shape , a large red circle`
    OnlyOne,
    /// `just one large striped circle here`
    JustOne,
    /// `a single striped red circle on its own`
    Single,
    /// `one shape and it is a large striped red circle`
    CountAndIt,
}

/// A caption and what it claims; it is true of every scene of which all claims hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caption {
    /// The text, lower case, without a full stop.
    pub text: String,
    /// What it claims.
    pub claims: Vec<Claim>,
    wording: Wording,
}

impl Caption {
    fn new(wording: Wording, claims: Vec<Claim>) -> Option<Self> {
        Some(Self {
            text: wording.say(&claims)?,
            claims,
            wording,
        })
    }

    /// Whether the caption is true of a scene.
    pub fn holds(&self, scene: &Scene) -> bool {
        self.claims.iter().all(|claim| claim.holds(scene))
    }

    /// Captions of the same wording that claim something else in one word.
    pub fn variants(&self) -> Vec<Self> {
        let replaced = |at: usize, claim: Claim| {
            let mut claims = self.claims.clone();
            claims[at] = claim;
            Self::new(self.wording, claims)
        };
        (0..self.claims.len())
            .flat_map(|at| {
                self.claims[at]
                    .variants()
                    .into_iter()
                    .filter_map(move |claim| replaced(at, claim))
            })
            .collect()
    }
}

impl Wording {
    /// `None` where the wording has no words for the claims.
    fn say(self, claims: &[Claim]) -> Option<String> {
        Some(match (self, claims) {
            (Self::Sides, [Claim::Outermost(a, one), Claim::Outermost(b, other)]) => {
                format!(
                    "{} on the {} and {} on the {}",
                    one.noun(),
                    side(*a)?,
                    other.noun(),
                    side(*b)?
                )
            }
            (Self::TopAndBottom, [Claim::Outermost(a, one), Claim::Outermost(b, other)]) => {
                format!(
                    "the {} one is {} and the {} one {}",
                    level(*a)?,
                    bare(one),
                    level(*b)?,
                    bare(other)
                )
            }
            (Self::CountAndEnd, [Claim::Count(number, _), Claim::Outermost(end, what)]) => {
                let number = COUNTS.get(*number)?;
                format!(
                    "{number} shapes and the {} is {}",
                    end.word(),
                    what.with_article()
                )
            }
            (Self::Where, [claim @ Claim::Related(..)])
            | (Self::Only, [claim @ Claim::Only(..)]) => claim.sentence(),
            (Self::OnlyOne, [Claim::Count(1, _), Claim::Exists(what)]) => {
                format!("only one shape , {}", what.with_article())
            }
            (Self::JustOne, [Claim::Count(1, _), Claim::Exists(what)]) => {
                format!("just one {} here", what.noun())
            }
            (Self::Single, [Claim::Count(1, _), Claim::Exists(what)]) => {
                format!("a single {} on its own", what.noun())
            }
            (Self::CountAndIt, [Claim::Count(1, _), Claim::Exists(what)]) => {
                format!("one shape and it is {}", what.with_article())
            }
            _ => return None,
        })
    }
}

fn side(end: End) -> Option<&'static str> {
    match end {
        End::Left => Some("left"),
        End::Right => Some("right"),
        _ => None,
    }
}

fn level(end: End) -> Option<&'static str> {
    match end {
        End::Top => Some("top"),
        End::Bottom => Some("bottom"),
        _ => None,
    }
}

/// Adjectives where there are any, else the noun.
fn bare(phrase: &Phrase) -> String {
    match phrase.bare() {
        text if text.is_empty() => phrase.with_article(),
        text => text,
    }
}

/// Which properties of a thing are named; those of which the configuration has one value alone are left unsaid.
struct Speaker<'a> {
    config: &'a ScenesConfig,
    scene: &'a Scene,
}

#[derive(Clone, Copy)]
enum Say {
    Size,
    Texture,
    Colour,
    Shape,
}

impl Speaker<'_> {
    fn phrase(&self, thing: &Thing, say: &[Say]) -> Phrase {
        let mut phrase = Phrase::default();
        for property in say {
            match property {
                Say::Size if self.config.sizes.len() > 1 => phrase.size = Some(thing.size),
                Say::Texture if self.config.textures.len() > 1 => {
                    phrase.texture = Some(thing.texture)
                }
                Say::Colour if self.config.colours.len() > 1 => phrase.colour = Some(thing.colour),
                Say::Shape => phrase.shape = Some(thing.shape),
                _ => {}
            }
        }
        phrase
    }

    fn outermost(&self, end: End, say: &[Say]) -> Option<Claim> {
        Some(Claim::Outermost(end, self.phrase(end.of(self.scene)?, say)))
    }

    /// Colour and shape of the leftmost and the rightmost.
    fn sides(&self) -> Option<Caption> {
        let say = [Say::Colour, Say::Shape];
        Caption::new(
            Wording::Sides,
            vec![
                self.outermost(End::Left, &say)?,
                self.outermost(End::Right, &say)?,
            ],
        )
    }

    /// Texture and colour of the topmost and the lowest.
    fn top_and_bottom(&self) -> Option<Caption> {
        let varied = self.config.textures.len() > 1 || self.config.colours.len() > 1;
        let say: &[Say] = if varied {
            &[Say::Texture, Say::Colour]
        } else {
            &[Say::Shape]
        };
        let claims = vec![
            self.outermost(End::Top, say)?,
            self.outermost(End::Bottom, say)?,
        ];
        Caption::new(Wording::TopAndBottom, claims)
    }

    /// The number of things and everything about one at a side.
    fn count_and_end(&self, end: End) -> Option<Caption> {
        let count = Claim::Count(self.scene.things.len(), Phrase::default());
        let say = [Say::Size, Say::Texture, Say::Colour, Say::Shape];
        Caption::new(
            Wording::CountAndEnd,
            vec![count, self.outermost(end, &say)?],
        )
    }

    /// The topmost (or the lowest) and the nearest other thing in a clear direction.
    fn place(&self, end: End) -> Option<Caption> {
        let one = end.of(self.scene)?;
        let distance = |other: &&Thing| {
            let far = (other.x - one.x).hypot(other.y - one.y);
            if Relation::is_clear(one, other) {
                far
            } else {
                far + 2.0
            }
        };
        let others = self
            .scene
            .things
            .iter()
            .filter(|&other| !std::ptr::eq(other, one));
        let other = others.min_by(|a, b| distance(a).total_cmp(&distance(b)))?;
        let say = [Say::Size, Say::Colour, Say::Shape];
        let (a, b) = (self.phrase(one, &say), self.phrase(other, &say));
        Caption::new(
            Wording::Where,
            vec![Claim::Related(a, Relation::between(one, other), b)],
        )
    }

    /// The leftmost thing of a colour of its own, else of a shape of its own.
    fn only(&self) -> Option<Caption> {
        if let [thing] = self.scene.things.as_slice() {
            let what = self.phrase(thing, &[Say::Size, Say::Texture, Say::Shape]);
            return Caption::new(Wording::Only, vec![Claim::Only(Phrase::default(), what)]);
        }
        let mut things: Vec<&Thing> = self.scene.things.iter().collect();
        things.sort_by(|a, b| a.x.total_cmp(&b.x));
        let alone = |which: &Phrase| {
            self.scene
                .things
                .iter()
                .filter(|thing| which.fits(thing))
                .count()
                == 1
        };
        let by_colour = things.iter().map(|thing| {
            let which = self.phrase(thing, &[Say::Colour]);
            (
                which,
                self.phrase(thing, &[Say::Size, Say::Texture, Say::Shape]),
            )
        });
        let by_shape = things.iter().map(|thing| {
            let which = self.phrase(thing, &[Say::Shape]);
            // A noun must follow: the colour is said with "shape".
            (
                which,
                self.phrase(thing, &[Say::Size, Say::Texture, Say::Colour]),
            )
        });
        let (which, what) = by_colour.chain(by_shape).find(|(which, _)| alone(which))?;
        Caption::new(Wording::Only, vec![Claim::Only(which, what)])
    }

    /// A wording for a thing that is alone.
    fn alone(&self, wording: Wording, say: &[Say]) -> Option<Caption> {
        let what = self.phrase(self.scene.things.first()?, say);
        Caption::new(
            wording,
            vec![Claim::Count(1, Phrase::default()), Claim::Exists(what)],
        )
    }

    /// For each of the five captions of a scene those that are equally likely.
    fn candidates(&self) -> Vec<Vec<Caption>> {
        use Say::{Colour, Shape, Size, Texture};
        let found: [Vec<Option<Caption>>; 5] = if self.scene.things.len() == 1 {
            [
                vec![self.alone(Wording::Single, &[Texture, Colour, Shape])],
                vec![self.alone(Wording::OnlyOne, &[Size, Colour, Shape])],
                vec![self.alone(Wording::CountAndIt, &[Size, Texture, Colour, Shape])],
                vec![self.alone(Wording::JustOne, &[Size, Texture, Shape])],
                vec![self.only()],
            ]
        } else {
            [
                vec![self.sides()],
                vec![self.top_and_bottom()],
                vec![self.count_and_end(End::Left)],
                vec![self.place(End::Top), self.place(End::Bottom)],
                vec![self.only().or_else(|| self.count_and_end(End::Right))],
            ]
        };
        found
            .into_iter()
            .map(|some| some.into_iter().flatten().collect())
            .collect()
    }
}

/// For each of a scene's five captions those that are equally likely.
pub(super) fn candidates(config: &ScenesConfig, scene: &Scene) -> Vec<Vec<Caption>> {
    Speaker { config, scene }.candidates()
}

/// Five captions of different wording.
pub(super) fn captions(config: &ScenesConfig, scene: &Scene) -> Vec<Caption> {
    let mut rng = rng(scene.grain, 0, 0, "captions");
    let choose = |mut some: Vec<Caption>| {
        (!some.is_empty()).then(|| some.swap_remove(rng.random_range(0..some.len())))
    };
    candidates(config, scene)
        .into_iter()
        .filter_map(choose)
        .collect()
}

/// The things of a scene in a random order.
pub(super) fn shuffled<'a>(scene: &'a Scene, rng: &mut impl Rng) -> Vec<&'a Thing> {
    let mut things: Vec<&Thing> = scene.things.iter().collect();
    things.shuffle(rng);
    things
}
