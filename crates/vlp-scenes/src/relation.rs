use crate::{Scene, SceneObject};

/// A side of the image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Side {
    /// Left.
    Left,
    /// Right.
    Right,
    /// Top.
    Top,
    /// Bottom.
    Bottom,
}

impl Side {
    pub(crate) const ALL: &'static [Self] = &[Self::Left, Self::Right, Self::Top, Self::Bottom];

    /// `leftmost`, `rightmost`, `topmost` or `lowest`.
    pub fn word(self) -> &'static str {
        ["leftmost", "rightmost", "topmost", "lowest"][self as usize]
    }

    /// The opposite side.
    pub fn opposite(self) -> Self {
        [Self::Right, Self::Left, Self::Bottom, Self::Top][self as usize]
    }

    /// The object whose center is closest to this side; `None` if the scene is empty.
    pub fn outermost(self, scene: &Scene) -> Option<&SceneObject> {
        let distance = |object: &SceneObject| match self {
            Self::Left => object.x,
            Self::Right => -object.x,
            Self::Top => object.y,
            Self::Bottom => -object.y,
        };
        scene
            .objects
            .iter()
            .min_by(|a, b| distance(a).total_cmp(&distance(b)))
    }
}

/// Direction of one object as seen from another.
///
/// Exactly one direction holds for two objects: the axis along which their centers are farther apart decides.
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
    pub(crate) const ALL: &'static [Self] =
        &[Self::LeftOf, Self::RightOf, Self::Above, Self::Below];

    /// Direction of `a` as seen from `b`.
    pub fn between(a: &SceneObject, b: &SceneObject) -> Self {
        let (dx, dy) = (a.x - b.x, a.y - b.y);
        match (dx.abs() >= dy.abs(), dx < 0.0, dy < 0.0) {
            (true, true, _) => Self::LeftOf,
            (true, false, _) => Self::RightOf,
            (false, _, true) => Self::Above,
            (false, _, false) => Self::Below,
        }
    }

    /// Whether the direction is visually unambiguous: the distance along one axis is at least 1.3 times that along the
    /// other.
    pub fn is_clear(a: &SceneObject, b: &SceneObject) -> bool {
        let (dx, dy) = ((a.x - b.x).abs(), (a.y - b.y).abs());
        dx.max(dy) >= 1.3 * dx.min(dy)
    }

    /// `left of`, `right of`, `above` or `below`.
    pub fn word(self) -> &'static str {
        ["left of", "right of", "above", "below"][self as usize]
    }

    /// The opposite direction.
    pub fn opposite(self) -> Self {
        [Self::RightOf, Self::LeftOf, Self::Below, Self::Above][self as usize]
    }
}
