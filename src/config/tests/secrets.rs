//! A canary in every wrong place, which no message may show.

use super::*;

/// A secret as Entra makes them, which is not the right value of anything else.
const CANARY: &str = "kEy8Q~c4n4ry.s3cr3t_-x";

fn assert_hidden(lines: &[String], about: &str) {
    assert!(!lines.is_empty(), "{about}: no problem was found");
    for line in lines {
        let lower = line.to_lowercase();
        for part in ["kEy8Q", "c4n4ry", "s3cr3t", "8675309"] {
            assert!(!lower.contains(&part.to_lowercase()), "{about}: {line}");
        }
    }
}

#[test]
fn no_setting_shows_what_is_wrong_in_it() {
    // What takes any text, and so finds nothing wrong with the canary.
    let free = [
        "data_dir",
        "keys.file",
        "upstream.client_id",
        "upstream.client_secret",
        "upstream.certificate_file",
        "upstream.scopes",
        "resource[].name",
        "brand.name",
    ];
    let ill_typed = [
        "8675309".to_owned(),
        "86753098675309867530986753098675309".to_owned(),
        "8675309.8675309".to_owned(),
        format!("{{ a = {CANARY:?} }}"),
        format!("[[{CANARY:?}]]"),
        format!("\"{CANARY}\\n\""),
    ];
    let well_typed =
        [format!("{CANARY:?}"), format!("\"https://user:{CANARY}@h.example/?{CANARY}#{CANARY}\"")];
    for setting in SETTINGS {
        let known = if free.contains(&setting.key) { &[][..] } else { &well_typed };
        for value in ill_typed.iter().chain(known) {
            let toml = match setting.key.split_once("[].") {
                Some((_, name)) => format!("resource = [{{ {name} = {value} }}]"),
                None => format!("{} = {value}", setting.key),
            };
            assert_hidden(&problems(&toml, &[]), &toml);
            let in_env = toml.strip_prefix("resource = ").unwrap_or(value);
            if setting.root() == "resource" || !free.contains(&setting.key) {
                assert_hidden(&problems("", &[(&setting.variable(), in_env)]), in_env);
            }
        }
    }
}

#[test]
fn a_misspelt_name_does_not_show_its_value() {
    for toml in [
        format!("client_secret = {CANARY:?}"),
        format!("upstream.client_secert = {CANARY:?}"),
        format!("upstream.client-secret = {CANARY:?}"),
        format!("tokens.client_secret = {CANARY:?}"),
        format!("upstrem.client_secret = {CANARY:?}"),
        format!("upstream = {CANARY:?}"),
        format!("upstream.client_secret.value = {CANARY:?}"),
        format!("colour = {{ a = [{CANARY:?}] }}"),
        format!("resource = [{{ path = \"/a\", scopes = {{ a = \"b\" }}, client_secret = {CANARY:?} }}]"),
        format!("resource = [{{ path = \"/a\", scopes = {{ a = {{ b = {CANARY:?} }} }} }}]"),
    ] {
        assert_hidden(&problems(&toml, &[]), &toml);
    }
    for variable in [
        "ENTRADA_UPSTREAM__CLIENT_SECERT",
        "ENTRADA_UPSTREAM_CLIENT_SECRET",
        "ENTRADA_CLIENT_SECRET",
        "entrada_upstream__client_secret",
        "ENTRADA_TOKENS__CLIENT_SECRET",
        "ENTRADA_UPSTREAM",
        "ENTRADA_RESOURCE__CLIENT_SECRET",
    ] {
        assert_hidden(&problems("", &[(variable, CANARY)]), variable);
    }
}

#[test]
fn a_syntax_error_does_not_show_its_line() {
    for line in [
        format!("client_secret = {CANARY}"),
        format!("client_secret = \"{CANARY}"),
        format!("client_secret = {CANARY}\""),
        format!("client_secret = '{CANARY}\""),
        format!("client_secret = \"{CANARY}\" x"),
        format!("client_secret = \"{CANARY}\\q\""),
        format!("client_secret \"{CANARY}\""),
        format!("client_secret: {CANARY}"),
        format!("client_secret = \"a\"\nclient_secret = \"{CANARY}\""),
        format!("client_secret = \"\"\"\n{CANARY}"),
        format!("client_secret = \"a\n{CANARY}\""),
        format!("client_secret = {{ a = \"{CANARY}\", a = 1 }}"),
        format!("client_secret = \"{CANARY}\"\nclient_secret.a = 1"),
        format!("client_secret = 8675309{CANARY}"),
        format!("client_secret = 1979-05-27T{CANARY}"),
        format!("[{CANARY}"),
        format!("\u{0}{CANARY}"),
    ] {
        let toml = format!("[upstream]\n{line}\n");
        let lines = problems(&toml, &[]);
        assert_hidden(&lines, &line);
        assert!(lines.iter().all(|line| line.contains("entrada.toml: Line ")), "{line}: {lines:?}");
        let list = format!("[{{ path = \"/mcp\", {line}");
        assert_hidden(&problems("", &[("ENTRADA_RESOURCE", &list)]), &list);
    }
}

#[test]
fn the_configuration_can_be_printed() {
    let config = good("", &[("ENTRADA_UPSTREAM__CLIENT_SECRET", CANARY)]);
    assert_eq!(secret_of(&config), Some(CANARY));
    assert!(!format!("{config:?} {config:#?}").contains(CANARY));
    let problem = load(None, pairs(&[("ENTRADA_UPSTREAM__CLIENT_SECRET", CANARY)])).unwrap_err();
    assert!(!format!("{problem:?} {problem}").contains(CANARY));
}
