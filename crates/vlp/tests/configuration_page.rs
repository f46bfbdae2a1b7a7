//! `configuration.md` is generated from the doc comments of the configuration's types and from the presets.
//!
//! `VLP_UPDATE=1 cargo test -p vlp --test configuration_page` writes it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;
use std::path::Path;

use toml::Value;
use vlp::RunConfig;
use vlp::config::{ModelConfig, Sources, resolve};

/// The text above this line is written by hand.
const MARKER: &str =
    "<!-- Generated from the doc comments of the configuration's types: edit those. -->";
/// Presets whose values are shown, with the headings of their columns.
const COLUMNS: [(&str, &str); 3] = [
    ("e2e-vlp-tiny", "tiny"),
    ("e2e-vlp-r50", "r50"),
    ("soho-tiny", "soho-tiny"),
];

/// A struct or an enum that is read by serde.
#[derive(Clone, Default)]
struct Item {
    doc: String,
    attributes: String,
    is_enum: bool,
    fields: Vec<Field>,
}

/// A field of a struct, or a variant of an enum.
#[derive(Clone, Default)]
struct Field {
    name: String,
    doc: String,
    attributes: String,
    /// Type of a field, or of a variant's only value.
    of_type: String,
    /// Fields of a variant.
    fields: Vec<String>,
}

/// Adds the public types of a source file, formatted by rustfmt, that derive `Deserialize`.
fn parse_file(text: &str, items: &mut BTreeMap<String, Item>) {
    let (mut doc, mut attributes) = (vec![], String::new());
    let mut in_attribute = false;
    let mut current: Option<(String, Item)> = None;
    for line in text.lines() {
        let trimmed = line.trim();
        if let Some(comment) = trimmed.strip_prefix("///") {
            doc.push(comment.trim());
            continue;
        }
        if trimmed.starts_with("#[") || in_attribute {
            attributes += trimmed;
            in_attribute = !trimmed.ends_with(']');
            continue;
        }
        let indent = line.len() - line.trim_start().len();
        if let Some((_, item)) = &mut current {
            let name: String = (trimmed.trim_start_matches("pub ").chars())
                .take_while(|c| c.is_alphanumeric() || *c == '_')
                .collect();
            if indent == 4 && attributes.contains("#[serde(skip)]") {
                // No key.
            } else if indent == 4 && !name.is_empty() {
                // The list of objectives has `name: Config => Objective`.
                let rest = trimmed.split(" => ").next().unwrap();
                let rest = rest.trim_end_matches([',', '{', ' ']);
                let payload = rest
                    .split_once('(')
                    .map(|(_, inner)| inner.trim_end_matches(')'));
                let of_type = rest
                    .split_once(": ")
                    .map(|(_, of_type)| of_type)
                    .or(payload);
                item.fields.push(Field {
                    name,
                    doc: paragraph(&doc),
                    attributes: attributes.clone(),
                    of_type: of_type.unwrap_or_default().into(),
                    fields: vec![],
                });
            } else if indent == 8 && !name.is_empty() {
                item.fields
                    .last_mut()
                    .into_iter()
                    .for_each(|variant| variant.fields.push(name.clone()));
            } else if line == "}" {
                let (name, item) = current.take().unwrap();
                items.insert(name, item);
            }
        } else if trimmed == "pretrain_objectives! {" {
            current = Some(("ObjectivesConfig".into(), Item::default()));
        } else if let Some(header) = trimmed.strip_suffix(" {")
            && let Some((kind @ ("struct" | "enum"), name)) =
                header.strip_prefix("pub ").and_then(|h| h.split_once(' '))
            && attributes.contains("Deserialize")
        {
            let item = Item {
                doc: paragraph(&doc),
                attributes: attributes.clone(),
                is_enum: kind == "enum",
                fields: vec![],
            };
            current = Some((name.into(), item));
        }
        doc.clear();
        attributes.clear();
    }
}

/// The first paragraph of a doc comment as Markdown without links to items.
fn paragraph(doc: &[&str]) -> String {
    let lines: Vec<&str> = doc
        .iter()
        .copied()
        .take_while(|line| !line.is_empty())
        .collect();
    let mut text = String::new();
    for part in lines.join(" ").split("[`") {
        match part.split_once("`]") {
            Some((link, rest)) if !text.is_empty() || lines[0].starts_with("[`") => {
                let rest = match rest.strip_prefix('(').and_then(|r| r.split_once(')')) {
                    Some((_, after)) => after,
                    None => rest,
                };
                text += &format!("`{link}`{rest}");
            }
            _ => text += part,
        }
    }
    text.replace('|', "\\|")
}

/// The name that serde gives to a variant.
fn serde_name(variant: &Field, item: &Item) -> String {
    if let Some((_, rest)) = variant.attributes.split_once("serde(rename = \"") {
        return rest.split('"').next().unwrap().into();
    }
    let separator = match &item.attributes {
        a if a.contains("rename_all = \"lowercase\"") => "",
        a if a.contains("rename_all = \"kebab-case\"") => "-",
        a if a.contains("rename_all = \"snake_case\"") => "_",
        _ => return variant.name.clone(),
    };
    let mut name = String::new();
    for c in variant.name.chars() {
        if c.is_uppercase() && !name.is_empty() {
            name += separator;
        }
        name.extend(c.to_lowercase());
    }
    name
}

