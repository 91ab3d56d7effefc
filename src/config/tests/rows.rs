//! What the table says of a setting holds.

use super::*;

#[test]
fn the_readme_table_has_every_setting_once() {
    let table = markdown_table();
    let rows: Vec<_> = table.lines().skip(2).collect();
    assert_eq!(rows.len(), SETTINGS.len());
    for (row, setting) in rows.iter().zip(SETTINGS) {
        assert!(row.starts_with(&format!("| `{}` | `{}` | ", setting.key, setting.variable())), "{row}");
        assert_eq!(row.matches('|').count(), 5, "{row}");
    }
    assert!(rows.contains(
        &"| `tokens.grace` | `ENTRADA_TOKENS__GRACE` | `90s` | How long the previous refresh token still gives \
          the same successor; `0s` is strict (`0s` to `300s`) |"
    ));
    assert!(table.contains("| `resource[].path` | `ENTRADA_RESOURCE` | required | "));
    assert!(table.contains("| `metrics.listen` | `ENTRADA_METRICS__LISTEN` | off | "));
}

/// Beside the words that the setting belongs to.
fn among(setting: &Setting, toml: String) -> String {
    match setting.key {
        "upstream.issuer" => toml + "\nupstream.kind = \"oidc\"",
        "upstream.allowed_tenants" => toml + "\nupstream.tenant = \"organizations\"",
        "upstream.managed_identity" => toml + "\nupstream.credential = \"managed-identity\"",
        "upstream.certificate_file" => toml + "\nupstream.credential = \"certificate\"",
        "store.kind" => toml,
        "store.key" => toml + "\nstore.kind = \"cosmos\"\nstore.credential = \"key\"",
        "keys.secret" | "keys.credential" | "keys.managed_identity" => {
            toml + "\nkeys.vault = \"https://example.vault.azure.net/\""
        }
        key if key.starts_with("store.") => toml + "\nstore.kind = \"cosmos\"",
        _ => toml,
    }
}

#[test]
fn every_setting_is_read() {
    for setting in SETTINGS {
        let toml = match setting.key.split_once("[].") {
            Some((list, name)) => format!("{list} = [{{ {name} = 1.5 }}]"),
            None => format!("{} = 1.5", setting.key),
        };
        let toml = among(setting, toml);
        let place =
            format!("entrada.toml: {}: This is a bare number or date.", setting.key.replace("[]", "[0]"));
        let lines = problems(&toml, &[]);
        assert!(lines.iter().any(|line| line.starts_with(&place)), "{}: {lines:#?}", setting.key);
    }
}

#[test]
fn every_word_and_both_bounds_of_the_table_are_accepted() {
    for setting in SETTINGS.iter().filter(|setting| setting.section().is_some()) {
        let words = match setting.kind {
            Kind::OneOf(words) => words.to_vec(),
            // Its default lies above that of its companion.
            Kind::Duration { max, .. } if setting.key == "tokens.refresh_max" => vec![max],
            Kind::Duration { min, .. } if setting.key == "tokens.refresh_idle" => vec![min],
            Kind::Duration { min, max } => vec![min, max],
            _ => continue,
        };
        for word in words {
            let toml = among(setting, format!("{} = {word:?}", setting.key));
            let lines = problems(&toml, &[]);
            let own = format!("entrada.toml: {}: ", setting.key);
            assert!(!lines.iter().any(|line| line.starts_with(&own)), "{toml}: {lines:#?}");
        }
    }
}
