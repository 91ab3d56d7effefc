//! Client ID Metadata Documents: which are fetched, which hold, and what a person is told of them.

use entrada::domain::client::ClientId;
use entrada::domain::event::EventName;
use entrada::domain::policy::Registration;
use entrada::domain::trust::Trust;
use entrada::flows::block::Target;
use serde_json::json;

use crate::support::browser::Browser;
use crate::support::client::Client;
use crate::support::client::Tokens;
use crate::support::entrada::Setup;
use crate::support::entrada::form_request;
use crate::support::page::Page;
use crate::support::published::ID;
use crate::support::published::REDIRECT_URI;
use crate::support::published::asked;
use crate::support::published::client;
use crate::support::published::document;
use crate::support::published::mend;
use crate::support::published::page;
use crate::support::published::reason;
use crate::support::published::refusal;
use crate::support::published::start;
use crate::support::published::start_with;

#[tokio::test]
async fn it_signs_in_and_refreshes_by_the_address_of_its_document_which_is_fetched_once() {
    let (entrada, web) = start().await;
    let tokens = client(ID).tokens(&entrada).await;
    assert_eq!(tokens.claims()["client_id"], ID);
    let refreshed = Tokens::of(&client(ID).refresh(&entrada, &tokens.refresh).await);
    let revoked = [("token", refreshed.refresh.as_str()), ("client_id", ID)];
    assert_eq!(entrada.post_form("/revoke", &revoked).await.status, 200);
    assert_eq!(client(ID).refresh(&entrada, &refreshed.refresh).await.error(), "invalid_grant");
    assert_eq!(web.requests(ID), 1);
    let asked = &web.seen(ID)[0];
    assert_eq!(asked.headers["accept"], "application/json");
    assert!(asked.headers.get("cookie").is_none() && asked.headers.get("authorization").is_none());
}

#[tokio::test]
async fn the_page_names_the_host_that_vouches_for_the_name_and_the_audit_trail_the_version() {
    let (entrada, web) = start().await;
    let shown = asked(&entrada, ID).await;
    assert!(shown.body.contains("Visual Studio Code"), "{}", shown.body);
    let vouched = r#"The website <code>vscode.dev</code><code class="path">/oauth/client-metadata.json</code> says that this is its name."#;
    assert!(shown.body.contains(vouched), "{}", shown.body);
    assert!(!shown.body.contains("Nobody has verified"), "{}", shown.body);
    assert!(shown.body.contains("Did you start this?"), "any program can ask by this document");

    let registered = Client::register(&entrada).await;
    let other = Browser::default().open(&entrada, &registered.authorize(&[])).await;
    assert!(other.body.contains("It calls itself that. Nobody has verified the name."));

    let mut browser = Browser::default();
    let page_of = browser.open(&entrada, &client(ID).authorize(&[])).await;
    let version = entrada.events.last(EventName::ConsentShown).unwrap().document;
    assert!(version.is_some());
    browser.decide(&entrada, &page_of, "deny").await;
    assert_eq!(entrada.events.last(EventName::ConsentDenied).unwrap().document, version);
    client(ID).tokens(&entrada).await;
    assert_eq!(entrada.events.last(EventName::ConsentApproved).unwrap().document, version);

    web.serve(ID, page(ID, &json!({ "client_name": "VS Code" })));
    entrada.advance(300);
    assert!(asked(&entrada, ID).await.body.contains("VS Code</bdi>"));
    assert_ne!(entrada.events.last(EventName::ConsentShown).unwrap().document, version);
}

