//! The configuration file: TOML text into values of the `config` crate, and its unknown keys.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use config::Map;
use config::Value;
use config::ValueKind;
use toml::de::DeInteger;
use toml::de::DeTable;
use toml::de::DeValue;

use super::nearest::nearest;
use super::problems::Problems;
use super::settings::LISTS;
use super::table::SETTINGS;
use super::table::sections;

/// The known keys of the file at `path`, or nothing where it cannot be understood at all.
pub(super) fn read(path: &Path, problems: &mut Problems) -> Option<Map<String, Value>> {
    let file = path.display().to_string();
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) => {
            let fault = match error.kind() {
                ErrorKind::NotFound => "There is no such file.".to_owned(),
                kind => format!("The file cannot be read: {kind}."),
            };
            problems.add(file, format!("{fault} Name another, or set everything in the environment."));
            return None;
        }
    };
    let Ok(text) = String::from_utf8(bytes) else {
        problems.add(file, "The file is not UTF-8 text. Save it in that encoding.");
        return None;
    };
    let (table, mut errors) = DeTable::parse_recoverable(&text);
    errors.sort_by_key(|error| error.span().map(|span| span.start));
    for error in &errors {
        // Not the error's own Display, which quotes the line, and with it perhaps a secret.
        let (line, column) = position(&text, error.span().map_or(text.len(), |span| span.start));
        let why = error.message();
        problems.add(&file, format!("Line {line}, column {column} is not TOML: {why}."));
    }
    errors.is_empty().then(|| known(entries(table.into_inner(), Some(&file)), &file, problems))
}

/// A TOML value in an environment variable.
pub(super) fn parse_value(text: &str) -> Result<ValueKind, String> {
    match DeValue::parse(text.trim()) {
        Ok(parsed) => Ok(value(parsed.into_inner(), None).kind),
        Err(error) => {
            let (line, column) = position(text.trim(), error.span().map_or(0, |span| span.start));
            Err(format!("Line {line}, column {column} is not TOML: {}.", error.message()))
        }
    }
}

/// Line and column, both from one.
fn position(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}

// The conversion that `config` brings fails on a long number, without its key, and makes text of a date.
fn entries(table: DeTable<'_>, origin: Option<&String>) -> Map<String, Value> {
    table
        .into_iter()
        .map(|(key, entry)| (key.into_inner().into_owned(), value(entry.into_inner(), origin)))
        .collect()
}

fn value(value: DeValue<'_>, origin: Option<&String>) -> Value {
    let kind = match value {
        DeValue::String(text) => ValueKind::String(text.into_owned()),
        DeValue::Boolean(flag) => ValueKind::Boolean(flag),
        DeValue::Integer(number) => whole(&number).map_or(ValueKind::Float(0.0), ValueKind::I64),
        // No setting is one of these; what was written may be a secret without its quotes.
        DeValue::Float(_) | DeValue::Datetime(_) => ValueKind::Float(0.0),
        DeValue::Array(items) => {
            ValueKind::Array(items.into_iter().map(|item| self::value(item.into_inner(), origin)).collect())
        }
        DeValue::Table(table) => ValueKind::Table(entries(table, origin)),
    };
    Value::new(origin, kind)
}

/// No setting needs a number that is longer or has another radix.
fn whole(number: &DeInteger<'_>) -> Option<i64> {
    (number.radix() == 10).then(|| number.as_str().parse().ok())?
}

/// Drops what no setting is called, each with a problem.
fn known(table: Map<String, Value>, file: &str, problems: &mut Problems) -> Map<String, Value> {
    let mut kept = Map::new();
    for (key, value) in table {
        let place = format!("{file}: {}", shown(&key));
        if sections().contains(&key.as_str()) {
            match value.kind {
                ValueKind::Table(section) => {
                    let section = known_in(&key, section, file, problems);
                    kept.insert(key, ValueKind::Table(section).into());
                }
                other => {
                    let found = found(&other);
                    problems
                        .add(place, format!("This is {found}. Write [{key}] with its settings below it."));
                }
            }
        } else if LISTS.iter().any(|list| list.key == key)
            || SETTINGS.iter().any(|setting| setting.key == key)
        {
            kept.insert(key, value);
        } else {
            let keys = SETTINGS.iter().map(|setting| setting.key).filter(|key| !key.contains('['));
            let names: Vec<_> = keys.chain(sections()).chain(LISTS.map(|list| list.key)).collect();
            let here: Vec<_> = names.iter().copied().filter(|name| !name.contains('.')).collect();
            problems.add(place, unknown(&key, &names, &here));
        }
    }
    kept
}

fn known_in(
    section: &str,
    table: Map<String, Value>,
    file: &str,
    problems: &mut Problems,
) -> Map<String, Value> {
    let mut kept = Map::new();
    for (name, value) in table {
        let key = format!("{section}.{name}");
        if SETTINGS.iter().any(|setting| setting.key == key) {
            kept.insert(name, value);
        } else {
            let names: Vec<_> = SETTINGS.iter().map(|setting| setting.key).collect();
            let here: Vec<_> =
                SETTINGS.iter().filter(|s| s.section() == Some(section)).map(|s| s.name()).collect();
            problems.add(format!("{file}: {section}.{}", shown(&name)), unknown(&key, &names, &here));
        }
    }
    kept
}

/// The sentence for a key that no setting has, where those of `here` could stand.
pub(super) fn unknown(key: &str, candidates: &[&str], here: &[&str]) -> String {
    match nearest(key, candidates.iter().copied(), ".") {
        Some(near) => format!("There is no such setting. Did you mean {near}?"),
        None => format!("There is no such setting. Those that can stand here are {}.", here.join(", ")),
    }
}

/// A key as a message shows it, on one line whatever it has in it.
pub(super) fn shown(key: &str) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if !key.is_empty() && key.chars().all(bare) { key.to_owned() } else { format!("{key:?}") }
}

/// What a message calls a value of the wrong kind.
pub(super) fn found(kind: &ValueKind) -> &'static str {
    match kind {
        ValueKind::String(_) => "text",
        ValueKind::Boolean(_) => "a bare true or false",
        ValueKind::Array(_) => "a list",
        ValueKind::Table(_) => "a table",
        _ => "a bare number or date",
    }
}
