//! The environment: which variables are settings, and which were probably meant to be.

use std::ffi::OsString;

use config::Map;

use super::nearest::distance;
use super::nearest::nearest;
use super::problems::Problems;
use super::settings::LISTS;
use super::settings::PREFIX;
use super::settings::Setting;
use super::table::SETTINGS;
use super::table::sections;
use super::table::variables;

/// The settings in the environment.
#[derive(Default)]
pub(super) struct Variables {
    /// By the name of the variable, as the `config` crate takes them.
    pub texts: Map<String, String>,
    /// Keys whose variable could not be read, which is already among the problems.
    pub broken: Vec<&'static str>,
}

/// Sorts out the variables whose names begin with `ENTRADA_`. An empty one counts as unset.
pub(super) fn read(
    env: impl IntoIterator<Item = (OsString, OsString)>,
    problems: &mut Problems,
) -> Variables {
    let known = variables();
    let mut found = Variables::default();
    for (name, value) in env {
        let name = name.to_string_lossy();
        if !name.to_ascii_uppercase().starts_with(PREFIX) || value.is_empty() {
            continue;
        }
        let setting = known.iter().find(|(variable, _)| *variable == name);
        match (setting, value.into_string()) {
            (Some((variable, _)), Ok(text)) => {
                found.texts.insert(variable.clone(), text);
            }
            (Some((variable, key)), Err(_)) => {
                problems.add(variable, "The value is not UTF-8 text. Write it in that encoding.");
                found.broken.push(key);
            }
            (None, _) => {
                if let Some(sentence) = misspelt(&name.to_ascii_uppercase()[PREFIX.len()..]) {
                    problems.add(name.escape_debug().to_string(), sentence);
                }
            }
        }
    }
    found
}

/// What to say about a variable that no setting has, unless it is somebody else's. `name` is what follows
/// the prefix.
fn misspelt(name: &str) -> Option<String> {
    let variables = variables();
    let known: Vec<_> = variables.iter().map(|(variable, _)| &variable[PREFIX.len()..]).collect();
    let begins_with = |section: &str| {
        let rest = name.strip_prefix(&section.to_ascii_uppercase());
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('_'))
    };
    let section = sections().into_iter().find(|section| begins_with(section));
    let list = LISTS.into_iter().find(|list| begins_with(list.key));

    let in_words = |variable: &str| {
        // ENTRADA_NAME is what Docker tells of a linked container.
        if variable == "NAME" {
            return false;
        }
        let sections = SETTINGS.iter().filter(|setting| setting.section().is_some());
        sections.map(Setting::name).any(|name| name.eq_ignore_ascii_case(variable))
    };
    let close = known.iter().any(|variable| distance(name, variable) <= 2);
    let under = (section.is_some() || list.is_some()) && !set_by_kubernetes(name);
    if !(name.contains("__") || close || under || in_words(name)) {
        return None;
    }

    if let Some(list) = list {
        return Some(format!(
            "There is no such setting. Write every {} in one list: {}.",
            list.key,
            list.in_environment()
        ));
    }
    let is_section = section.is_some_and(|section| name.eq_ignore_ascii_case(section));
    if let Some(near) = nearest(name, known.iter().copied(), "__").filter(|_| !is_section) {
        return Some(format!("There is no such setting. Did you mean {PREFIX}{near}?"));
    }
    let mut here: Vec<_> = SETTINGS
        .iter()
        .filter(|setting| section.is_none() || setting.section() == section)
        .map(|setting| match setting.section() {
            Some(other) if section.is_none() => format!("{PREFIX}{}__…", other.to_ascii_uppercase()),
            _ => setting.variable(),
        })
        .collect();
    here.dedup();
    Some(format!("There is no such setting. Those that can stand here are {}.", here.join(", ")))
}

/// Whether the name is one that Kubernetes gives every pod in a namespace with a service called, say,
/// `entrada-metrics` (`ENTRADA_METRICS_SERVICE_HOST`, `ENTRADA_METRICS_PORT_9464_TCP_ADDR`).
fn set_by_kubernetes(name: &str) -> bool {
    let parts: Vec<_> = name.split('_').collect();
    let number = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    name.ends_with("_SERVICE_HOST")
        || name.ends_with("_PORT")
        || parts.windows(2).any(|pair| pair == ["SERVICE", "PORT"])
        || parts
            .windows(3)
            .any(|at| at[0] == "PORT" && number(at[1]) && ["TCP", "UDP", "SCTP"].contains(&at[2]))
}
