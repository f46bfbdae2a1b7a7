//! Only the `vlp` crate chooses a backend of burn.

use toml::{Table, Value};

use super::Violation;
use super::layers::EXTENDS;
use super::tree::{Crate, Tree};

/// Features of burn that bring a backend in; `burn-NAME` is the crate of each.
const BACKENDS: [&str; 12] = [
    "cpu", "cubecl", "cuda", "flex", "metal", "ndarray", "remote", "rocm", "tch", "vulkan",
    "webgpu", "wgpu",
];
/// The backend that tests may name.
const TESTS: &str = "flex";

pub(super) fn check(tree: &Tree) -> Vec<Violation> {
    let chooses = ["vlp", EXTENDS];
    let others = tree.crates.iter();
    let others = others.filter(|member| !chooses.contains(&member.name.as_str()));
    others.flat_map(check_crate).chain(shared(tree)).collect()
}

/// The features of burn that every crate inherits from the workspace bring no backend.
fn shared(tree: &Tree) -> Option<Violation> {
    let manifest: Table = tree.text("Cargo.toml")?.parse().ok()?;
    let burn = manifest
        .get("workspace")?
        .get("dependencies")?
        .get("burn")?;
    let features = burn.get("features")?.as_array()?;
    let mut named = features.iter().filter_map(Value::as_str);
    let backend = named.find(|name| BACKENDS.contains(name))?;
    let line = tree
        .text("Cargo.toml")?
        .lines()
        .position(|line| line.starts_with("burn"))?;
    let message = format!(
        "the workspace's burn brings backend {backend:?} into every crate; only the vlp crate chooses one"
    );
    Some(Violation::new("Cargo.toml", line + 1, message))
}

fn check_crate(member: &Crate) -> Vec<Violation> {
    let mut violations = Vec::new();
    let mut report = |line: usize, backend: &str, section: &str| {
        let right = if section == "dev-dependencies" {
            format!("tests may name {TESTS} alone")
        } else {
            "only the vlp crate chooses one".to_owned()
        };
        let message = format!(
            "{} names burn's backend {backend:?} under [{section}]; {right}",
            member.name
        );
        violations.push(Violation::new(member.path(), line, message));
    };
    for dependency in member.dependencies() {
        let backend_crate = dependency
            .name
            .strip_prefix("burn-")
            .filter(|name| BACKENDS.contains(name));
        let asked = dependency
            .features()
            .into_iter()
            .filter(|name| dependency.name == "burn" && BACKENDS.contains(name));
        let section = if dependency.dev {
            "dev-dependencies"
        } else {
            "dependencies"
        };
        for backend in asked.chain(backend_crate) {
            if !(dependency.dev && backend == TESTS) {
                // The same key may stand under several headings: the line of the one that names it.
                let line = member.line_naming(dependency.name, backend);
                report(line, backend, section);
            }
        }
    }
    let features = member.manifest.get("features").and_then(Value::as_table);
    for (feature, parts) in features.into_iter().flatten() {
        for part in parts
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
        {
            let Some(asked) = part
                .strip_prefix("burn/")
                .or_else(|| part.strip_prefix("burn?/"))
            else {
                continue;
            };
            if BACKENDS.contains(&asked) {
                report(member.line(feature), asked, "features");
            }
        }
    }
    violations
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backends_are_for_vlp_and_tests() {
        let manifest = |name: &str, rest: &str| format!("[package]\nname = \"{name}\"\n{rest}");
        let features = "[features]\nfast = [\"burn/cuda\", \"burn/fusion\"]\n";
        let tests = "[dependencies]\nburn.workspace = true\n[dev-dependencies]\n\
                     burn = { workspace = true, features = [\"flex\", \"simd\"] }\n";
        let wrong = "[dependencies]\nburn-wgpu = \"1\"\n[dev-dependencies]\nburn = { workspace = true, features = [\"cuda\"] }\n";
        let tree = Tree::of(&[
            ("crates/vlp/Cargo.toml", &manifest("vlp", features)),
            ("crates/a/Cargo.toml", &manifest("a", tests)),
            ("crates/b/Cargo.toml", &manifest("b", features)),
            ("crates/c/Cargo.toml", &manifest("c", wrong)),
        ]);
        let violations: Vec<_> = check(&tree).iter().map(ToString::to_string).collect();
        assert_eq!(
            violations,
            [
                "crates/b/Cargo.toml:4: b names burn's backend \"cuda\" under [features]; only the vlp crate chooses one",
                "crates/c/Cargo.toml:4: c names burn's backend \"wgpu\" under [dependencies]; only the vlp crate chooses one",
                "crates/c/Cargo.toml:6: c names burn's backend \"cuda\" under [dev-dependencies]; tests may name flex alone",
            ]
        );
    }

    #[test]
    fn the_workspace_names_no_backend() {
        let violations = |features: &str| {
            let text = format!(
                "[workspace.dependencies]\nburn = {{ version = \"1\", features = [{features}] }}\n"
            );
            let violations = check(&Tree::of(&[("Cargo.toml", &text)]));
            violations
                .iter()
                .map(|violation| violation.line)
                .collect::<Vec<_>>()
        };
        assert_eq!(violations("\"std\", \"store\""), [0; 0]);
        assert_eq!(violations("\"std\", \"ndarray\""), [2]);
    }
}
