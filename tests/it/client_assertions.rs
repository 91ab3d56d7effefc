//! Clients that authenticate by a key of their own: `private_key_jwt`.

use axum::body::Body;
use axum::http::Request;
use entrada::domain::client::ConfiguredClient;
use entrada::domain::event::EventName;
use entrada::domain::time::Timestamp;
use entrada::ports::clock::Clock;
use entrada::protocol::redirect_uri::RedirectUri;
use jsonwebtoken::Algorithm;
use jsonwebtoken::Header;
use serde_json::Value;
use serde_json::json;

use crate::support::client::Client;
use crate::support::client::Tokens;
use crate::support::entrada::Entrada;
use crate::support::entrada::ISSUER;
use crate::support::entrada::Setup;
use crate::support::entrada::form_request;
use crate::support::page::Page;
use crate::support::published::ID;
use crate::support::published::REDIRECT_URI;
use crate::support::published::asked;
use crate::support::published::client;
use crate::support::published::page;
use crate::support::published::reason;
use crate::support::published::start;
use crate::support::signer::JWT_BEARER;
use crate::support::signer::Signer;
use crate::support::signer::asserted;
use crate::support::signer::redeem;
use crate::support::signer::refresh;
use crate::support::web::Web;

/// Where the keys lie that are not in the document.
const KEYS: &str = "https://vscode.dev/oauth/jwks.json";

fn by_key(jwks: &[Value]) -> Value {
    json!({ "token_endpoint_auth_method": "private_key_jwt", "jwks": { "keys": jwks } })
}

fn set(jwks: &[Value]) -> Page {
    Page::json(json!({ "keys": jwks }).to_string()).header("cache-control", "max-age=86400")
}

/// An Entrada whose client has its keys at [`KEYS`].
async fn start_by_key() -> (Entrada, Web, Signer) {
    let (entrada, web) = start().await;
    let signer = Signer::es256("k1");
    let more = json!({ "token_endpoint_auth_method": "private_key_jwt", "jwks_uri": KEYS });
    web.serve(ID, page(ID, &more).header("cache-control", "max-age=86400"));
    web.serve(KEYS, set(&[signer.jwk()]));
    (entrada, web, signer)
}

async fn tokens(entrada: &Entrada, signer: &Signer) -> Tokens {
    let code = client(ID).code(entrada).await;
    Tokens::of(&redeem(entrada, &client(ID), &code, &signer.assertion(ID, entrada.clock.now())).await)
}

#[tokio::test]
async fn it_gets_in_by_a_key_in_its_document_or_beside_it_and_not_without() {
    for beside in [false, true] {
        let (entrada, web, signer) = start_by_key().await;
        if !beside {
            web.serve(ID, page(ID, &by_key(&[signer.jwk()])));
        }
        let code = client(ID).code(&entrada).await;
        assert_eq!(client(ID).redeem(&entrada, &code).await.error(), "invalid_client");
        let secret = Client { secret: Some("s".to_owned()), ..client(ID) };
        assert_eq!(secret.redeem(&entrada, &code).await.error(), "invalid_client");
        let stranger = Signer::es256("k1");
        let forged = stranger.assertion(ID, entrada.clock.now());
        assert_eq!(redeem(&entrada, &client(ID), &code, &forged).await.error(), "invalid_client");

        let assertion = signer.assertion(ID, entrada.clock.now());
        let first = Tokens::of(&redeem(&entrada, &client(ID), &code, &assertion).await);
        assert_eq!(client(ID).refresh(&entrada, &first.refresh).await.error(), "invalid_client");
        let assertion = signer.assertion(ID, entrada.clock.now());
        let second = Tokens::of(&refresh(&entrada, &client(ID), &first.refresh, &assertion).await);
        assert_eq!(web.requests(KEYS), usize::from(beside));

        let form = [("token".to_owned(), second.refresh.clone())];
        let assertion = signer.assertion(ID, entrada.clock.now());
        assert_eq!(
            entrada.post_form("/revoke", &[("token", &second.refresh), ("client_id", ID)]).await.status,
            401
        );
        assert_eq!(entrada.post_form("/revoke", &asserted(&form, &assertion)).await.status, 200);
    }
}

