//! `tests/README.md` and `docs/threat-model.md` say which test proves what. Every test that they name is there.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// The tests of one source file, each with its module's path.
fn tests(module: &[String], source: &str) -> Vec<String> {
    let mut found = Vec::new();
    let (mut marked, mut inner) = (false, false);
    for line in source.lines() {
        let code = line.trim();
        inner |= code == "mod tests {";
        if code.starts_with("#[test]") || code.starts_with("#[tokio::test") {
            marked = true;
        } else if let Some(signature) = code.strip_prefix("async ").unwrap_or(code).strip_prefix("fn ") {
            let name = signature.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default();
            let path = module.iter().map(String::as_str).chain(inner.then_some("tests")).chain([name]);
            found.extend(marked.then(|| path.collect::<Vec<_>>().join("::")));
            marked = false;
        }
    }
    found
}

/// The tests below a directory, as `cargo test -- --list` names them.
fn below(directory: &Path, module: &[String], found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(directory).unwrap().map(Result::unwrap) {
        let (path, name) = (entry.path(), entry.file_name().into_string().unwrap());
        let within = |name: &str| module.iter().cloned().chain([name.to_owned()]).collect::<Vec<_>>();
        if let Some(fixture) = name.strip_suffix(".toml") {
            // A macro beside the directory makes the tests of each fixture, in a module of its name: one for each of
            // its entries, or the same ones for all.
            let source = fs::read_to_string(directory.with_extension("rs")).unwrap();
            found.extend(tests(&within(fixture), &source));
            let entries = entries(&fs::read_to_string(&path).unwrap());
            found.extend(entries.iter().map(|entry| format!("{}::{entry}", within(fixture).join("::"))));
            continue;
        }
        match name.strip_suffix(".rs") {
            Some("mod" | "main" | "lib") => found.extend(tests(module, &fs::read_to_string(path).unwrap())),
            Some(file) => found.extend(tests(&within(file), &fs::read_to_string(path).unwrap())),
            None if path.is_dir() => below(&path, &within(&name), found),
            None => {}
        }
    }
}

/// The names of the attacks in a file of them.
fn entries(toml: &str) -> Vec<String> {
    let file: toml::Table = toml.parse().unwrap();
    let entries = file.get("attack").and_then(toml::Value::as_array).into_iter().flatten();
    entries.filter_map(|entry| entry["name"].as_str().map(str::to_owned)).collect()
}

/// What stands in backticks and has the form of a test's path.
fn named(document: &str) -> BTreeSet<String> {
    let spans = document.split('`').skip(1).step_by(2);
    let is_path = |span: &&str| {
        span.contains("::")
            && span.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "_:".contains(c))
    };
    spans.filter(is_path).map(str::to_owned).collect()
}

/// The named tests that are not there.
fn missing(document: &str, tests: &BTreeSet<String>) -> Vec<String> {
    named(document).difference(tests).cloned().collect()
}

#[test]
fn every_test_that_is_named_as_proof_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut tests = BTreeSet::new();
    below(&root.join("tests/it"), &[], &mut tests);
    below(&root.join("src"), &[], &mut tests);
    for (place, at_least) in [("tests/README.md", 150), ("docs/threat-model.md", 100)] {
        let document = fs::read_to_string(root.join(place)).unwrap();
        assert!(named(&document).len() > at_least, "{place} names its tests");
        assert_eq!(missing(&document, &tests), [""; 0], "named in {place}, and there is no such test");
    }
}

#[test]
fn a_test_that_is_named_and_not_there_is_seen() {
    let source = "#[test]\nfn one() {}\nfn helper() {}\nmod tests {\n    #[tokio::test]\n    async fn two(x in 0..1) {}\n}";
    let tests: BTreeSet<String> = tests(&["a".to_owned()], source).into_iter().collect();
    assert_eq!(tests.iter().map(String::as_str).collect::<Vec<_>>(), ["a::one", "a::tests::two"]);
    assert_eq!(missing("| `a::one`, `a::tests::two` | `edc_x` `a.b` |", &tests), [""; 0]);
    assert_eq!(missing("`a::one` `a::helper` `a::three`", &tests), ["a::helper", "a::three"]);
}
