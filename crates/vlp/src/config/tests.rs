//! Overriding values, and error messages for those that do not fit.
#![allow(clippy::unwrap_used)]

use std::path::PathBuf;

use toml::Value;

use super::{RunConfig, Sources, overlay, preset_names, resolve};
use crate::error::VlpError;

fn set(entries: &[&str]) -> Result<RunConfig, VlpError> {
    resolve(&Sources {
        set: entries.iter().map(|s| s.to_string()).collect(),
        ..Sources::default()
    })
}

#[test]
fn presets_resolve_and_round_trip_through_toml() {
    for name in preset_names() {
        for quick in [false, true] {
            let config = resolve(&Sources {
                preset: Some(name.into()),
                quick,
                ..Sources::default()
            })
            .unwrap();
            assert_eq!(config.preset, name);
            let text = toml::to_string(&config).unwrap();
            let reread: RunConfig = toml::from_str(&text).unwrap();
            assert_eq!(reread, config, "{name}");
            assert_eq!(reread.fingerprint().unwrap(), config.fingerprint().unwrap());
        }
    }
}

#[test]
fn later_values_override_and_objectives_switch_off() {
    let config = set(&[
        "train.steps=7",
        "data.source=coco:/some/where",
        "objectives.mlm=off",
        // Twice, and one that is not on.
        "objectives.mlm=off",
        "objectives.itc=false",
    ])
    .unwrap();
    assert_eq!(
        (config.train.steps, config.data.source.as_str()),
        (7, "coco:/some/where")
    );
    assert!(config.objectives.mlm.is_none() && config.objectives.itm.is_some());
}

#[test]
fn values_of_keys_that_take_strings_are_not_parsed() {
    for text in [
        "2014",
        "1e3",
        "true",
        "2024-01-01",
        "[1]",
        "a: b",
        "caf\u{65}\u{301}\u{3000}",
    ] {
        let config = set(&[&format!("data.images={text}")]).unwrap();
        assert_eq!(config.data.images, Some(PathBuf::from(text)), "{text}");
        let config = set(&[&format!("data.tokenizer = {text}"), "train.steps = 7"]).unwrap();
        assert_eq!(
            (config.data.tokenizer.as_str(), config.train.steps),
            (text, 7)
        );
    }
    assert_eq!(
        set(&["data.source=\"json:x\""]).unwrap().data.source,
        "json:x"
    );
    assert!(set(&["train.steps=2014-01-01"]).is_err());
    assert!(set(&["train.steps=x"]).is_err());
    let source = "json:a\"b\\c\u{301}'d: 1";
    let values = vec![
        ("data.source".into(), Value::String(source.into())),
        (
            "weights".into(),
            Value::Array(vec![Value::String(source.into())]),
        ),
    ];
    let config = resolve(&Sources {
        values,
        ..Sources::default()
    })
    .unwrap();
    assert_eq!(config.data.source, source);
    assert_eq!(config.weights, [PathBuf::from(source)]);
}

#[test]
fn file_with_a_byte_order_mark_is_read() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(
        file.path(),
        "\u{feff}preset = \"soho-tiny\"\r\n[train]\r\nsteps = 3\r\n",
    )
    .unwrap();
    let sources = Sources {
        file: Some(file.path().into()),
        ..Sources::default()
    };
    let config = resolve(&sources).unwrap();
    assert_eq!(
        (config.preset.as_str(), config.train.steps),
        ("soho-tiny", 3)
    );
}

#[test]
fn preset_and_quick_values_of_a_file_have_their_types() {
    let file = tempfile::NamedTempFile::new().unwrap();
    for (text, reason) in [
        ("preset = 3", "preset = 3: use one of \"e2e-vlp-tiny\", "),
        (
            "quick = 3",
            "quick = 3: use a table [quick] of keys and values",
        ),
    ] {
        std::fs::write(file.path(), text).unwrap();
        for quick in [false, true] {
            let sources = Sources {
                file: Some(file.path().into()),
                quick,
                ..Sources::default()
            };
            let message = resolve(&sources).unwrap_err().to_string();
            let expected = format!("{}: {reason}", file.path().display());
            assert!(message.starts_with(&expected), "{message}");
        }
    }
}

