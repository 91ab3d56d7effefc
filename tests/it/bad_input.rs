//! Wrong, missing, repeated and oversized input: the RFC's error, or a page where no redirect can be
//! trusted. Never a 500: the harness fails on any.

use axum::body::Body;
use axum::http::Request;
use serde_json::Value;
use serde_json::json;

use crate::support::browser::Browser;
use crate::support::client::Client;
use crate::support::entrada::Answer;
use crate::support::entrada::Entrada;
use crate::support::entrada::ISSUER;
use crate::support::entrada::Setup;
use crate::support::entrada::parameter;
use crate::support::entrada::resource;

#[tokio::test]
async fn until_client_and_redirect_hold_an_authorization_error_is_a_page() {
    let entrada = Entrada::start().await;
    let client = Client::register(&entrada).await;
    let long = format!("http://127.0.0.1/{}", "a".repeat(512));
    let cases: &[&[(&str, &str)]] = &[
        &[("client_id", "")],
        &[("client_id", "edc_unknown")],
        &[("client_id", "one"), ("client_id", "two")],
        &[("redirect_uri", "")],
        &[("redirect_uri", &long)],
        &[("redirect_uri", "http://127.0.0.1:33418/other")],
        &[("redirect_uri", "http://localhost:33418/callback")],
        &[("redirect_uri", "http://127.0.0.1:33418/callback/")],
        &[("redirect_uri", "http://127.0.0.1:33418/a/../callback")],
        &[("redirect_uri", "http://127.0.0.1:33418/%2e%2e/callback")],
        &[("redirect_uri", "http://127.0.0.1:33418/callback#x")],
        &[("redirect_uri", "http://user@127.0.0.1:33418/callback")],
        &[("redirect_uri", "http://127.0.0.1:33418@evil.example/callback")],
        &[("redirect_uri", "http://127.0.0.1:33418\\@evil.example/callback")],
        &[("redirect_uri", "javascript:alert(1)")],
        &[("redirect_uri", "//127.0.0.1:33418/callback")],
    ];
    for changes in cases {
        let answer = entrada.get(&client.authorize(changes)).await;
        assert_eq!((answer.status.as_u16(), answer.header("location")), (400, ""), "{changes:?}");
        assert!(
            answer.header("content-type").starts_with("text/html") && answer.header("set-cookie").is_empty()
        );
    }
    for port in ["", ":1", ":65535"] {
        let uri = format!("http://127.0.0.1{port}/callback");
        assert_eq!(entrada.get(&client.authorize(&[("redirect_uri", &uri)])).await.status, 200, "{uri}");
    }
}

#[tokio::test]
async fn afterwards_it_is_the_rfcs_error_at_the_redirect() {
    let entrada = Entrada::start().await;
    let client = Client::register(&entrada).await;
    let cases: &[(&[(&str, &str)], &str)] = &[
        (&[("response_type", "")], "unsupported_response_type"),
        (&[("response_type", "token")], "unsupported_response_type"),
        (&[("response_mode", "fragment")], "unsupported_response_type"),
        (&[("code_challenge", "")], "invalid_request"),
        (&[("code_challenge", "short")], "invalid_request"),
        (&[("code_challenge_method", "plain")], "invalid_request"),
        (&[("code_challenge_method", "")], "invalid_request"),
        (&[("resource", "https://mcp.example.com/other")], "invalid_target"),
        (&[("resource", "https://mcp.example.com/mcp/")], "invalid_target"),
        (
            &[("resource", "https://mcp.example.com/mcp"), ("resource", "https://mcp.example.com/other")],
            "invalid_target",
        ),
        (&[("scope", "mcp.read"), ("scope", "mcp.write")], "invalid_request"),
        (&[("prompt", "none")], "consent_required"),
        (&[("max_age", "soon")], "invalid_request"),
    ];
    for (changes, error) in cases {
        let answer = entrada.get(&client.authorize(changes)).await;
        assert_eq!(answer.status, 302, "{changes:?}");
        let back = answer.location();
        assert!(back.as_str().starts_with("http://127.0.0.1:33418/callback?"), "{back}");
        assert_eq!(parameter(&back, "error").as_deref(), Some(*error), "{changes:?}");
        assert_eq!(parameter(&back, "state").as_deref(), Some("the-clients-state"));
        assert_eq!(parameter(&back, "iss").as_deref(), Some(ISSUER));
    }
    let state = "s".repeat(1_025);
    let back = entrada.get(&client.authorize(&[("state", &state)])).await.location();
    assert_eq!(
        (parameter(&back, "error").as_deref(), parameter(&back, "state")),
        (Some("invalid_request"), None)
    );
    assert_eq!(entrada.get(&client.authorize(&[("state", &state[1..])])).await.status, 200);
}

