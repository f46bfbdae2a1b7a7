//! Messages about values that do not fit.

use serde::de::DeserializeOwned;
use toml::{Table, Value};
use vlp_models::{E2eVlpConfig, SohoConfig};
use vlp_objectives::ObjectivesConfig;

use super::suggest::suggest;
use super::{PRESETS, RunConfig, TASKS};

/// The keys that determine the other keys of their table.
const TAGS: [&str; 3] = ["kind", "rule", "system"];

/// What serde says is wrong, and the key of the value.
struct Problem {
    text: String,
    key: String,
}

impl Problem {
    /// serde says what is wrong on one line and where on the next. Keys are below `table`.
    fn new(error: &toml::de::Error, table: &str) -> Self {
        let message = error.to_string();
        let message = message.trim();
        let (text, key) = message.rsplit_once("\nin `").unwrap_or((message, ""));
        let key = key.trim_end_matches('`');
        let dot = match table.is_empty() || key.is_empty() {
            true => "",
            false => ".",
        };
        Self {
            text: text.into(),
            key: format!("{table}{dot}{key}"),
        }
    }

    /// That of a configuration; `None` if it is valid.
    fn of(table: &Table) -> Option<Self> {
        // The table of a model is read by its tag, after which serde no longer knows the keys of its values.
        of_model(table).or_else(|| Some(Self::new(&error::<RunConfig>(table)?, "")))
    }

    /// The texts in backticks.
    fn quoted(&self) -> Vec<&str> {
        self.text.split('`').skip(1).step_by(2).collect()
    }
}

/// Why a table is not a configuration, with the nearest known name for an unknown one. `base` is the table before it was
/// overridden.
pub(super) fn describe(table: &Table, base: &Table) -> String {
    let Some(problem) = Problem::of(table) else {
        return "the configuration is valid".into();
    };
    let Problem { text, key } = &problem;
    let what = match text {
        _ if text.contains("unknown field") => "key",
        _ if text.contains("unknown variant") => "value",
        _ if key.is_empty() => return text.clone(),
        _ => {
            return switched_off(&problem, base)
                .or_else(|| tagged(&problem, table))
                .or_else(|| large_number(&problem))
                .unwrap_or_else(|| match faulty_entry(&problem, table) {
                    Some(name) => format!("{key}.{name}: {text}"),
                    None => format!("{key}: {text}"),
                });
        }
    };
    match problem.quoted().split_first() {
        Some((unknown, names)) => {
            let within = match key.is_empty() {
                true => String::new(),
                false => format!(" in [{key}]"),
            };
            let suggestion = suggest(unknown, names);
            format!("unknown {what} \"{unknown}\"{within}{suggestion}")
        }
        None => text.clone(),
    }
}

/// Whether a table is a configuration.
pub(super) fn is_valid(table: &Table) -> bool {
    error::<RunConfig>(table).is_none()
}

/// Whether there is an objective of this name.
pub(super) fn is_objective(name: &str) -> bool {
    let table = Table::from_iter([(name.to_owned(), Value::Table(Table::new()))]);
    let error = error::<ObjectivesConfig>(&table);
    error.is_none_or(|error| !error.to_string().contains("unknown field"))
}

fn error<T: DeserializeOwned>(table: &Table) -> Option<toml::de::Error> {
    Value::Table(table.clone()).try_into::<T>().err()
}

fn of_model(table: &Table) -> Option<Problem> {
    let mut model = table.get("model")?.as_table()?.clone();
    let error = match model.remove("system")?.as_str()? {
        "e2e-vlp" => error::<E2eVlpConfig>(&model),
        "soho" => error::<SohoConfig>(&model),
        _ => None,
    };
    Some(Problem::new(&error?, "model"))
}

/// About some keys of a table that is off, such as that of an objective.
fn switched_off(problem: &Problem, base: &Table) -> Option<String> {
    if !problem.text.starts_with("missing field") {
        return None;
    }
    let missing = *problem.quoted().first()?;
    let dots = problem.key.match_indices('.').map(|(index, _)| index);
    let mut tables = dots
        .chain([problem.key.len()])
        .map(|end| &problem.key[..end]);
    let off = tables.find(|table| value_at(base, table).is_none())?;
    let mut texts = PRESETS.iter().chain(&TASKS).map(|(_, text)| text);
    let example = texts.find_map(|text| {
        let table = text.parse::<Table>().ok()?;
        Some(value_at(&table, off)?.to_string())
    })?;
    Some(format!(
        "{off} is off, and its key \"{missing}\" is missing to switch it on: set all of it, such as --set '{off}={}'",
        example.trim()
    ))
}

/// About a value that should be a table with a tag, or has none.
fn tagged(problem: &Problem, table: &Table) -> Option<String> {
    let key = &problem.key;
    let lacks_tag = |tag: &&str| problem.text == format!("missing field `{tag}`");
    if !problem.text.contains("internally tagged enum") && !TAGS.iter().any(lacks_tag) {
        return None;
    }
    let value = value_at(table, key)?;
    TAGS.iter().find_map(|tag| {
        let mut table = table.clone();
        let unknown = Table::from_iter([((*tag).to_owned(), Value::String("?".into()))]);
        replace(&mut table, key, Value::Table(unknown))?;
        let problem = Problem::of(&table)?;
        let is_tag = problem.key == format!("{key}.{tag}") && problem.text.starts_with("unknown variant");
        let names = problem.quoted().get(1..)?.join(", ");
        is_tag.then(|| {
            format!(
                "{key} = {value}: use a table {{ {tag} = \"...\", ... }} whose {tag} is one of {names}"
            )
        })
    })
}

/// About digits that TOML does not take for a number.
fn large_number(problem: &Problem) -> Option<String> {
    let digits = problem.text.strip_prefix("invalid type: string \"")?;
    let (digits, _) = digits.split_once("\", expected ")?;
    let is_number = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit() || b == b'_');
    is_number.then(|| {
        let key = &problem.key;
        format!(
            "{key} = {digits}: use a whole number of at most {}",
            i64::MAX
        )
    })
}

/// The entry of a table with a tag that does not fit: serde only names the table.
fn faulty_entry(problem: &Problem, table: &Table) -> Option<String> {
    let entries = value_at(table, &problem.key)?.as_table()?;
    let values = || {
        [
            Value::Integer(1),
            Value::Float(1.0),
            Value::String("x".into()),
            Value::Boolean(true),
            Value::Array(vec![Value::Integer(1)]),
        ]
    };
    let is_faulty = |name: &&String| {
        values().into_iter().any(|value| {
            let mut table = table.clone();
            let key = format!("{}.{name}", problem.key);
            replace(&mut table, &key, value).is_some() && is_valid(&table)
        })
    };
    entries.keys().find(is_faulty).cloned()
}

fn value_at<'a>(table: &'a Table, key: &str) -> Option<&'a Value> {
    let mut names = key.split('.');
    let first = table.get(names.next()?)?;
    names.try_fold(first, |value, name| value.get(name))
}

/// Replaces an existing value.
fn replace(table: &mut Table, key: &str, value: Value) -> Option<()> {
    let mut names = key.split('.');
    let first = table.get_mut(names.next()?)?;
    let old = names.try_fold(first, |value, name| value.get_mut(name))?;
    *old = value;
    Some(())
}
