//! Dynamic client registration (RFC 7591): what is granted of what is asked.

use axum::body::Body;
use axum::http::Request;
use entrada::domain::policy::Registration;
use entrada::domain::trust::Trust;
use serde_json::Value;
use serde_json::json;

use crate::support::browser::Browser;
use crate::support::client::Client;
use crate::support::entrada::Entrada;
use crate::support::entrada::Setup;

async fn told(entrada: &Entrada, body: Value) -> Value {
    let answer = entrada.post_json("/register", &body).await;
    assert_eq!(answer.status, 201, "{body}: {}", answer.body);
    answer.json()
}

/// The redirect URIs that are registered of these.
async fn registered(entrada: &Entrada, uris: &[&str]) -> Vec<String> {
    let answer = entrada.post_json("/register", &json!({ "redirect_uris": uris })).await;
    if answer.status == 400 {
        assert_eq!(answer.error(), "invalid_redirect_uri", "{uris:?}");
        return Vec::new();
    }
    let uris = answer.json()["redirect_uris"].as_array().unwrap().clone();
    uris.iter().map(|uri| uri.as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn one_bad_redirect_uri_among_good_ones_is_left_out() {
    let entrada = Entrada::start().await;
    let good = "https://claude.ai/api/mcp/auth_callback";
    for bad in
        ["javascript:alert(1)", "http://client.example.com/cb", "https://claude.ai/a#b", "cursorx://a/b"]
    {
        assert_eq!(registered(&entrada, &[bad, good]).await, [good], "{bad}");
    }
}

#[tokio::test]
async fn schemes_are_https_http_on_loopback_and_private_use_with_a_dot_or_of_a_vendor() {
    let entrada = Entrada::start().await;
    for good in [
        "https://client.example.com/cb",
        "https://client.example.com:8443/cb?a=b",
        "http://localhost/cb",
        "http://127.0.0.1:1/cb",
        "http://[::1]:65535/cb",
        "com.example.app:/oauth2redirect",
        "com.example.app://callback",
        "com.example.app://host/path?a=b",
        "cursor://anysphere.cursor-mcp/oauth/callback",
    ] {
        assert_eq!(registered(&entrada, &[good]).await, [good]);
    }
    for bad in [
        "javascript:alert(1)",
        "javascript://%0aalert(1)",
        "data:text/html,x",
        "file:///etc/passwd",
        "blob:https://claude.ai/x",
        "filesystem:https://claude.ai/x",
        "intent://x#Intent;scheme=http;end",
        "about:blank",
        "ms-settings:privacy",
        "view-source:https://claude.ai/",
        "vbscript:x",
        "ftp://client.example.com/cb",
        "ws://localhost/cb",
        "vscode://vscode.github-authentication/cb",
        "com.example.app:callback",
        "cursor://anysphere.cursor-deeplink/mcp/install?name=x",
        "cursor://anysphere.cursor-mcp/other",
        "urn:ietf:wg:oauth:2.0:oob",
    ] {
        assert!(registered(&entrada, &[bad]).await.is_empty(), "{bad}");
    }
}

#[tokio::test]
async fn what_can_be_read_in_two_ways_is_refused() {
    let entrada = Entrada::start().await;
    for bad in [
        "https://client.example.com/cb#fragment",
        "https://client.example.com/cb#",
        "https://user@client.example.com/cb",
        "https://user:password@client.example.com/cb",
        "http://localhost@evil.example/cb",
        "http://localhost.evil.example/cb",
        "https://client.example.com/a/../b",
        "https://client.example.com/a/./b",
        "https://client.example.com/a/%2e%2e/b",
        "https://client.example.com/a/%2E%2E/b",
        "https://client.example.com/a/%252e%252e/b",
        "https://client.example.com/a%2fb",
        "https://client.example.com/a%5cb",
        "https://client.example.com\\@evil.example/cb",
        "https://client.example.com/cb?a=\\b",
        "com.example.app:/a\\b",
        "com.example.app:/a/../b",
        "https://client.example.com/\u{7}cb",
        "https://client.example.com/c b",
        "https://client.example.com/cb\n",
        "\thttps://client.example.com/cb",
        "HTTPS://client.example.com/cb",
        "https://CLIENT.example.com/cb",
        "https://client.example.com:443/cb",
        "https://clıent.example.com/cb",
        "https://client.example.com/cb?code=x",
        "https://client.example.com/cb?state=x",
        "https:/client.example.com/cb",
        "https://client.example.com./cb",
        "https://vscode.dev./evil",
        "https://client..example.com/cb",
        "https://./cb",
        "https://'/cb",
        "https://client.example.com/cb%00",
        "https://",
        "//client.example.com/cb",
        "/cb",
        "",
    ] {
        assert!(registered(&entrada, &[bad]).await.is_empty(), "{bad:?}");
    }
    let long = format!("https://client.example.com/{}", "a".repeat(512));
    assert!(registered(&entrada, &[&long]).await.is_empty());
}

#[tokio::test]
async fn where_tenants_share_a_host_the_path_decides_what_may_be_registered() {
    let entrada = Entrada::start().await;
    for (uri, may) in [
        ("https://global.consent.azure-apim.net/redirect", true),
        ("https://global.consent.azure-apim.net/redirect/a-tool", true),
        ("https://global.consent.azure-apim.net/redirect/", false),
        ("https://global.consent.azure-apim.net/redirects", false),
        ("https://global.consent.azure-apim.net/other", false),
        ("https://chatgpt.com/connector/oauth/an-id", true),
        ("https://chatgpt.com/connector_platform_oauth_redirect", true),
        ("https://chatgpt.com/g/anybodys-gpt", false),
        ("https://claude.ai/api/mcp/auth_callback", true),
        ("https://claude.ai/api/mcp/auth_callback/x", false),
        ("https://claude.ai/public/artifacts/x", false),
        ("https://chatgpt.com/connector/oauth/..;/..;/g/x", false),
        ("https://chatgpt.com/connector/oauth/a%3bb", false),
        ("https://vscode.dev/redirect?url=vscode%3A%2F%2Fattacker.extension", false),
        ("https://oauth-redirect.googleusercontent.com/r/a-project", true),
        ("https://oauth-redirect.googleusercontent.com/other", false),
    ] {
        assert_eq!(!registered(&entrada, &[uri]).await.is_empty(), may, "{uri}");
    }
}

#[tokio::test]
async fn authorize_compares_exactly_what_a_path_let_in() {
    let entrada = Entrada::start().await;
    let uri = "https://global.consent.azure-apim.net/redirect/a-tool";
    let client = Client::register_with(&entrada, json!({ "redirect_uris": [uri] })).await;
    for other in [
        "https://global.consent.azure-apim.net/redirect/another-tool",
        "https://global.consent.azure-apim.net/redirect/a-tool/",
        "https://global.consent.azure-apim.net/redirect/a-tool?a=b",
        "https://global.consent.azure-apim.net:8443/redirect/a-tool",
    ] {
        let answer = entrada.get(&client.authorize(&[("redirect_uri", other)])).await;
        assert_eq!((answer.status.as_u16(), answer.header("location")), (400, ""), "{other}");
        assert!(answer.body.contains("redirect_not_registered"), "{other}");
    }
    assert_eq!(entrada.get(&client.authorize(&[])).await.status, 200);
}

/// A vendor's customer is not the vendor: nobody is sent to one before acting.
#[tokio::test]
async fn an_address_that_anybody_may_have_at_a_vendor_is_no_open_redirect() {
    let entrada = Entrada::start().await;
    for (uri, status) in [
        ("https://oauth-redirect.googleusercontent.com/r/anybodys-project", 400),
        ("https://global.consent.azure-apim.net/redirect/anybodys-tool", 400),
        ("https://chatgpt.com/connector/oauth/anybodys", 400),
        ("https://claude.ai/api/mcp/auth_callback", 302),
    ] {
        let client = Client::register_with(&entrada, json!({ "redirect_uris": [uri] })).await;
        let refused = entrada.get(&client.authorize(&[("response_type", "token")])).await;
        assert_eq!(refused.status.as_u16(), status, "{uri}");
        let back = "error=unsupported_response_type";
        assert!(
            refused.header("location").contains(back) || refused.body.contains(back),
            "{uri}: a link at least"
        );
    }
}

#[tokio::test]
async fn trust_that_was_taken_away_counts_for_logins_under_way() {
    let uris = json!({ "redirect_uris": ["https://client.example.net/cb"] });
    let open = || Trust { open: true, ..Trust::default() };
    let entrada = Entrada::with(Setup { trust: open(), ..Setup::default() }).await;
    let client = Client::register_with(&entrada, uris).await;
    let mut browser = Browser::default();
    let page = browser.open(&entrada, &client.authorize(&[])).await;
    let callback = browser.to_callback(&entrada, &client.authorize(&[])).await;
    let entrada = entrada.again(Setup::default()).await;
    for decision in ["approve", "deny"] {
        let refused = browser.decide(&entrada, &page, decision).await;
        assert_eq!((refused.status.as_u16(), refused.header("location")), (400, ""), "{decision}");
    }
    let refused = browser.open(&entrada, callback.as_str()).await;
    assert!(refused.status == 400 && !refused.body.contains("client.example.net"), "{}", refused.body);
}

#[tokio::test]
async fn an_operator_may_name_a_part_of_a_host_or_all_of_it() {
    let hosts = ["shared.example.com/tenant/", "claude.ai"].map(str::to_owned).to_vec();
    let trust = Trust { hosts, ..Trust::default() };
    let entrada = Entrada::with(Setup { trust, ..Setup::default() }).await;
    for (uri, asked) in [
        ("https://shared.example.com/tenant/cb", 200),
        ("https://shared.example.com/tenant/", 400),
        ("https://shared.example.com/tenants/cb", 400),
        ("https://shared.example.com/", 400),
        ("https://claude.ai/elsewhere", 200),
    ] {
        let client = Client::register_with(&entrada, json!({ "redirect_uris": [uri] })).await;
        assert_eq!(entrada.get(&client.authorize(&[])).await.status, asked, "{uri}");
    }
}

#[tokio::test]
async fn the_schemes_of_vendors_can_be_taken_away() {
    let cursor = "cursor://anysphere.cursor-mcp/oauth/callback";
    let trust = Trust { vendor_schemes: false, ..Trust::default() };
    let entrada = Entrada::with(Setup { trust, ..Setup::default() }).await;
    assert!(registered(&entrada, &[cursor]).await.is_empty());
    let dotted = "com.example.app:/cb";
    assert_eq!(registered(&entrada, &[cursor, dotted]).await, [dotted]);
}

#[tokio::test]
async fn the_port_of_a_loopback_address_does_not_matter_and_its_host_does() {
    let entrada = Entrada::start().await;
    for (registered, asked, allowed) in [
        ("http://127.0.0.1:33418/", "http://127.0.0.1:50001/", true),
        ("http://127.0.0.1:33418/", "http://127.0.0.1/", true),
        ("http://127.0.0.1/", "http://127.0.0.1:33418/", true),
        ("http://localhost/callback", "http://localhost:3118/callback", true),
        ("http://localhost:8787/callback", "http://localhost:8788/callback", true),
        ("http://[::1]:1/cb", "http://[::1]:2/cb", true),
        ("http://localhost/callback", "http://127.0.0.1:3118/callback", false),
        ("http://127.0.0.1/callback", "http://localhost:3118/callback", false),
        ("http://127.0.0.1/callback", "http://[::1]/callback", false),
        ("http://127.0.0.1/callback", "http://127.0.0.2/callback", false),
        ("http://127.0.0.1/callback", "http://127.0.0.1/callback/", false),
        ("http://127.0.0.1/callback", "https://127.0.0.1/callback", false),
        ("https://localhost:8443/callback", "https://localhost:8444/callback", false),
    ] {
        let client = Client::register_with(&entrada, json!({ "redirect_uris": [registered] })).await;
        let answer = entrada.get(&client.authorize(&[("redirect_uri", asked)])).await;
        assert_eq!(answer.status == 200, allowed, "{registered} {asked}: {}", answer.body);
    }
}

#[tokio::test]
async fn an_application_type_is_derived_where_none_is_given() {
    let entrada = Entrada::start().await;
    let web = "https://claude.ai/api/mcp/auth_callback";
    for (uris, said, told_back) in [
        (vec!["http://127.0.0.1/"], None, "native"),
        (vec!["com.example.app:/cb"], None, "native"),
        (vec![web], None, "web"),
        (vec!["http://localhost:8787/callback", web], None, "native"),
        (vec!["http://localhost:8787/callback"], Some("web"), "web"),
        (vec![web], Some("native"), "native"),
        (vec![web], Some("something else"), "web"),
    ] {
        let answer = told(&entrada, json!({ "redirect_uris": uris, "application_type": said })).await;
        assert_eq!(answer["application_type"], told_back, "{uris:?} {said:?}");
    }
}

#[tokio::test]
async fn a_method_that_is_not_said_is_public_but_at_hosts_that_need_a_secret() {
    let registration =
        Registration { secret_hosts: vec!["bot.example.com".to_owned()], ..Registration::default() };
    let entrada = Entrada::with(Setup { registration, ..Setup::default() }).await;
    let (copilot, perplexity, bot, claude, loopback) = (
        "https://global.consent.azure-apim.net/redirect/a-tool",
        "https://www.perplexity.ai/rest/connections/oauth_callback",
        "https://bot.example.com/cb",
        "https://claude.ai/api/mcp/auth_callback",
        "http://localhost/cb",
    );
    for (uri, asked, given) in [
        (loopback, None, "none"),
        (claude, None, "none"),
        (claude, Some(""), "none"),
        (claude, Some("client_secret_post"), "client_secret_post"),
        (claude, Some("client_secret_basic"), "client_secret_basic"),
        (copilot, None, "client_secret_basic"),
        (copilot, Some("none"), "none"),
        (copilot, Some("client_secret_post"), "client_secret_post"),
        (perplexity, None, "client_secret_post"),
        (perplexity, Some("none"), "client_secret_post"),
        (bot, None, "client_secret_post"),
        (bot, Some("none"), "client_secret_post"),
    ] {
        let body = json!({ "redirect_uris": [uri], "token_endpoint_auth_method": asked });
        let answer = told(&entrada, body).await;
        assert_eq!(answer["token_endpoint_auth_method"], given, "{uri} {asked:?}");
        assert_eq!(answer.get("client_secret").is_some(), given != "none", "{uri} {asked:?}");
        let expires = (given != "none").then(|| json!(0));
        assert_eq!(answer.get("client_secret_expires_at"), expires.as_ref(), "{uri} {asked:?}");
    }
    // ChatGPT, by registration.
    let jwt = json!({
        "redirect_uris": ["https://chatgpt.com/connector/oauth/x"],
        "token_endpoint_auth_method": "private_key_jwt",
        "token_endpoint_auth_methods_supported": ["private_key_jwt", "none"],
    });
    assert_eq!(told(&entrada, jwt).await["token_endpoint_auth_method"], "none");
}

#[tokio::test]
async fn where_registration_is_off_nobody_is_told_of_it_and_no_registered_client_is_known() {
    let open = Entrada::start().await;
    let metadata = open.get("/.well-known/oauth-authorization-server").await.json();
    assert!(metadata["registration_endpoint"].is_string());
    let client = Client::register(&open).await;

    let registration = Registration { enabled: false, ..Registration::default() };
    let entrada = open.again(Setup { registration, ..Setup::default() }).await;
    let metadata = entrada.get("/.well-known/oauth-authorization-server").await.json();
    assert_eq!(metadata.get("registration_endpoint"), None);
    let answer = entrada.post_json("/register", &json!({ "redirect_uris": ["http://localhost/"] })).await;
    assert_eq!((answer.status.as_u16(), answer.error().as_str()), (403, "access_denied"));
    let page = entrada.get(&client.authorize(&[])).await;
    assert!(
        page.status == 400 && page.body.contains("client_not_configured") && !page.body.contains("rm -rf"),
        "{}",
        page.body
    );
    let refused = client.redeem(&entrada, "edac_x").await;
    assert_eq!((refused.status.as_u16(), refused.error().as_str()), (401, "invalid_client"));
}

#[tokio::test]
async fn the_name_of_a_known_client_goes_only_with_its_host() {
    let trust = Trust { open: true, ..Trust::default() };
    let entrada = Entrada::with(Setup { trust, ..Setup::default() }).await;
    for (name, uri, asked) in [
        ("Claude", "https://claude.ai/api/mcp/auth_callback", true),
        ("Claude Code (plugin)", "http://localhost/callback", true),
        ("Acme", "https://acme.example/cb", true),
        ("Claude", "https://acme.example/cb", false),
        ("CLAUDE connector", "https://acme.example/cb", false),
        ("\u{421}l\u{430}ude", "https://acme.example/cb", false),
        ("Claude (Power Apps)", "https://global.consent.azure-apim.net/redirect/x", false),
        ("Visual Studio Code", "https://claude.ai/api/mcp/auth_callback", false),
    ] {
        let client = json!({ "client_name": name, "redirect_uris": [uri] });
        let client = Client::register_with(&entrada, client).await;
        let page = Browser::default().open(&entrada, &client.authorize(&[])).await;
        assert_eq!(page.status == 200, asked, "{name} {uri}: {}", page.body);
        assert_eq!(
            (page.header("location"), page.body.contains("name_of_another")),
            ("", !asked),
            "{name} {uri}"
        );
    }
}

#[tokio::test]
async fn who_has_to_register_anew_is_told_how_in_each_application() {
    let entrada = Entrada::start().await;
    let client = Client::register(&entrada).await;
    let ways = [
        "Authentication: Remove Dynamic Authentication Providers",
        "Clear authentication",
        "Cursor: Clear All MCP Tokens",
        "rm -rf ~/.mcp-auth",
    ];
    for target in [
        client.authorize(&[("client_id", "edc_unknown")]),
        client.authorize(&[("client_id", "an-id-of-another-server")]),
        client.authorize(&[("redirect_uri", "http://localhost/elsewhere")]),
    ] {
        let page = entrada.get(&target).await;
        assert_eq!((page.status.as_u16(), page.header("location")), (400, ""), "{target}");
        for (application, way) in ["VS Code", "Claude Code", "Cursor", "mcp-remote"].iter().zip(ways) {
            assert!(page.body.contains(application) && page.body.contains(way), "{way}: {}", page.body);
        }
        let request = Request::get(&target).header("accept", "application/json");
        let answer = entrada.send(request.body(Body::empty()).unwrap()).await;
        assert_eq!(answer.header("content-type"), "application/json");
        let remedies = answer.json()["remedies"].clone();
        assert_eq!(remedies["mcp-remote"], "rm -rf ~/.mcp-auth", "{}", answer.body);
        assert!(answer.json()["error_description"].is_string());
    }
    let page = entrada.get(&client.authorize(&[("redirect_uri", "http://localhost/elsewhere")])).await;
    assert!(page.body.contains("Test Client"), "{}", page.body);
}

#[tokio::test]
async fn a_name_has_nothing_in_it_that_is_not_seen() {
    let entrada = Entrada::start().await;
    for (name, kept) in
        [("\u{202e}edualC", "edualC"), ("Cl\u{200b}aude", "Cl aude"), (" a\u{2066}\n b ", "a b")]
    {
        let body = json!({ "client_name": name, "redirect_uris": ["http://localhost/"] });
        assert_eq!(told(&entrada, body).await["client_name"], kept);
    }
}