#[test]
fn tables_that_are_off_are_switched_off_again() {
    let default = set(&[]).unwrap();
    for key in [
        "model.quantizer",
        "objectives.caption.self_critical",
        "data.eval_resize",
    ] {
        let config = set(&[&format!("{key}=off")]).unwrap();
        assert_eq!(config, default, "{key}");
    }
    let off = "objectives.caption=off";
    let config = set(&[off, "objectives.caption.self_critical=off"]).unwrap();
    assert_eq!(config, set(&[off]).unwrap());
    // A key that takes a text.
    let config = set(&["data.images=off"]).unwrap();
    assert_eq!(config.data.images, Some("off".into()));
}

#[test]
fn one_cost_is_set_without_the_others() {
    let config = set(&["objectives.detection.cost.class=2"]).unwrap();
    let cost = config.objectives.detection.unwrap().cost;
    assert_eq!((cost.class, cost.l1, cost.giou), (2.0, 5.0, 2.0));
}

#[test]
fn values_of_a_file_are_named_by_their_whole_keys() {
    let file = tempfile::NamedTempFile::new().unwrap();
    for (text, reason) in [
        ("[model]\nd_model = \"x\"", "model.d_model: invalid type"),
        ("[model.backbone]\ndept = 3", "\"dept\" in [model.backbone]"),
        (
            "[data.resize]\nside = \"x\"",
            "data.resize.side: invalid type",
        ),
        ("[objectives.vqa]\nweight = 1.0", "objectives.vqa is off"),
    ] {
        std::fs::write(file.path(), text).unwrap();
        let sources = Sources {
            file: Some(file.path().into()),
            ..Sources::default()
        };
        let message = resolve(&sources).unwrap_err().to_string();
        assert!(message.contains(reason), "{message}");
    }
}

#[test]
fn unknown_names_suggest_the_nearest_one() {
    for (entry, part) in [
        ("trian=7", "did you mean \"train\"?"),
        ("train.stepz=7", "did you mean \"steps\"?"),
        ("objectives.mlmm=off", "did you mean \"mlm\"?"),
        (
            "objectives.detection.num_querys=7",
            "did you mean \"num_queries\"?",
        ),
        ("model.backbone.norm=\"forzen\"", "did you mean \"frozen\"?"),
        (
            "data.scenes.held_out=[[\"red\", \"sqare\"]]",
            "did you mean \"square\"?",
        ),
        (
            "data.scenes.held_out=[[\"geen\", \"square\"]]",
            "did you mean \"green\"?",
        ),
    ] {
        let message = set(&[entry]).unwrap_err().to_string();
        assert!(message.contains(part), "{entry}: {message}");
    }
    let preset = Sources {
        preset: Some("e2e-vlp-r5".into()),
        ..Sources::default()
    };
    assert!(
        resolve(&preset)
            .unwrap_err()
            .to_string()
            .contains("\"e2e-vlp-r50\"?")
    );
}

#[test]
fn changing_the_source_drops_keys_of_the_old_one() {
    let run = set(&[
        "data.source=karpathy:a.json",
        "data.validation=karpathy-test:a.json",
        "data.images=images",
    ])
    .unwrap();
    let overridden = |entries: &[&str]| {
        let set = entries.iter().map(|s| s.to_string()).collect();
        let sources = Sources {
            set,
            ..Sources::default()
        };
        overlay(&run, &sources).unwrap().data
    };
    let other = overridden(&["data.source=vqa:b/train2014"]);
    assert_eq!((other.validation, other.images), (None, None));
    let both = overridden(&["data.source=json:b.json", "data.images=elsewhere"]);
    assert_eq!(
        (both.validation, both.images),
        (None, Some("elsewhere".into()))
    );
    for same in [
        overridden(&["train.steps=3"]),
        overridden(&["data.source=karpathy:a.json"]),
    ] {
        assert_eq!(same, run.data);
    }
}