#[tokio::test]
async fn an_id_that_is_no_plain_address_is_refused_and_nothing_is_fetched() {
    let (entrada, web) =
        start_with(Setup { trust: Trust { open: true, ..Trust::default() }, ..Setup::default() }).await;
    let long = format!("https://app.example.com/{}", "x".repeat(512));
    for id in [
        "http://app.example.com/client.json",
        "https://app.example.com",
        "https://app.example.com/",
        "https://someone@app.example.com/client.json",
        "https://someone:secret@app.example.com/client.json",
        "https://app.example.com/client.json#fragment",
        "https://app.example.com/a/../client.json",
        "https://app.example.com/a/./client.json",
        "https://app.example.com/a/%2e%2e/client.json",
        "https://app.example.com/a/%2e%2e%2fclient.json",
        "https://APP.example.com/client.json",
        "https://app.example.com:443/client.json",
        "https://app.example.com./client.json",
        "https://93.184.216.34/client.json",
        "https://0x7f.1/client.json",
        "https://[2606:4700::1]/client.json",
        "https://app.example.com\\client.json",
        "https://*.example.com/client.json",
        &long,
    ] {
        let page = asked(&entrada, id).await;
        assert_eq!((page.status.as_u16(), reason(&page)), (400, "client_id_malformed"), "{id}");
        let form = [("grant_type", "refresh_token"), ("refresh_token", "x"), ("client_id", id)];
        let refused = entrada.post_form("/token", &form).await;
        assert_eq!((refused.status.as_u16(), refused.error().as_str()), (401, "invalid_client"), "{id}");
    }
    assert_eq!(web.connections().await, 0);
}

#[tokio::test]
async fn nothing_is_fetched_from_a_host_that_is_not_trusted_and_the_page_says_what_to_do() {
    let (entrada, web) = start().await;
    for (id, host) in [
        ("https://app.example.com/client.json", "app.example.com"),
        ("https://vscode.dev.example.com/oauth/client-metadata.json", "vscode.dev.example.com"),
        // A vendor's host, and not what the vendor publishes there.
        ("https://vscode.dev/users/mallory/client.json", "vscode.dev"),
        ("https://vscode.dev/oauth/client-metadata.json?redirect=1", "vscode.dev"),
        ("https://vscode.dev:8443/oauth/client-metadata.json", "vscode.dev"),
        ("https://www.cursor.com/oauth/client.json", "www.cursor.com"),
    ] {
        web.serve(id, document(id, &json!({})));
        let page = asked(&entrada, id).await;
        assert_eq!((page.status.as_u16(), reason(&page)), (400, "document_host_not_trusted"), "{id}");
        assert!(page.body.contains("trust.hosts") && page.body.contains(host), "{}", page.body);
        assert_eq!(page.header("location"), "");
    }
    assert_eq!(web.connections().await, 0);
}

/// At another port of a trusted host somebody else may listen, or nobody, for which the host would seem to be down.
#[tokio::test]
async fn documents_lie_at_the_port_of_https_alone() {
    let trust = Trust { hosts: vec!["app.example.com".to_owned()], ..Trust::default() };
    let (entrada, web) = start_with(Setup { trust, ..Setup::default() }).await;
    for id in ["https://app.example.com:1/c", "https://app.example.com:8443/c", "https://app.example.com:2/c"]
    {
        assert_eq!(reason(&asked(&entrada, id).await), "document_host_not_trusted", "{id}");
    }
    let id = "https://app.example.com/c";
    web.serve(id, document(id, &json!({ "client_name": "Acme" })));
    assert_eq!(asked(&entrada, id).await.status, 200);
}

#[tokio::test]
async fn a_name_that_comes_during_a_login_is_looked_at_too() {
    let (entrada, web) = start().await;
    let mut browser = Browser::default();
    let callback = browser.to_callback(&entrada, &client(ID).authorize(&[])).await;
    web.serve(ID, page(ID, &json!({ "client_name": "Claude" })));
    entrada.advance(300);
    let refused = browser.open(&entrada, callback.as_str()).await;
    assert_eq!(reason(&refused), "name_of_another");
}

#[tokio::test]
async fn an_operator_trusts_a_host_a_part_of_it_or_all() {
    let (own, part) = ("https://app.example.com/client.json", "https://pages.example.com/acme/client.json");
    let (other, elsewhere) = ("https://pages.example.com/mallory/client.json", "https://any.example.org/c");
    let hosts = vec!["app.example.com".to_owned(), "pages.example.com/acme/".to_owned()];
    let trust = Trust { hosts, ..Trust::default() };
    for (trust, fetched) in [
        (trust, [true, true, false, false]),
        (Trust { open: true, ..Trust::default() }, [true, true, true, true]),
    ] {
        let (entrada, web) = start_with(Setup { trust, ..Setup::default() }).await;
        for (id, fetched) in [own, part, other, elsewhere].into_iter().zip(fetched) {
            web.serve(id, document(id, &json!({ "client_name": "Ours" })));
            let page = asked(&entrada, id).await;
            assert_eq!((page.status == 200, web.requests(id)), (fetched, usize::from(fetched)), "{id}");
        }
    }
}

