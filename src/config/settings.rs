//! What a setting is, and how its row in the table is read.

/// One setting.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    /// Dotted TOML key; the keys of a `[[resource]]` begin with `resource[].`, those of a `[[client]]` with
    /// `client[].`.
    pub key: &'static str,
    pub kind: Kind,
    pub default: Fallback,
    /// A phrase for the README and for the message that the setting is missing.
    pub meaning: &'static str,
    /// Whether the value must never be shown.
    pub secret: bool,
}

/// What a setting holds.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    Text,
    Flag,
    OneOf(&'static [&'static str]),
    /// Text as `humantime` reads it, in whole seconds, within both bounds.
    Duration {
        min: &'static str,
        max: &'static str,
    },
    /// So many in a second, minute or hour, or `off`.
    Rate,
    /// A whole number within both bounds.
    Count {
        min: usize,
        max: usize,
    },
    /// Texts; one text stands for a list of one.
    List,
    /// Names and words for them, in the order of the file.
    Pairs,
    /// Names and scopes for them.
    Scopes,
    /// So many bytes, with a unit, within both bounds.
    Size {
        min: &'static str,
        max: &'static str,
    },
}

/// What holds where a setting is left out.
#[derive(Debug, Clone, Copy)]
pub enum Fallback {
    /// Nothing: leaving it out is a problem.
    Required,
    /// No value. The words say what follows from that.
    Unset(&'static str),
    /// This value, written as an environment variable would be.
    Is(&'static str),
}

/// A row.
pub(super) const fn setting(
    key: &'static str,
    kind: Kind,
    default: Fallback,
    meaning: &'static str,
) -> Setting {
    Setting { key, kind, default, meaning, secret: false }
}

/// The row of a time.
pub(super) const fn lifetime(
    key: &'static str,
    default: Fallback,
    (min, max): (&'static str, &'static str),
    meaning: &'static str,
) -> Setting {
    setting(key, Kind::Duration { min, max }, default, meaning)
}

/// A list of tables, such as `[[resource]]`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Tables {
    pub key: &'static str,
    /// The beginning of one, as the environment has it.
    pub example: &'static str,
}

pub(super) const RESOURCES: &Tables = &Tables { key: "resource", example: "path=\"/mcp\"" };
pub(super) const CLIENTS: &Tables = &Tables { key: "client", example: "id=\"agent\"" };
pub(super) const LISTS: [&Tables; 2] = [RESOURCES, CLIENTS];

impl Tables {
    /// How to write it in the environment.
    pub(super) fn in_environment(&self) -> String {
        format!("{PREFIX}{}=[{{{}, …}}]", self.key.to_ascii_uppercase(), self.example)
    }
}

/// What the name of every environment variable begins with.
pub(super) const PREFIX: &str = "ENTRADA_";

impl Setting {
    /// The place of the value in the whole configuration: for keys of a table in a list that of the list.
    pub(super) fn root(&self) -> &'static str {
        self.key.split_once("[].").map_or(self.key, |(list, _)| list)
    }

    /// The last part of the key.
    pub(super) fn name(&self) -> &'static str {
        self.key.rsplit_once('.').map_or(self.key, |(_, name)| name)
    }

    /// The `[section]` it stands in.
    pub(super) fn section(&self) -> Option<&'static str> {
        self.root().split_once('.').map(|(section, _)| section)
    }

    /// The environment variable that sets it; all keys of a list share one.
    pub fn variable(&self) -> String {
        format!("{PREFIX}{}", self.root().to_ascii_uppercase().replace('.', "__"))
    }

    /// What to write, for the end of a message.
    pub(super) fn wanted(&self) -> String {
        match self.kind {
            Kind::Text => "text in quotes".to_owned(),
            Kind::Flag => "true or false, without quotes".to_owned(),
            Kind::OneOf(words) => quoted(words).join(" or "),
            Kind::Duration { min, max } => {
                let example = if let Fallback::Is(default) = self.default { default } else { min };
                format!("text with a unit, from {min} to {max}, such as {example:?}")
            }
            Kind::Rate => {
                "a number and s, m or h for second, minute or hour, such as \"1200/m\", or \"off\"".to_owned()
            }
            Kind::Count { min, max } => format!("a whole number from {min} to {max}"),
            Kind::List => "a list of texts, such as [\"a\", \"b\"]".to_owned(),
            Kind::Scopes => {
                "names with a scope or a list of them for each, such as { \"mcp.write\" = [\"mcp.read\"] }"
                    .to_owned()
            }
            Kind::Size { min, max } => format!("text with a unit, from {min} to {max}, such as \"4MiB\""),
            Kind::Pairs => {
                "names with words for each, such as { \"mcp.read\" = \"Read your expenses\" }".to_owned()
            }
        }
    }
}

fn quoted(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| format!("{word:?}")).collect()
}
