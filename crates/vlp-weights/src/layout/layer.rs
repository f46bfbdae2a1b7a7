//! Parameters of the transformer layers of `vlp`.

/// A parameter of a transformer layer, `field` being `weight` or `bias`, or `gamma` or `beta` of a norm.
pub(super) enum LayerParam<'a> {
    /// `projection` is `query`, `key`, `value` or `output`.
    Attention {
        cross: bool,
        projection: &'a str,
        field: &'a str,
    },
    /// Number of the norm from 1, and the field.
    Norm(u32, &'a str),
    /// First linear layer of the feed-forward block.
    FeedForward1(&'a str),
    /// Second linear layer of the feed-forward block.
    FeedForward2(&'a str),
}

/// The parameter at path `parts` within an encoder layer.
pub(super) fn encoder_param<'a>(parts: &[&'a str]) -> Option<LayerParam<'a>> {
    match *parts {
        ["attention", projection, field] => Some(LayerParam::Attention {
            cross: false,
            projection,
            field,
        }),
        _ => common_param(parts, 2),
    }
}

/// The parameter at path `parts` within a decoder layer.
pub(super) fn decoder_param<'a>(parts: &[&'a str]) -> Option<LayerParam<'a>> {
    match *parts {
        [
            attention @ ("self_attention" | "cross_attention"),
            projection,
            field,
        ] => Some(LayerParam::Attention {
            cross: attention == "cross_attention",
            projection,
            field,
        }),
        _ => common_param(parts, 3),
    }
}

fn common_param<'a>(parts: &[&'a str], norms: u32) -> Option<LayerParam<'a>> {
    match *parts {
        ["feed_forward", "inner", field] => Some(LayerParam::FeedForward1(field)),
        ["feed_forward", "outer", field] => Some(LayerParam::FeedForward2(field)),
        [norm, field] => {
            let number = norm.strip_prefix("norm")?.parse().ok()?;
            (1..=norms)
                .contains(&number)
                .then_some(LayerParam::Norm(number, field))
        }
        _ => None,
    }
}