#[tokio::test]
async fn a_document_that_does_not_hold_is_refused_whole_and_told_from_one_that_was_not_fetched() {
    let (entrada, web) = start().await;
    let cases = [
        ("document_client_id", json!({ "client_id": null })),
        ("document_client_id", json!({ "client_id": 1 })),
        ("document_client_id", json!({ "client_id": format!("{ID}/") })),
        ("document_client_id", json!({ "client_id": "https://VSCODE.dev/oauth/client-metadata.json" })),
        ("document_client_id", json!({ "client_id": "https://vscode.dev:443/oauth/client-metadata.json" })),
        ("document_client_id", json!({ "client_id": "https://claude.ai/oauth/client-metadata.json" })),
        ("document_secret", json!({ "client_secret": "s" })),
        ("document_secret", json!({ "client_secret_expires_at": 0 })),
        ("document_secret", json!({ "token_endpoint_auth_method": "client_secret_basic" })),
        ("document_secret", json!({ "token_endpoint_auth_method": "client_secret_post" })),
        ("document_secret", json!({ "token_endpoint_auth_method": "client_secret_jwt" })),
        ("document_auth_method", json!({ "token_endpoint_auth_method": "tls_client_auth" })),
        ("document_malformed", json!({ "token_endpoint_auth_method": ["none"] })),
        ("document_malformed", json!({ "client_name": 1 })),
        ("document_redirect_uris", json!({ "redirect_uris": null })),
        ("document_redirect_uris", json!({ "redirect_uris": [] })),
        ("document_redirect_uris", json!({ "redirect_uris": "http://127.0.0.1/" })),
        ("document_redirect_uris", json!({ "redirect_uris": ["https://*/cb", "http://example.com/cb"] })),
        ("document_redirect_uris", json!({ "redirect_uris": ["javascript:alert(1)", "data:text/html,x"] })),
        ("document_redirect_uris", json!({ "redirect_uris": ["https://vscode.dev/other"] })),
        ("document_redirect_uris", json!({ "redirect_uris": vec!["http://127.0.0.1/"; 33] })),
        ("document_keys", json!({ "token_endpoint_auth_method": "private_key_jwt" })),
        ("document_keys", json!({ "token_endpoint_auth_method": "private_key_jwt", "jwks": { "keys": [] } })),
        (
            "document_keys",
            json!({ "token_endpoint_auth_method": "private_key_jwt", "jwks_uri": "http://vscode.dev/k" }),
        ),
        (
            "document_keys_host_not_trusted",
            json!({ "token_endpoint_auth_method": "private_key_jwt", "jwks_uri": "https://keys.example.com/k" }),
        ),
    ];
    for (wanted, more) in cases {
        web.serve(ID, page(ID, &more));
        entrada.advance(300);
        let page = asked(&entrada, ID).await;
        assert_eq!((page.status.as_u16(), reason(&page)), (400, wanted), "{more}");
        assert_eq!(page.header("location"), "", "{more}");
        assert!(page.body.contains("vscode.dev"), "the page says whose document it is");
        let (event, reason) = refusal(&entrada);
        assert_eq!(
            (reason, event.call, event.document_host.as_deref()),
            (wanted, Some("metadata"), Some("vscode.dev"))
        );
        assert_eq!(event.client, Some(ClientId::named(ID.to_owned()).digest()));
        let form = [("grant_type", "refresh_token"), ("refresh_token", "x"), ("client_id", ID)];
        entrada.advance(60);
        let refused = entrada.post_form("/token", &form).await;
        assert_eq!((refused.status.as_u16(), refused.error().as_str()), (401, "invalid_client"), "{more}");
    }
    for text in ["", "{", "[]", "null", "\"https://vscode.dev/oauth/client-metadata.json\"", "<html></html>"]
    {
        web.serve(ID, Page::json(text));
        entrada.advance(300);
        let page = asked(&entrada, ID).await;
        assert_eq!(page.status, 400, "{text}");
        assert!(["document_not_json", "document_malformed"].contains(&reason(&page)), "{text}");
    }
    mend(&web);
    entrada.advance(60);
    assert_eq!(asked(&entrada, ID).await.status, 200, "no failure is remembered");
}

