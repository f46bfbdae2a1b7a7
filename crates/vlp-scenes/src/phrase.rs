use crate::{Color, SceneObject, Shape, Size, Texture};

/// A noun phrase; it matches every object that has all the named properties.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Phrase {
    /// Size, if named.
    pub size: Option<Size>,
    /// Texture, if named.
    pub texture: Option<Texture>,
    /// Color, if named.
    pub color: Option<Color>,
    /// Shape, if named.
    pub shape: Option<Shape>,
}

impl Phrase {
    /// Names a shape alone.
    pub(crate) fn with_shape(shape: Shape) -> Self {
        Self {
            shape: Some(shape),
            ..Self::default()
        }
    }

    /// Names a color alone.
    pub(crate) fn with_color(color: Color) -> Self {
        Self {
            color: Some(color),
            ..Self::default()
        }
    }

    /// Names the color and the shape of an object.
    pub(crate) fn color_and_shape(object: &SceneObject) -> Self {
        Self {
            color: Some(object.color),
            ..Self::with_shape(object.shape)
        }
    }

    /// Whether an object has all the named properties.
    pub fn matches(&self, object: &SceneObject) -> bool {
        self.size.is_none_or(|size| size == object.size)
            && self.texture.is_none_or(|texture| texture == object.texture)
            && self.color.is_none_or(|color| color == object.color)
            && self.shape.is_none_or(|shape| shape == object.shape)
    }

    /// The adjectives in the order size, texture, color, with a space after each.
    fn prefix(&self) -> String {
        let words = [
            self.size.map(Size::word),
            self.texture.map(Texture::word),
            self.color.map(Color::word),
        ];
        words
            .into_iter()
            .flatten()
            .fold(String::new(), |text, word| text + word + " ")
    }

    /// The adjectives alone, such as `striped red`.
    pub fn adjectives(&self) -> String {
        self.prefix().trim_end().to_owned()
    }

    /// `large striped red circle`, or `large shape` if no shape is named.
    pub fn noun(&self) -> String {
        self.prefix() + self.shape.map_or("shape", Shape::word)
    }

    /// `large striped red circles`.
    pub fn plural(&self) -> String {
        self.prefix() + &self.shape.map_or("shapes".into(), Shape::plural)
    }

    /// `a large striped red circle`.
    pub fn with_article(&self) -> String {
        let noun = self.noun();
        format!("{} {noun}", if noun.starts_with('o') { "an" } else { "a" })
    }

    /// All phrases that differ from this one in the value of one named property.
    pub(crate) fn variants(&self) -> Vec<Self> {
        let mut variants = Vec::new();
        if let Some(current) = self.size {
            variants.extend(others(Size::ALL, current).map(|size| Self {
                size: Some(size),
                ..*self
            }));
        }
        if let Some(current) = self.texture {
            variants.extend(others(Texture::ALL, current).map(|texture| Self {
                texture: Some(texture),
                ..*self
            }));
        }
        if let Some(current) = self.color {
            variants.extend(others(Color::ALL, current).map(|color| Self {
                color: Some(color),
                ..*self
            }));
        }
        if let Some(current) = self.shape {
            variants.extend(others(Shape::ALL, current).map(|shape| Self {
                shape: Some(shape),
                ..*self
            }));
        }
        variants
    }
}

pub(crate) fn others<T: Copy + PartialEq>(
    all: &'static [T],
    current: T,
) -> impl Iterator<Item = T> {
    all.iter().copied().filter(move |&other| other != current)
}
