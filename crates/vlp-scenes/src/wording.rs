use crate::{Claim, NUMBER_WORDS, Phrase, Side};

/// The sentence pattern with which a caption states its claims.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Wording {
    /// `red circle on the left and blue star on the right`
    LeftAndRight,
    /// `the top one is striped red and the bottom one dotted blue`
    TopAndBottom,
    /// `three shapes and the leftmost is a large striped red circle`
    CountAndOutermost,
    /// `a large red circle is left of a small blue star`
    Related,
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

impl Wording {
    /// The caption; `None` if this wording cannot express the claims.
    pub(crate) fn text(self, claims: &[Claim]) -> Option<String> {
        Some(match (self, claims) {
            (Self::LeftAndRight, [Claim::Outermost(a, first), Claim::Outermost(b, second)]) => {
                let (first, second) = (first.noun(), second.noun());
                let (a, b) = (left_or_right(*a)?, left_or_right(*b)?);
                format!("{first} on the {a} and {second} on the {b}")
            }
            (Self::TopAndBottom, [Claim::Outermost(a, first), Claim::Outermost(b, second)]) => {
                let (first, second) = (adjectives_or_noun(first), adjectives_or_noun(second));
                let (a, b) = (top_or_bottom(*a)?, top_or_bottom(*b)?);
                format!("the {a} one is {first} and the {b} one {second}")
            }
            (Self::CountAndOutermost, [Claim::Count(number, _), Claim::Outermost(side, what)]) => {
                let (number, side) = (NUMBER_WORDS.get(*number)?, side.word());
                format!("{number} shapes and the {side} is {}", what.with_article())
            }
            (Self::Related, [claim @ Claim::Related(..)])
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

fn left_or_right(side: Side) -> Option<&'static str> {
    match side {
        Side::Left => Some("left"),
        Side::Right => Some("right"),
        _ => None,
    }
}

fn top_or_bottom(side: Side) -> Option<&'static str> {
    match side {
        Side::Top => Some("top"),
        Side::Bottom => Some("bottom"),
        _ => None,
    }
}

/// The adjectives if there are any, else the noun.
fn adjectives_or_noun(phrase: &Phrase) -> String {
    match phrase.adjectives() {
        text if text.is_empty() => phrase.with_article(),
        text => text,
    }
}
