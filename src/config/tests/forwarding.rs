//! Who may use a resource, and how the gateway serves it.

use super::*;
use crate::domain::forwarding::Identity;
use crate::domain::tools::ToolPattern;
use crate::domain::tools::ToolScopes;

fn resource(more: &str) -> Resource {
    let toml = format!(
        "[[resource]]\npath = \"/mcp\"\nupstream = \"https://127.0.0.1:9000/mcp\"\n{more}\n\
         [resource.scopes]\n\"mcp.read\" = \"Read\"\n\"mcp.write\" = \"Write\"\n"
    );
    good(&toml, &[("ENTRADA_RESOURCE", "")]).resources.remove(0)
}

fn list(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|&text| text.to_owned()).collect()
}

#[test]
fn everything_is_read_as_it_stands() {
    let ca = tempfile::NamedTempFile::new().unwrap();
    let pem = "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n";
    fs::write(ca.path(), pem).unwrap();
    let resource = resource(&format!(
        r#"
        implies = {{ "mcp.write" = ["mcp.read"] }}
        tools = {{ "delete_*" = "mcp.write", "*" = ["mcp.read"] }}
        identity = ["headers", "token", "easy-auth"]
        origins = ["https://app.example.com", "http://localhost:6274"]
        body_limit = "64 KiB"
        connect_timeout = "1s"
        first_byte_timeout = "1h"
        idle_timeout = "1m 30s"
        http2 = true
        ca_file = "{}"
        "#,
        ca.path().display()
    ));
    let implied = ImpliedScopes(vec![("mcp.write".to_owned(), Scopes::parse("mcp.read"))]);
    assert_eq!(resource.implied, implied);
    let rule = |pattern, scopes| (ToolPattern::new(pattern), Scopes::parse(scopes));
    let expected = Forwarding {
        identity: vec![Identity::Headers, Identity::Token, Identity::EasyAuth],
        tools: ToolScopes(vec![rule("delete_*", "mcp.write"), rule("*", "mcp.read")]),
        origins: Some(list(&["https://app.example.com", "http://localhost:6274"])),
        body_limit: 65_536,
        connect_timeout: Duration::from_secs(1),
        first_byte_timeout: HOUR,
        idle_timeout: Duration::from_secs(90),
        http2: true,
        ca: Some(pem.into()),
    };
    assert_eq!(resource.forwarding, expected);
}

#[test]
fn ids_are_written_in_any_case_and_compared_as_tokens_have_them() {
    let resource = resource(
        r#"
        allowed_tenants = ["AAAAAAAA-2222-3333-4444-555555555555"]
        allowed_users = ["BBBBBBBB-2222-3333-4444-555555555555",
                         "AAAAAAAA-2222-3333-4444-555555555555:CCCCCCCC-2222-3333-4444-555555555555"]
        allowed_groups = ["DDDDDDDD-2222-3333-4444-555555555555"]
        allowed_roles = ["Expenses.Approver"]
        allowed_clients = ["claude.ai", "ABC"]
        "#,
    );
    let expected = Allowed {
        tenants: list(&["aaaaaaaa-2222-3333-4444-555555555555"]),
        users: list(&[
            "bbbbbbbb-2222-3333-4444-555555555555",
            "aaaaaaaa-2222-3333-4444-555555555555:cccccccc-2222-3333-4444-555555555555",
        ]),
        groups: list(&["dddddddd-2222-3333-4444-555555555555"]),
        roles: list(&["Expenses.Approver"]),
        clients: list(&["claude.ai", "ABC"]),
        keys: false,
    };
    assert_eq!(resource.allowed, expected);
}

/// Nothing signs them: beyond this machine somebody has to say that they are safe.
#[test]
fn unsigned_identity_goes_no_further_than_loopback_unless_it_is_said() {
    for upstream in ["http://127.0.0.1:1/", "http://[::1]:1/", "http://localhost/", "https://127.3.2.1/"] {
        let toml = format!(
            "resource = [{{ path = \"/mcp\", upstream = {upstream:?}, identity = \"headers\", scopes = {{ a = \"A\" }} }}]"
        );
        assert!(!good(&toml, &[("ENTRADA_RESOURCE", "")]).resources[0].trusted_network, "{upstream}");
    }
    for (upstream, form, trusted, problem) in [
        ("http://mcp/", "headers", "false", true),
        ("http://localhost.example.com/", "easy-auth", "false", true),
        ("http://10.0.0.1/", "headers", "false", true),
        ("https://mcp.example.com/", "headers", "false", true),
        ("http://mcp/", "token", "false", false),
        ("http://mcp/", "headers", "true", false),
    ] {
        let toml = format!(
            "resource = [{{ path = \"/mcp\", upstream = {upstream:?}, identity = [{form:?}], \
             trusted_network = {trusted}, scopes = {{ a = \"A\" }} }}]"
        );
        let found = problems(&toml, &[("ENTRADA_RESOURCE", "")]);
        let told =
            found.iter().any(|line| line.starts_with("entrada.toml: resource[0].identity: Whoever else"));
        assert_eq!((told, found.len()), (problem, usize::from(problem)), "{upstream} {form}: {found:?}");
    }
}

#[test]
fn keys_are_let_in_by_a_word_and_by_their_names() {
    let resource = resource(
        r#"
        keys = true
        allowed_users = ["BBBBBBBB-2222-3333-4444-555555555555", "key:0123456789abcdef"]
        allowed_clients = ["key:0123456789abcdef"]
        "#,
    );
    let expected = Allowed {
        users: list(&["bbbbbbbb-2222-3333-4444-555555555555", "key:0123456789abcdef"]),
        clients: list(&["key:0123456789abcdef"]),
        keys: true,
        ..Allowed::default()
    };
    assert_eq!(resource.allowed, expected);
}
