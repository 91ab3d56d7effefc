mod brand;
mod clients;
mod environment;
mod forwarding;
mod keys;
mod rows;
mod secrets;
mod sentences;
mod store;
mod upstream;

use super::*;
use crate::domain::colour::Colour;
use crate::domain::limits::Rate;
use crate::protocol::redirect_uri::RedirectUri;
use crate::protocol::scope::Scopes;
use std::ffi::OsString;
use std::fs;
use std::num::NonZeroU32;

use proptest::prelude::*;
use secrecy::ExposeSecret;
use toml::de::DeTable;
use toml::de::DeValue;

/// What is required, for cases that are about something else.
const REQUIRED: &[(&str, &str)] = &[
    ("ENTRADA_PUBLIC_URL", "http://localhost:8000"),
    ("ENTRADA_UPSTREAM__TENANT", "11111111-2222-3333-4444-555555555555"),
    ("ENTRADA_UPSTREAM__CLIENT_ID", "entrada"),
    ("ENTRADA_UPSTREAM__CLIENT_SECRET", "secret"),
    ("ENTRADA_RESOURCE", r#"[{path="/mcp", scopes={"mcp.read"="Read"}}]"#),
];

const FULL: &str = r##"
public_url = "https://mcp.example.com"
listen = ["0.0.0.0:8000", "[::1]:8001"]
data_dir = "/var/lib/entrada"

[upstream]
kind = "entra"
tenant = "AAAAAAAA-2222-3333-4444-555555555555"
authority = "https://login.microsoftonline.us"
client_id = "6c1f"
client_secret = "0012345"
scopes = ["api://6c1f/mcp.access"]

[store]
kind = "embedded"

[trust]
hosts = ["app.example.com", "192.0.2.7", "shared.example.com/tenant/"]
open = true
vendor_schemes = false

[dcr]
enabled = false
secret_hosts = ["bot.example.com"]

[cimd]
enabled = false

[limits]
per_address = "20/s"
per_user = "off"
per_client = "7/h"
proxies = 2

[tokens]
signing_alg = "ES256"
access = "24h"
refresh_idle = "1h"
refresh_max = "365d"
code = "1m 30s"
login = "1h"
grace = "0s"
recheck = "0s"

[[resource]]
path = "/mcp"
upstream = "http://127.0.0.1:9000"
name = "Expenses"
default = true
scopes = { "mcp.read" = "Read your expenses", "mcp.Write" = "Add expenses" }
default_scopes = ["mcp.read"]
claims = ["name", "preferred_username", "roles", "groups"]

[[resource]]
path = "/files/v1"
identifier = "https://files.example.com"
upstream = "https://files.internal/mcp"
access = "2m"
scopes = { z = "Last", A = "First" }

[[resource]]
path = "/mcp2"
[resource.scopes]
"files.all" = "Everything"

[[client]]
id = "agent"
name = "The agent"
redirect_uris = ["https://agent.example.com/cb", "http://localhost/cb"]
scopes = ["mcp.read", "z"]
secret_sha256 = "000102030405060708090a0b0c0d0e0f101112131415161718191A1B1C1D1E1F"

[[client]]
id = "tool"
name = "The tool"
redirect_uris = "com.example.tool:/cb"

[brand]
name = "Contoso"
accent = "#0F6E56"
support_url = "mailto:help@contoso.example"

[log]
format = "json"

[metrics]
listen = "127.0.0.1:9464"
"##;

type Env<'a> = &'a [(&'a str, &'a str)];

fn pairs(env: Env<'_>) -> Vec<(OsString, OsString)> {
    env.iter().map(|(name, value)| (name.into(), value.into())).collect()
}

/// Loads `toml` from a file called entrada.toml, and gives the lines of the message if there is one.
fn load_file(toml: &str, env: Vec<(OsString, OsString)>) -> Result<Config, Vec<String>> {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("entrada.toml");
    fs::write(&file, toml).unwrap();
    load(Some(&file), env).map_err(|problems| {
        let message = problems.to_string().replace(&file.display().to_string(), "entrada.toml");
        message.lines().map(str::to_owned).collect()
    })
}

/// The environment with what is required and not in `toml` or `env` already.
fn completed<'a>(toml: &str, env: Env<'a>) -> Vec<(&'a str, &'a str)> {
    let in_file = |variable: &str| {
        let (_, key) = table::variables().into_iter().find(|(name, _)| name == variable).unwrap();
        let table = DeTable::parse(toml).map(|table| DeValue::Table(table.into_inner()));
        let Ok(table) = table else { return false };
        key.split('.').try_fold(&table, |table, key| Some(table.get(key)?.get_ref())).is_some()
    };
    let in_env = |variable: &str| env.iter().any(|(name, _)| *name == variable);
    let missing = REQUIRED.iter().filter(|(name, _)| !in_file(name) && !in_env(name));
    missing.chain(env).copied().collect()
}

