//! Line charts of recorded values.

mod scale;
mod series;

use std::fmt::Write;

use serde::{Deserialize, Serialize};

use crate::html::{Esc, fit, text_width};
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
/// Stretches of a curve that the chart tells apart: more than it has pixels across.
const BUCKETS: usize = 600;
/// The line: readable on white and on near-black.
const LINE: &str = "#3f7fdb";
/// Marks of values that are not finite.
const BROKEN: &str = "#d6493a";

/// A line chart as SVG, 360x200 units: the recorded values as a thin line, their exponential moving
/// average as a thick one, the first and last value beside the name.
///
/// The result stands alone or inline in HTML; text and axes take the surrounding text colour.
/// Any number of points gives at most 600 stretches with their lowest and highest value.
///
/// ```
/// use vlp_draw::{Curve, curve_svg};
///
/// let points = (0..1000).map(|step| (f64::from(step), 4.0 / (1.0 + f64::from(step)))).collect();
/// let svg = curve_svg(&Curve { name: "masked words".into(), unit: "nats".into(), points });
/// assert!(svg.starts_with("<svg") && svg.contains("masked words"));
/// ```
#[must_use]
pub fn curve_svg(curve: &Curve) -> String {
    // A file of its own is only an SVG with the namespace; inline in HTML it is not needed.
    draw(curve).replacen("<svg ", "<svg xmlns=\"http://www.w3.org/2000/svg\" ", 1)
}

/// The chart without the XML namespace.
pub(crate) fn draw(curve: &Curve) -> String {
    let series = Series::new(&curve.points);
    let mut svg = String::new();
    // Writing to a String cannot fail.
    let _ = write!(
        svg,
        "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" font-family=\"system-ui, -apple-system, 'Segoe UI', \
         Roboto, Helvetica, Arial, sans-serif\" font-size=\"11\" fill=\"currentColor\"><title>{}</title>",
        Esc(&curve.name)
    );
    header(&mut svg, curve, &series);
    match series.ranges() {
        None => {
            let why = if curve.points.is_empty() {
                "nothing recorded"
            } else {
                "no finite value"
            };
            let (x, y) = (
                LEFT + (WIDTH - LEFT - RIGHT) / 2.0,
                TOP + (HEIGHT - TOP - BOTTOM) / 2.0,
            );
            let _ = write!(
                svg,
                "<text x=\"{x}\" y=\"{y}\" text-anchor=\"middle\" opacity=\".6\">{why}</text>"
            );
        }
        Some((steps, values)) => {
            let plot = Plot {
                x: Scale::over(steps.0, steps.1),
                y: heights(values.0, values.1),
            };
            plot.axes(&mut svg);
            plot.lines(&mut svg, &series);
        }
    }
    svg.push_str("</svg>");
    svg
}

/// The axis of values: from 0 where that costs little height, with some air otherwise.
fn heights(lo: f64, hi: f64) -> Scale {
    if lo >= 0.0 && lo < hi * 0.4 {
        return Scale::over(0.0, hi);
    }
    // In halves, as the difference of two finite numbers may overflow.
    let air = (hi / 2.0 - lo / 2.0) * 0.08;
    Scale::over((lo - air).max(f64::MIN), (hi + air).min(f64::MAX))
}

/// Name on the left; first and last value, unit and broken values on the right.
fn header(svg: &mut String, curve: &Curve, series: &Series) {
    let mut right = match series.ends() {
        Some((first, last)) if curve.points.len() > 1 => {
            format!("{} → {}", short(first), short(last))
        }
        Some((only, _)) => short(only),
        None => String::new(),
    };
    if !curve.unit.is_empty() && !right.is_empty() {
        right = format!("{right} {}", fit(&curve.unit, 14.0));
    }
    // A bold face is about a seventh wider.
    let room = WIDTH - RIGHT - 16.0 - 12.0 * text_width(&right);
    let name = fit(&curve.name, room / (13.0 * 1.15));
    let _ = write!(
        svg,
        "<text x=\"4\" y=\"16\" font-size=\"13\" font-weight=\"600\">{}</text>\
         <text x=\"{}\" y=\"16\" text-anchor=\"end\" font-size=\"12\">{}</text>",
        Esc(&name),
        WIDTH - RIGHT,
        Esc(&right)
    );
    if series.not_finite > 0 {
        let noun = if series.not_finite == 1 {
            "value"
        } else {
            "values"
        };
        let _ = write!(
            svg,
            "<text x=\"{}\" y=\"29\" text-anchor=\"end\" font-size=\"10\" fill=\"{BROKEN}\">{} {noun} not finite</text>",
            WIDTH - RIGHT,
            series.not_finite
        );
    }
}

struct Plot {
    x: Scale,
    y: Scale,
}

impl Plot {
    fn px(&self, step: f64) -> f64 {
        LEFT + self.x.place(step) * (WIDTH - LEFT - RIGHT)
    }

    fn py(&self, value: f64) -> f64 {
        HEIGHT - BOTTOM - self.y.place(value) * (HEIGHT - TOP - BOTTOM)
    }

