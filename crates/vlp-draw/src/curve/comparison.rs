//! Several curves in one chart.

use maud::{Markup, html};

use super::series::Series;
use super::{Curve, HEIGHT, Plot, RIGHT, Scale, WIDTH, short, value_axis};
use crate::layout::printable;
use crate::svg::{FONT_FAMILY, Px, truncate};

/// Colors of the lines (Okabe and Ito): told apart by people with color vision deficiencies too.
const COLORS: [&str; 7] = [
    "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#222222",
];
/// Dashes of the lines, one kind for each time the colors are used.
const DASHES: [&str; 3] = ["none", "6 3", "2 3"];
/// Height of a line of the legend.
const LEGEND: f64 = 16.0;
/// Space above the legend.
const GAP: f64 = 8.0;

/// Lines of several curves in one chart, with a legend below that has the last value of each; a complete SVG file on white.
///
/// Points are joined as they are, without smoothing; values that are not finite are left out.
///
/// ```
/// use vlp_draw::{Curve, comparison_svg};
///
/// let curve = |name: &str, last| Curve {
///     name: name.into(),
///     points: vec![(0.0, 0.1), (100.0, last)],
///     ..Curve::default()
/// };
/// let svg = comparison_svg("vqa/accuracy", &[curve("with", 0.7), curve("without", 0.6)]);
/// assert!(svg.starts_with("<svg") && svg.contains("without"));
/// ```
#[must_use]
pub fn comparison_svg(name: &str, curves: &[Curve]) -> String {
    let series: Vec<Series> = curves
        .iter()
        .map(|curve| {
            let finite = |point: &&(f64, f64)| point.1.is_finite();
            let points: Vec<_> = curve.points.iter().filter(finite).copied().collect();
            Series::new(&points)
        })
        .collect();
    let height = HEIGHT + GAP + LEGEND * curves.len() as f64;
    let plot = plot(&series);
    let chart = html! {
        svg xmlns="http://www.w3.org/2000/svg" viewBox={ "0 0 " (WIDTH) " " (height) } role="img" font-family=(FONT_FAMILY)
            font-size="11" fill="#222" color="#222" {
            title { (name) }
            rect width=(WIDTH) height=(height) fill="#fff" {}
            text x="4" y="16" font-size="13" font-weight="600" { (truncate(name, (WIDTH - RIGHT) / (13.0 * 1.15))) }
            @if let Some(plot) = &plot {
                (plot.axes())
                @for (at, series) in series.iter().enumerate() { (line(plot, series, at)) }
            }
            @for (at, (curve, series)) in curves.iter().zip(&series).enumerate() { (legend(curve, series, at)) }
        }
    };
    printable(chart)
}

/// The axes over all curves; `None` without any finite value.
fn plot(series: &[Series]) -> Option<Plot> {
    let ranges = series.iter().filter_map(Series::ranges);
    let ((first, last), (lo, hi)) =
        ranges.reduce(|(steps, values), (more_steps, more_values)| {
            let wider = |a: (f64, f64), b: (f64, f64)| (a.0.min(b.0), a.1.max(b.1));
            (wider(steps, more_steps), wider(values, more_values))
        })?;
    Some(Plot {
        x: Scale::new(first, last),
        y: value_axis(lo, hi),
    })
}

fn color(at: usize) -> &'static str {
    COLORS[at % COLORS.len()]
}

fn dashes(at: usize) -> &'static str {
    DASHES[at / COLORS.len() % DASHES.len()]
}

fn line(plot: &Plot, series: &Series, at: usize) -> Markup {
    let mut path = String::new();
    for (index, (step, value)) in series.points().iter().enumerate() {
        let command = if index == 0 { 'M' } else { 'L' };
        path += &format!("{command}{:.1} {:.1}", plot.x(*step), plot.y(*value));
    }
    html! {
        @match series.points() {
            [] => {}
            [(step, value)] => {
                circle cx=(Px(plot.x(*step))) cy=(Px(plot.y(*value))) r="3" fill=(color(at)) {}
            }
            _ => {
                path d=(path) fill="none" stroke=(color(at)) stroke-dasharray=(dashes(at)) stroke-width="1.8"
                    stroke-linejoin="round" {}
            }
        }
    }
}

fn legend(curve: &Curve, series: &Series, at: usize) -> Markup {
    let y = HEIGHT + GAP + LEGEND * (at as f64 + 0.3);
    let last = series.first_and_last().map(|(_, last)| short(last));
    let name = truncate(&curve.name, (WIDTH - 110.0) / 11.0);
    html! {
        path d={ "M6 " (Px(y)) "H34" } fill="none" stroke=(color(at)) stroke-dasharray=(dashes(at)) stroke-width="2.4" {}
        text x="42" y=(Px(y + 4.0)) { (name) }
        text x=(WIDTH - RIGHT) y=(Px(y + 4.0)) text-anchor="end" { (last.unwrap_or_default()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn curve(name: &str, values: &[f64]) -> Curve {
        let points = values.iter().enumerate();
        Curve {
            name: name.into(),
            points: points.map(|(step, value)| (step as f64, *value)).collect(),
            ..Curve::default()
        }
    }

    #[test]
    fn every_curve_has_a_line_and_a_place_in_the_legend() {
        let names: Vec<String> = (0..9).map(|n| format!("curve {n}")).collect();
        let curves: Vec<Curve> = names.iter().map(|n| curve(n, &[0.1, 0.5, 0.45])).collect();
        let svg = comparison_svg("accuracy", &curves);
        assert!(names.iter().all(|name| svg.contains(&format!(">{name}<"))));
        // Ticks have one decimal: none is called so.
        assert_eq!(svg.matches(">0.45<").count(), 9);
        // The eighth has the first color, dashed: its line and its place in the legend.
        assert_eq!(
            svg.matches("stroke=\"#0072b2\" stroke-dasharray=\"6 3\"")
                .count(),
            2
        );
    }

    #[test]
    fn curves_without_values_and_single_points_are_drawn() {
        let svg = comparison_svg(
            "a",
            &[
                curve("none", &[]),
                curve("one", &[0.5]),
                curve("nan", &[f64::NAN]),
            ],
        );
        assert_eq!(svg.matches("<circle").count(), 1);
        assert!(!svg.contains("NaN") && svg.contains(">nan<"));
        assert!(comparison_svg("a", &[]).starts_with("<svg"));
    }
}
