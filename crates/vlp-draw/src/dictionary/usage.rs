//! The chart of how much each code is used.

use std::fmt::Write;

use super::stats::{Usage, percent};
use crate::curve::Scale;
use crate::html::text_width;
use crate::palette::Palette;

const WIDTH: f64 = 1100.0;
const HEIGHT: f64 = 250.0;
const LEFT: f64 = 52.0;
const RIGHT: f64 = 92.0;
const TOP: f64 = 24.0;
const BOTTOM: f64 = 40.0;
/// Codes drawn as bars of their own; more are one stepped area.
const BARS: usize = 160;
/// From this ratio between the most and least used code on, shares are on a log scale.
const LOG_FROM: f64 = 50.0;

/// Heights of shares.
struct Heights {
    scale: Scale,
    log: bool,
}

impl Heights {
    fn over(lowest: f64, highest: f64) -> Self {
        let log = highest >= LOG_FROM * lowest;
        let scale = if log {
            // Room below the least used code, whose bar would have no height otherwise.
            Scale::over((lowest / 1.6).log10(), (highest * 1.05).log10())
        } else {
            Scale::over(0.0, highest)
        };
        Self { scale, log }
    }

    fn y(&self, share: f64) -> f64 {
        let place = self
            .scale
            .place(if self.log { share.log10() } else { share });
        HEIGHT - BOTTOM - place.clamp(0.0, 1.0) * (HEIGHT - TOP - BOTTOM)
    }

    fn ticks(&self) -> Vec<f64> {
        if !self.log {
            return self.scale.ticks(5).into_iter().map(|tick| tick.0).collect();
        }
        // Shares are at most 1 and a count of u64 has at most 20 digits, with thousands of codes.
        let powers: Vec<f64> = (-28..=0).map(|power| 10_f64.powi(power)).collect();
        let inside = |share: &f64| (0.0..=1.0).contains(&self.scale.place(share.log10()));
        let decades: Vec<f64> = powers.iter().copied().filter(inside).collect();
        if decades.len() > 2 {
            return decades;
        }
        let steps = powers.iter().flat_map(|p| [*p, 2.0 * p, 5.0 * p]);
        steps.filter(inside).collect()
    }
}

/// Shares of the codes, most used first, as SVG.
pub(super) fn chart(out: &mut String, usage: &Usage, palette: &Palette) {
    let (Some(first), Some(last)) = (usage.used().first(), usage.used().last()) else {
        return;
    };
    let share = |uses: u64| usage.share(uses.into());
    let heights = Heights::over(share(last.uses), share(first.uses));
    // Writing to a String cannot fail.
    let _ = write!(
        out,
        "<div class=\"scroll\"><svg class=\"usage\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"Share of all \
         uses per code, most used first\" font-family=\"system-ui, -apple-system, 'Segoe UI', Roboto, Helvetica, Arial, \
         sans-serif\" font-size=\"11\" fill=\"currentColor\">"
    );
    axes(out, usage.len(), &heights);
    if usage.len() <= BARS {
        bars(out, usage, palette, &heights);
    } else {
        area(out, usage, &heights);
    }
    dead(out, usage);
    even(out, usage.len(), &heights);
    out.push_str("</svg></div>");
}

/// Left edge of the code of this rank among `codes`.
fn x(rank: f64, codes: usize) -> f64 {
    LEFT + rank / codes as f64 * (WIDTH - LEFT - RIGHT)
}

fn axes(out: &mut String, codes: usize, heights: &Heights) {
    let (bottom, right) = (HEIGHT - BOTTOM, WIDTH - RIGHT);
    let scale = if heights.log { ", log scale" } else { "" };
    let _ = write!(
        out,
        "<text x=\"2\" y=\"12\" opacity=\".75\">share of all uses{scale}</text>"
    );
    for share in heights.ticks() {
        let y = heights.y(share);
        let _ = write!(
            out,
            "<path d=\"M{LEFT} {y:.1}H{right}\" stroke=\"currentColor\" stroke-opacity=\".12\"/>\
             <text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\" opacity=\".7\">{}</text>",
            LEFT - 6.0,
            y + 3.5,
            tick(share)
        );
    }
    for (rank, label) in Scale::over(0.0, codes as f64).ticks(10) {
        if rank.fract() == 0.0 {
            let _ = write!(
                out,
                "<text x=\"{:.1}\" y=\"{}\" text-anchor=\"middle\" opacity=\".7\">{label}</text>",
                x(rank, codes),
                bottom + 15.0
            );
        }
    }
    let _ = write!(
        out,
        "<text x=\"{}\" y=\"{}\" text-anchor=\"middle\" opacity=\".75\">codes, most used first</text>",
        (LEFT + right) / 2.0,
        HEIGHT - 6.0
    );
}

