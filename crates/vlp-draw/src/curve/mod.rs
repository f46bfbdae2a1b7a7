//! Line charts of recorded values.

mod comparison;
mod scale;
mod series;

use maud::{Markup, html};
use serde::{Deserialize, Serialize};

use crate::layout::printable;
use crate::svg::{FONT_FAMILY, Px, text_width, truncate};
pub use comparison::comparison_svg;
pub(crate) use scale::{Scale, short};
use series::{Bucket, Series};

/// Values recorded over training.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Curve {
    /// Name above the chart.
    pub name: String,
    /// Unit of the values, such as `nats`; may be empty.
    pub unit: String,
    /// Points as (step, value) in any order. Values that are not finite leave gaps, which the chart
    /// marks and counts.
    pub points: Vec<(f64, f64)>,
}

const WIDTH: f64 = 360.0;
const HEIGHT: f64 = 200.0;
const LEFT: f64 = 46.0;
const RIGHT: f64 = 10.0;
const TOP: f64 = 36.0;
const BOTTOM: f64 = 26.0;
/// Maximal number of buckets of a curve: more than the chart is wide in pixels.
const MAX_BUCKETS: usize = 600;
/// Color of the line: readable on white and on near-black.
const LINE_COLOR: &str = "#3f7fdb";
/// Color of the marks of values that are not finite.
const GAP_COLOR: &str = "#d6493a";

/// A line chart as SVG, 360x200 units: the recorded values as a thin line, their exponential moving
/// average as a thick one, the first and last value next to the name.
///
/// The result is a complete SVG file and can also be embedded in HTML; text and axes have the surrounding text
/// color. However many points there are, at most 600 buckets with their lowest and highest value are drawn.
///
/// ```
/// use vlp_draw::{Curve, curve_svg};
///
/// let points = (0..1000).map(|step| (f64::from(step), 4.0 / (1.0 + f64::from(step)))).collect();
/// let svg = curve_svg(&Curve { name: "train/mlm".into(), unit: "nats".into(), points });
/// assert!(svg.starts_with("<svg") && svg.contains("train/mlm"));
/// ```
#[must_use]
pub fn curve_svg(curve: &Curve) -> String {
    printable(chart(curve, Some("http://www.w3.org/2000/svg")))
}

/// The chart for HTML, without the XML namespace.
pub(crate) fn inline_curve(curve: &Curve) -> Markup {
    chart(curve, None)
}

fn chart(curve: &Curve, xmlns: Option<&str>) -> Markup {
    let series = Series::new(&curve.points);
    html! {
        svg xmlns=[xmlns] viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } role="img" font-family=(FONT_FAMILY) font-size="11"
            fill="currentColor" {
            title { (curve.name) }
            (header(curve, &series))
            @match series.ranges() {
                None => (empty_plot(curve)),
                Some((steps, values)) => {
                    @let plot = Plot { x: Scale::new(steps.0, steps.1), y: value_axis(values.0, values.1) };
                    (plot.axes())
                    (plot.lines(&series))
                }
            }
        }
    }
}

fn empty_plot(curve: &Curve) -> Markup {
    let x = LEFT + (WIDTH - LEFT - RIGHT) / 2.0;
    let y = TOP + (HEIGHT - TOP - BOTTOM) / 2.0;
    html! {
        text x=(x) y=(y) text-anchor="middle" opacity=".6" {
            @if curve.points.is_empty() { "nothing recorded" } @else { "no finite value" }
        }
    }
}

/// The axis of values: from 0 if that takes little of the height, with a margin otherwise.
fn value_axis(lo: f64, hi: f64) -> Scale {
    if lo >= 0.0 && lo < hi * 0.4 {
        return Scale::new(0.0, hi);
    }
    // In halves, as the difference of two finite numbers may overflow.
    let margin = (hi / 2.0 - lo / 2.0) * 0.08;
    Scale::new((lo - margin).max(f64::MIN), (hi + margin).min(f64::MAX))
}

/// Name on the left; first and last value, unit and number of gaps on the right.
fn header(curve: &Curve, series: &Series) -> Markup {
    let mut values = match series.first_and_last() {
        Some((first, last)) if curve.points.len() > 1 => {
            format!("{} → {}", short(first), short(last))
        }
        Some((only, _)) => short(only),
        None => String::new(),
    };
    if !curve.unit.is_empty() && !values.is_empty() {
        values = format!("{values} {}", truncate(&curve.unit, 14.0));
    }
    let name_width = WIDTH - RIGHT - 16.0 - 12.0 * text_width(&values);
    // Bold text is about a seventh wider.
    let name = truncate(&curve.name, name_width / (13.0 * 1.15));
    let right = WIDTH - RIGHT;
    let noun = if series.not_finite == 1 {
        "value"
    } else {
        "values"
    };
    html! {
        text x="4" y="16" font-size="13" font-weight="600" { (name) }
        text x=(right) y="16" text-anchor="end" font-size="12" { (values) }
        @if series.not_finite > 0 {
            text x=(right) y="29" text-anchor="end" font-size="10" fill=(GAP_COLOR) {
                (series.not_finite) " " (noun) " not finite"
            }
        }
    }
}

struct Plot {
    x: Scale,
    y: Scale,
}

impl Plot {
    fn x(&self, step: f64) -> f64 {
        LEFT + self.x.position(step) * (WIDTH - LEFT - RIGHT)
    }

    fn y(&self, value: f64) -> f64 {
        HEIGHT - BOTTOM - self.y.position(value) * (HEIGHT - TOP - BOTTOM)
    }