fn problems(toml: &str, env: Env<'_>) -> Vec<String> {
    load_file(toml, pairs(&completed(toml, env))).err().unwrap_or_default()
}

fn good(toml: &str, env: Env<'_>) -> Config {
    load_file(toml, pairs(&completed(toml, env))).unwrap()
}

/// The client secret towards the identity provider.
fn secret_of(config: &Config) -> Option<&str> {
    match &config.upstream.proof {
        Proof::Secret(secret) => Some(secret.expose_secret()),
        _ => None,
    }
}

fn text_pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, words)| ((*name).to_owned(), (*words).to_owned())).collect()
}

const MINUTE: Duration = Duration::from_mins(1);
const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);

#[test]
fn a_full_file_is_read_as_written() {
    let config = load_file(FULL, Vec::new()).unwrap();

    assert_eq!(config.public_url, "https://mcp.example.com");
    assert_eq!(config.listen, ["0.0.0.0:8000".parse().unwrap(), "[::1]:8001".parse().unwrap()]);
    assert_eq!(config.data_dir, PathBuf::from("/var/lib/entrada"));
    let tenants = Tenants::One("aaaaaaaa-2222-3333-4444-555555555555".to_owned());
    let authority = "https://login.microsoftonline.us".to_owned();
    assert_eq!(config.upstream.idp, Idp::Entra { tenants, guests: false, authority, graph: None });
    assert_eq!(config.upstream.client_id, "6c1f");
    assert_eq!(secret_of(&config), Some("0012345"));
    assert_eq!(config.upstream.scopes, ["api://6c1f/mcp.access"]);
    assert!(matches!(config.store, Store::Embedded));
    let hosts = ["app.example.com", "192.0.2.7", "shared.example.com/tenant/"].map(str::to_owned).to_vec();
    assert_eq!(config.trust, Trust { hosts, open: true, vendor_schemes: false });
    let secret_hosts = vec!["bot.example.com".to_owned()];
    assert_eq!(config.registration, Registration { enabled: false, secret_hosts });
    assert_eq!(config.documents, Documents { enabled: false, ca: None });
    let uris = |uris: &[&str]| uris.iter().map(|uri| RedirectUri::parse(uri).unwrap()).collect();
    let agent = ConfiguredClient {
        id: "agent".to_owned(),
        name: "The agent".to_owned(),
        redirect_uris: uris(&["https://agent.example.com/cb", "http://localhost/cb"]),
        scopes: ["mcp.read", "z"].into_iter().collect(),
        secret_sha256: Some(std::array::from_fn(|n| u8::try_from(n).unwrap())),
        jwks: None,
    };
    let tool = ConfiguredClient {
        id: "tool".to_owned(),
        name: "The tool".to_owned(),
        redirect_uris: uris(&["com.example.tool:/cb"]),
        scopes: Scopes::default(),
        secret_sha256: None,
        jwks: None,
    };
    assert_eq!(config.clients, [agent, tool]);
    let tokens = Tokens {
        signing_alg: SigningAlg::ES256,
        access: DAY,
        refresh_idle: HOUR,
        refresh_max: 365 * DAY,
        code: Duration::from_secs(90),
        login: HOUR,
        grace: Duration::ZERO,
        recheck: Duration::ZERO,
    };
    assert_eq!(config.tokens, tokens);
    let per_address = Some(Rate { count: NonZeroU32::new(20).unwrap(), period: Duration::from_secs(1) });
    let per_client = Some(Rate { count: NonZeroU32::new(7).unwrap(), period: HOUR });
    assert_eq!(
        config.limits,
        Limits { per_address, per_user: None, open_per_user: 100, per_client, proxies: 2 }
    );
    let brand = Brand {
        name: Some("Contoso".to_owned()),
        logo: None,
        accent: Colour::of(0x0f_6e56),
        support_url: Some("mailto:help@contoso.example".to_owned()),
    };
    assert_eq!(config.brand, brand);
    assert_eq!(config.log_format, LogFormat::Json);
    assert_eq!(config.metrics, Some("127.0.0.1:9464".parse().unwrap()));

    let [expenses, files, other] = config.resources.as_slice() else { panic!("three resources") };
    let scopes = text_pairs(&[("mcp.read", "Read your expenses"), ("mcp.Write", "Add expenses")]);
    let expected = Resource {
        path: "/mcp".to_owned(),
        identifier: "https://mcp.example.com/mcp".to_owned(),
        upstream: Some("http://127.0.0.1:9000/".parse().unwrap()),
        name: "Expenses".to_owned(),
        default: true,
        access: DAY,
        scopes,
        default_scopes: vec!["mcp.read".to_owned()],
        implied: ImpliedScopes::default(),
        claims: vec![Claim::Name, Claim::PreferredUsername, Claim::Roles, Claim::Groups],
        allowed: Allowed::default(),
        forwarding: Forwarding::default(),
        trusted_network: false,
    };
    assert_eq!(*expenses, expected);
    assert_eq!(files.identifier, "https://files.example.com");
    assert_eq!(files.access, 2 * MINUTE);
    assert_eq!(files.scopes, text_pairs(&[("z", "Last"), ("A", "First")]));
    assert_eq!(files.default_scopes, ["z", "A"]);
    assert_eq!((other.upstream.as_ref(), other.access), (None, 15 * MINUTE));
}

