//! Removes what PyTorch's wrappers add to the names of a module's tensors.

use std::collections::BTreeSet;

/// Modules that hold the wrapped one and never occur in published names: `torch.compile`, FSDP, activation
/// checkpointing, Lightning Fabric.
const WRAPPER_MODULES: [&str; 4] = [
    "_orig_mod",
    "_fsdp_wrapped_module",
    "_checkpoint_wrapped_module",
    "_forward_module",
];

/// Prefix of `DataParallel` and `DistributedDataParallel`.
const PARALLEL_PREFIX: &str = "module.";

/// The names without wrapper modules, and without the prefix `module.` while all names have it. The names as they are if
/// two of them would become equal.
pub(crate) fn unwrap_names<'a>(names: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let names: Vec<&str> = names.into_iter().collect();
    let mut unwrapped: Vec<String> = names
        .iter()
        .map(|name| remove_wrapper_modules(name))
        .collect();
    let has_prefix = |name: &String| {
        name.strip_prefix(PARALLEL_PREFIX)
            .is_some_and(|rest| !rest.is_empty())
    };
    while !unwrapped.is_empty() && unwrapped.iter().all(has_prefix) {
        for name in &mut unwrapped {
            name.drain(..PARALLEL_PREFIX.len());
        }
    }
    let distinct: BTreeSet<&String> = unwrapped.iter().collect();
    if distinct.len() < names.len() {
        return names.into_iter().map(str::to_owned).collect();
    }
    unwrapped
}

fn remove_wrapper_modules(name: &str) -> String {
    let Some((modules, field)) = name.rsplit_once('.') else {
        return name.to_owned();
    };
    let mut parts: Vec<&str> = modules
        .split('.')
        .filter(|module| !WRAPPER_MODULES.contains(module))
        .collect();
    parts.push(field);
    parts.join(".")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unwrap(names: [&str; 2]) -> [String; 2] {
        let names = unwrap_names(names);
        [names[0].clone(), names[1].clone()]
    }

    #[test]
    fn wrappers_are_removed_in_any_order_and_number() {
        for prefix in [
            "",
            "module.",
            "_orig_mod.",
            "module._orig_mod.",
            "_orig_mod.module.",
            "module.module._orig_mod._orig_mod.",
            "_forward_module._fsdp_wrapped_module.",
        ] {
            let names = [format!("{prefix}stem.weight"), format!("{prefix}bias")];
            let names = unwrap([&names[0], &names[1]]);
            assert_eq!(names, ["stem.weight", "bias"], "{prefix}");
        }
        // A compiled submodule.
        let names = unwrap(["body._orig_mod.conv.weight", "head.weight"]);
        assert_eq!(names, ["body.conv.weight", "head.weight"]);
    }

    #[test]
    fn names_that_only_resemble_wrappers_are_unchanged() {
        for names in [
            // A module of that name, not a wrapper of all.
            ["module.weight", "head.weight"],
            ["modules.weight", "modules.bias"],
            // Two models in one file.
            ["_orig_mod.weight", "weight"],
            ["_orig_mod", "module."],
        ] {
            assert_eq!(unwrap(names), names);
        }
        assert!(unwrap_names([]).is_empty());
    }
}