#[tokio::test]
async fn the_id_may_be_left_to_the_assertion_and_must_not_differ_from_it() {
    let (entrada, _web, signer) = start_by_key().await;
    let code = client(ID).code(&entrada).await;
    let mut form = client(ID).redeem_form(&code);
    form.retain(|(name, _)| name != "client_id");
    let assertion = signer.assertion(ID, entrada.clock.now());
    Tokens::of(&entrada.post_form("/token", &asserted(&form, &assertion)).await);

    let other = Client::register(&entrada).await;
    let form = other.redeem_form("x");
    let assertion = signer.assertion(ID, entrada.clock.now());
    assert_eq!(entrada.post_form("/token", &asserted(&form, &assertion)).await.error(), "invalid_request");
}

#[tokio::test]
async fn a_request_authenticates_in_one_way() {
    let (entrada, _web, signer) = start_by_key().await;
    let assertion = signer.assertion(ID, entrada.clock.now());
    let form = client(ID).refresh_form("x");
    let with_secret = [asserted(&form, &assertion), vec![("client_secret", "s")]].concat();
    assert_eq!(entrada.post_form("/token", &with_secret).await.error(), "invalid_request");
    let mut by_header = form_request("/token", &asserted(&form, &assertion));
    by_header.headers_mut().insert("authorization", "Basic eDp5".parse().unwrap());
    assert_eq!(entrada.send(by_header).await.error(), "invalid_request");
    let twice = [asserted(&form, &assertion), vec![("client_assertion", assertion.as_str())]].concat();
    assert_eq!(entrada.post_form("/token", &twice).await.error(), "invalid_request");
    for (type_, assertion) in [
        (None, Some(assertion.as_str())),
        (Some(JWT_BEARER), None),
        (Some("urn:ietf:params:oauth:client-assertion-type:saml2-bearer"), Some(assertion.as_str())),
        (Some(JWT_BEARER), Some("no.jwt.at-all")),
        (Some(JWT_BEARER), Some(&"a".repeat(8 * 1024 + 1))),
    ] {
        let mut request: Vec<_> = form.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        request.extend(type_.map(|type_| ("client_assertion_type", type_)));
        request.extend(assertion.map(|assertion| ("client_assertion", assertion)));
        assert_eq!(entrada.post_form("/token", &request).await.error(), "invalid_client", "{type_:?}");
    }
}

#[tokio::test]
async fn each_algorithm_that_is_announced_is_taken() {
    let (entrada, web) = start().await;
    let (rsa, ec) = (Signer::rsa("r"), Signer::es256("e"));
    web.serve(ID, page(ID, &by_key(&[rsa.jwk(), ec.jwk()])));
    let metadata = entrada.get("/.well-known/oauth-authorization-server").await.json();
    let announced = metadata["token_endpoint_auth_signing_alg_values_supported"].as_array().unwrap().len();
    let of_rsa = [
        Algorithm::RS256,
        Algorithm::RS384,
        Algorithm::RS512,
        Algorithm::PS256,
        Algorithm::PS384,
        Algorithm::PS512,
    ];
    // ES384 has a test beside the code.
    assert_eq!(announced, of_rsa.len() + 2);
    let mut tokens = tokens(&entrada, &ec).await;
    for algorithm in of_rsa {
        let header = Header { kid: Some("r".to_owned()), ..Header::new(algorithm) };
        let assertion = rsa.sign_with(&header, &rsa.claims(ID, entrada.clock.now()));
        tokens = Tokens::of(&refresh(&entrada, &client(ID), &tokens.refresh, &assertion).await);
    }
}

