//! Parameters of our transformer layers, taken apart.

/// A parameter of a layer.
pub(super) enum Part<'a> {
    /// `projection` is `query`, `key`, `value` or `output`.
    Attention {
        cross: bool,
        projection: &'a str,
        leaf: &'a str,
    },
    /// Norms are counted from 1.
    Norm(u32, &'a str),
    /// First linear layer of the feed-forward block.
    Inner(&'a str),
    /// Second one.
    Outer(&'a str),
}

/// What `parts` is within an encoder layer.
pub(super) fn encoder<'a>(parts: &[&'a str]) -> Option<Part<'a>> {
    match *parts {
        ["attention", projection, leaf] => Some(Part::Attention {
            cross: false,
            projection,
            leaf,
        }),
        _ => shared(parts, 2),
    }
}

/// What `parts` is within a decoder layer.
pub(super) fn decoder<'a>(parts: &[&'a str]) -> Option<Part<'a>> {
    match *parts {
        [
            attention @ ("self_attention" | "cross_attention"),
            projection,
            leaf,
        ] => Some(Part::Attention {
            cross: attention == "cross_attention",
            projection,
            leaf,
        }),
        _ => shared(parts, 3),
    }
}

fn shared<'a>(parts: &[&'a str], norms: u32) -> Option<Part<'a>> {
    match *parts {
        ["feed_forward", "inner", leaf] => Some(Part::Inner(leaf)),
        ["feed_forward", "outer", leaf] => Some(Part::Outer(leaf)),
        [norm, leaf] => {
            let number = norm.strip_prefix("norm")?.parse().ok()?;
            (1..=norms)
                .contains(&number)
                .then_some(Part::Norm(number, leaf))
        }
        _ => None,
    }
}