#[test]
fn what_is_left_out_has_the_documented_default() {
    let toml = r#"
        public_url = "http://127.0.0.1:8000"
        upstream = { tenant = "11111111-2222-3333-4444-555555555555", client_id = "a", client_secret = "b" }
        resource = [{ path = "/mcp", upstream = "http://127.0.0.1:9000/mcp", scopes = { "mcp.read" = "Read" } }]
    "#;

    let config = load_file(toml, Vec::new()).unwrap();

    assert_eq!(config.listen, ["127.0.0.1:8000".parse().unwrap()]);
    assert_eq!(config.data_dir, PathBuf::from("./data"));
    assert_eq!(config.stop_delay, Duration::ZERO);
    let Idp::Entra { authority, .. } = config.upstream.idp else { panic!("entra") };
    assert_eq!(authority, "https://login.microsoftonline.com");
    assert!(config.upstream.scopes.is_empty());
    assert!(matches!(config.store, Store::Embedded));
    assert_eq!(config.trust, Trust::default());
    assert_eq!(config.registration, Registration::default());
    assert!(config.clients.is_empty());
    let tokens = Tokens {
        signing_alg: SigningAlg::RS256,
        access: HOUR,
        refresh_idle: 30 * DAY,
        refresh_max: 90 * DAY,
        code: MINUTE,
        login: 15 * MINUTE,
        grace: Duration::from_secs(90),
        recheck: 5 * MINUTE,
    };
    assert_eq!(config.tokens, tokens);
    let per_address = Some(Rate { count: NonZeroU32::new(1_200).unwrap(), period: MINUTE });
    assert_eq!(
        config.limits,
        Limits { per_address, per_user: per_address, open_per_user: 100, per_client: None, proxies: 0 }
    );
    assert!(config.hosts.is_empty());
    assert_eq!(config.brand, Brand::default());
    assert_eq!((config.log_format, config.metrics), (LogFormat::Text, None));
    let resource = &config.resources[0];
    assert_eq!((resource.name.as_str(), resource.default, resource.access), ("/mcp", false, HOUR));
    assert_eq!(resource.identifier, "http://127.0.0.1:8000/mcp");
    assert_eq!(
        (resource.default_scopes.as_slice(), resource.claims.len()),
        (&["mcp.read".to_owned()][..], 0)
    );
}

