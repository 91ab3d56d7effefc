//! What a client finds when it looks around.

use serde_json::json;

use crate::support::entrada::Entrada;
use crate::support::entrada::ISSUER;

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
            "token_endpoint_auth_methods_supported": ["none", "client_secret_basic", "client_secret_post"],
            "revocation_endpoint_auth_methods_supported": ["none", "client_secret_basic", "client_secret_post"],
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