/// What follows the description of a key whose values are variants.
fn variants(item: &Item) -> String {
    let variants = item.fields.iter().map(|variant| {
        let name = serde_name(variant, item);
        let fields: Vec<String> = variant.fields.iter().map(|f| format!("`{f}`")).collect();
        let fields = match fields.is_empty() {
            true => String::new(),
            false => format!(" ({})", fields.join(", ")),
        };
        format!(" `{name}`{fields}: {}", variant.doc)
    });
    variants.collect()
}

/// (key, meaning) of every field below a struct, in the order of the fields.
fn expand(
    path: &str,
    name: &str,
    items: &BTreeMap<String, Item>,
    rows: &mut Vec<(String, String)>,
) {
    for field in &items[name].fields {
        let key = format!("{path}{}", field.name);
        let of_type = field
            .of_type
            .trim_start_matches("Option<")
            .trim_start_matches("Vec<");
        let of_type = of_type.trim_end_matches('>');
        let item = items.get(of_type);
        match item.filter(|item| !item.attributes.contains("try_from")) {
            Some(item) if item.is_enum && item.attributes.contains("tag = \"system\"") => {
                rows.push((
                    format!("{key}.system"),
                    format!("{}{}", item.doc, variants(item)),
                ));
                for variant in &item.fields {
                    let mut variant_rows = vec![];
                    expand(
                        &format!("{key}."),
                        &variant.of_type,
                        items,
                        &mut variant_rows,
                    );
                    for (key, meaning) in variant_rows {
                        match rows.iter_mut().find(|(other, _)| *other == key) {
                            Some((_, other)) if *other != meaning => {
                                let system = variant.doc.trim_end_matches('.');
                                *other += &format!(" {system}: {meaning}");
                            }
                            Some(_) => {}
                            None => rows.push((key, meaning)),
                        }
                    }
                }
            }
            Some(item) if item.is_enum => {
                rows.push((key, format!("{}{}", field.doc, variants(item))));
            }
            Some(_) => {
                if field.of_type.starts_with("Vec<") {
                    rows.push((key.clone(), field.doc.clone()));
                }
                expand(&format!("{key}."), of_type, items, rows);
            }
            None => rows.push((key, field.doc.clone())),
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

/// The value at a key, as the page shows it; empty without one.
fn shown_value(config: &Value, key: &str) -> String {
    let value = key
        .split('.')
        .try_fold(config, |value, name| value.get(name));
    match value {
        // f32 values in their shortest form.
        Some(Value::Float(v)) if f64::from(*v as f32) == *v => format!("`{:?}`", *v as f32),
        Some(Value::Float(v)) => format!("`{v:?}`"),
        Some(value) => format!("`{value}`"),
        None => String::new(),
    }
}

fn generated() -> String {
    let mut items = BTreeMap::new();
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut folders: Vec<_> = std::fs::read_dir(crates)
        .unwrap()
        .map(|entry| entry.unwrap().path().join("src"))
        .collect();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                parse_file(&std::fs::read_to_string(path).unwrap(), &mut items);
            }
        }
    }
    let mut rows = vec![];
    expand("", "RunConfig", &items, &mut rows);
    let configs = COLUMNS.map(|(name, _)| Value::try_from(preset(name)).unwrap());
    let headings = COLUMNS.map(|(_, heading)| heading).join(" | ");
    let (mut text, mut section) = (String::new(), None);
    for (key, meaning) in &rows {
        let group = key.split_once('.').map_or("run", |(group, _)| group);
        if section != Some(group) {
            section = Some(group);
            text += &format!(
                "\n## `{group}`\n\n| key | {headings} | meaning |\n| --- | --- | --- | --- | --- |\n"
            );
        }
        let values = configs.each_ref().map(|config| shown_value(config, key));
        let values = values.join(" | ");
        text += &format!("| `{key}` | {values} | {meaning} |\n");
    }
    text
}

#[test]
fn configuration_page_is_generated_from_doc_comments_and_presets() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("configuration.md");
    let page = std::fs::read_to_string(&file).unwrap();
    let (prose, _) = page
        .split_once(MARKER)
        .expect("the marker of the generated part");
    let expected = format!("{prose}{MARKER}\n{}", generated());
    if std::env::var_os("VLP_UPDATE").is_some() {
        std::fs::write(&file, &expected).unwrap();
        return;
    }
    let difference = expected.lines().zip(page.lines()).find(|(a, b)| a != b);
    assert!(
        page == expected,
        "configuration.md is out of date, first at {difference:?}; VLP_UPDATE=1 cargo test -p vlp --test configuration_page writes it"
    );
}

#[test]
fn r50_r101_and_r152_presets_differ_only_in_depth() {
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
