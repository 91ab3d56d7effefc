//! Typed reading of settings by their row in the table.

mod maps;

use std::collections::HashSet;
use std::time::Duration;

use config::Map;
use config::Value;
use config::ValueKind;

use super::document::found;
use super::document::parse_value;
use super::document::shown;
use super::document::unknown;
use super::problems::Problems;
use super::settings::Fallback;
use super::settings::Kind;
use super::settings::PREFIX;
use super::settings::Setting;
use super::settings::Tables;
use super::syntax;
use super::table::SETTINGS;
use crate::domain::limits::Rate;

/// The values of the whole configuration, or of one table of a list.
///
/// Every reader answers `None` for a setting that is unset, and for one with a problem, which is then
/// among the problems.
pub(super) struct Values<'a> {
    table: &'a Map<String, Value>,
    file: Option<&'a str>,
    /// For a table of a list, where it stands.
    item: Option<&'a Item>,
    problems: &'a mut Problems,
}

/// One table of a list.
pub(super) struct Item {
    list: &'static Tables,
    /// Its number in the list.
    pub number: usize,
    pub place: String,
    table: Map<String, Value>,
}

/// A value as it was given.
enum Given {
    /// By the file, or inside a TOML value: it has the type that it was written in.
    Typed(ValueKind),
    /// By a variable or by the table of settings: text that stands for the type that is wanted.
    Words(String),
}

impl<'a> Values<'a> {
    pub(super) fn new(
        table: &'a Map<String, Value>,
        file: Option<&'a str>,
        problems: &'a mut Problems,
    ) -> Self {
        Values { table, file, item: None, problems }
    }

    /// The values of one table of a list.
    pub(super) fn item<'b>(&'b mut self, item: &'b Item) -> Values<'b> {
        Values { table: &item.table, file: self.file, item: Some(item), problems: self.problems }
    }

    /// A text that `read` understands, or tells in a sentence why not.
    pub(super) fn text<T>(&mut self, key: &str, read: impl FnOnce(&str) -> Result<T, String>) -> Option<T> {
        let text = match self.given(key)? {
            Given::Words(text) | Given::Typed(ValueKind::String(text)) => text,
            Given::Typed(other) => return self.wrong(key, &format!("This is {}.", found(&other))),
        };
        if text.is_empty() {
            return self.wrong(key, "This is empty.");
        }
        if text.chars().any(char::is_control) {
            return self
                .problem(key, "This has a control character in it, such as a line break. Take it out.");
        }
        if text.trim() != text && !Setting::of(key).secret {
            return self.problem(key, "This begins or ends with white space. Take it out.");
        }
        read(&text).map_or_else(|sentence| self.problem(key, sentence), Some)
    }

    /// The meaning of one of the words of the setting's row.
    pub(super) fn one_of<T: Copy>(&mut self, key: &str, meanings: &[(&str, T)]) -> Option<T> {
        let wanted = Setting::of(key).wanted();
        self.text(key, |text| {
            let meaning = meanings.iter().find(|(word, _)| *word == text);
            meaning.map(|(_, meaning)| *meaning).ok_or(format!("This word is unknown. Write {wanted}."))
        })
    }

    pub(super) fn flag(&mut self, key: &str) -> Option<bool> {
        match self.given(key)? {
            Given::Typed(ValueKind::Boolean(flag)) => Some(flag),
            Given::Typed(other) => self.wrong(key, &format!("This is {}.", found(&other))),
            Given::Words(text) => {
                text.parse().ok().or_else(|| self.wrong(key, "This is neither true nor false."))
            }
        }
    }

    /// A duration in whole seconds, within the bounds of the setting's row.
    pub(super) fn duration(&mut self, key: &str) -> Option<Duration> {
        let Kind::Duration { min, max } = Setting::of(key).kind else { return None };
        let bound = |text| humantime::parse_duration(text).expect("bounds in the table are durations");
        let text = match self.given(key)? {
            Given::Words(text) | Given::Typed(ValueKind::String(text)) => text,
            Given::Typed(other) => return self.wrong(key, &format!("This is {}.", found(&other))),
        };
        if text.bytes().all(|byte| byte.is_ascii_digit()) {
            return self.wrong(key, "This has no unit.");
        }
        match humantime::parse_duration(&text) {
            Err(_) => self.wrong(key, "This is not a duration."),
            Ok(duration) if duration < bound(min) => self.wrong(key, "This is too short."),
            Ok(duration) if duration > bound(max) => self.wrong(key, "This is too long."),
            Ok(duration) if duration.subsec_nanos() > 0 => {
                self.wrong(key, "This has a fraction of a second.")
            }
            Ok(duration) => Some(duration),
        }
    }

