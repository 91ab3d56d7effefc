//! What a client finds when it looks around.

use axum::body::Body;
use axum::http::Request;
use serde_json::json;

use crate::support::browser::Browser;
use crate::support::client::Client;
use crate::support::client::Tokens;
use crate::support::client::code_of;
use crate::support::entrada::Entrada;
use crate::support::entrada::ISSUER;
use crate::support::entrada::Setup;
use crate::support::entrada::parameter;
use crate::support::entrada::resource;

#[tokio::test]
async fn the_metadata_are_the_same_wherever_clients_look() {
    let entrada = Entrada::start().await;
    let metadata = entrada.get("/.well-known/oauth-authorization-server").await.json();
    assert_eq!(
        metadata,
        json!({
            "issuer": ISSUER,
            "authorization_endpoint": format!("{ISSUER}/authorize"),
            "token_endpoint": format!("{ISSUER}/token"),
            "registration_endpoint": format!("{ISSUER}/register"),
            "revocation_endpoint": format!("{ISSUER}/revoke"),
            "jwks_uri": format!("{ISSUER}/.well-known/jwks.json"),
            "scopes_supported": ["mcp.read", "mcp.write"],
            "response_types_supported": ["code"],
            "response_modes_supported": ["query"],
            "grant_types_supported": ["authorization_code", "refresh_token"],
            "token_endpoint_auth_methods_supported": ["none", "client_secret_basic", "client_secret_post", "private_key_jwt"],
            "token_endpoint_auth_signing_alg_values_supported": ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384"],
            "revocation_endpoint_auth_methods_supported": ["none", "client_secret_basic", "client_secret_post", "private_key_jwt"],
            "revocation_endpoint_auth_signing_alg_values_supported": ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384"],
            "client_id_metadata_document_supported": true,
            "code_challenge_methods_supported": ["S256"],
            "authorization_response_iss_parameter_supported": true,
            "protected_resources": [format!("{ISSUER}/mcp")],
        })
    );
    assert_eq!(entrada.get("/.well-known/oauth-authorization-server/mcp").await.json(), metadata);
    for path in ["/.well-known/openid-configuration", "/.well-known/openid-configuration/mcp"] {
        let mut openid = entrada.get(path).await.json();
        let members = openid.as_object_mut().unwrap();
        assert!(members.remove("subject_types_supported").is_some(), "strict clients insist on it");
        assert!(members.remove("id_token_signing_alg_values_supported").is_some());
        assert_eq!(openid, metadata);
    }
    let resource = json!({
        "resource": format!("{ISSUER}/mcp"),
        "resource_name": "Expenses",
        "authorization_servers": [ISSUER],
        "scopes_supported": ["mcp.read", "mcp.write"],
        "bearer_methods_supported": ["header"],
    });
    for path in ["/.well-known/oauth-protected-resource/mcp", "/.well-known/oauth-protected-resource"] {
        assert_eq!(entrada.get(path).await.json(), resource, "{path}");
    }
}

#[tokio::test]
async fn the_keys_are_public_and_only_that() {
    let entrada = Entrada::start().await;
    let answer = entrada.get("/.well-known/jwks.json").await;
    let keys = answer.json();
    let key = keys["keys"][0].as_object().unwrap();
    let mut members: Vec<&str> = key.keys().map(String::as_str).collect();
    members.sort_unstable();
    assert_eq!(members, ["alg", "crv", "kid", "kty", "use", "x", "y"]);
    assert_eq!(
        (keys["keys"].as_array().unwrap().len(), &key["use"], &key["alg"]),
        (1, &json!("sig"), &json!("ES256"))
    );
}

#[tokio::test]
async fn health_is_told_without_detail() {
    let entrada = Entrada::start().await;
    assert_eq!(entrada.get("/healthz/live").await.json(), json!({ "status": "live" }));
    assert_eq!(entrada.get("/healthz/ready").await.json(), json!({ "status": "ready", "store": "ok" }));
}

