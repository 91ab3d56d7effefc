//! The bad inputs, endpoint by endpoint. Another one is another line.

use axum::body::Body;
use axum::http::Request;
use serde_json::Value;
use serde_json::json;
use url::Url;

use super::FORM;
use super::JSON;
use super::Row;
use super::Stand;
use crate::support::browser::Browser;
use crate::support::browser::path_of;
use crate::support::client::Client;
use crate::support::entrada::form_request;
use crate::support::entrada::parameter;

pub fn post(target: &str, content_type: &str, body: impl Into<Body>) -> Request<Body> {
    Request::post(target).header("content-type", content_type).body(body.into()).unwrap()
}

pub fn get(target: &str) -> Request<Body> {
    request("GET", target)
}

pub fn request(method: &str, target: &str) -> Request<Body> {
    Request::builder().method(method).uri(target).body(Body::empty()).unwrap()
}

pub fn with(name: &'static str, value: &str, mut request: Request<Body>) -> Request<Body> {
    request.headers_mut().append(name, value.parse().unwrap());
    request
}

/// The request with the cookies of a browser.
pub fn by(browser: &Browser, request: Request<Body>) -> Request<Body> {
    let pairs: Vec<String> = browser.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
    with("cookie", &pairs.join("; "), request)
}

/// A form with some parameters replaced; an empty value removes one.
pub fn changed(target: &str, form: &[(String, String)], changes: &[(&str, &str)]) -> Request<Body> {
    let ours = form.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let kept = ours.filter(|(name, _)| !changes.iter().any(|(changed, _)| changed == name));
    let new = changes.iter().copied().filter(|(_, value)| !value.is_empty());
    form_request(target, &kept.chain(new).collect::<Vec<_>>())
}

pub fn anywhere() -> Vec<Row> {
    let mut rows = vec![
        ("unknown path", get("/nothing")),
        ("unknown path", get("/.well-known/nothing")),
        ("no such resource", get("/.well-known/oauth-protected-resource/nothing")),
        ("no such resource", get("/.well-known/oauth-authorization-server/nothing")),
        ("no such resource", get("/.well-known/openid-configuration/nothing")),
    ];
    for path in ["/authorize", "/auth/callback", "/.well-known/oauth-authorization-server"] {
        rows.push(("wrong method", post(path, FORM, "a=b")));
    }
    for path in ["/register", "/consent", "/token", "/revoke"] {
        rows.push(("wrong method", get(path)));
        rows.push(("no content type", Request::post(path).body(Body::from("a=b")).unwrap()));
        rows.push(("wrong content type", post(path, "text/plain", "a=b")));
        let own = if path == "/register" { JSON } else { FORM };
        rows.push(("body over 64 KiB", post(path, own, vec![b' '; 64 * 1024 + 1])));
    }
    rows
}

pub fn register() -> Vec<Row> {
    let json = |body: Value| post("/register", JSON, body.to_string());
    let uris = |uris: Value| json(json!({ "redirect_uris": uris }));
    let good = json!(["https://claude.ai/api/mcp/auth_callback"]);
    vec![
        ("empty body", post("/register", JSON, "")),
        ("not JSON", post("/register", JSON, "{")),
        ("a form", post("/register", FORM, "client_name=x")),
        ("an array", json(json!([]))),
        ("no redirect_uris", json(json!({}))),
        ("empty redirect_uris", uris(json!([]))),
        ("redirect_uris as text", uris(json!("https://claude.ai/cb"))),
        ("plain http elsewhere", uris(json!(["http://client.example.com/cb"]))),
        ("fragment", uris(json!(["https://claude.ai/cb#x"]))),
        ("user information", uris(json!(["https://u:p@claude.ai/cb"]))),
        ("script", uris(json!(["javascript:alert(1)"]))),
        ("client_name is a number", json(json!({ "redirect_uris": good, "client_name": 7 }))),
        ("scope is a list", json(json!({ "redirect_uris": good, "scope": ["mcp.read"] }))),
        (
            "unknown authentication method",
            json(json!({ "redirect_uris": good, "token_endpoint_auth_method": "tls_client_auth" })),
        ),
        (
            "metadata of 4 KB",
            uris(json!(
                (0..40).map(|n| format!("https://claude.ai/{n}/{}", "p".repeat(90))).collect::<Vec<_>>()
            )),
        ),
    ]
}

