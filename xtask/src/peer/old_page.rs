//! A page of `docs/numbers` as it was: what another machine measured is kept until this one has measured it.

use std::path::Path;

use crate::files::read_if_there;

/// A page with a line for each case in its table, and below it notes `- DATE (CASE, CASE): MACHINE`.
#[derive(Default)]
pub(super) struct OldPage(String);

/// When and with what cases were measured.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Note {
    /// A date, or date and time.
    pub(super) date: String,
    /// Machine, versions and command.
    pub(super) machine: String,
}

/// Cases by note, the newest first.
#[derive(Default)]
pub(super) struct Notes(Vec<(Note, Vec<String>)>);

impl OldPage {
    /// Reads a page; an empty one if it does not exist.
    pub(super) fn read(path: &Path) -> Result<Self, String> {
        Ok(Self(read_if_there(path)?.unwrap_or_default()))
    }

    /// The line of a case and its note.
    pub(super) fn row(&self, case: &str) -> Option<(&str, Note)> {
        let start = format!("| `{case}` |");
        let line = self.0.lines().find(|line| line.starts_with(&start))?;
        let note = self.0.lines().find_map(|line| {
            let (date, rest) = line.strip_prefix("- ")?.split_once(" (")?;
            let (cases, machine) = rest.split_once("): ")?;
            cases.split(", ").any(|other| other == case).then(|| Note {
                date: date.into(),
                machine: machine.into(),
            })
        });
        Some((line, note?))
    }
}

impl Notes {
    pub(super) fn add(&mut self, note: Note, case: &str) {
        match self.0.iter_mut().find(|(other, _)| *other == note) {
            Some((_, cases)) => cases.push(case.into()),
            None => self.0.push((note, vec![case.into()])),
        }
    }

    /// A list after an empty line, with the days of the dates.
    pub(super) fn text(mut self) -> String {
        self.0.sort_by(|(a, _), (b, _)| b.cmp(a));
        let lines = self.0.iter().map(|(note, cases)| {
            let day = note.date.get(..10).unwrap_or(&note.date);
            format!("\n- {day} ({}): {}\n", cases.join(", "), note.machine)
        });
        lines.collect()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    impl From<&str> for OldPage {
        fn from(text: &str) -> Self {
            Self(text.into())
        }
    }

    fn note(date: &str, machine: &str) -> Note {
        Note {
            date: date.into(),
            machine: machine.into(),
        }
    }

    #[test]
    fn what_is_written_is_read_again() {
        let mut notes = Notes::default();
        notes.add(note("2026-01-01T08:00:00Z", "a CPU; `x (y): z`"), "jpeg");
        notes.add(note("2026-02-01", "a GPU"), "start");
        notes.add(note("2026-01-01T08:00:00Z", "a CPU; `x (y): z`"), "e2e-384");
        let text = notes.text();
        let expected =
            "\n- 2026-02-01 (start): a GPU\n\n- 2026-01-01 (jpeg, e2e-384): a CPU; `x (y): z`\n";
        assert_eq!(text, expected);
        let page = OldPage(format!("| `e2e-384` | 1 |\n| `tokenize` | 2 |\n{text}"));
        let old = note("2026-01-01", "a CPU; `x (y): z`");
        assert_eq!(page.row("e2e-384"), Some(("| `e2e-384` | 1 |", old)));
        assert_eq!(page.row("e2e"), None);
        assert_eq!(page.row("tokenize"), None, "nobody says who measured it");
    }
}
