use std::fmt;

use super::{
    distribution::{Distribution, HistogramBin},
    report::{CheckReport, Count},
};

/// Number of issues, classes, answers and groups shown; the report has more.
const SHOWN: usize = 20;
/// Length of the longest bar in characters.
const BAR: u64 = 30;

impl fmt::Display for CheckReport {
    /// Plain-text tables: counts, issues, percentiles, histograms.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: {} samples of {} images, {} captions",
            self.source, self.samples, self.images, self.captions
        )?;
        if let Some(boxes) = self.boxes {
            write!(f, ", {boxes} boxes")?;
        }
        let not_decoded = "; images not decoded";
        writeln!(f, "{}", if self.decoded { "" } else { not_decoded })?;
        self.fmt_issues(f)?;
        self.fmt_duplicates(f)?;
        self.fmt_overlap(f)?;
        let distributions = [
            ("captions per sample", &self.captions_per_sample),
            ("words per caption", &self.caption_words),
            ("boxes per sample", &self.boxes_per_sample),
            ("width", &self.width),
            ("height", &self.height),
            ("width / height", &self.aspect),
        ];
        let distributions = || distributions.iter().filter(|(_, d)| d.count > 0);
        if distributions().count() > 0 {
            write!(f, "\n{:<20}{:>9}", "", "mean")?;
            for percent in Distribution::PERCENTS {
                write!(f, "{:>9}", format!("{percent} %"))?;
            }
            writeln!(f)?;
        }
        for (name, distribution) in distributions() {
            write!(f, "{name:<20}{:>9.2}", distribution.mean)?;
            for value in &distribution.percentiles {
                write!(f, "{:>9}", format_number(*value))?;
            }
            writeln!(f)?;
        }
        for (name, distribution) in distributions() {
            fmt_histogram(f, name, &distribution.bins)?;
        }
        fmt_counts(f, "labels", &self.labels, self.labels.len())?;
        fmt_counts(f, "answers", &self.answers, self.different_answers)?;
        fmt_counts(f, "classes", &self.classes, self.classes.len())?;
        fmt_counts(f, "attributes", &self.attributes, self.attributes.len())
    }
}

impl CheckReport {
    fn fmt_issues(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.issue_count() == 0 {
            return writeln!(f, "no issues");
        }
        writeln!(f, "\nissues: {}", self.issue_count())?;
        for (kind, count) in &self.issue_counts {
            writeln!(f, "{count:>9}  {}", kind.description())?;
        }
        for issue in self.issues.iter().take(SHOWN) {
            writeln!(f, "  {issue}")?;
        }
        let more = self.issue_count().saturating_sub(SHOWN as u64);
        if more > 0 {
            writeln!(f, "  and {more} more")?;
        }
        Ok(())
    }

    fn fmt_duplicates(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let duplicates = &self.duplicates;
        if duplicates.images == 0 {
            return Ok(());
        }
        writeln!(f, "\nduplicate images: {}", duplicates.images)?;
        for group in duplicates.groups.iter().take(SHOWN) {
            let indices: Vec<String> = group.iter().take(8).map(usize::to_string).collect();
            let more = if group.len() > 8 { ", ..." } else { "" };
            writeln!(f, "  samples {}{more}", indices.join(", "))?;
        }
        fmt_rest(f, duplicates.groups.len(), "groups")
    }

    fn fmt_overlap(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(overlap) = &self.overlap else {
            return Ok(());
        };
        writeln!(
            f,
            "\nshared with {}: {} images by id, {} by pixels",
            overlap.other, overlap.keys, overlap.pixels
        )?;
        let compared = match self.decoded {
            true => "the pixels of all images",
            false => "files of equal image ids; others are found only by decoding them",
        };
        writeln!(f, "  compared: {compared}")?;
        if overlap.different_images > 0 {
            let count = overlap.different_images;
            writeln!(f, "  not shared: {count} image ids of different images")?;
        }
        for (what, pairs) in [
            ("image id", &overlap.by_key),
            ("pixels", &overlap.by_pixels),
        ] {
            for (index, other_index) in pairs.iter().take(SHOWN) {
                writeln!(f, "  same {what}: samples {index} and {other_index}")?;
            }
            fmt_rest(f, pairs.len(), "pairs")?;
        }
        if overlap.unreadable > 0 {
            let unreadable = overlap.unreadable;
            writeln!(f, "  not compared: {unreadable} unreadable images")?;
        }
        Ok(())
    }
}

fn fmt_rest(f: &mut fmt::Formatter<'_>, len: usize, what: &str) -> fmt::Result {
    if len > SHOWN {
        writeln!(f, "  and {} more {what}", len - SHOWN)?;
    }
    Ok(())
}

fn fmt_counts(
    f: &mut fmt::Formatter<'_>,
    title: &str,
    counts: &[Count],
    total: usize,
) -> fmt::Result {
    if counts.is_empty() {
        return Ok(());
    }
    writeln!(f, "\n{title}: {total}")?;
    let max = counts.iter().map(|count| count.count).max();
    for count in counts.iter().take(SHOWN) {
        // Names come from data files and may contain terminal control characters.
        let name: String = count.name.escape_debug().take(30).collect();
        fmt_bar(f, &name, count.count, max.unwrap_or_default())?;
    }
    fmt_rest(f, total.min(counts.len()), title)
}

fn fmt_histogram(f: &mut fmt::Formatter<'_>, title: &str, bins: &[HistogramBin]) -> fmt::Result {
    writeln!(f, "\n{title}")?;
    let max = bins.iter().map(|bin| bin.count).max().unwrap_or_default();
    for bin in bins {
        let range = if bin.from == bin.to {
            format_number(bin.from)
        } else {
            format!("{} - {}", format_number(bin.from), format_number(bin.to))
        };
        fmt_bar(f, &range, bin.count, max)?;
    }
    Ok(())
}

fn fmt_bar(f: &mut fmt::Formatter<'_>, name: &str, count: u64, max: u64) -> fmt::Result {
    // Rounded up, so that every count above 0 is visible.
    let length = (count * BAR).div_ceil(max.max(1)) as usize;
    writeln!(f, "  {name:<30}{count:>9}  {}", "#".repeat(length))
}

/// An integer without decimals, any other number with two.
fn format_number(value: f64) -> String {
    if value.fract() == 0.0 {
        format!("{value}")
    } else {
        format!("{value:.2}")
    }
}