pub async fn authorize(stand: &Stand) -> Vec<Row> {
    let asks = |client: &Client, changes: &[(&str, &str)]| get(&client.authorize(changes));
    let ask = |changes: &[(&str, &str)]| asks(&stand.client, changes);
    let stranger = json!({ "redirect_uris": ["https://client.example.net/cb"] });
    let stranger = Client::register_with(&stand.entrada, stranger).await;
    let long = "s".repeat(1_025);
    vec![
        ("no parameters", get("/authorize")),
        ("no client_id", ask(&[("client_id", "")])),
        ("unknown client_id", ask(&[("client_id", "edc_unknown")])),
        ("client_id twice", ask(&[("client_id", "a"), ("client_id", "b")])),
        ("no redirect_uri", ask(&[("redirect_uri", "")])),
        (
            "redirect_uri of 4 KB",
            ask(&[("redirect_uri", &format!("https://claude.ai/{}", "p".repeat(4_096)))]),
        ),
        ("redirect_uri not registered", ask(&[("redirect_uri", "http://127.0.0.1:33418/other")])),
        ("redirect_uri malformed", ask(&[("redirect_uri", "javascript:alert(1)")])),
        ("redirect host not trusted", asks(&stranger, &[])),
        ("no response_type", ask(&[("response_type", "")])),
        ("response_type token", ask(&[("response_type", "token")])),
        ("response_mode fragment", ask(&[("response_mode", "fragment")])),
        ("state of 1025 characters", ask(&[("state", &long)])),
        ("state twice", ask(&[("state", "a"), ("state", "b")])),
        ("no code_challenge", ask(&[("code_challenge", "")])),
        ("code_challenge too short", ask(&[("code_challenge", "short")])),
        ("no code_challenge_method", ask(&[("code_challenge_method", "")])),
        ("code_challenge_method plain", ask(&[("code_challenge_method", "plain")])),
        ("unknown resource", ask(&[("resource", "https://elsewhere.example/mcp")])),
        (
            "two resources",
            ask(&[
                ("resource", "https://mcp.example.com/mcp"),
                ("resource", "https://mcp.example.com/other"),
            ]),
        ),
        ("scope twice", ask(&[("scope", "mcp.read"), ("scope", "mcp.write")])),
        ("prompt none", ask(&[("prompt", "none")])),
        ("max_age in words", ask(&[("max_age", "soon")])),
    ]
}

pub async fn consent(stand: &Stand) -> Vec<Row> {
    let (browser, login) = stand.asked().await;
    let (another, _) = stand.asked().await;
    let decide =
        |login: &str, decision: &str| form_request("/consent", &[("login", login), ("decision", decision)]);
    vec![
        ("no login", by(&browser, decide("", "approve"))),
        ("login is garbage", by(&browser, decide("AAAA", "approve"))),
        ("no decision", by(&browser, decide(&login, ""))),
        ("unknown decision", by(&browser, decide(&login, "perhaps"))),
        ("no cookie", decide(&login, "approve")),
        ("the cookie of another browser", by(&another, decide(&login, "approve"))),
        (
            "sent by another site",
            by(&browser, with("sec-fetch-site", "cross-site", decide(&login, "approve"))),
        ),
        ("declined", by(&browser, decide(&login, "deny"))),
    ]
}

