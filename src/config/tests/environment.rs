use super::*;

fn variable(setting: &Setting) -> String {
    setting.variable()
}

#[test]
fn no_file_is_needed() {
    let config = load(None, pairs(REQUIRED)).unwrap();
    assert_eq!(config.public_url, "http://localhost:8000");
    assert_eq!(config.resources[0].scopes, text_pairs(&[("mcp.read", "Read")]));

    let message = load(None, Vec::new()).unwrap_err().to_string();
    let places: Vec<_> = message.lines().filter_map(|line| line.split(": ").next()).collect();
    let names: Vec<_> = REQUIRED.iter().map(|(name, _)| *name).collect();
    assert_eq!(places, names);
}

#[test]
fn every_variable_wins_over_the_file() {
    let env = [
        ("ENTRADA_PUBLIC_URL", "https://other.example.com"),
        ("ENTRADA_LISTEN", "[::1]:1, 127.0.0.1:2"),
        ("ENTRADA_HOSTS", "a.example.com, b.example.com:8443"),
        ("ENTRADA_DATA_DIR", "elsewhere"),
        ("ENTRADA_STOP_DELAY", "1m"),
        ("ENTRADA_UPSTREAM__KIND", "entra"),
        ("ENTRADA_UPSTREAM__TENANT", "99999999-2222-3333-4444-555555555555"),
        ("ENTRADA_UPSTREAM__GUESTS", "allow"),
        ("ENTRADA_UPSTREAM__AUTHORITY", "http://localhost:9"),
        ("ENTRADA_UPSTREAM__CLIENT_ID", "other"),
        ("ENTRADA_UPSTREAM__CREDENTIAL", "secret"),
        ("ENTRADA_UPSTREAM__CLIENT_SECRET", "other"),
        ("ENTRADA_UPSTREAM__SCOPES", r#"["a,b"]"#),
        ("ENTRADA_UPSTREAM__GRAPH", "http://localhost:10"),
        ("ENTRADA_STORE__KIND", "cosmos"),
        ("ENTRADA_STORE__ENDPOINT", "https://other.example.com/"),
        ("ENTRADA_STORE__DATABASE", "other"),
        ("ENTRADA_STORE__CONTAINER", "0012345"),
        ("ENTRADA_STORE__REGION", "West US"),
        ("ENTRADA_STORE__CREDENTIAL", "workload-identity"),
        ("ENTRADA_STORE__MANAGED_IDENTITY", "99999999-2222-3333-4444-555555555555"),
        ("ENTRADA_KEYS__FILE", "elsewhere.key"),
        ("ENTRADA_TRUST__HOSTS", "[]"),
        ("ENTRADA_TRUST__OPEN", "false"),
        ("ENTRADA_TRUST__VENDOR_SCHEMES", "true"),
        ("ENTRADA_DCR__ENABLED", "true"),
        ("ENTRADA_DCR__SECRET_HOSTS", "[]"),
        ("ENTRADA_CIMD__ENABLED", "true"),
        ("ENTRADA_TOKENS__SIGNING_ALG", "RS256"),
        ("ENTRADA_TOKENS__ACCESS", "61s"),
        ("ENTRADA_TOKENS__REFRESH_IDLE", "2h"),
        ("ENTRADA_TOKENS__REFRESH_MAX", "3h"),
        ("ENTRADA_TOKENS__CODE", "11s"),
        ("ENTRADA_TOKENS__LOGIN", "62s"),
        ("ENTRADA_TOKENS__GRACE", "1s"),
        ("ENTRADA_TOKENS__RECHECK", "2s"),
        ("ENTRADA_LIMITS__PER_ADDRESS", "off"),
        ("ENTRADA_LIMITS__PER_USER", "off"),
        ("ENTRADA_LIMITS__OPEN_PER_USER", "7"),
        ("ENTRADA_LIMITS__PER_CLIENT", "1/s"),
        ("ENTRADA_LIMITS__PROXIES", "1"),
        ("ENTRADA_RESOURCE", r#"[{path="/x", upstream="http://x/", scopes={"B.c"="B", "A.c"="A"}}]"#),
        ("ENTRADA_CLIENT", r#"[{id="x", name="X", redirect_uris=["https://x.example/"], scopes=["A.c"]}]"#),
        ("ENTRADA_BRAND__NAME", "Other"),
        ("ENTRADA_BRAND__ACCENT", "#000000"),
        ("ENTRADA_BRAND__SUPPORT_URL", "https://other.example.com/"),
        ("ENTRADA_LOG__FORMAT", "text"),
        ("ENTRADA_METRICS__LISTEN", "127.0.0.1:3"),
    ];
    // For the other kind of provider, another credential, and another place of keys; the others need a file.
    let elsewhere = [
        "upstream.allowed_tenants",
        "upstream.issuer",
        "upstream.managed_identity",
        "upstream.certificate_file",
        "store.key",
        "keys.vault",
        "keys.secret",
        "keys.credential",
        "keys.managed_identity",
        "brand.logo",
        "cimd.ca_file",
    ];
    let here = SETTINGS.iter().filter(|setting| !elsewhere.contains(&setting.key));
    let mut expected: Vec<_> = here.map(variable).collect();
    expected.dedup();
    assert_eq!(env.map(|(name, _)| name).to_vec(), expected);

    let config = load_file(FULL, pairs(&env)).unwrap();

    assert_eq!(config.public_url, "https://other.example.com");
    assert_eq!(config.listen, ["[::1]:1".parse().unwrap(), "127.0.0.1:2".parse().unwrap()]);
    assert_eq!(config.data_dir, PathBuf::from("elsewhere"));
    assert_eq!(config.stop_delay, Duration::from_secs(60));
    assert_eq!(config.keys, Keys::File(PathBuf::from("elsewhere.key")));
    let entra = Idp::Entra {
        tenants: Tenants::One("99999999-2222-3333-4444-555555555555".to_owned()),
        guests: true,
        authority: "http://localhost:9".to_owned(),
        graph: Some("http://localhost:10".parse().unwrap()),
    };
    assert_eq!(config.upstream.idp, entra);
    assert_eq!(config.upstream.client_id, "other");
    assert_eq!(secret_of(&config), Some("other"));
    assert_eq!(config.upstream.scopes, ["a,b"]);
    let Store::Cosmos(cosmos) = config.store else { panic!("another kind was named") };
    assert_eq!(cosmos.endpoint.as_str(), "https://other.example.com/");
    assert_eq!((cosmos.database.as_str(), cosmos.container.as_str()), ("other", "0012345"));
    assert_eq!(cosmos.region.as_deref(), Some("West US"));
    assert!(matches!(cosmos.credential, Credential::Identity(Identity::Workload { client_id: Some(_) })));
    assert_eq!(config.trust, Trust::default());
    assert_eq!(config.registration, Registration::default());
    assert!(config.documents.enabled);
    assert_eq!(config.clients.iter().map(|client| client.id.as_str()).collect::<Vec<_>>(), ["x"]);
    let seconds = Duration::from_secs;
    let tokens = Tokens {
        signing_alg: SigningAlg::RS256,
        access: seconds(61),
        refresh_idle: 2 * HOUR,
        refresh_max: 3 * HOUR,
        code: seconds(11),
        login: seconds(62),
        grace: seconds(1),
        recheck: seconds(2),
    };
    assert_eq!(config.tokens, tokens);
    let per_client = Some(Rate { count: NonZeroU32::MIN, period: seconds(1) });
    assert_eq!(
        config.limits,
        Limits { per_address: None, per_user: None, open_per_user: 7, per_client, proxies: 1 }
    );
    assert_eq!(config.hosts, ["a.example.com", "b.example.com:8443"]);
    assert_eq!(config.resources.len(), 1);
    assert_eq!(config.resources[0].scopes, text_pairs(&[("B.c", "B"), ("A.c", "A")]));
    assert_eq!(config.resources[0].access, seconds(61));
    let brand = config.brand;
    assert_eq!((brand.name.as_deref(), brand.accent), (Some("Other"), Colour::BLACK));
    assert_eq!(brand.support_url.as_deref(), Some("https://other.example.com/"));
    assert_eq!((config.log_format, config.metrics), (LogFormat::Text, Some("127.0.0.1:3".parse().unwrap())));
}

#[test]
fn text_stays_text() {
    for text in ["0012345", "true", "1e5", "null", " 1 ", "[a]", "{}", "\"quoted\"", "a,b", "1979-05-27"] {
        let config = good("", &[("ENTRADA_UPSTREAM__CLIENT_SECRET", text)]);
        assert_eq!(secret_of(&config), Some(text));
        if text.trim() == text {
            assert_eq!(good("", &[("ENTRADA_UPSTREAM__CLIENT_ID", text)]).upstream.client_id, text);
        }
    }
}

#[test]
fn an_empty_variable_counts_as_unset() {
    let env: Vec<_> = table::variables().into_iter().map(|(name, _)| name).collect();
    let empty: Vec<_> = env.iter().map(|name| (name.as_str(), "")).collect();
    let config = load_file(FULL, pairs(&empty)).unwrap();
    assert_eq!(config.trust.hosts, ["app.example.com", "192.0.2.7", "shared.example.com/tenant/"]);
    assert_eq!(secret_of(&config), Some("0012345"));
}

#[test]
fn lists_are_parted_by_commas_or_written_in_toml() {
    for (text, expected) in [
        ("a.example", &["a.example"][..]),
        ("a.example, b.example,", &["a.example", "b.example"]),
        (r#" ["a.example", 'b.example'] "#, &["a.example", "b.example"]),
        ("[\n  \"a.example\", # one\n]\n", &["a.example"]),
        ("[]", &[]),
    ] {
        assert_eq!(good("", &[("ENTRADA_TRUST__HOSTS", text)]).trust.hosts, expected);
    }
}

#[test]
fn other_peoples_variables_are_left_alone() {
    // The first are what Kubernetes sets beside services called entrada, entrada-metrics and entrada-store.
    let env = [
        ("ENTRADA_SERVICE_HOST", "10.0.0.1"),
        ("ENTRADA_SERVICE_PORT", "8000"),
        ("ENTRADA_SERVICE_PORT_HTTP", "8000"),
        ("ENTRADA_PORT", "tcp://10.0.0.1:8000"),
        ("ENTRADA_PORT_8000_TCP_ADDR", "10.0.0.1"),
        ("ENTRADA_METRICS_SERVICE_HOST", "10.0.0.1"),
        ("ENTRADA_METRICS_SERVICE_PORT", "9464"),
        ("ENTRADA_METRICS_SERVICE_PORT_SCRAPE", "9464"),
        ("ENTRADA_METRICS_PORT", "tcp://10.0.0.1:9464"),
        ("ENTRADA_METRICS_PORT_9464_TCP", "tcp://10.0.0.1:9464"),
        ("ENTRADA_STORE_PORT_1_UDP_PROTO", "udp"),
        ("ENTRADA_VERSION", "1.2.3"),
        ("ENTRADA_NAME", "/web/entrada"),
        ("ENTRADA", "x"),
        ("ENTRADAX__Y", "x"),
        ("TOKENS__GRACE", "x"),
        ("PATH", "/bin"),
    ];
    good("", &env);
}

#[cfg(unix)]
#[test]
fn a_value_that_is_not_utf8_is_told_once() {
    use std::os::unix::ffi::OsStringExt;

    let broken = || OsString::from_vec(b"canary\xff".to_vec());
    for (variable, _) in table::variables() {
        let mut env = pairs(REQUIRED);
        env.retain(|(name, _)| *name != *variable);
        env.push((variable.clone().into(), broken()));
        env.push(("SOMEBODY_ELSES".into(), broken()));
        let message = load(None, env).unwrap_err().to_string();
        let expected = format!("{variable}: The value is not UTF-8 text. Write it in that encoding.");
        let lines: Vec<_> = message.lines().filter(|line| !line.contains(": This is only for ")).collect();
        assert_eq!(lines, [expected]);
    }
}
