//! The resolved configuration with a description of every key.

use std::collections::BTreeMap;

use super::RunConfig;
use crate::error::VlpError;

/// The page that describes every key in a table row: | `key` | tiny | r50 | soho-tiny | meaning |.
const PAGE: &str = include_str!("../../configuration.md");

/// Key and meaning of every row of the page.
fn meanings() -> BTreeMap<&'static str, &'static str> {
    let row = |line: &'static str| {
        let row = line.strip_prefix("| `")?.strip_suffix(" |")?;
        let (key, cells) = row.split_once("` | ")?;
        Some((key, cells.rsplit(" | ").next()?.trim()))
    };
    PAGE.lines().filter_map(row).collect()
}

/// The configuration as TOML with a comment above each key. It parses to the same configuration.
///
/// # Errors
/// [`VlpError::Config`] if the configuration cannot be written as TOML.
pub fn explain(config: &RunConfig) -> Result<String, VlpError> {
    let text = toml::to_string(config).map_err(|e| VlpError::Config(e.to_string()))?;
    let meanings = meanings();
    let (mut table, mut explained) = (String::new(), String::new());
    for line in text.lines() {
        let key = if line.starts_with('[') {
            table = line.trim_matches(['[', ']']).into();
            table.clone()
        } else {
            let name = line.split(" = ").next().unwrap_or_default();
            match table.as_str() {
                "" => name.into(),
                table => format!("{table}.{name}"),
            }
        };
        if let Some(meaning) = meanings.get(key.as_str()) {
            explained += &format!("# {meaning}\n");
        }
        explained += line;
        explained.push('\n');
    }
    Ok(explained)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use crate::config::{Sources, preset_names, resolve};

    #[test]
    fn every_key_of_the_presets_is_described_and_the_text_parses_to_the_same_configuration() {
        for name in preset_names() {
            let config = resolve(&Sources {
                preset: Some(name.into()),
                ..Sources::default()
            })
            .unwrap();
            let text = explain(&config).unwrap();
            let reread: RunConfig = toml::from_str(&text).unwrap();
            assert_eq!(reread, config, "{name}");
            let lines: Vec<&str> = text.lines().collect();
            // Keys of a tagged table are described at its header.
            let mut in_described_table = false;
            for (i, line) in lines.iter().enumerate() {
                let described = i > 0 && lines[i - 1].starts_with('#');
                if line.starts_with('[') {
                    in_described_table = described;
                } else if line.contains(" = ") && !line.starts_with('#') {
                    let rule = ["rule = ", "momentum = "];
                    let rule = rule.iter().any(|key| line.starts_with(key));
                    assert!(described || in_described_table || rule, "{name}: {line}");
                }
            }
        }
    }
}