pub async fn callback(stand: &Stand) -> Vec<Row> {
    let (browser, callback) = stand.back().await;
    let (another, _) = stand.back().await;
    let target = path_of(&callback);
    let state = parameter(&Url::parse(&callback).unwrap(), "state").unwrap();
    let says = |error: &str| by(&browser, get(&format!("/auth/callback?state={state}&error={error}")));
    vec![
        ("no parameters", get("/auth/callback")),
        ("no state", by(&browser, get("/auth/callback?code=x"))),
        ("no cookie", get(&target)),
        ("no cookie, and an error", get(&format!("/auth/callback?state={state}&error=access_denied"))),
        ("the cookies of another browser", by(&another, get(&target))),
        ("neither code nor error", by(&browser, get(&format!("/auth/callback?state={state}")))),
        ("code twice", by(&browser, get(&format!("/auth/callback?state={state}&code=a&code=b")))),
        ("state twice", by(&browser, get(&format!("{target}&state={state}")))),
        (
            "a code that the provider did not give",
            by(&browser, get(&format!("/auth/callback?state={state}&code=x"))),
        ),
        ("access_denied", says("access_denied")),
        ("temporarily_unavailable", says("temporarily_unavailable")),
        ("server_error", says("server_error")),
        ("interaction_required", says("interaction_required")),
        ("an unknown error", says("%3Cscript%3E")),
    ]
}

pub async fn exchange(stand: &Stand) -> Vec<Row> {
    let code = stand.client.code(&stand.entrada).await;
    let spent = stand.client.code(&stand.entrada).await;
    stand.client.redeem(&stand.entrada, &spent).await;
    let form = stand.client.redeem_form(&code);
    let redeem = |changes: &[(&str, &str)]| changed("/token", &form, changes);
    vec![
        ("no grant_type", redeem(&[("grant_type", "")])),
        ("grant_type password", redeem(&[("grant_type", "password")])),
        ("grant_type client_credentials", redeem(&[("grant_type", "client_credentials")])),
        (
            "grant_type twice",
            redeem(&[("grant_type", "authorization_code"), ("grant_type", "refresh_token")]),
        ),
        ("no client_id", redeem(&[("client_id", "")])),
        ("unknown client_id", redeem(&[("client_id", "edc_unknown")])),
        ("client_id twice", redeem(&[("client_id", "a"), ("client_id", "a")])),
        ("a secret that a public client has not", redeem(&[("client_secret", "edcs_AQE")])),
        ("another client", redeem(&[("client_id", &stand.other.id)])),
        ("a confidential client without its secret", redeem(&[("client_id", &stand.confidential.id)])),
        ("no code", redeem(&[("code", "")])),
        ("code is garbage", redeem(&[("code", "edac_garbage")])),
        ("code twice", redeem(&[("code", "a"), ("code", "b")])),
        ("code already redeemed", redeem(&[("code", &spent)])),
        ("no code_verifier", redeem(&[("code_verifier", "")])),
        ("wrong code_verifier", redeem(&[("code_verifier", &"v".repeat(43))])),
        ("another redirect_uri", redeem(&[("redirect_uri", "http://127.0.0.1:33418/other")])),
        ("another resource", redeem(&[("resource", "https://mcp.example.com/other")])),
    ]
}

/// Client authentication, which is the same for every grant and for revocation.
pub fn authentication(stand: &Stand) -> Vec<Row> {
    let form = [("grant_type", "refresh_token"), ("refresh_token", "x"), ("token", "x")];
    let mut rows = Vec::new();
    for target in ["/token", "/revoke"] {
        let sent = |authorization: &str| with("authorization", authorization, form_request(target, &form));
        let jwt = ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer");
        let asserting = |more: &[(&str, &str)]| {
            form_request(target, &[&form[..], &[("client_assertion", "x.y.z")], more].concat())
        };
        rows.extend([
            ("an assertion without its type", asserting(&[("client_id", &stand.client.id)])),
            ("an assertion of another type", asserting(&[("client_assertion_type", "saml2-bearer")])),
            ("an assertion that names no client", asserting(&[jwt])),
            ("an assertion of a client that has no keys", asserting(&[jwt, ("client_id", &stand.client.id)])),
            ("an assertion twice", asserting(&[jwt, ("client_assertion", "x.y.z")])),
            ("an assertion and a secret", asserting(&[jwt, ("client_secret", "x")])),
            ("an assertion and Basic", with("authorization", "Basic dTpz", asserting(&[jwt]))),
            ("no client at all", form_request(target, &form)),
            ("Basic without credentials", sent("Basic")),
            ("Basic that is no base64", sent("Basic !!!")),
            ("Basic without a colon", sent("Basic bm9jb2xvbg==")),
            ("Basic with an unknown client", sent("Basic dW5rbm93bjpzZWNyZXQ=")),
            ("Bearer", sent("Bearer x")),
            ("two Authorization headers", with("authorization", "Basic dTpz", sent("Basic dTpz"))),
            (
                "a confidential client without its secret",
                changed(target, &[], &[("client_id", &stand.confidential.id), ("token", "x")]),
            ),
        ]);
    }
    rows
}

