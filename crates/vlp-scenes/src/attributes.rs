use serde::{Deserialize, Serialize};

/// An enumeration whose variants are words of captions.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($variant:ident $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(rename_all = "lowercase")]
        pub enum $name {
            $(#[doc = $word] $variant),+
        }

        impl $name {
            /// All values.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The word in captions.
            pub fn word(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }
    };
}

words! {
    /// The shape of an object, which is its class.
    Shape {
        Circle "circle", Square "square", Triangle "triangle", Star "star",
        Ring "ring", Cross "cross", Heart "heart", Diamond "diamond",
    }
}

words! {
    /// The color of an object.
    Color {
        Red "red", Orange "orange", Yellow "yellow", Green "green",
        Cyan "cyan", Blue "blue", Purple "purple", Black "black",
    }
}

words! {
    /// The size of an object.
    Size { Small "small", Large "large" }
}

words! {
    /// The fill pattern of an object.
    Texture { Plain "plain", Striped "striped", Dotted "dotted" }
}

impl Shape {
    /// The plural, such as `circles`.
    pub fn plural(self) -> String {
        match self {
            Self::Cross => "crosses".into(),
            other => format!("{}s", other.word()),
        }
    }
}

/// The numbers 0 to 6 as captions write them.
pub const NUMBER_WORDS: [&str; 7] = ["zero", "one", "two", "three", "four", "five", "six"];
