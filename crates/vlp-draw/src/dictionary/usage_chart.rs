//! The chart of how often each code is used.

use maud::{Markup, html};

use super::usage::Usage;
use crate::curve::Scale;
use crate::number_format::{grouped, percent};
use crate::palette::Palette;
use crate::svg::{FONT_FAMILY, Px, text_width};

const WIDTH: f64 = 1100.0;
const HEIGHT: f64 = 250.0;
const LEFT: f64 = 52.0;
const RIGHT: f64 = 92.0;
const TOP: f64 = 24.0;
const BOTTOM: f64 = 40.0;
/// Number of codes up to which each has a bar; more are drawn as one stepped area.
const MAX_BARS: usize = 160;
/// Ratio between the most and the least used code from which the scale is logarithmic.
const MIN_LOG_RATIO: f64 = 50.0;

/// The vertical axis: fractions of all uses.
struct FractionAxis {
    scale: Scale,
    is_log: bool,
}

impl FractionAxis {
    fn new(lowest: f64, highest: f64) -> Self {
        let is_log = highest >= MIN_LOG_RATIO * lowest;
        let scale = if is_log {
            // From below the least used code, whose bar would otherwise have no height.
            Scale::new((lowest / 1.6).log10(), (highest * 1.05).log10())
        } else {
            Scale::new(0.0, highest)
        };
        Self { scale, is_log }
    }

    fn y(&self, fraction: f64) -> f64 {
        let value = if self.is_log {
            fraction.log10()
        } else {
            fraction
        };
        let position = self.scale.position(value).clamp(0.0, 1.0);
        HEIGHT - BOTTOM - position * (HEIGHT - TOP - BOTTOM)
    }

    fn ticks(&self) -> Vec<f64> {
        if !self.is_log {
            return self.scale.ticks(5).into_iter().map(|tick| tick.0).collect();
        }
        // Fractions are at most 1; a u64 has at most 20 digits, and there are thousands of codes.
        let powers: Vec<f64> = (-28..=0).map(|power| 10_f64.powi(power)).collect();
        let is_inside =
            |fraction: &f64| (0.0..=1.0).contains(&self.scale.position(fraction.log10()));
        let decades: Vec<f64> = powers.iter().copied().filter(is_inside).collect();
        if decades.len() > 2 {
            return decades;
        }
        let steps = powers.iter().flat_map(|p| [*p, 2.0 * p, 5.0 * p]);
        steps.filter(is_inside).collect()
    }
}

/// The fractions of the codes, most used first, as SVG.
pub(super) fn chart(usage: &Usage, palette: &Palette) -> Markup {
    let (Some(first), Some(last)) = (usage.used().first(), usage.used().last()) else {
        return Markup::default();
    };
    let fraction = |uses: u64| usage.fraction(uses.into());
    let axis = FractionAxis::new(fraction(last.uses), fraction(first.uses));
    html! {
        div.scroll {
            svg.usage viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } role="img"
                aria-label="Fraction of all uses per code, most used first" font-family=(FONT_FAMILY) font-size="11"
                fill="currentColor" {
                (axes(usage.len(), &axis))
                @if usage.len() <= MAX_BARS { (bars(usage, palette, &axis)) } @else { (area(usage, &axis)) }
                (dead_range(usage))
                (uniform_use(usage.len(), &axis))
            }
        }
    }
}

/// Left edge of the code of this rank among `codes`.
fn x(rank: f64, codes: usize) -> f64 {
    LEFT + rank / codes as f64 * (WIDTH - LEFT - RIGHT)
}

fn axes(codes: usize, axis: &FractionAxis) -> Markup {
    let (bottom, right) = (HEIGHT - BOTTOM, WIDTH - RIGHT);
    let ranks = Scale::new(0.0, codes as f64).ticks(10);
    html! {
        text x="2" y="12" opacity=".75" {
            "fraction of all uses"
            @if axis.is_log { ", log scale" }
        }
        @for fraction in axis.ticks() {
            @let y = axis.y(fraction);
            path d={ "M" (LEFT) " " (Px(y)) "H" (right) } stroke="currentColor" stroke-opacity=".12" {}
            text x=(LEFT - 6.0) y=(Px(y + 3.5)) text-anchor="end" opacity=".7" { (tick_label(fraction)) }
        }
        @for (rank, label) in ranks.iter().filter(|(rank, _)| rank.fract() == 0.0) {
            text x=(Px(x(*rank, codes))) y=(bottom + 15.0) text-anchor="middle" opacity=".7" { (label) }
        }
        text x=((LEFT + right) / 2.0) y=(HEIGHT - 6.0) text-anchor="middle" opacity=".75" { "codes, most used first" }
    }
}

/// The shortest label of a fraction at a tick.
fn tick_label(fraction: f64) -> String {
    let value = fraction * 100.0;
    if value == 0.0 {
        return "0".to_owned();
    }
    // Two significant digits: ticks are 1, 2 or 5 times a power of ten, or multiples of those.
    let decimals = (1.0 - value.log10().floor()).clamp(0.0, 12.0) as usize;
    let text = format!("{value:.decimals$}");
    let text = if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.')
    } else {
        &text
    };
    if text_width(text) < 4.2 {
        format!("{text}%")
    } else {
        format!("{value:.0e}%")
    }
}