#[tokio::test]
async fn what_is_not_asked_of_a_document_is_passed_over() {
    let (entrada, web) = start().await;
    let more = json!({
        "client_name": null,
        "token_endpoint_auth_method": null,
        "grant_types": ["urn:ietf:params:oauth:grant-type:jwt-bearer"],
        "response_types": null,
        "redirect_uris": ["https://*/cb", "com.example.app:/cb", REDIRECT_URI, 7],
        "client_uri": "javascript:alert(1)",
        "logo_uri": "https://vscode.dev/logo.svg",
        "contacts": null,
        "software_statement": "x.y.z",
        "scope": "mcp.read something.else",
        "application_type": "native",
    });
    web.serve(ID, page(ID, &more));
    let shown = asked(&entrada, ID).await;
    assert_eq!(shown.status, 200, "{}", shown.body);
    assert!(shown.body.contains("An application without a name"));
    assert!(!shown.body.contains("javascript:") && !shown.body.contains("logo.svg"));
    let tokens = client(ID).tokens(&entrada).await;
    assert!(!tokens.refresh.is_empty(), "a refresh token is the server's to give");
    let app = Client { redirect_uri: "com.example.app:/cb".to_owned(), ..client(ID) };
    assert_eq!(Browser::default().open(&entrada, &app.authorize(&[])).await.status, 200);
    let unasked = Browser::default().open(&entrada, &client(ID).authorize(&[("scope", "")])).await;
    assert!(
        unasked.body.contains("mcp.read") && !unasked.body.contains("mcp.write"),
        "its own scope is asked for"
    );
}

#[tokio::test]
async fn codes_go_where_the_document_says_and_the_port_of_loopback_does_not_matter() {
    let (entrada, _web) = start().await;
    let at = |uri: &str| Client { redirect_uri: uri.to_owned(), ..client(ID) };
    for uri in ["http://127.0.0.1:51234/", "http://127.0.0.1/", "https://vscode.dev/redirect"] {
        let page = Browser::default().open(&entrada, &at(uri).authorize(&[])).await;
        assert_eq!(page.status, 200, "{uri}: {}", page.body);
    }
    for uri in
        ["http://localhost:33418/", "http://127.0.0.1:33418/other", "https://insiders.vscode.dev/redirect"]
    {
        let page = Browser::default().open(&entrada, &at(uri).authorize(&[])).await;
        assert_eq!((page.status.as_u16(), reason(&page)), (400, "redirect_not_registered"), "{uri}");
    }
}

#[tokio::test]
async fn a_trusted_document_sends_no_code_to_a_host_that_is_not_trusted() {
    let (entrada, web) = start().await;
    web.serve(ID, page(ID, &json!({ "redirect_uris": ["https://evil.example.com/cb"] })));
    let client = Client { redirect_uri: "https://evil.example.com/cb".to_owned(), ..client(ID) };
    let page = Browser::default().open(&entrada, &client.authorize(&[])).await;
    assert_eq!((page.status.as_u16(), reason(&page)), (400, "redirect_host_not_trusted"));
    assert_eq!(page.header("location"), "");
}

#[tokio::test]
async fn a_document_carries_no_name_that_belongs_to_another_host() {
    let id = "https://app.example.com/client.json";
    let trust = Trust { hosts: vec!["app.example.com".to_owned()], ..Trust::default() };
    let (entrada, web) = start_with(Setup { trust, ..Setup::default() }).await;
    for name in ["Claude", "Visual Studio Code", "The \u{421}laude"] {
        web.serve(id, document(id, &json!({ "client_name": name })));
        entrada.advance(300);
        let page = asked(&entrada, id).await;
        assert_eq!(
            reason(&page),
            "name_of_another",
            "{name}: on the user's machine as well, since its host is known"
        );
    }
    web.serve(id, document(id, &json!({ "client_name": "Acme" })));
    entrada.advance(300);
    assert_eq!(asked(&entrada, id).await.status, 200);
}

