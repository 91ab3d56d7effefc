//! Tables of names.

use config::ValueKind;

use super::Given;
use super::Values;
use crate::config::document::found;
use crate::config::document::shown;

impl Values<'_> {
    /// Names with words for each, in the order of the file; `check` may refuse a name.
    pub(in crate::config) fn pairs(
        &mut self,
        key: &str,
        check: impl Fn(&str) -> Result<String, String>,
    ) -> Option<Vec<(String, String)>> {
        self.entries(key, |name, words| Ok((check(name)?, permission(words)?)))
    }

    /// Names with scopes for each, in the order of the file; `check` may refuse a name, `scope` a scope.
    pub(in crate::config) fn scopes(
        &mut self,
        key: &str,
        check: impl Fn(&str) -> Result<(), String>,
        scope: impl Fn(&str) -> Result<(), String>,
    ) -> Option<Vec<(String, Vec<String>)>> {
        if !self.is_set(key) {
            return Some(Vec::new());
        }
        self.entries(key, |name, value| {
            // First: a name without its quotes is a table.
            let scopes = scope_list(value)?;
            check(name)?;
            scopes.iter().try_for_each(|name| scope(name))?;
            Ok((name.to_owned(), scopes))
        })
    }

    fn entries<T>(
        &mut self,
        key: &str,
        read: impl Fn(&str, ValueKind) -> Result<T, String>,
    ) -> Option<Vec<T>> {
        let entries = match self.given(key)? {
            Given::Typed(ValueKind::Table(entries)) if entries.is_empty() => {
                return self.wrong(key, "This is empty.");
            }
            Given::Typed(ValueKind::Table(entries)) => entries,
            Given::Typed(other) => return self.wrong(key, &format!("This is {}.", found(&other))),
            Given::Words(_) => return self.wrong(key, "This is text."),
        };
        let entries: Vec<_> = entries
            .into_iter()
            .map(|(name, value)| {
                let entry = read(&name, value.kind);
                entry
                    .map_err(|sentence| {
                        self.problems.add(format!("{}.{}", self.place(key), shown(&name)), sentence);
                    })
                    .ok()
            })
            .collect();
        entries.into_iter().collect()
    }
}

/// One text with a scope or several, or a list of them.
fn scope_list(value: ValueKind) -> Result<Vec<String>, String> {
    let texts = match value {
        ValueKind::Array(items) => items.into_iter().map(|item| item.kind).collect(),
        other => vec![other],
    };
    let mut scopes = Vec::new();
    for text in texts {
        match text {
            ValueKind::String(text) => scopes.extend(text.split_whitespace().map(str::to_owned)),
            ValueKind::Table(_) => {
                return Err(
                    "This is a table. Put a name with a dot in it in quotes: \"mcp.write\" = …".to_owned()
                );
            }
            other => {
                return Err(format!(
                    "This is {}. Write a scope in quotes, or a list of them.",
                    found(&other)
                ));
            }
        }
    }
    if scopes.is_empty() {
        return Err("This is empty. Name a scope at least.".to_owned());
    }
    Ok(scopes)
}

/// What a name permits, in words.
fn permission(words: ValueKind) -> Result<String, String> {
    match words {
        ValueKind::String(words) if words.trim().is_empty() || words.chars().any(char::is_control) => {
            Err("This is no text for people. Say in words what it permits.".to_owned())
        }
        ValueKind::String(words) => Ok(words),
        ValueKind::Table(_) => {
            Err("This is a table. Put a name with a dot in it in quotes: \"mcp.read\" = \"…\".".to_owned())
        }
        other => Err(format!("This is {}. Write text in quotes.", found(&other))),
    }
}