pub async fn refresh(stand: &Stand) -> Vec<Row> {
    let live = stand.tokens().await;
    let revoked = stand.tokens().await;
    let ended = [("client_id", stand.client.id.as_str()), ("token", &revoked.refresh)];
    assert_eq!(stand.entrada.post_form("/revoke", &ended).await.status, 200);
    let form = stand.client.refresh_form(&live.refresh);
    let refresh = |changes: &[(&str, &str)]| changed("/token", &form, changes);
    vec![
        ("no refresh_token", refresh(&[("refresh_token", "")])),
        ("refresh_token is garbage", refresh(&[("refresh_token", "edr_garbage")])),
        ("refresh_token twice", refresh(&[("refresh_token", "a"), ("refresh_token", "b")])),
        ("refresh_token of a revoked grant", refresh(&[("refresh_token", &revoked.refresh)])),
        ("refresh_token is an access token", refresh(&[("refresh_token", &live.access)])),
        ("another client", refresh(&[("client_id", &stand.other.id)])),
        ("another resource", refresh(&[("resource", "https://mcp.example.com/other")])),
        ("scope twice", refresh(&[("scope", "mcp.read"), ("scope", "mcp.write")])),
    ]
}

pub async fn revoke(stand: &Stand) -> Vec<Row> {
    let live = stand.tokens().await;
    let form =
        vec![("client_id".to_owned(), stand.client.id.clone()), ("token".to_owned(), live.refresh.clone())];
    let revoke = |changes: &[(&str, &str)]| changed("/revoke", &form, changes);
    vec![
        ("no token", revoke(&[("token", "")])),
        ("token twice", revoke(&[("token", "a"), ("token", "b")])),
        ("unknown token, which is no error", revoke(&[("token", "edr_garbage")])),
        ("another client", revoke(&[("client_id", &stand.other.id)])),
        ("unknown client_id", revoke(&[("client_id", "edc_unknown")])),
    ]
}

pub async fn gateway(stand: &Stand) -> Vec<Row> {
    let live = stand.tokens().await;
    let revoked = stand.tokens().await;
    let ended = [("client_id", stand.client.id.as_str()), ("token", &revoked.refresh)];
    assert_eq!(stand.entrada.post_form("/revoke", &ended).await.status, 200);
    let bearing = |token: &str, request| with("authorization", &format!("Bearer {token}"), request);
    let call = |token: &str| bearing(token, request("POST", "/mcp"));
    vec![
        ("no token", request("POST", "/mcp")),
        ("no token, below the resource", request("POST", "/mcp/below")),
        ("token in the query", request("POST", &format!("/mcp?access_token={}", live.access))),
        ("token in the body", post("/mcp", FORM, format!("access_token={}", live.access))),
        ("Basic", with("authorization", "Basic dTpz", request("POST", "/mcp"))),
        ("Bearer without a token", with("authorization", "Bearer", request("POST", "/mcp"))),
        ("garbage", call("garbage")),
        ("20 KB of garbage", call(&"a".repeat(20_000))),
        ("a refresh token", call(&live.refresh)),
        ("a revoked grant", call(&revoked.access)),
        ("a token for another resource", bearing(&live.access, request("POST", "/other"))),
        ("two Authorization headers", bearing(&live.access, call(&live.access))),
        ("dot segments", bearing(&live.access, request("POST", "/mcp/../token"))),
        ("method TRACE", bearing(&live.access, request("TRACE", "/mcp"))),
        ("method PUT", bearing(&live.access, request("PUT", "/mcp"))),
    ]
}
