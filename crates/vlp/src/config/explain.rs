//! The resolved configuration with what each value means and reproduces.

use std::collections::BTreeMap;

use super::RunConfig;
use crate::error::VlpError;

/// The page that describes every key, one table row each: | `key` | tiny | r50 | meaning |.
const PAGE: &str = include_str!("../../configuration.md");

/// (key, meaning) of every row of the page.
fn meanings() -> BTreeMap<&'static str, &'static str> {
    let row = |line: &'static str| {
        let row = line.strip_prefix("| `")?.strip_suffix(" |")?;
        let (key, rest) = row.split_once("` | ")?;
        Some((key, rest.rsplit(" | ").next()?.trim()))
    };
    PAGE.lines().filter_map(row).collect()
}

/// TOML of `config`, a comment above each key. It reads back as the same configuration.
pub fn explain(config: &RunConfig) -> Result<String, VlpError> {
    let text = toml::to_string(config).map_err(|e| VlpError::Config(e.to_string()))?;
    let meanings = meanings();
    let (mut table, mut shown) = (String::new(), String::new());
    for line in text.lines() {
        let header = line.trim_start_matches('[').trim_end_matches(']');
        let key = if line.starts_with('[') {
            table = header.into();
            table.clone()
        } else {
            let name = line.split(" = ").next().unwrap_or_default();
            if table.is_empty() {
                name.into()
            } else {
                format!("{table}.{name}")
            }
        };
        if let Some(meaning) = meanings.get(key.as_str()) {
            shown += &format!("# {meaning}\n");
        }
        shown += line;
        shown.push('\n');
    }
    Ok(shown)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use crate::config::{Sources, preset_names, resolve};

    #[test]
    fn every_value_has_its_meaning_above_it_and_the_text_reads_back() {
        for name in preset_names() {
            let config = resolve(&Sources {
                preset: Some(name.into()),
                ..Sources::default()
            })
            .unwrap();
            let text = explain(&config).unwrap();
            let again: RunConfig = toml::from_str(&text).unwrap();
            assert_eq!(again, config, "{name}");
            let lines: Vec<&str> = text.lines().collect();
            let at = lines
                .iter()
                .position(|l| l.starts_with("heads = "))
                .unwrap();
            assert!(
                lines[at - 1].starts_with("# Attention heads"),
                "{}",
                lines[at - 1]
            );
            // A table that is one value (`kind = ...`) is described at its header.
            let mut described = false;
            for (i, line) in lines
                .iter()
                .enumerate()
                .filter(|(_, l)| !l.starts_with('#'))
            {
                let comment = i > 0 && lines[i - 1].starts_with('#');
                if line.starts_with('[') {
                    described = comment;
                } else if line.contains(" = ") {
                    assert!(
                        comment
                            || described
                            || line.starts_with("rule")
                            || line.starts_with("momentum"),
                        "{name}: {line}"
                    );
                }
            }
        }
    }
}