/// RFC 8414 §3.2, RFC 9728 §3.2, RFC 7517 §8.5: JSON, by GET, whatever a client says of itself.
#[tokio::test]
async fn every_document_is_json_that_may_be_kept_for_a_while() {
    let entrada = Entrada::start().await;
    for path in [
        "/.well-known/oauth-authorization-server",
        "/.well-known/oauth-authorization-server/mcp",
        "/.well-known/openid-configuration",
        "/.well-known/openid-configuration/mcp",
        "/.well-known/oauth-protected-resource",
        "/.well-known/oauth-protected-resource/mcp",
        "/.well-known/jwks.json",
    ] {
        for version in ["2025-03-26", "2025-06-18", "2025-11-25", "2026-07-28", "nonsense"] {
            let request = Request::get(path).header("mcp-protocol-version", version);
            let answer = entrada.send(request.body(Body::empty()).unwrap()).await;
            assert_eq!(
                (answer.status.as_u16(), answer.header("content-type")),
                (200, "application/json"),
                "{path}"
            );
            assert_eq!(answer.header("cache-control"), "public, max-age=300", "{path}");
            assert!(answer.json().is_object(), "{path}");
        }
        let head = entrada.send(Request::head(path).body(Body::empty()).unwrap()).await;
        assert_eq!((head.status.as_u16(), head.body.as_str()), (200, ""), "{path}");
        let post = entrada.send(Request::post(path).body(Body::empty()).unwrap()).await;
        assert_eq!(post.status, 405, "{path}");
        assert_eq!(entrada.get(&format!("{path}/nothing")).await.status, 404, "{path}");
    }
}

/// RFC 8414 §2, RFC 9728 §2: a member without values is left out, and no value is null.
#[tokio::test]
async fn no_document_has_an_empty_or_a_null_member() {
    let entrada = Entrada::start().await;
    for path in ["/.well-known/openid-configuration", "/.well-known/oauth-protected-resource/mcp"] {
        for (name, value) in entrada.get(path).await.json().as_object().unwrap() {
            assert!(!value.is_null() && value != &json!([]) && value != &json!(""), "{path}: {name}");
        }
    }
}

/// RFC 8414 §3.3, RFC 9207 §2.4, RFC 9068 §4: compared as strings, so it is one string everywhere.
#[tokio::test]
async fn the_issuer_is_one_string_wherever_it_stands() {
    for issuer in ["https://mcp.example.com", "https://mcp.example.com:8443", "http://localhost:8123"] {
        let resources = vec![resource(issuer, "/mcp", None)];
        let entrada = Entrada::with(Setup { issuer: issuer.to_owned(), resources, ..Setup::default() }).await;
        let client = Client::register(&entrada).await;
        for path in ["/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"] {
            let metadata = entrada.get(path).await.json();
            assert_eq!(metadata["issuer"], issuer);
            for (name, value) in metadata.as_object().unwrap() {
                if name.ends_with("_endpoint") || name == "jwks_uri" {
                    let rest = value.as_str().unwrap().strip_prefix(issuer).expect("on the issuer");
                    assert!(rest.starts_with('/') && !rest.contains("//"), "{name}: {value}");
                }
            }
        }
        let metadata = entrada.get("/.well-known/oauth-protected-resource/mcp").await.json();
        assert_eq!(metadata["authorization_servers"], json!([issuer]));
        let back = Browser::default().sign_in(&entrada, &client.authorize(&[])).await;
        assert_eq!(parameter(&back, "iss").as_deref(), Some(issuer));
        let tokens = Tokens::of(&client.redeem(&entrada, &code_of(&back)).await);
        assert_eq!(tokens.claims()["iss"], issuer);
    }
}

/// MCP 2025-03-26, for clients that find no metadata: the default paths are ours.
#[tokio::test]
async fn the_endpoints_are_at_the_default_paths() {
    let entrada = Entrada::start().await;
    let metadata = entrada.get("/.well-known/oauth-authorization-server").await.json();
    for (endpoint, path) in
        [("authorization", "/authorize"), ("token", "/token"), ("registration", "/register")]
    {
        assert_eq!(metadata[format!("{endpoint}_endpoint")], format!("{ISSUER}{path}"));
    }
}