/// Each with one thing wrong.
#[tokio::test]
async fn an_assertion_that_does_not_hold_is_refused_and_spends_nothing() {
    let (entrada, _web, signer) = start_by_key().await;
    let tokens = tokens(&entrada, &signer).await;
    let now = entrada.clock.now().0;
    let with = |name: &str, value: Value| {
        let mut claims = signer.claims(ID, Timestamp(now));
        claims[name] = value;
        claims.as_object_mut().unwrap().retain(|_, value| !value.is_null());
        signer.sign(&claims)
    };
    for (what, assertion) in [
        ("another's issuer", with("iss", json!("https://claude.ai/oauth/client"))),
        ("no issuer", with("iss", Value::Null)),
        ("another server's", with("aud", json!("https://other.example.com"))),
        ("with a slash", with("aud", json!(format!("{ISSUER}/")))),
        ("for two servers", with("aud", json!([ISSUER, "https://other.example.com"]))),
        ("for nobody", with("aud", json!([]))),
        ("for the resource", with("aud", json!(format!("{ISSUER}/mcp")))),
        ("expired", with("exp", json!(now - 31))),
        ("for ever", with("exp", json!(now + 331))),
        ("without an end", with("exp", Value::Null)),
        ("from the future", with("iat", json!(now + 31))),
        ("older than its life", with("iat", json!(now - 300))),
        ("not yet", with("nbf", json!(now + 31))),
        ("without an id", with("jti", Value::Null)),
        ("with an empty id", with("jti", json!(""))),
    ] {
        let refused = refresh(&entrada, &client(ID), &tokens.refresh, &assertion).await;
        assert_eq!((refused.status.as_u16(), refused.error().as_str()), (401, "invalid_client"), "{what}");
    }
    for audience in
        [json!(ISSUER), json!(format!("{ISSUER}/token")), json!([ISSUER, format!("{ISSUER}/token")])]
    {
        let assertion = with("aud", audience);
        // The predecessor, within the grace.
        Tokens::of(&refresh(&entrada, &client(ID), &tokens.refresh, &assertion).await);
    }
}

#[tokio::test]
async fn an_assertion_is_taken_once_for_a_grant_on_every_replica_and_within_the_grace() {
    let (entrada, _web, signer) = start_by_key().await;
    let code = client(ID).code(&entrada).await;
    let first = signer.assertion(ID, entrada.clock.now());
    let one = Tokens::of(&redeem(&entrada, &client(ID), &code, &first).await);
    let again = refresh(&entrada, &client(ID), &one.refresh, &first).await;
    assert_eq!((again.status.as_u16(), again.error().as_str()), (401, "invalid_client"));

    let second = signer.assertion(ID, entrada.clock.now());
    let two = Tokens::of(&refresh(&entrada, &client(ID), &one.refresh, &second).await);
    let replica = entrada.replica().await;
    for router in [&entrada.router, &replica] {
        for token in [&one.refresh, &two.refresh] {
            for assertion in [&first, &second] {
                let form = client(ID).refresh_form(token);
                let replayed = form_request("/token", &asserted(&form, assertion));
                assert_eq!(entrada.send_to(router, replayed).await.error(), "invalid_client");
            }
        }
    }
    // Who has lost an answer signs anew and gets the same successor; whoever saw that request does not.
    let third = signer.assertion(ID, entrada.clock.now());
    let repeated = Tokens::of(&refresh(&entrada, &client(ID), &one.refresh, &third).await);
    assert_eq!(repeated.refresh, two.refresh);
    assert_eq!(refresh(&entrada, &client(ID), &one.refresh, &third).await.error(), "invalid_client");
    assert_eq!(refresh(&entrada, &client(ID), &two.refresh, &third).await.error(), "invalid_client");
    for used in [&second, &third] {
        let form = [("token".to_owned(), one.refresh.clone())];
        assert_eq!(entrada.post_form("/revoke", &asserted(&form, used)).await.error(), "invalid_client");
    }
    assert_eq!(entrada.events.count(EventName::GrantRevoked), 0);
    let next = signer.assertion(ID, entrada.clock.now());
    Tokens::of(&refresh(&entrada, &client(ID), &two.refresh, &next).await);
}

