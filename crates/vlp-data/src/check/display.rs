use std::fmt;

use super::{Bin, CheckReport, Count, Spread};

/// Faults, classes, answers and groups shown; the report has more.
const SHOWN: usize = 20;
/// Characters of the longest bar.
const BAR: u64 = 30;

impl fmt::Display for CheckReport {
    /// Tables for a terminal: counts, faults, histograms.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: {} samples of {} images",
            self.source, self.samples, self.images
        )?;
        write!(f, ", {} captions", self.captions)?;
        if let Some(boxes) = self.boxes {
            write!(f, ", {boxes} boxes")?;
        }
        writeln!(
            f,
            "{}",
            if self.decoded {
                ""
            } else {
                "; pictures not decoded"
            }
        )?;
        self.faults(f)?;
        self.twice(f)?;
        let spreads = [
            ("captions a sample", &self.captions_per_sample),
            ("words a caption", &self.caption_words),
            ("boxes a sample", &self.boxes_per_sample),
            ("width", &self.width),
            ("height", &self.height),
            ("width / height", &self.aspect),
        ];
        let spreads = || spreads.iter().filter(|(_, spread)| spread.count > 0);
        if spreads().count() > 0 {
            write!(f, "\n{:<18}{:>9}", "", "mean")?;
            for percent in Spread::PERCENTS {
                write!(f, "{:>9}", format!("{percent} %"))?;
            }
            writeln!(f)?;
        }
        for (name, spread) in spreads() {
            write!(f, "{name:<18}{:>9.2}", spread.mean)?;
            for value in &spread.percentiles {
                write!(f, "{:>9}", short(*value))?;
            }
            writeln!(f)?;
        }
        for (name, spread) in spreads() {
            histogram(f, name, &spread.bins)?;
        }
        counts(f, "labels", &self.labels, self.labels.len())?;
        counts(f, "answers", &self.answers, self.different_answers)?;
        counts(f, "classes", &self.classes, self.classes.len())?;
        counts(f, "attributes", &self.attributes, self.attributes.len())
    }
}

impl CheckReport {
    fn faults(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.fault_count() == 0 {
            return writeln!(f, "no faults");
        }
        writeln!(f, "\nfaults: {}", self.fault_count())?;
        for (kind, count) in &self.fault_counts {
            writeln!(f, "{count:>9}  {}", kind.words())?;
        }
        for found in self.faults.iter().take(SHOWN) {
            let fault = &found.fault;
            let file = if fault.file.is_empty() {
                &fault.source
            } else {
                &fault.file
            };
            writeln!(f, "  {file}: {}: {}", fault.record, fault.reason)?;
        }
        let more = self.fault_count().saturating_sub(SHOWN as u64);
        if more > 0 {
            writeln!(f, "  and {more} more")?;
        }
        Ok(())
    }

    fn twice(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let duplicates = &self.duplicates;
        if duplicates.images > 0 {
            writeln!(
                f,
                "\nimages with the pixels of another one: {}",
                duplicates.images
            )?;
            for group in duplicates.groups.iter().take(SHOWN) {
                let numbers: Vec<String> = group.iter().take(8).map(usize::to_string).collect();
                let more = if group.len() > 8 { ", ..." } else { "" };
                writeln!(f, "  samples {}{more}", numbers.join(", "))?;
            }
            rest(f, duplicates.groups.len(), "groups")?;
        }
        let Some(overlap) = &self.overlap else {
            return Ok(());
        };
        writeln!(
            f,
            "\nin common with {}: {} image keys, {} pictures",
            overlap.other, overlap.keys, overlap.pixels
        )?;
        for (what, pairs) in [("key", &overlap.by_key), ("pixels", &overlap.by_pixels)] {
            for (ours, theirs) in pairs.iter().take(SHOWN) {
                writeln!(f, "  the same {what}: sample {ours}, there {theirs}")?;
            }
            rest(f, pairs.len(), "pairs")?;
        }
        if overlap.unreadable > 0 {
            writeln!(
                f,
                "  not compared: {} unreadable images",
                overlap.unreadable
            )?;
        }
        Ok(())
    }
}

fn rest(f: &mut fmt::Formatter<'_>, len: usize, what: &str) -> fmt::Result {
    if len > SHOWN {
        writeln!(f, "  and {} more {what}", len - SHOWN)?;
    }
    Ok(())
}

fn counts(f: &mut fmt::Formatter<'_>, name: &str, counts: &[Count], all: usize) -> fmt::Result {
    if counts.is_empty() {
        return Ok(());
    }
    writeln!(f, "\n{name}: {all}")?;
    let most = counts.iter().map(|count| count.count).max();
    for count in counts.iter().take(SHOWN) {
        // A text of the data may hold what moves a terminal's cursor.
        let name: String = count.name.escape_debug().take(30).collect();
        bar(f, &name, count.count, most.unwrap_or_default())?;
    }
    rest(f, all.min(counts.len()), name)
}

fn histogram(f: &mut fmt::Formatter<'_>, name: &str, bins: &[Bin]) -> fmt::Result {
    writeln!(f, "\n{name}")?;
    let most = bins.iter().map(|bin| bin.count).max().unwrap_or_default();
    for bin in bins {
        let range = if bin.from == bin.to {
            short(bin.from)
        } else {
            format!("{} - {}", short(bin.from), short(bin.to))
        };
        bar(f, &range, bin.count, most)?;
    }
    Ok(())
}

fn bar(f: &mut fmt::Formatter<'_>, name: &str, count: u64, most: u64) -> fmt::Result {
    // Rounded up: what occurs can be seen.
    let length = (count * BAR).div_ceil(most.max(1)) as usize;
    writeln!(f, "  {name:<30}{count:>9}  {}", "#".repeat(length))
}

/// A whole number as it is, another with two digits after the point.
fn short(value: f64) -> String {
    if value.fract() == 0.0 {
        format!("{value}")
    } else {
        format!("{value:.2}")
    }
}
