//! The table of settings for people.

use super::settings::Fallback::Is;
use super::settings::Fallback::Required;
use super::settings::Fallback::Unset;
use super::settings::Kind;
use super::table::SETTINGS;

/// The table for the README, in Markdown.
pub fn markdown_table() -> String {
    let mut table = String::from("| Key | Environment variable | Default | Meaning |\n|---|---|---|---|\n");
    for setting in SETTINGS {
        let default = match setting.default {
            Required => "required".to_owned(),
            Unset(words) => words.to_owned(),
            Is(value) => format!("`{value}`"),
        };
        let limits = match setting.kind {
            Kind::OneOf(words) => format!(" (`{}`)", words.join("` or `")),
            Kind::Duration { min, max } | Kind::Size { min, max } => format!(" (`{min}` to `{max}`)"),
            Kind::Rate => " (`N/s`, `N/m`, `N/h` or `off`)".to_owned(),
            Kind::Count { min, max } => format!(" (`{min}` to `{max}`)"),
            _ => String::new(),
        };
        let (key, variable, meaning) = (setting.key, setting.variable(), setting.meaning);
        table += &format!("| `{key}` | `{variable}` | {default} | {meaning}{limits} |\n");
    }
    table
}