#[tokio::test]
async fn a_grant_that_was_made_by_a_key_is_never_used_without() {
    let (entrada, web, signer) = start_by_key().await;
    let tokens = tokens(&entrada, &signer).await;
    web.serve(ID, page(ID, &json!({})));
    entrada.advance(24 * 3600);
    assert_eq!(asked(&entrada, ID).await.status, 200, "new sign-ins go by what the document says now");
    let refused = client(ID).refresh(&entrada, &tokens.refresh).await;
    assert_eq!((refused.status.as_u16(), refused.error().as_str()), (400, "invalid_grant"));
    let form = [("token", tokens.refresh.as_str()), ("client_id", ID)];
    assert_eq!(entrada.post_form("/revoke", &form).await.error(), "invalid_grant");
}

#[tokio::test]
async fn a_grant_that_was_once_used_by_a_key_is_never_used_without_again() {
    let (entrada, web) = start().await;
    let signer = Signer::es256("k1");
    let one = client(ID).tokens(&entrada).await;
    web.serve(ID, page(ID, &by_key(&[signer.jwk()])));
    entrada.advance(300);
    let assertion = signer.assertion(ID, entrada.clock.now());
    let two = Tokens::of(&refresh(&entrada, &client(ID), &one.refresh, &assertion).await);
    web.serve(ID, page(ID, &json!({})));
    entrada.advance(300);
    assert_eq!(client(ID).refresh(&entrada, &two.refresh).await.error(), "invalid_grant");
}

#[tokio::test]
async fn a_client_may_change_its_keys_and_an_unknown_one_is_looked_for_a_few_times_a_minute() {
    let (entrada, web, signer) = start_by_key().await;
    let one = tokens(&entrada, &signer).await;
    let newer = Signer::es256("k2");
    web.serve(KEYS, set(&[newer.jwk()]));
    let assertion = newer.assertion(ID, entrada.clock.now());
    let two = Tokens::of(&refresh(&entrada, &client(ID), &one.refresh, &assertion).await);
    assert_eq!(web.requests(KEYS), 2, "fetched once more, though the first set was good for a day");
    let old = signer.assertion(ID, entrada.clock.now());
    assert_eq!(refresh(&entrada, &client(ID), &two.refresh, &old).await.error(), "invalid_client");

    let stranger = Signer::es256("k3");
    for _ in 0..20 {
        let assertion = stranger.assertion(ID, entrada.clock.now());
        let refused = refresh(&entrada, &client(ID), &two.refresh, &assertion).await;
        assert!([401, 503].contains(&refused.status.as_u16()), "{refused:?}");
    }
    assert!(web.requests(KEYS) <= 4, "{}", web.requests(KEYS));
    let assertion = newer.assertion(ID, entrada.clock.now());
    Tokens::of(&refresh(&entrada, &client(ID), &two.refresh, &assertion).await);
}

#[tokio::test]
async fn what_is_looked_for_in_vain_for_one_client_is_not_used_up_for_another() {
    let (entrada, web, signer) = start_by_key().await;
    let one = tokens(&entrada, &signer).await;
    let other = "https://vscode.dev/oauth/other.json";
    let by_keys = json!({ "token_endpoint_auth_method": "private_key_jwt", "jwks_uri": KEYS });
    web.serve(other, page(other, &by_keys));
    let code = client(other).code(&entrada).await;
    let stranger = Signer::es256("k3").assertion(ID, entrada.clock.now());
    for status in [401, 401, 503] {
        assert_eq!(refresh(&entrada, &client(ID), &one.refresh, &stranger).await.status, status);
    }
    let newer = Signer::es256("k2");
    web.serve(KEYS, set(&[newer.jwk()]));
    Tokens::of(&redeem(&entrada, &client(other), &code, &newer.assertion(other, entrada.clock.now())).await);
}