#[test]
fn another_provider_is_named_by_its_issuer_byte_for_byte() {
    for issuer in ["https://login.example.com/", "https://login.example.com", "http://127.0.0.1:9000/idp"] {
        let env = [
            ("ENTRADA_UPSTREAM__KIND", "oidc"),
            ("ENTRADA_UPSTREAM__TENANT", ""),
            ("ENTRADA_UPSTREAM__ISSUER", issuer),
        ];
        assert_eq!(good("", &env).upstream.idp, Idp::Oidc { issuer: issuer.to_owned() });
    }
}

#[test]
fn only_whole_segments_are_entradas_own() {
    for own in
        ["authorize", "consent", "auth", "token", "register", "revoke", ".well-known", "healthz", "metrics"]
    {
        for (path, lines) in [(format!("/{own}"), 1), (format!("/{own}/x"), 1), (format!("/{own}s"), 0)] {
            let toml = format!("resource = [{{ path = {path:?}, scopes = {{ a = \"A\" }} }}]");
            assert_eq!(problems(&toml, &[]).len(), lines, "{path}");
        }
    }
}

#[test]
fn any_two_listeners_may_have_a_port_of_the_systems_choice() {
    let config = good("listen = \"127.0.0.1:0\"\nmetrics.listen = \"127.0.0.1:0\"", &[]);
    assert_eq!(config.metrics, Some(config.listen[0]));
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let missing = directory.path().join("missing.toml");
    let message = load(Some(&missing), Vec::new()).unwrap_err().to_string();
    let expected = "There is no such file. Name another, or set everything in the environment.";
    assert_eq!(message, format!("{}: {expected}", missing.display()));

    let latin = directory.path().join("latin.toml");
    fs::write(&latin, b"public_url = \"\xe9\"").unwrap();
    let message = load(Some(&latin), Vec::new()).unwrap_err().to_string();
    let expected = "The file is not UTF-8 text. Save it in that encoding.";
    assert_eq!(message, format!("{}: {expected}", latin.display()));
}

proptest! {
    #[test]
    fn scopes_keep_their_order_and_case(
        scopes in prop::collection::hash_map("[A-Za-z0-9.:/_-]{1,12}", "[A-Za-z ]{0,8}[a-z]", 1..12),
        from_file: bool,
    ) {
        let scopes: Vec<(String, String)> = scopes.into_iter().collect();
        let entries: Vec<_> = scopes.iter().map(|(name, words)| format!("{name:?} = {words:?}")).collect();
        let list = format!("[{{ path = \"/mcp\", scopes = {{ {} }} }}]", entries.join(", "));
        let config = if from_file {
            good(&format!("resource = {list}"), &[])
        } else {
            good("", &[("ENTRADA_RESOURCE", &list)])
        };
        prop_assert_eq!(&config.resources[0].scopes, &scopes);
        let names: Vec<_> = scopes.iter().map(|(name, _)| name.clone()).collect();
        prop_assert_eq!(&config.resources[0].default_scopes, &names);
    }

    #[test]
    fn an_accepted_path_needs_no_escaping_in_a_url(path in "/[ -~]{0,6}(/[a-z.~%{}?#:]{0,4})?") {
        let list = format!("[{{ path = {path:?}, scopes = {{ a = \"A\" }} }}]");
        if let Ok(config) = load_file("", pairs(&completed("", &[("ENTRADA_RESOURCE", &list)]))) {
            let identifier = &config.resources[0].identifier;
            let normal = Url::parse(identifier).unwrap();
            prop_assert_eq!(normal.as_str(), identifier);
            prop_assert_eq!(normal.path(), path);
        }
    }
}
