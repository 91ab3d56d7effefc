//! Scopes (RFC 6749 §3.3): an ordered set of case-sensitive words.

use std::collections::HashSet;
use std::fmt;

use serde::Deserialize;
use serde::Serialize;

/// A list of scope-tokens without repetition, in the order in which they were given.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Scopes(Vec<String>);

impl Scopes {
    /// Reads a space-delimited `scope`. Runs of spaces count as one; an empty text is the empty set.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        text.split(' ').filter(|word| !word.is_empty()).collect()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Each scope-token, in order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// Whether this scope-token is among them.
    #[must_use]
    pub fn contains(&self, scope: &str) -> bool {
        self.0.iter().any(|word| word == scope)
    }

    /// Those of these that `other` has too, in this order.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        self.iter().filter(|word| other.contains(word)).collect()
    }
}

impl<'a> FromIterator<&'a str> for Scopes {
    fn from_iter<I: IntoIterator<Item = &'a str>>(words: I) -> Self {
        // A set beside the list: the words are a stranger's, and there may be many.
        let mut seen = HashSet::new();
        Self(words.into_iter().filter(|word| seen.insert(*word)).map(str::to_owned).collect())
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, word) in self.0.iter().enumerate() {
            let separator = if position == 0 { "" } else { " " };
            write!(f, "{separator}{word}")?;
        }
        Ok(())
    }
}