#[tokio::test]
async fn keys_that_cannot_be_had_are_told_before_anybody_signs_in() {
    let (entrada, web, _) = start_by_key().await;
    for (answer, status, wanted) in [
        (Page::status(500), 503, "document_away"),
        (Page::status(404), 400, "document_missing"),
        (Page::json("{}"), 400, "document_keys"),
        (Page::json("keys"), 400, "document_keys"),
        (set(&[]), 400, "document_keys"),
    ] {
        web.serve(KEYS, answer);
        entrada.advance(60);
        let page = asked(&entrada, ID).await;
        assert_eq!((page.status.as_u16(), reason(&page)), (status, wanted));
        let event = entrada.events.last(EventName::DocumentRefused).unwrap();
        assert_eq!(event.call, Some("jwks"));
    }
}

#[tokio::test]
async fn the_last_good_keys_serve_a_replica_that_never_had_them() {
    let (entrada, web, signer) = start_by_key().await;
    let one = tokens(&entrada, &signer).await;
    web.serve(KEYS, Page::status(403));
    web.serve(ID, Page::status(403));
    let replica = entrada.replica().await;
    let assertion = signer.assertion(ID, entrada.clock.now());
    let form = client(ID).refresh_form(&one.refresh);
    Tokens::of(&entrada.send_to(&replica, form_request("/token", &asserted(&form, &assertion))).await);
    assert_eq!(entrada.events.count(EventName::DocumentKept), 2);
}

/// Two clients may name the same address for their keys, and an old copy of one must not stand in for the other.
#[tokio::test]
async fn the_copy_of_another_client_is_not_taken_for_its_keys() {
    let (entrada, web, old) = start_by_key().await;
    let other = "https://vscode.dev/oauth/other.json";
    let by_keys = json!({ "token_endpoint_auth_method": "private_key_jwt", "jwks_uri": KEYS });
    web.serve(other, page(other, &by_keys));
    let code = client(other).code(&entrada).await;
    Tokens::of(&redeem(&entrada, &client(other), &code, &old.assertion(other, entrada.clock.now())).await);
    let new = Signer::es256("k2");
    web.serve(KEYS, set(&[new.jwk()]));
    entrada.advance(86_400);
    let own = tokens(&entrada, &new).await;
    web.serve(KEYS, Page::status(503));
    let replica = entrada.replica().await;
    let request = Request::get(client(other).authorize(&[])).body(Body::empty()).unwrap();
    assert_eq!(entrada.send_to(&replica, request).await.status, 200, "by its own copy");
    let form = client(ID).refresh_form(&own.refresh);
    let by_old = old.assertion(ID, entrada.clock.now());
    let refused = entrada.send_to(&replica, form_request("/token", &asserted(&form, &by_old))).await;
    assert!([401, 503].contains(&refused.status.as_u16()), "{refused:?}");
    let by_new = new.assertion(ID, entrada.clock.now());
    Tokens::of(&entrada.send_to(&replica, form_request("/token", &asserted(&form, &by_new))).await);
}

#[tokio::test]
async fn a_client_of_the_configuration_may_have_a_key() {
    let signer = Signer::es256("k1");
    let jwks = Some(json!({ "keys": [signer.jwk()] }));
    let configured = ConfiguredClient {
        id: ID.to_owned(),
        name: "Ours".to_owned(),
        redirect_uris: vec![RedirectUri::parse(REDIRECT_URI).unwrap()],
        scopes: Default::default(),
        secret_sha256: None,
        jwks,
    };
    let setup = Setup { clients: vec![configured], metadata_documents: false, ..Setup::default() };
    let entrada = Entrada::with(setup).await;
    let metadata = entrada.get("/.well-known/oauth-authorization-server").await.json();
    let methods = metadata["token_endpoint_auth_methods_supported"].as_array().unwrap();
    assert!(methods.contains(&json!("private_key_jwt")));
    let tokens = tokens(&entrada, &signer).await;
    assert_eq!(client(ID).refresh(&entrada, &tokens.refresh).await.error(), "invalid_client");
    let assertion = signer.assertion(ID, entrada.clock.now());
    Tokens::of(&refresh(&entrada, &client(ID), &tokens.refresh, &assertion).await);
}