#[tokio::test]
async fn the_longest_request_that_is_accepted_still_fits_in_a_cookie() {
    let path = "p".repeat(480);
    let entrada = Entrada::start().await;
    let uris =
        json!({ "redirect_uris": [format!("http://127.0.0.1/{path}")], "client_name": "n".repeat(80) });
    let client = Client::register_with(&entrada, uris).await;
    let state = "s".repeat(1_024);
    let mut browser = Browser::default();
    browser.sign_in(&entrada, &client.authorize(&[("state", &state)])).await;
    for (name, value) in &browser.cookies {
        assert!(name.len() + value.len() < 4_096, "{name}");
    }
}

#[tokio::test]
async fn unknown_scopes_are_passed_over_and_none_means_the_default() {
    let entrada = Entrada::start().await;
    let client = Client::register(&entrada).await;
    for (asked, granted) in [
        ("mcp.write openid offline_access claudeai", "mcp.write"),
        ("openid", "mcp.read mcp.write"),
        ("", "mcp.read mcp.write"),
        ("mcp.write  mcp.read mcp.write", "mcp.write mcp.read"),
    ] {
        let back = Browser::default().sign_in(&entrada, &client.authorize(&[("scope", asked)])).await;
        let answer = client.redeem(&entrada, &parameter(&back, "code").unwrap()).await;
        assert_eq!(answer.json()["scope"], granted, "{asked:?}");
    }
}

#[tokio::test]
async fn without_a_resource_the_default_is_meant_and_without_a_default_none() {
    let resources = || ["/one", "/two"].map(|path| resource(ISSUER, path, None)).to_vec();
    let entrada = Entrada::with(Setup { resources: resources(), ..Setup::default() }).await;
    let client = Client::register(&entrada).await;
    let back = entrada.get(&client.authorize(&[])).await.location();
    assert_eq!(parameter(&back, "error").as_deref(), Some("invalid_target"));
    assert_eq!(entrada.get("/.well-known/oauth-protected-resource").await.status, 404);

    let entrada =
        Entrada::with(Setup { resources: resources(), default_resource: Some(1), ..Setup::default() }).await;
    let client = Client::register(&entrada).await;
    assert_eq!(client.tokens(&entrada).await.claims()["aud"], format!("{ISSUER}/two"));
    let metadata = entrada.get("/.well-known/oauth-protected-resource").await.json();
    assert_eq!(metadata["resource"], format!("{ISSUER}/two"));
}

async fn register(entrada: &Entrada, body: Value) -> Answer {
    entrada.post_json("/register", &body).await
}

#[tokio::test]
async fn a_registration_is_reduced_to_what_exists_and_refused_when_nothing_is_left() {
    let entrada = Entrada::start().await;
    let loose = json!({
        "redirect_uris": ["javascript:alert(1)", "http://127.0.0.1:33418/", "http://127.0.0.1/", 7],
        "grant_types": ["authorization_code", "refresh_token", "urn:ietf:params:oauth:grant-type:device_code"],
        "response_types": ["code", "token"], "contacts": null, "client_uri": "https://example.com", "jwks": {},
        "client_name": null, "scope": "mcp.read claudeai", "application_type": null, "software_id": "x",
    });
    let answer = register(&entrada, loose).await;
    assert_eq!(answer.status, 201);
    let told = answer.json();
    assert_eq!(told["redirect_uris"], json!(["http://127.0.0.1:33418/", "http://127.0.0.1/"]));
    assert_eq!(told["grant_types"], json!(["authorization_code", "refresh_token"]));
    assert_eq!((&told["scope"], &told["token_endpoint_auth_method"]), (&json!("mcp.read"), &json!("none")));
    assert_eq!(told["application_type"], "native");
    assert!(told.get("client_secret").is_none() && told.get("client_secret_expires_at").is_none());
    assert!(told["client_id"].as_str().unwrap().starts_with("edc_"));

    let good = "https://claude.ai/api/mcp/auth_callback";
    let cases = [
        (json!([]), "invalid_client_metadata"),
        (json!("text"), "invalid_client_metadata"),
        (json!({}), "invalid_redirect_uri"),
        (json!({ "redirect_uris": "https://claude.ai/cb" }), "invalid_redirect_uri"),
        (json!({ "redirect_uris": [] }), "invalid_redirect_uri"),
        (json!({ "redirect_uris": ["http://client.example.com/cb"] }), "invalid_redirect_uri"),
        (
            json!({ "redirect_uris": ["https://claude.ai/cb#x", "https://u@claude.ai/cb", "blob:https://claude.ai/x"] }),
            "invalid_redirect_uri",
        ),
        (
            json!({ "redirect_uris": ["javascript:alert(1)", "data:text/html,x", "file:///etc/passwd", "intent://x", "about:blank"] }),
            "invalid_redirect_uri",
        ),
        (
            json!({ "redirect_uris": ["https://claude.ai/a/../b", "https://claude.ai/%2e%2e/b", "https://claude.ai\\b", "https://CLAUDE.ai/b"] }),
            "invalid_redirect_uri",
        ),
        (
            json!({ "redirect_uris": [good], "token_endpoint_auth_method": "private_key_jwt" }),
            "invalid_client_metadata",
        ),
        (
            json!({ "redirect_uris": (0..33).map(|n| format!("https://a.example/{n}")).collect::<Vec<_>>() }),
            "invalid_redirect_uri",
        ),
        (json!({ "redirect_uris": [good], "client_name": 7 }), "invalid_client_metadata"),
        (
            json!({ "redirect_uris": (0..32).map(|n| format!("https://client.example.com/{n}/a-rather-long-callback-path")).collect::<Vec<_>>() }),
            "invalid_client_metadata",
        ),
    ];
    for (body, error) in cases {
        let answer = register(&entrada, body.clone()).await;
        assert_eq!((answer.status.as_u16(), answer.error().as_str()), (400, error), "{body}");
        assert_eq!(answer.header("cache-control"), "no-store");
    }
}