    fn axes(&self, svg: &mut String) {
        let (bottom, right) = (HEIGHT - BOTTOM, WIDTH - RIGHT);
        for (value, label) in self.y.ticks(6) {
            let y = self.py(value);
            let _ = write!(
                svg,
                "<path d=\"M{LEFT} {y:.1}H{right}\" stroke=\"currentColor\" stroke-opacity=\".12\"/>\
                 <text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\" font-size=\"10\" opacity=\".65\">{label}</text>",
                LEFT - 6.0,
                y + 3.5
            );
        }
        let _ = write!(
            svg,
            "<path d=\"M{LEFT} {bottom}H{right}\" stroke=\"currentColor\" stroke-opacity=\".45\" fill=\"none\"/>"
        );
        for (step, label) in self.x.ticks(5) {
            let x = self.px(step);
            // A label centred at the right end would be cut off.
            let half = text_width(&label) * 5.0;
            let at = x.min(WIDTH - 2.0 - half);
            let _ = write!(
                svg,
                "<path d=\"M{x:.1} {bottom}v4\" stroke=\"currentColor\" stroke-opacity=\".45\"/>\
                 <text x=\"{at:.1}\" y=\"{}\" text-anchor=\"middle\" font-size=\"10\" opacity=\".65\">{label}</text>",
                bottom + 16.0
            );
        }
    }

    fn lines(&self, svg: &mut String, series: &Series) {
        let buckets = series.buckets(BUCKETS);
        let thin = series.span > 1;
        let (width, opacity) = if thin { (1.0, 0.35) } else { (1.8, 1.0) };
        self.line(svg, &buckets, width, opacity, |bucket| bucket.raw.clone());
        if thin {
            self.line(svg, &buckets, 2.2, 1.0, |bucket| {
                bucket.smooth.into_iter().collect()
            });
        }
        for step in buckets.iter().filter_map(|bucket| bucket.broken) {
            let (x, y) = (self.px(step), HEIGHT - BOTTOM);
            let _ = write!(
                svg,
                "<path d=\"M{x:.1} {y}v-7\" stroke=\"{BROKEN}\" stroke-width=\"1.5\"/>"
            );
        }
    }

    /// One line, interrupted at buckets without points; a lone point becomes a dot.
    fn line(
        &self,
        svg: &mut String,
        buckets: &[Bucket],
        width: f64,
        opacity: f64,
        points: impl Fn(&Bucket) -> Vec<(f64, f64)>,
    ) {
        let (mut path, mut dots) = (String::new(), String::new());
        let shown: Vec<_> = buckets.iter().map(points).collect();
        for stretch in shown
            .split(Vec::is_empty)
            .filter(|stretch| !stretch.is_empty())
        {
            let points: Vec<_> = stretch.iter().flatten().collect();
            if let [(step, value)] = points[..] {
                let (x, y) = (self.px(*step), self.py(*value));
                let _ = write!(
                    dots,
                    "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{:.1}\" fill=\"{LINE}\"/>",
                    width + 1.0
                );
                continue;
            }
            for (i, (step, value)) in points.iter().enumerate() {
                let letter = if i == 0 { 'M' } else { 'L' };
                let _ = write!(path, "{letter}{:.1} {:.1}", self.px(*step), self.py(*value));
            }
        }
        let _ = write!(svg, "<g opacity=\"{opacity}\">");
        if !path.is_empty() {
            let _ = write!(
                svg,
                "<path d=\"{path}\" fill=\"none\" stroke=\"{LINE}\" stroke-width=\"{width}\" stroke-linejoin=\"round\" \
                 stroke-linecap=\"round\"/>"
            );
        }
        let _ = write!(svg, "{dots}</g>");
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
    fn first_and_last_value_are_printed() {
        assert!(chart(&[4.0, 3.0, 0.5]).contains("4 → 0.5 nats"));
        assert!(chart(&[4.0]).contains(">4 nats<"));
    }

    #[test]
    fn short_curves_are_drawn() {
        assert!(chart(&[]).contains("nothing recorded"));
        assert!(chart(&[f64::NAN]).contains("no finite value"));
        assert!(chart(&[4.0]).contains("<circle"));
        assert!(!chart(&[4.0, 4.0]).contains("<circle"));
    }

    #[test]
    fn gaps_interrupt_the_line() {
        let svg = chart(&[1.0, 2.0, f64::NAN, 3.0, 4.0, f64::INFINITY, 5.0]);
        assert!(svg.contains("2 values not finite"));
        assert_eq!(svg.matches(BROKEN).count(), 3, "two marks and the count");
        assert!(svg.contains("<circle"), "the last value stands alone");
        assert!(!svg.contains("NaN") && !svg.contains("inf"));
    }

    #[test]
    fn long_curves_stay_small() {
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
        assert!(top >= 1, "the lone peak reaches the top of the plot");
    }

    #[test]
    fn the_ends_of_floating_point_are_drawn() {
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