/// A share at a tick: as short as it can be said.
fn tick(share: f64) -> String {
    let value = share * 100.0;
    if value == 0.0 {
        return "0".to_owned();
    }
    // Two digits that count, as ticks are 1, 2 or 5 times a power of ten, or multiples of them.
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

/// One bar per code in its colour, with its number below where all of them fit.
fn bars(out: &mut String, usage: &Usage, palette: &Palette, heights: &Heights) {
    let codes = usage.len();
    let step = x(1.0, codes) - LEFT;
    let gap = (step * 0.15).min(3.0);
    for (rank, card) in usage.used().iter().enumerate() {
        let share = usage.share(card.uses.into());
        let top = heights.y(share);
        let _ = write!(
            out,
            "<rect x=\"{:.1}\" y=\"{top:.1}\" width=\"{:.1}\" height=\"{:.1}\" fill=\"{}\"><title>code {}: {}</title></rect>",
            x(rank as f64, codes) + gap / 2.0,
            step - gap,
            HEIGHT - BOTTOM - top,
            palette.get(card.code),
            card.code,
            percent(share)
        );
    }
}

/// All codes as one area, a step each, or as many as there are pixels.
fn area(out: &mut String, usage: &Usage, heights: &Heights) {
    let codes = usage.len();
    let steps = codes.min((WIDTH - LEFT - RIGHT) as usize);
    let _ = write!(out, "<path class=\"area\" d=\"M{LEFT} {}", HEIGHT - BOTTOM);
    let mut end = 0;
    for step in 0..steps {
        let (rank, next) = (step * codes / steps, (step + 1) * codes / steps);
        let Some(card) = usage.used().get(rank) else {
            break;
        };
        end = next.min(usage.used().len());
        let top = heights.y(usage.share(card.uses.into()));
        let _ = write!(out, "V{top:.1}H{:.1}", x(end as f64, codes));
    }
    let _ = write!(out, "V{}H{LEFT}Z\"/>", HEIGHT - BOTTOM);
    debug_assert_eq!(end, usage.used().len());
}

/// The stretch of the codes without any use.
fn dead(out: &mut String, usage: &Usage) {
    let dead = usage.dead().len();
    if dead == 0 {
        return;
    }
    let (from, to) = (x(usage.used().len() as f64, usage.len()), WIDTH - RIGHT);
    let _ = write!(
        out,
        "<rect class=\"dead-stretch\" x=\"{from:.1}\" y=\"{TOP}\" width=\"{:.1}\" height=\"{:.1}\"/>\
         <text class=\"dead\" x=\"{to:.1}\" y=\"{}\" text-anchor=\"end\">{} dead</text>",
        to - from,
        HEIGHT - TOP - BOTTOM,
        TOP - 8.0,
        super::grouped(dead as u128)
    );
}

/// The share that every code would have if all were used alike.
fn even(out: &mut String, codes: usize, heights: &Heights) {
    let share = 1.0 / codes as f64;
    let y = heights.y(share);
    let right = WIDTH - RIGHT;
    let _ = write!(
        out,
        "<path d=\"M{LEFT} {y:.1}H{right}\" stroke=\"currentColor\" stroke-dasharray=\"4 4\" stroke-opacity=\".7\"/>\
         <text x=\"{}\" y=\"{:.1}\">even: {}</text>\
         <path d=\"M{LEFT} {bottom}H{right}\" stroke=\"currentColor\" stroke-opacity=\".45\"/>",
        right + 6.0,
        y + 3.5,
        percent(share),
        bottom = HEIGHT - BOTTOM
    );
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
        let mut svg = String::new();
        let palette = Palette::of(codes.iter().map(|card| card.code));
        chart(&mut svg, &Usage::of(&codes), &palette);
        svg
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
    fn bars_are_as_high_as_their_shares() {
        let svg = drawn(&[30, 10]);
        assert!(!svg.contains("log scale"));
        let full = HEIGHT - TOP - BOTTOM;
        assert!(svg.contains(&format!("height=\"{full:.1}\"")));
        assert!(svg.contains(&format!("height=\"{:.1}\"", full / 3.0)));
        assert!(drawn(&[100, 1]).contains("log scale"));
        // A third of the codes has no use: a third of the width.
        let stretch = format!("width=\"{:.1}\"", (WIDTH - LEFT - RIGHT) / 3.0);
        assert!(drawn(&[30, 10, 0]).contains(&format!("{stretch} height=\"{full:.1}\"")));
    }

    #[test]
    fn ticks_are_short() {
        let texts = [0.0, 0.1, 0.25, 0.02, 0.0005, 1e-9].map(tick);
        assert_eq!(texts, ["0", "10%", "25%", "2%", "0.05%", "1e-7%"]);
    }
}