#[tokio::test]
async fn a_body_of_another_kind_or_size_is_refused_in_words() {
    let entrada = Entrada::start().await;
    let send = |target: &str, content_type: &str, body: Vec<u8>| {
        let request =
            Request::post(target).header("content-type", content_type).body(Body::from(body)).unwrap();
        entrada.send(request)
    };
    let form = "application/x-www-form-urlencoded";
    for target in ["/token", "/revoke", "/consent"] {
        assert_eq!(send(target, "application/json", b"{}".to_vec()).await.status, 400);
        assert_eq!(send(target, "text/plain; charset=latin1", b"\xff\xfe".to_vec()).await.status, 400);
        let large = send(target, form, vec![b'a'; 64 * 1024 + 1]).await;
        assert_eq!((large.status.as_u16(), large.error().as_str()), (413, "invalid_request"));
        assert_ne!(send(target, form, vec![b'a'; 64 * 1024]).await.status, 413);
        assert!(send(target, form, b"%ff%fe=%00&=&&a".to_vec()).await.status.is_client_error());
    }
    assert_eq!(send("/register", form, b"a=b".to_vec()).await.status, 400);
    assert_eq!(send("/register", "application/json", vec![b' '; 64 * 1024 + 1]).await.status, 413);
    assert_eq!(send("/register", "application/json; charset=utf-8", b"{".to_vec()).await.status, 400);
    assert_eq!(send("/register", "application/json", "[".repeat(60_000).into_bytes()).await.status, 400);
}

#[tokio::test]
async fn the_token_endpoint_takes_one_client_authenticated_in_one_way() {
    let entrada = Entrada::start().await;
    let method = json!({ "token_endpoint_auth_method": "client_secret_basic" });
    let client = Client::register_with(&entrada, method).await;
    let secret = client.secret.clone().unwrap();
    let with = |authorization: &str, form: &[(&str, &str)]| {
        let mut request = crate::support::entrada::form_request("/token", form);
        request.headers_mut().insert("authorization", authorization.parse().unwrap());
        entrada.send(request)
    };
    for header in ["Basic", "Basic !!!", "Basic bm9jb2xvbg==", "Bearer x", "Basic OnNlY3JldA=="] {
        let answer = with(header, &[("grant_type", "authorization_code")]).await;
        assert_eq!((answer.status.as_u16(), answer.error().as_str()), (401, "invalid_client"), "{header}");
        assert!(answer.header("www-authenticate").starts_with("Basic "), "{header}");
    }
    let both =
        [("client_id", client.id.as_str()), ("client_secret", &secret), ("grant_type", "refresh_token")];
    let answer = client.token_by_basic(&entrada, &secret, &both).await;
    assert_eq!((answer.status.as_u16(), answer.error().as_str()), (400, "invalid_request"));
    let other_id = [("client_id", "edc_other"), ("grant_type", "refresh_token")];
    assert_eq!(client.token_by_basic(&entrada, &secret, &other_id).await.error(), "invalid_request");
    let same_id =
        [("client_id", client.id.as_str()), ("grant_type", "refresh_token"), ("refresh_token", "edr_x")];
    assert_eq!(client.token_by_basic(&entrada, &secret, &same_id).await.error(), "invalid_grant");
    let twice = [("client_id", "a"), ("client_id", "a"), ("grant_type", "refresh_token")];
    assert_eq!(entrada.post_form("/token", &twice).await.error(), "invalid_request");
    let public = Client::register(&entrada).await;
    let with_secret =
        [("client_id", public.id.as_str()), ("client_secret", &secret), ("grant_type", "refresh_token")];
    assert_eq!(entrada.post_form("/token", &with_secret).await.error(), "invalid_client");
}

#[tokio::test]
async fn other_methods_and_addresses_are_told_so() {
    let entrada = Entrada::start().await;
    for (method, target, status) in [
        ("GET", "/token", 405),
        ("GET", "/register", 405),
        ("PUT", "/authorize", 405),
        ("GET", "/", 404),
        ("GET", "/.well-known/oauth-protected-resource/other", 404),
        ("GET", "/.well-known/oauth-authorization-server/other", 404),
    ] {
        let request = Request::builder().method(method).uri(target).body(Body::empty()).unwrap();
        let answer = entrada.send(request).await;
        assert_eq!(answer.status.as_u16(), status, "{method} {target}");
        assert!(answer.header("content-security-policy").contains("default-src 'none'"));
    }
}