    /// So many in a period; the inner `None` is off.
    pub(super) fn rate(&mut self, key: &str) -> Option<Option<Rate>> {
        let wanted = Setting::of(key).wanted();
        self.text(key, |text| syntax::rate(text).map_err(|fault| format!("{fault} Write {wanted}.")))
    }

    /// A whole number within the bounds of the setting's row.
    pub(super) fn count(&mut self, key: &str) -> Option<usize> {
        let Kind::Count { min, max } = Setting::of(key).kind else { return None };
        let number = match self.given(key)? {
            Given::Typed(ValueKind::I64(number)) => usize::try_from(number).ok(),
            Given::Typed(other) => return self.wrong(key, &format!("This is {}.", found(&other))),
            Given::Words(text) => text.parse().ok(),
        };
        match number {
            Some(number) if (min..=max).contains(&number) => Some(number),
            _ => self.wrong(key, "This is not such a number."),
        }
    }

    /// So many bytes, within both bounds of the setting's row.
    pub(super) fn size(&mut self, key: &str) -> Option<usize> {
        let Kind::Size { min, max } = Setting::of(key).kind else { return None };
        let bound = |text| syntax::size(text).expect("bounds in the table are sizes");
        let wanted = Setting::of(key).wanted();
        self.text(key, |text| match syntax::size(text) {
            Ok(size) if size < bound(min) => Err(format!("This is too small. Write {wanted}.")),
            Ok(size) if size > bound(max) => Err(format!("This is too large. Write {wanted}.")),
            Ok(size) => Ok(size),
            Err(fault) => Err(format!("{fault} Write {wanted}.")),
        })
    }

    /// Texts, all different, that `read` understands. In the environment commas part them, or they are a
    /// TOML array.
    pub(super) fn list<T>(&mut self, key: &str, read: impl Fn(&str) -> Result<T, String>) -> Option<Vec<T>> {
        let items = match self.given(key)? {
            Given::Typed(ValueKind::Array(items)) => items,
            Given::Typed(ValueKind::String(text)) => vec![text.into()],
            Given::Typed(other) => return self.wrong(key, &format!("This is {}.", found(&other))),
            // The address of a listener may begin with a bracket too, but does not end with one.
            Given::Words(text) if text.trim().starts_with('[') && text.trim().ends_with(']') => {
                match parse_value(&text) {
                    Ok(ValueKind::Array(items)) => items,
                    Ok(_) => return self.wrong(key, "This is not a list."),
                    Err(sentence) => return self.problem(key, sentence),
                }
            }
            Given::Words(text) => {
                text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(Value::from).collect()
            }
        };
        let mut seen = HashSet::new();
        let values: Vec<_> = items
            .into_iter()
            .enumerate()
            .map(|(n, item)| {
                let value = match &item.kind {
                    ValueKind::String(text) if !seen.insert(text.clone()) => {
                        Err("This is in the list already. Name it once.".to_owned())
                    }
                    ValueKind::String(text) => read(text),
                    other => Err(format!("This is {}. Write text in quotes.", found(other))),
                };
                value
                    .map_err(|sentence| self.problems.add(format!("{}[{n}]", self.place(key)), sentence))
                    .ok()
            })
            .collect();
        values.into_iter().collect()
    }

    /// The tables of a list; nothing where it is not set.
    pub(super) fn tables(&mut self, list: &'static Tables) -> Option<Vec<Item>> {
        let value = self.table.get(list.key);
        let place = self.place_of_list(list);
        let kind = match value {
            None => return Some(Vec::new()),
            Some(Value { kind: ValueKind::Nil, .. }) => return None,
            Some(value) => match &value.kind {
                ValueKind::String(text) if !self.is_typed(value) => match parse_value(text) {
                    Ok(kind) => kind,
                    Err(sentence) => {
                        self.problems.add(place, sentence);
                        return None;
                    }
                },
                kind => kind.clone(),
            },
        };
        match kind {
            ValueKind::Array(items) => Some(self.items(list, items, &place)),
            other => {
                let (key, example) = (list.key, list.in_environment());
                let fault = format!("This is {}, and a list is wanted.", found(&other));
                self.problems.add(place, format!("{fault} Write [[{key}]] in the file, or {example}."));
                None
            }
        }
    }

    /// Notes that a list has nothing in it and should.
    pub(super) fn none_of<T>(&mut self, list: &'static Tables) -> Option<T> {
        let (key, example) = (list.key, list.in_environment());
        self.problems.add(
            self.place_of_list(list),
            format!("At least one {key} is required. Write [[{key}]] in the file, or {example}."),
        );
        None
    }

