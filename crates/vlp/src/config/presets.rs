//! The presets: TOML files compiled into the program.

/// Name and TOML text of every preset; the first is the default.
pub const PRESETS: [(&str, &str); 8] = [
    (
        "e2e-vlp-tiny",
        include_str!("../../presets/e2e-vlp-tiny.toml"),
    ),
    (
        "e2e-vlp-small",
        include_str!("../../presets/e2e-vlp-small.toml"),
    ),
    (
        "e2e-vlp-r50",
        include_str!("../../presets/e2e-vlp-r50.toml"),
    ),
    (
        "e2e-vlp-r101",
        include_str!("../../presets/e2e-vlp-r101.toml"),
    ),
    (
        "e2e-vlp-r152",
        include_str!("../../presets/e2e-vlp-r152.toml"),
    ),
    ("soho-paper", include_str!("../../presets/soho-paper.toml")),
    (
        "soho-official-r18",
        include_str!("../../presets/soho-official-r18.toml"),
    ),
    ("soho-tiny", include_str!("../../presets/soho-tiny.toml")),
];

/// Names of the presets, the default first.
pub fn preset_names() -> Vec<&'static str> {
    PRESETS.iter().map(|(name, _)| *name).collect()
}
