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
            /// All, in the order of the label space.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The word.
            pub fn word(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }
    };
}

words! {
    /// What an object is: its class.
    Shape {
        Circle "circle", Square "square", Triangle "triangle", Star "star",
        Ring "ring", Cross "cross", Heart "heart", Diamond "diamond",
    }
}

words! {
    /// An object's colour.
    Colour {
        Red "red", Orange "orange", Yellow "yellow", Green "green",
        Cyan "cyan", Blue "blue", Purple "purple", Black "black",
    }
}

words! {
    /// An object's size.
    Size { Small "small", Large "large" }
}

words! {
    /// What an object is filled with.
    Texture { Plain "plain", Striped "striped", Dotted "dotted" }
}

impl Shape {
    /// The plural.
    pub fn plural(self) -> String {
        match self {
            Self::Cross => "crosses".into(),
            other => format!("{}s", other.word()),
        }
    }
}

/// Numbers as captions write them, 0 to 6.
pub const COUNTS: [&str; 7] = ["zero", "one", "two", "three", "four", "five", "six"];