    fn axes(&self) -> Markup {
        let (bottom, right) = (HEIGHT - BOTTOM, WIDTH - RIGHT);
        // A label centered at the right end would be cut off.
        let label_x = |x: f64, label: &str| x.min(WIDTH - 2.0 - text_width(label) * 5.0);
        html! {
            @for (value, label) in self.y.ticks(6) {
                @let y = self.y(value);
                path d={ "M" (LEFT) " " (Px(y)) "H" (right) } stroke="currentColor" stroke-opacity=".12" {}
                text x=(LEFT - 6.0) y=(Px(y + 3.5)) text-anchor="end" font-size="10" opacity=".65" { (label) }
            }
            path d={ "M" (LEFT) " " (bottom) "H" (right) } stroke="currentColor" stroke-opacity=".45" fill="none" {}
            @for (step, label) in self.x.ticks(5) {
                @let x = self.x(step);
                path d={ "M" (Px(x)) " " (bottom) "v4" } stroke="currentColor" stroke-opacity=".45" {}
                text x=(Px(label_x(x, &label))) y=(bottom + 16.0) text-anchor="middle" font-size="10" opacity=".65" {
                    (label)
                }
            }
        }
    }

    fn lines(&self, series: &Series) -> Markup {
        let buckets = series.buckets(MAX_BUCKETS);
        let is_smoothed = series.span > 1;
        let (width, opacity) = if is_smoothed { (1.0, 0.35) } else { (1.8, 1.0) };
        let raw = |bucket: &Bucket| bucket.raw.clone();
        let smooth = |bucket: &Bucket| bucket.smooth.into_iter().collect();
        html! {
            (self.line(&buckets, width, opacity, raw))
            @if is_smoothed { (self.line(&buckets, 2.2, 1.0, smooth)) }
            @for step in buckets.iter().filter_map(|bucket| bucket.gap) {
                path d={ "M" (Px(self.x(step))) " " (HEIGHT - BOTTOM) "v-7" } stroke=(GAP_COLOR) stroke-width="1.5" {}
            }
        }
    }

    /// One line, interrupted at buckets without points; a single point is drawn as a dot.
    fn line(
        &self,
        buckets: &[Bucket],
        width: f64,
        opacity: f64,
        points: impl Fn(&Bucket) -> Vec<(f64, f64)>,
    ) -> Markup {
        let (mut path, mut dots) = (String::new(), Vec::new());
        let bucket_points: Vec<_> = buckets.iter().map(points).collect();
        for stretch in bucket_points.split(Vec::is_empty) {
            let points: Vec<_> = stretch.iter().flatten().collect();
            if let [point] = points[..] {
                dots.push(point);
                continue;
            }
            for (i, (step, value)) in points.iter().enumerate() {
                let command = if i == 0 { 'M' } else { 'L' };
                path += &format!("{command}{:.1} {:.1}", self.x(*step), self.y(*value));
            }
        }
        html! {
            g opacity=(opacity) {
                @if !path.is_empty() {
                    path d=(path) fill="none" stroke=(LINE_COLOR) stroke-width=(width) stroke-linejoin="round"
                        stroke-linecap="round" {}
                }
                @for (step, value) in dots {
                    circle cx=(Px(self.x(*step))) cy=(Px(self.y(*value))) r=(Px(width + 1.0)) fill=(LINE_COLOR) {}
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart(values: &[f64]) -> String {
        let points = values
            .iter()
            .enumerate()
            .map(|(step, value)| (step as f64, *value))
            .collect();
        curve_svg(&Curve {
            name: "loss".into(),
            unit: "nats".into(),
            points,
        })
    }

    #[test]
    fn header_has_first_and_last_value() {
        assert!(chart(&[4.0, 3.0, 0.5]).contains("4 → 0.5 nats"));
        assert!(chart(&[4.0]).contains(">4 nats<"));
    }

    #[test]
    fn empty_and_single_point_curves_are_drawn() {
        assert!(chart(&[]).contains("nothing recorded"));
        assert!(chart(&[f64::NAN]).contains("no finite value"));
        assert!(chart(&[4.0]).contains("<circle"));
        assert!(!chart(&[4.0, 4.0]).contains("<circle"));
    }

    #[test]
    fn gaps_interrupt_the_line() {
        let svg = chart(&[1.0, 2.0, f64::NAN, 3.0, 4.0, f64::INFINITY, 5.0]);
        assert!(svg.contains("2 values not finite"));
        assert_eq!(svg.matches(GAP_COLOR).count(), 3, "two marks and the count");
        assert!(svg.contains("<circle"), "the last value is a dot");
        assert!(!svg.contains("NaN") && !svg.contains("inf"));
    }

    #[test]
    fn size_is_bounded_and_peaks_are_drawn() {
        let values: Vec<f64> = (0..100_000)
            .map(|i| {
                if i == 70_000 {
                    99.0
                } else {
                    (f64::from(i) * 0.1).sin().abs()
                }
            })
            .collect();
        let svg = chart(&values);
        assert!(svg.len() < 40_000, "{} bytes", svg.len());
        let top = svg.matches(&format!(" {TOP:.1}L")).count();
        assert!(top >= 1, "the peak reaches the top of the plot");
    }

    #[test]
    fn extreme_values_are_drawn() {
        for values in [
            [f64::MIN, f64::MAX],
            [f64::MIN_POSITIVE, 0.0],
            [1.0, 1.0 + f64::EPSILON],
        ] {
            let svg = chart(&values);
            assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
        }
    }
}
