use vlp::RunConfig;
use vlp::config::{Sources, explain, finetune, overlay, resolve};

use crate::input::Mode;
use crate::must::{Must, accepted};
use crate::scratch::Scratch;

/// A file of values (`0`), with the preset's quick values (`1`), or lines of `--set` (`2`).
pub fn configs(scratch: &Scratch, input: &[u8]) {
    let Some((mode, bytes)) = Mode::split(input) else {
        return;
    };
    let kind = mode.below(3);
    let mut sources = Sources::default();
    if kind == 2 {
        let text = String::from_utf8_lossy(bytes);
        // Each entry is tried in a copy of the configuration.
        sources.set = text.lines().take(4).map(str::to_owned).collect();
    } else {
        sources.file = Some(scratch.write("config.toml", bytes));
        sources.quick = kind == 1;
    }
    let Some(config) = accepted(resolve(&sources)) else {
        return;
    };
    let _ = accepted(config.validate());
    let text = text(&config);
    let reread: RunConfig = toml::from_str(&text).must("its own text");
    // NaN differs from itself.
    assert_eq!(text, self::text(&reread));
    let hash = |config: &RunConfig| config.fingerprint().must("a hash");
    assert_eq!(hash(&config), hash(&reread));
    if mode.flag() {
        let explained = explain(&config).must("an explained configuration");
        let reread: RunConfig = toml::from_str(&explained).must("its explained text");
        assert_eq!(text, self::text(&reread));
        let same = overlay(&config, &Sources::default()).must("itself");
        assert_eq!(text, self::text(&same));
        let _ = accepted(finetune(
            "vqa",
            &config,
            Some("run".as_ref()),
            &Sources::default(),
        ));
    }
}

fn text(config: &RunConfig) -> String {
    toml::to_string(config).must("a configuration as TOML")
}