#[tokio::test]
async fn a_blocked_host_is_not_asked_and_a_blocked_client_gets_nothing() {
    let (entrada, web) = start().await;
    let tokens = client(ID).tokens(&entrada).await;
    let host = Target::DocumentHost("vscode.dev".to_owned());
    entrada.auth.block(host.clone()).await.unwrap();
    entrada.advance(24 * 3600);
    let page = asked(&entrada, ID).await;
    assert_eq!((page.status.as_u16(), reason(&page)), (400, "client_blocked"));
    assert_eq!(client(ID).refresh(&entrada, &tokens.refresh).await.error(), "invalid_client");
    assert_eq!(web.requests(ID), 1, "nothing was fetched from there");
    entrada.auth.unblock(host).await.unwrap();
    let tokens = Tokens::of(&client(ID).refresh(&entrada, &tokens.refresh).await);

    entrada.auth.block(Target::Client(ID.to_owned())).await.unwrap();
    assert_eq!(client(ID).refresh(&entrada, &tokens.refresh).await.error(), "invalid_client");
    assert_eq!(reason(&asked(&entrada, ID).await), "client_blocked");
}

#[tokio::test]
async fn a_document_that_changes_during_a_login_decides_as_it_is_now() {
    let (entrada, web) = start().await;
    let mut browser = Browser::default();
    let callback = browser.to_callback(&entrada, &client(ID).authorize(&[])).await;
    web.serve(ID, page(ID, &json!({ "redirect_uris": ["https://vscode.dev/redirect"] })));
    entrada.advance(300);
    let page = browser.open(&entrada, callback.as_str()).await;
    assert_eq!((page.status.as_u16(), reason(&page)), (400, "redirect_host_not_trusted"));
    assert_eq!(page.header("location"), "", "no code, and no way back");
}

#[tokio::test]
async fn a_client_of_a_document_has_no_secret() {
    let (entrada, _web) = start().await;
    let code = client(ID).code(&entrada).await;
    let secret = Client { secret: Some("edcs_anything".to_owned()), ..client(ID) };
    assert_eq!(secret.redeem(&entrada, &code).await.error(), "invalid_client");
    let basic = secret.token_by_basic(&entrada, "anything", &[("grant_type", "authorization_code")]).await;
    assert_eq!(basic.error(), "invalid_client");
    Tokens::of(&client(ID).redeem(&entrada, &code).await);
}

#[tokio::test]
async fn where_documents_are_off_none_is_announced_or_fetched() {
    let (entrada, web) = start_with(Setup { metadata_documents: false, ..Setup::default() }).await;
    let metadata = entrada.get("/.well-known/oauth-authorization-server").await.json();
    assert_eq!(metadata["client_id_metadata_document_supported"], false);
    let methods = metadata["token_endpoint_auth_methods_supported"].as_array().unwrap();
    assert!(!methods.contains(&json!("private_key_jwt")), "{methods:?}");
    assert!(metadata.get("token_endpoint_auth_signing_alg_values_supported").is_none());
    let page = asked(&entrada, ID).await;
    assert_eq!((page.status.as_u16(), reason(&page)), (400, "client_unknown"));
    assert_eq!(web.connections().await, 0);
}

#[tokio::test]
async fn where_registration_is_off_documents_still_do() {
    let registration = Registration { enabled: false, ..Registration::default() };
    let (entrada, _web) = start_with(Setup { registration, ..Setup::default() }).await;
    client(ID).tokens(&entrada).await;
}

#[tokio::test]
async fn another_clients_grant_is_nothing_to_it() {
    let (entrada, web) = start().await;
    let other = "https://claude.ai/oauth/claude-code-client-metadata";
    web.serve(other, document(other, &json!({ "client_name": "Claude Code" })));
    let tokens = client(ID).tokens(&entrada).await;
    let code = client(ID).code(&entrada).await;
    assert_eq!(client(other).redeem(&entrada, &code).await.error(), "invalid_grant");
    assert_eq!(client(other).refresh(&entrada, &tokens.refresh).await.error(), "invalid_grant");
    let form = [("token", tokens.refresh.as_str()), ("client_id", other)];
    assert_eq!(entrada.send(form_request("/revoke", &form)).await.error(), "invalid_grant");
    Tokens::of(&client(ID).redeem(&entrada, &code).await);
    Tokens::of(&client(ID).refresh(&entrada, &tokens.refresh).await);
}
