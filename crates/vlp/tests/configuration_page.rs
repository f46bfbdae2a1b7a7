//! The configuration page says what the presets are.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::{BTreeMap, BTreeSet};

use toml::Value;
use vlp::RunConfig;
use vlp::config::{ModelConfig, Sources, resolve};

/// Values by path; a tagged table or an array is one value.
fn leaves(path: &str, value: &Value, found: &mut BTreeMap<String, String>) {
    match value {
        Value::Table(inner) if !["kind", "rule"].iter().any(|tag| inner.contains_key(*tag)) => {
            for (key, value) in inner {
                leaves(&format!("{path}.{key}"), value, found);
            }
        }
        _ => {
            let path = path.trim_start_matches('.').to_string();
            let text = match value {
                // Some are held in f32: their shortest form.
                Value::Float(v) if f64::from(*v as f32) == *v => format!("{:?}", *v as f32),
                Value::Float(v) => format!("{v:?}"),
                other => other.to_string(),
            };
            found.insert(path, format!("`{text}`"));
        }
    }
}

fn preset(name: &str) -> RunConfig {
    resolve(&Sources {
        preset: Some(name.into()),
        ..Sources::default()
    })
    .unwrap()
}

#[test]
fn the_configuration_page_has_every_key_with_the_values_of_the_presets() {
    let page = include_str!("../configuration.md");
    let values = ["e2e-vlp-tiny", "e2e-vlp-r50", "soho-tiny"].map(|name| {
        let mut found = BTreeMap::new();
        let table = Value::try_from(preset(name)).unwrap();
        leaves("", &table, &mut found);
        found
    });
    let paths: BTreeSet<&String> = values.iter().flat_map(BTreeMap::keys).collect();
    let rows: Vec<String> = (paths.iter())
        .map(|path| {
            let cells = (values.iter()).map(|all| all.get(*path).map_or("", String::as_str));
            format!("| `{path}` | {} |", cells.collect::<Vec<_>>().join(" | "))
        })
        .collect();
    let missing: Vec<&str> = (rows.iter().map(String::as_str))
        .filter(|row| !page.contains(row))
        .collect();
    assert!(
        missing.is_empty(),
        "rows that configuration.md does not begin with:\n{}",
        missing.join("\n")
    );
    let known = page.lines().filter(|line| line.starts_with("| `")).count();
    assert_eq!(
        known,
        rows.len(),
        "configuration.md has rows of keys that do not exist"
    );
}

#[test]
fn the_larger_presets_differ_in_depth_alone() {
    for (name, depth) in [("e2e-vlp-r101", 101), ("e2e-vlp-r152", 152)] {
        let mut base = preset("e2e-vlp-r50");
        base.preset = name.into();
        let ModelConfig::E2eVlp(model) = &mut base.model else {
            panic!("{name} is another system");
        };
        model.backbone.depth = depth.try_into().unwrap();
        assert_eq!(preset(name), base);
    }
}