/// One bar per code in its color.
fn bars(usage: &Usage, palette: &Palette, axis: &FractionAxis) -> Markup {
    let codes = usage.len();
    let step = x(1.0, codes) - LEFT;
    let gap = (step * 0.15).min(3.0);
    html! {
        @for (rank, card) in usage.used().iter().enumerate() {
            @let fraction = usage.fraction(card.uses.into());
            @let top = axis.y(fraction);
            rect x=(Px(x(rank as f64, codes) + gap / 2.0)) y=(Px(top)) width=(Px(step - gap))
                height=(Px(HEIGHT - BOTTOM - top)) fill=(palette.get(card.code)) {
                title { "code " (card.code) ": " (percent(fraction)) }
            }
        }
    }
}

/// All codes as one area with a step for each code, or for each unit of width if there are more codes.
fn area(usage: &Usage, axis: &FractionAxis) -> Markup {
    let codes = usage.len();
    let steps = codes.min((WIDTH - LEFT - RIGHT) as usize);
    let bottom = HEIGHT - BOTTOM;
    let mut path = format!("M{LEFT} {bottom}");
    let mut end = 0;
    for step in 0..steps {
        let (rank, next) = (step * codes / steps, (step + 1) * codes / steps);
        let Some(card) = usage.used().get(rank) else {
            break;
        };
        end = next.min(usage.used().len());
        let top = axis.y(usage.fraction(card.uses.into()));
        path += &format!("V{top:.1}H{:.1}", x(end as f64, codes));
    }
    debug_assert_eq!(end, usage.used().len());
    html! { path.area d={ (path) "V" (bottom) "H" (LEFT) "Z" } {} }
}

/// The range of the codes without any use.
fn dead_range(usage: &Usage) -> Markup {
    let dead = usage.dead().len();
    let (from, to) = (x(usage.used().len() as f64, usage.len()), WIDTH - RIGHT);
    html! {
        @if dead > 0 {
            rect.dead-range x=(Px(from)) y=(TOP) width=(Px(to - from)) height=(Px(HEIGHT - TOP - BOTTOM)) {}
            text.dead x=(Px(to)) y=(TOP - 8.0) text-anchor="end" { (grouped(dead as u128)) " dead" }
        }
    }
}

/// The fraction that every code would have if all were used equally.
fn uniform_use(codes: usize, axis: &FractionAxis) -> Markup {
    let fraction = 1.0 / codes as f64;
    let y = axis.y(fraction);
    let (bottom, right) = (HEIGHT - BOTTOM, WIDTH - RIGHT);
    html! {
        path d={ "M" (LEFT) " " (Px(y)) "H" (right) } stroke="currentColor" stroke-dasharray="4 4"
            stroke-opacity=".7" {}
        text x=(right + 6.0) y=(Px(y + 3.5)) { "even: " (percent(fraction)) }
        path d={ "M" (LEFT) " " (bottom) "H" (right) } stroke="currentColor" stroke-opacity=".45" {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::CodeCard;

    fn drawn(uses: &[u64]) -> String {
        let codes: Vec<_> = uses
            .iter()
            .enumerate()
            .map(|(code, uses)| CodeCard {
                code,
                uses: *uses,
                ..CodeCard::default()
            })
            .collect();
        let palette = Palette::for_codes(codes.iter().map(|card| card.code));
        chart(&Usage::of(&codes), &palette).into_string()
    }

    #[test]
    fn extreme_uses_are_drawn() {
        for uses in [
            &[1][..],
            &[5; 3],
            &[u64::MAX, 1],
            &[u64::MAX; 200],
            &[1, 0, 0],
        ] {
            let svg = drawn(uses);
            assert!(svg.contains("even:"), "{uses:?}");
            assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
        }
        assert_eq!(drawn(&[0, 0]), "");
        let many: Vec<u64> = (0..8192).map(|i| 1_000_000 / (i + 1)).collect();
        assert!(drawn(&many).len() < 20_000, "{}", drawn(&many).len());
    }

    #[test]
    fn bar_heights_are_proportional_to_uses() {
        let svg = drawn(&[30, 10]);
        assert!(!svg.contains("log scale"));
        let full = HEIGHT - TOP - BOTTOM;
        assert!(svg.contains(&format!("height=\"{full:.1}\"")));
        assert!(svg.contains(&format!("height=\"{:.1}\"", full / 3.0)));
        assert!(drawn(&[100, 1]).contains("log scale"));
        // A third of the codes has no use: a third of the width.
        let width = format!("width=\"{:.1}\"", (WIDTH - LEFT - RIGHT) / 3.0);
        assert!(drawn(&[30, 10, 0]).contains(&format!("{width} height=\"{full:.1}\"")));
    }

    #[test]
    fn tick_labels_are_short() {
        let texts = [0.0, 0.1, 0.25, 0.02, 0.0005, 1e-9].map(tick_label);
        assert_eq!(texts, ["0", "10%", "25%", "2%", "0.05%", "1e-7%"]);
    }
}
