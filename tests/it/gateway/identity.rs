//! What an MCP server is told of a caller, and by which forms.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use entrada::domain::forwarding::Identity;
use serde_json::Value;

use crate::gateway::stand::Stand;
use crate::support::upstream::Arrived;

async fn told(forms: &[Identity], person: usize, smuggled: &[(&str, &str)]) -> Arrived {
    let stand = Stand::with(|resource| resource.forwarding.identity = forms.to_vec()).await;
    stand.entrada.script.person(person);
    let tokens = stand.client.tokens(&stand.entrada).await;
    assert_eq!(stand.call_with(&tokens.access, "/mcp", smuggled).await.status, 200);
    stand.upstream.arrived().remove(0)
}

fn text<'a>(arrived: &'a Arrived, name: &str) -> &'a str {
    let values: Vec<_> = arrived.headers.get_all(name).iter().collect();
    assert!(values.len() <= 1, "{name} is there twice");
    values.first().map(|value| value.to_str().unwrap()).unwrap_or_default()
}

#[tokio::test]
async fn headers_say_who_it_is_in_ascii() {
    let arrived =
        told(&[Identity::Headers], 2, &[("x-entrada-name", "Ada"), ("x_entrada_oid", "somebody")]).await;
    assert_eq!(text(&arrived, "x-entrada-oid"), "0a1c0de0-0000-4000-8000-000000000003");
    assert_eq!(text(&arrived, "x-entrada-tid"), "11111111-2222-4333-8444-555555555555");
    assert_eq!(text(&arrived, "x-entrada-name"), "Zo%C3%AB %C3%85ngstr%C3%B6m");
    assert_eq!(text(&arrived, "x-entrada-scope"), "mcp.read mcp.write");
    assert!(text(&arrived, "x-entrada-client").len() > 20);
    assert_eq!(text(&arrived, "authorization"), "", "no token unless it is asked for");
    assert!(!arrived.headers.contains_key("x_entrada_oid"));
}

#[tokio::test]
async fn easy_auth_says_it_as_app_service_does() {
    let arrived = told(&[Identity::EasyAuth], 0, &[("x-ms-client-principal-idp", "evil")]).await;
    assert_eq!(text(&arrived, "x-ms-client-principal-id"), "0a1c0de0-0000-4000-8000-000000000001");
    assert_eq!(text(&arrived, "x-ms-client-principal-name"), "ada@contoso.example");
    assert_eq!(text(&arrived, "x-ms-client-principal-idp"), "aad");
    let principal = STANDARD.decode(text(&arrived, "x-ms-client-principal")).unwrap();
    let principal: Value = serde_json::from_slice(&principal).unwrap();
    assert_eq!(principal["auth_typ"], "aad");
    let claims = principal["claims"].as_array().unwrap();
    let claim = |typ: &str| claims.iter().find(|claim| claim["typ"] == typ).map(|claim| claim["val"].clone());
    let oid = claim("http://schemas.microsoft.com/identity/claims/objectidentifier");
    assert_eq!(oid, Some("0a1c0de0-0000-4000-8000-000000000001".into()));
    let tid = claim("http://schemas.microsoft.com/identity/claims/tenantid");
    assert_eq!(tid, Some("11111111-2222-4333-8444-555555555555".into()));
}

#[tokio::test]
async fn forms_go_together_and_what_a_caller_claims_goes_never() {
    let smuggled = [
        ("x-entrada-oid", "somebody"),
        ("x_entrada_client", "somebody"),
        ("x-ms-client-principal", "somebody"),
        ("x_ms_client_principal_id", "somebody"),
        ("x-forwarded-host", "elsewhere.example.net"),
        ("x-forwarded-for", "10.0.0.1"),
        ("x_forwarded_for", "10.0.0.1"),
        ("forwarded", "host=elsewhere.example.net"),
    ];
    let every = [Identity::Token, Identity::Headers, Identity::EasyAuth];
    for forms in [&every[..], &every[..1]] {
        let arrived = told(forms, 0, &smuggled).await;
        for (name, value) in &arrived.headers {
            let value = value.to_str().unwrap();
            assert!(!["somebody", "10.0.0.1", "elsewhere"].iter().any(|bad| value.contains(bad)), "{name}");
        }
        assert!(text(&arrived, "authorization").starts_with("Bearer ey"));
        assert_eq!(arrived.headers.contains_key("x-entrada-oid"), forms.len() > 1);
        assert_eq!(text(&arrived, "x-forwarded-host"), "mcp.example.com");
        assert_eq!(text(&arrived, "x-forwarded-proto"), "https");
    }
}