    fn place_of_list(&self, list: &Tables) -> String {
        self.place_of(
            list.key,
            format!("{PREFIX}{}", list.key.to_ascii_uppercase()),
            self.table.get(list.key),
        )
    }

    fn items(&mut self, list: &'static Tables, values: Vec<Value>, place: &str) -> Vec<Item> {
        let mut items = Vec::new();
        for (number, value) in values.into_iter().enumerate() {
            let place = format!("{place}[{number}]");
            match value.kind {
                ValueKind::Table(table) => items.push(Item { list, number, place, table }),
                other => {
                    let sentence = format!("This is {}. Write a table for each {}.", found(&other), list.key);
                    self.problems.add(place, sentence);
                }
            }
        }
        items
    }

    /// Notes each key of a table of a list that no setting has.
    pub(super) fn refuse_unknown(&mut self) {
        let Some(item) = self.item else { return };
        let settings = SETTINGS.iter().filter(|setting| setting.root() == item.list.key);
        let names: Vec<_> = settings.map(Setting::name).collect();
        for key in self.table.keys().filter(|key| !names.contains(&key.as_str())) {
            self.problems.add(format!("{}.{}", item.place, shown(key)), unknown(key, &names, &names));
        }
    }

    /// Whether the file or the environment has the setting.
    pub(super) fn is_set(&self, key: &str) -> bool {
        self.find(key).is_some()
    }

    /// The setting must be there, whatever the table says.
    pub(super) fn require(&mut self, key: &str) {
        if !self.is_set(key) {
            let meaning = Setting::of(key).meaning;
            self.problem::<()>(key, format!("This is required and missing. {meaning}."));
        }
    }

    /// The setting must not be there: it belongs to another word of `choice`.
    pub(super) fn refuse(&mut self, key: &str, choice: &str, word: &str) {
        if self.is_set(key) {
            let sentence =
                format!("This is only for {choice} = {word:?}. Take it out, or write that word there.");
            self.problem::<()>(key, sentence);
        }
    }

    /// Notes a problem of the setting, and answers that it has no value.
    pub(super) fn problem<T>(&mut self, key: &str, sentence: impl Into<String>) -> Option<T> {
        self.problems.add(self.place(key), sentence);
        None
    }

    /// Notes a problem of what stands at `place`.
    pub(super) fn problem_at(&mut self, place: impl Into<String>, sentence: impl Into<String>) {
        self.problems.add(place, sentence);
    }

    /// Where the setting has its value, or could have it.
    pub(super) fn place(&self, key: &str) -> String {
        let setting = Setting::of(key);
        if let Some(item) = self.item {
            return format!("{}.{}", item.place, setting.name());
        }
        self.place_of(setting.root(), setting.variable(), self.find(key))
    }

    fn place_of(&self, key: &str, variable: String, value: Option<&Value>) -> String {
        match self.file {
            Some(file) if value.is_none_or(|value| self.is_typed(value)) => format!("{file}: {key}"),
            _ => variable,
        }
    }

    /// Whether the value has the type that it was written in; one from a variable is text, and has the
    /// origin that `config` gives it. Tables lose theirs there, and what was parsed from a variable has none.
    fn is_typed(&self, value: &Value) -> bool {
        value.origin().is_none_or(|origin| self.file == Some(origin))
    }

    fn wrong<T>(&mut self, key: &str, fault: &str) -> Option<T> {
        let wanted = Setting::of(key).wanted();
        self.problem(key, format!("{fault} Write {wanted}."))
    }

    fn given(&mut self, key: &str) -> Option<Given> {
        let setting = Setting::of(key);
        match (self.find(key), setting.default) {
            // A variable that could not be read.
            (Some(Value { kind: ValueKind::Nil, .. }), _) => None,
            (Some(value), _) => match &value.kind {
                ValueKind::String(text) if !self.is_typed(value) => Some(Given::Words(text.clone())),
                kind => Some(Given::Typed(kind.clone())),
            },
            (None, Fallback::Is(words)) => Some(Given::Words(words.to_owned())),
            (None, Fallback::Unset(_)) => None,
            (None, Fallback::Required) => {
                self.require(key);
                None
            }
        }
    }

    fn find(&self, key: &str) -> Option<&Value> {
        let key = key.split_once("[].").map_or(key, |(_, name)| name);
        match key.split_once('.') {
            None => self.table.get(key),
            Some((section, name)) => match &self.table.get(section)?.kind {
                ValueKind::Table(section) => section.get(name),
                _ => None,
            },
        }
    }
}
