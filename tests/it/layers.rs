//! The wall between the layers, read from the source: `docs/architecture.md` says why it stands so.

use std::fs;
use std::path::Path;

/// A layer, the layers that it may import besides itself, and the words that it must not say.
type Layer = (&'static str, &'static [&'static str], &'static [&'static str]);

const WALL: &[Layer] = &[
    ("protocol", &[], &["async", "await", "axum", "tokio", "tracing", "SystemTime", "Instant"]),
    (
        "domain",
        &["protocol"],
        &["async", "await", "axum", "azure", "hyper", "moka", "openidconnect", "redb", "reqwest", "tokio"],
    ),
    ("ports", &["domain", "protocol"], &["axum", "azure", "moka", "reqwest"]),
    ("flows", &["ports", "domain", "protocol"], &["axum", "azure", "openidconnect", "reqwest"]),
    ("adapters", &["ports", "domain", "protocol"], &["axum"]),
    ("http", &["flows", "ports", "domain", "protocol"], &["azure", "openidconnect"]),
    ("gateway", &["flows", "ports", "domain", "protocol"], &["azure", "openidconnect"]),
    ("config", &["domain", "protocol"], &["axum", "azure", "openidconnect", "reqwest", "tokio"]),
    ("app", INNER, &[]),
    ("demo", &["adapters", "app", "config", "domain", "flows", "gateway", "http", "ports", "protocol"], &[]),
    // Nothing else may know of the demo: a release leaves it out.
    (
        "cli",
        &["adapters", "app", "config", "demo", "domain", "flows", "gateway", "http", "ports", "protocol"],
        &[],
    ),
];

const INNER: &[&str] = &["adapters", "config", "domain", "flows", "gateway", "http", "ports", "protocol"];

/// All that `protocol` may import.
const PROTOCOL_CRATES: &[&str] =
    &["base64", "crate", "self", "serde", "serde_json", "sha2", "std", "super", "url"];

const MAX_LINES: usize = 400;
const NOT_NOUNS: &[&str] = &["common", "helpers", "manager", "utils"];

/// What is wrong with a file, whose path begins under `src/`.
fn breaches(path: &str, source: &str) -> Vec<String> {
    let mut modules: Vec<&str> = path.trim_end_matches(".rs").split('/').collect();
    let mut found = Vec::new();
    if modules.iter().any(|module| NOT_NOUNS.contains(module)) {
        found.push(format!("{path}: a module is named by a noun of the field"));
    }
    if source.lines().count() > MAX_LINES {
        found.push(format!("{path}: more than {MAX_LINES} lines"));
    }
    if modules.last() == Some(&"mod") {
        modules.pop();
    }
    // Tests stand outside the wall, and so do the roots of the two crates.
    if modules.contains(&"tests") || path == "lib.rs" || path == "main.rs" {
        return found;
    }
    let Some((layer, may_import, unspeakable)) = WALL.iter().find(|(layer, ..)| *layer == modules[0]) else {
        found.push(format!("{path}: {} is no layer", modules[0]));
        return found;
    };
    let source = source.split("\nmod tests {").next().unwrap_or_default();
    for (number, line) in source.lines().map(code).enumerate() {
        let mut say = |what: String| found.push(format!("{path}:{}: {what}: {}", number + 1, line.trim()));
        for imported in layers_named(&line, modules.len()) {
            if imported != *layer && !may_import.contains(&imported) {
                say(format!("{layer} may not import {imported}"));
            }
        }
        for word in words(&line).filter(|word| unspeakable.iter().any(|no| is_or_begins(word, no))) {
            say(format!("{layer} must not name {word}"));
        }
        let Some(used) = imported_path(&line) else { continue };
        if used.starts_with("crate::") && used.contains('{') {
            say("one import a line".to_owned());
        }
        let head = used.split("::").next().unwrap_or_default();
        if *layer == "protocol" && head.starts_with(char::is_lowercase) && !PROTOCOL_CRATES.contains(&head) {
            say(format!("protocol may not import {head}"));
        }
    }
    found
}

/// A line without its comment and without what stands in quotation marks.
fn code(line: &str) -> String {
    let outside: String = line.replace("'\"'", "").split('"').step_by(2).collect();
    outside.split("//").next().unwrap_or_default().to_owned()
}

/// The layers that a line names by a path from the crate's root, in a module so deep.
fn layers_named(line: &str, depth: usize) -> Vec<&str> {
    let supers = "super::".repeat(depth);
    let of = |root: &str| {
        let paths = line.match_indices(root).map(|(at, _)| (&line[..at], &line[at + root.len()..]));
        let whole = paths.filter(|(before, _)| !before.ends_with(|c: char| c.is_alphanumeric() || c == '_'));
        whole.filter_map(|(_, path)| words(path).next()).collect::<Vec<_>>()
    };
    [of("crate::"), of(&supers)].concat()
}

/// What a `use` declaration imports.
fn imported_path(line: &str) -> Option<&str> {
    let (visibility, path) = line.split_once("use ")?;
    let visibility = visibility.trim();
    (visibility.is_empty() || visibility.starts_with("pub")).then_some(path)
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty())
}

/// `azure` means `azure_identity` as well.
fn is_or_begins(word: &str, no: &str) -> bool {
    word.strip_prefix(no).is_some_and(|rest| rest.is_empty() || rest.starts_with('_'))
}

fn sources(directory: &Path, under: &str, found: &mut Vec<(String, String)>) {
    for entry in fs::read_dir(directory).unwrap().map(Result::unwrap) {
        let (path, name) = (entry.path(), entry.file_name().into_string().unwrap());
        if path.is_dir() {
            sources(&path, &format!("{under}{name}/"), found);
        } else if name.ends_with(".rs") {
            found.push((format!("{under}{name}"), fs::read_to_string(&path).unwrap()));
        }
    }
}

#[test]
fn every_import_points_down_and_every_file_is_a_noun_of_readable_length() {
    let mut files = Vec::new();
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), "", &mut files);
    for (layer, ..) in WALL {
        assert!(files.iter().any(|(path, _)| path.starts_with(&format!("{layer}/"))), "{layer} is not read");
    }
    let found: Vec<String> = files.iter().flat_map(|(path, source)| breaches(path, source)).collect();
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

#[test]
fn a_breach_is_seen() {
    for (path, source) in [
        ("protocol/pkce.rs", "use crate::domain::grant::Grant;"),
        ("protocol/pkce.rs", "use thiserror::Error;"),
        ("protocol/pkce.rs", "pub async fn f() {}"),
        ("protocol/pkce.rs", "let now = std::time::SystemTime::now();"),
        ("domain/grant.rs", "use crate::ports::store::Store;"),
        ("domain/grant.rs", "    let read = tokio::fs::read(path);"),
        ("ports/store.rs", "use moka::sync::Cache;"),
        ("flows/mod.rs", "use super::adapters::embedded::EmbeddedStore;"),
        ("flows/begin.rs", "    fn f(store: &crate::adapters::embedded::EmbeddedStore) {}"),
        ("flows/begin.rs", "    fn f(store: &super::super::adapters::embedded::EmbeddedStore) {}"),
        ("flows/begin.rs", "use crate::{\n    adapters::audit::TracingAudit,\n};"),
        ("flows/begin.rs", "pub use crate::config::Config;"),
        ("flows/begin.rs", "use azure_identity::ManagedIdentityCredential;"),
        ("adapters/audit.rs", "use crate::flows::AuthServer;"),
        ("adapters/audit.rs", "use crate::demo::idp::DevIdp;"),
        ("http/page.rs", "use crate::gateway::Upstream;"),
        ("http/page.rs", "use crate::adapters::audit::TracingAudit;"),
        ("gateway/mod.rs", "use crate::http::router;"),
        ("gateway/mod.rs", "use openidconnect::IdToken;"),
        ("gateway/mod.rs", "use crate::domain::{client::Client, grant::Grant};"),
        ("flows/utils.rs", ""),
        ("vault/mod.rs", ""),
        ("app/start.rs", "use crate::demo::site::Site;"),
        ("config/load.rs", "use crate::adapters::embedded::EmbeddedStore;"),
        ("demo/site.rs", "use crate::cli::log;"),
        ("config/mod.rs", &"\n".repeat(MAX_LINES + 1)),
    ] {
        assert_eq!(breaches(path, source).len(), 1, "{path}: {source}: {:?}", breaches(path, source));
    }
}

#[test]
fn what_is_allowed_is_no_breach() {
    for (path, source) in [
        (
            "protocol/pkce.rs",
            "use crate::protocol::scope::Scopes;\nuse sha2::Digest;\nuse ErrorCode::InvalidGrant;",
        ),
        ("protocol/pkce.rs", "//! Not async, and nothing of tokio.\nfn f() {} // no axum"),
        ("flows/begin.rs", r#"const HOST: &str = "https://azure.example";"#),
        ("flows/begin.rs", "pub(in crate::flows) fn f() {}\nuse super::token::Reason;"),
        (
            "flows/begin.rs",
            "use std::fmt;\n#[cfg(test)]\nmod tests {\n    use crate::adapters::audit::TracingAudit;",
        ),
        ("adapters/oidc/tests/sign_in.rs", "use crate::demo::idp::DevIdp;"),
        ("adapters/oidc/kept.rs", "use super::super::failure::away;"),
        ("app/mod.rs", "use crate::gateway;\nuse crate::http as endpoints;"),
    ] {
        assert_eq!(breaches(path, source), [""; 0], "{path}: {source}");
    }
}
