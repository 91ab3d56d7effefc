//! The gateway: who gets through, what crosses it, and what never does.

use axum::body::Body;
use axum::http::Request;

use crate::support::client::Client;
use crate::support::client::Tokens;
use crate::support::entrada::Answer;
use crate::support::entrada::Entrada;
use crate::support::entrada::ISSUER;
use crate::support::entrada::Setup;
use crate::support::entrada::resource;
use crate::support::race::Course;
use crate::support::race::Raced;
use crate::support::upstream::Upstream;

use std::net::SocketAddr;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use entrada::domain::event::EventName;
use http_body_util::BodyExt;
use serde_json::Value;
use tokio::io::AsyncBufReadExt;
use tokio::io::AsyncWriteExt;
use tokio::io::BufStream;
use tokio::net::TcpListener;
use tokio::net::TcpSocket;
use tower::ServiceExt;
use url::Url;

struct Stand {
    entrada: Entrada,
    upstream: Upstream,
    course: Arc<Course>,
    client: Client,
    tokens: Tokens,
}

async fn stand() -> Stand {
    let upstream = Upstream::start().await;
    let resources = vec![resource(ISSUER, "/mcp", Some(upstream.url.clone()))];
    let course = Arc::new(Course::default());
    let there = Arc::clone(&course);
    let decorate = Box::new(move |store| Arc::new(Raced { store, course: Arc::clone(&there) }) as _);
    let entrada = Entrada::with(Setup { resources, decorate, ..Setup::default() }).await;
    let client = Client::register(&entrada).await;
    let tokens = client.tokens(&entrada).await;
    Stand { entrada, upstream, course, client, tokens }
}

impl Stand {
    async fn call(&self) -> Answer {
        self.call_with(&self.tokens.access, "/mcp", &[]).await
    }

    async fn call_with(&self, token: &str, target: &str, headers: &[(&str, &str)]) -> Answer {
        let mut request = Request::post(target).header("authorization", format!("Bearer {token}"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.entrada.send(request.body(Body::from("{\"jsonrpc\":\"2.0\"}")).unwrap()).await
    }
}

fn claims(token: &str) -> Value {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap()).unwrap()
}

#[tokio::test]
async fn without_a_token_the_challenge_leads_to_the_metadata_and_names_the_scopes() {
    let stand = stand().await;
    for request in
        [Request::get("/mcp"), Request::post("/mcp"), Request::delete("/mcp"), Request::post("/mcp/below")]
    {
        let answer = stand.entrada.send(request.body(Body::empty()).unwrap()).await;
        assert_eq!(answer.status, 401);
        assert_eq!(
            answer.header("www-authenticate"),
            format!(
                "Bearer resource_metadata=\"{ISSUER}/.well-known/oauth-protected-resource/mcp\", scope=\"mcp.read mcp.write\""
            )
        );
    }
    assert!(stand.upstream.arrived().is_empty());
}

#[tokio::test]
async fn the_upstream_learns_who_calls_and_nothing_that_the_caller_claims() {
    let stand = stand().await;
    let smuggled = [
        ("cookie", "session=stolen"),
        ("x-entrada-oid", "somebody-else"),
        ("x_entrada_oid", "somebody-else"),
        ("x-ms-client-principal-id", "somebody-else"),
        ("x-forwarded-for", "10.0.0.1"),
        ("forwarded", "for=10.0.0.1"),
        ("proxy-authorization", "Basic c3RvbGVu"),
        ("connection", "x-secret-hop"),
        ("x-secret-hop", "1"),
        ("mcp-session-id", "kept"),
        ("accept", "text/event-stream"),
    ];
    let answer = stand.call_with(&stand.tokens.access, "/mcp?cursor=1", &smuggled).await;
    assert_eq!((answer.status.as_u16(), answer.body.as_str()), (200, "upstream says hello"));
    let arrived = stand.upstream.arrived().remove(0);
    assert_eq!((arrived.method.as_str(), arrived.target.as_str()), ("POST", "/mcp?cursor=1"));
    assert_eq!(arrived.body, "{\"jsonrpc\":\"2.0\"}");
    for (name, _) in &smuggled[..9] {
        assert!(!arrived.headers.contains_key(*name), "{name} travelled upstream");
    }
    assert_eq!(arrived.headers["mcp-session-id"], "kept");
    assert_eq!(arrived.headers["accept"], "text/event-stream");
    let token = arrived.headers["authorization"].to_str().unwrap().strip_prefix("Bearer ").unwrap();
    let (theirs, ours) = (claims(token), claims(&stand.tokens.access));
    assert_eq!(theirs["aud"], stand.upstream.url.as_str());
    assert_eq!(theirs["exp"].as_i64().unwrap() - theirs["iat"].as_i64().unwrap(), 300);
    for claim in ["iss", "sub", "oid", "tid", "sid", "client_id", "scope", "name"] {
        assert_eq!(theirs[claim], ours[claim], "{claim}");
    }
    assert_ne!(theirs["jti"], ours["jti"]);
}

#[tokio::test]
async fn the_downstream_token_is_signed_once_and_anew_before_it_expires() {
    let stand = stand().await;
    let mut seen = Vec::new();
    for seconds in [0, 1, 239, 1] {
        stand.entrada.advance(seconds);
        stand.call().await;
        seen.push(stand.upstream.arrived().remove(0).headers["authorization"].clone());
    }
    assert_eq!((&seen[0], &seen[0]), (&seen[1], &seen[2]));
    assert_ne!(seen[2], seen[3], "less than a minute was left");
}

#[tokio::test]
async fn nothing_that_speaks_for_the_origin_comes_down() {
    let stand = stand().await;
    let unwanted = [
        ("set-cookie", "__Host-entrada=planted; Path=/; Secure"),
        ("clear-site-data", "\"*\""),
        ("service-worker-allowed", "/"),
        ("strict-transport-security", "max-age=0"),
        ("access-control-allow-origin", "https://elsewhere.example.net"),
        ("access-control-expose-headers", "x-internal"),
        ("access-control-allow-credentials", "true"),
        ("www-authenticate", "Bearer realm=\"elsewhere\""),
        ("server", "internal-7.example.net"),
        ("connection", "x-hop"),
        ("x-hop", "1"),
        ("cdn-cache-control", "public, max-age=600"),
        ("surrogate-control", "content=\"ESI/1.0\""),
        ("x-accel-redirect", "/internal/secrets"),
        ("x-sendfile", "/etc/passwd"),
        ("x-envoy-immediate-health-check-fail", "1"),
        ("use-as-dictionary", "match=\"/*\""),
        ("secure-session-registration", "(ES256);path=\"/x\""),
        ("link", "</x>; rel=preload"),
        ("expires", "Thu, 01 Jan 2037 00:00:00 GMT"),
        ("x-not-invented-yet", "1"),
    ];
    let wanted =
        [("mcp-session-id", "s1"), ("content-type", "text/html"), ("retry-after", "7"), ("etag", "\"1\"")];
    stand.upstream.answers(200, &[&unwanted[..], &wanted[..]].concat());
    let answer = stand.call().await;
    for (name, value) in unwanted {
        assert!(!answer.headers.get_all(name).iter().any(|held| held == value), "{name} came down");
    }
    for (name, value) in wanted {
        assert!(answer.headers.get_all(name).iter().any(|held| held == value), "{name} did not come down");
    }
    assert_eq!(answer.header("content-security-policy"), "sandbox");
    assert_eq!(answer.header("x-content-type-options"), "nosniff");
    assert_eq!(answer.header("cache-control"), "no-store");
}

/// Each would let some cache keep what was given for one token.
#[tokio::test]
async fn nobody_is_told_to_keep_an_answer() {
    let stand = stand().await;
    for told in [
        &["private, max-age=31536000, immutable"][..],
        &["public, s-maxage=600, x-private=1"],
        &["public, max-age=600, private=\"x-foo\""],
        &["private", "public, s-maxage=600"],
    ] {
        let headers: Vec<_> = told.iter().map(|value| ("cache-control", *value)).collect();
        stand.upstream.answers(200, &headers);
        let answer = stand.call().await;
        let kept: Vec<_> = answer.headers.get_all("cache-control").iter().collect();
        assert_eq!(kept, ["no-store"], "{told:?}");
    }
}

#[tokio::test]
async fn a_refusal_of_the_upstream_is_not_taken_for_a_login_problem() {
    let stand = stand().await;
    stand.upstream.answers(401, &[("www-authenticate", "Bearer")]);
    let answer = stand.call().await;
    assert_eq!((answer.status.as_u16(), answer.header("www-authenticate")), (502, ""));
    stand.upstream.answers(307, &[("location", "http://internal.example.net/mcp/")]);
    let answer = stand.call().await;
    assert_eq!((answer.status.as_u16(), answer.header("location")), (502, ""));
    for passed in [403, 404, 429, 503] {
        stand.upstream.answers(passed, &[]);
        assert_eq!(stand.call().await.status.as_u16(), passed);
    }
}

/// An Entrada before what listens here, and a call.
async fn before(upstream: SocketAddr) -> (Entrada, Request<Body>) {
    let url = Url::parse(&format!("http://{upstream}/mcp")).unwrap();
    let resources = vec![resource(ISSUER, "/mcp", Some(url))];
    let entrada = Entrada::with(Setup { resources, ..Setup::default() }).await;
    let tokens = Client::register(&entrada).await.tokens(&entrada).await;
    let request = Request::post("/mcp").header("authorization", format!("Bearer {}", tokens.access));
    (entrada, request.body(Body::empty()).unwrap())
}

/// An upstream that answers a request with these bytes, whatever they are.
async fn saying(answer: String) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let mut stream = BufStream::new(listener.accept().await.unwrap().0);
        let mut line = String::new();
        while line != "\r\n" {
            line.clear();
            stream.read_line(&mut line).await.unwrap();
        }
        stream.write_all(answer.as_bytes()).await.unwrap();
        stream.flush().await.unwrap();
    });
    address
}

#[tokio::test]
async fn a_status_that_is_no_final_answer_is_a_bad_gateway() {
    let whole = "content-type: text/plain\r\ncontent-length: 5\r\n\r\nhello";
    for (status, passed) in [(101, 502), (599, 599), (600, 502), (999, 502)] {
        let more = if status == 101 { "upgrade: websocket\r\nconnection: upgrade\r\n" } else { "" };
        let said = format!("HTTP/1.1 {status} x\r\n{more}{whole}");
        let (entrada, request) = before(saying(said).await).await;
        let answer = entrada.send(request).await;
        assert_eq!((answer.status.as_u16(), answer.body == "hello"), (passed, passed == status), "{status}");
        assert_eq!(answer.header("upgrade"), "");
    }
    for interim in ["100 Continue", "103 Early Hints"] {
        let said = format!("HTTP/1.1 {interim}\r\nlink: </x>; rel=preload\r\n\r\nHTTP/1.1 200 OK\r\n{whole}");
        let (entrada, request) = before(saying(said).await).await;
        let answer = entrada.send(request).await;
        let got = (answer.status.as_u16(), answer.body.as_str(), answer.header("link"));
        assert_eq!(got, (200, "hello", ""), "{interim} is for us, and what it says stays here");
    }
}

/// They are headers that come late.
#[tokio::test]
async fn no_trailer_comes_down() {
    let said = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntrailer: set-cookie, mcp-session-id\r\n\r\n\
                5\r\nhello\r\n0\r\nset-cookie: __Host-entrada=planted\r\nmcp-session-id: s1\r\n\r\n";
    let (entrada, request) = before(saying(said.to_owned()).await).await;
    let answer = entrada.router.clone().oneshot(request).await.unwrap();
    assert!(answer.headers().get("trailer").is_none());
    let body = answer.into_body().collect().await.unwrap();
    assert_eq!(body.trailers(), None);
    assert_eq!(body.to_bytes(), "hello");
}

#[tokio::test]
async fn an_upstream_that_is_gone_is_a_bad_gateway() {
    // A port that is taken and on which nobody listens.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(([127, 0, 0, 1], 0).into()).unwrap();
    let (entrada, request) = before(socket.local_addr().unwrap()).await;
    let answer = entrada.send(request).await;
    assert_eq!(answer.status, 502);
    assert!(!answer.body.contains("127.0.0.1"), "nothing internal leaves: {}", answer.body);
}

#[tokio::test]
async fn a_path_cannot_climb_out_of_its_resource() {
    let stand = stand().await;
    for target in
        ["/mcp/../admin", "/mcp/%2e%2e/admin", "/mcp/a/.%2E/b", "/mcp/a%2fb", "/mcp/a%5Cb", "/mcp/./a"]
    {
        assert_eq!(stand.call_with(&stand.tokens.access, target, &[]).await.status, 400, "{target}");
    }
    assert_eq!(stand.call_with(&stand.tokens.access, "/mcpx", &[]).await.status, 404);
    assert!(stand.upstream.arrived().is_empty());
    stand.call_with(&stand.tokens.access, "/mcp/sub/path?x=%2F..", &[]).await;
    assert_eq!(stand.upstream.arrived()[0].target, "/mcp/sub/path?x=%2F..");
}

#[tokio::test]
async fn two_credentials_in_one_request_are_refused() {
    let stand = stand().await;
    let answer = stand.call_with(&stand.tokens.access, "/mcp", &[("authorization", "Bearer other")]).await;
    assert_eq!(answer.status, 400);
    assert!(stand.upstream.arrived().is_empty());
}

#[tokio::test]
async fn altered_expired_and_revoked_tokens_are_refused_with_a_reason() {
    let stand = stand().await;
    let token = stand.tokens.access.clone();
    let [header, payload, signature] = token.split('.').collect::<Vec<_>>().try_into().unwrap();
    let other = claims(&token);
    let mut forged = other.clone();
    forged["oid"] = "somebody-else".into();
    let forged = format!("{header}.{}.{signature}", URL_SAFE_NO_PAD.encode(forged.to_string()));
    let none = format!("{}.{payload}.", URL_SAFE_NO_PAD.encode(r#"{"alg":"none","typ":"at+jwt"}"#));
    let crit = format!(
        "{}.{payload}.{signature}",
        URL_SAFE_NO_PAD.encode(r#"{"alg":"ES256","crit":["exp"],"typ":"at+jwt"}"#)
    );
    let truncated = &token[..token.len() - 2];
    let long = "a".repeat(20_000);
    for bad in [forged.as_str(), &none, &crit, truncated, "garbage", "", &long] {
        let answer = stand.call_with(bad, "/mcp", &[]).await;
        assert_eq!(answer.status, 401);
    }
    stand.entrada.advance(3_600);
    let answer = stand.call().await;
    assert_eq!(answer.status, 401);
    assert!(answer.header("www-authenticate").contains("The access token has expired."));
    assert!(stand.upstream.arrived().is_empty());
}

#[tokio::test]
async fn a_revocation_bites_at_once_here_and_within_30_seconds_elsewhere() {
    let stand = stand().await;
    let other = stand.entrada.replica().await;
    let there = |token: String| {
        let request = Request::post("/mcp").header("authorization", format!("Bearer {token}"));
        stand.entrada.send_to(&other, request.body(Body::empty()).unwrap())
    };
    let token = stand.tokens.access.clone();
    assert_eq!(there(token.clone()).await.status, 200);
    let form = [("client_id", stand.client.id.as_str()), ("token", &stand.tokens.refresh)];
    assert_eq!(stand.entrada.post_form("/revoke", &form).await.status, 200);
    assert_eq!(stand.call().await.status, 401);
    stand.entrada.advance(29);
    assert_eq!(there(token.clone()).await.status, 200, "its last look at the grant is still good");
    stand.entrada.advance(1);
    assert_eq!(there(token).await.status, 401);
}

#[tokio::test]
async fn the_hot_path_reads_the_grant_once_in_30_seconds_and_goes_on_while_the_store_is_away() {
    let stand = stand().await;
    stand.course.counts();
    for _ in 0..5 {
        assert_eq!(stand.call().await.status, 200);
    }
    assert_eq!(stand.course.counts(), (0, 0), "redeeming the code told this replica that the grant is alive");
    stand.entrada.advance(31);
    for _ in 0..5 {
        assert_eq!(stand.call().await.status, 200);
    }
    assert_eq!(stand.course.counts(), (2, 0), "the grant, and who is blocked");
    stand.course.away(true);
    stand.entrada.advance(600);
    assert_eq!(stand.call().await.status, 200, "the last known state holds");
    let fresh = stand.entrada.replica_while_away(&stand.course).await;
    let request = Request::post("/mcp").header("authorization", format!("Bearer {}", stand.tokens.access));
    let answer = stand.entrada.send_to(&fresh, request.body(Body::empty()).unwrap()).await;
    assert_eq!(
        (answer.status.as_u16(), answer.header("retry-after")),
        (503, "5"),
        "never 401 for a good token"
    );
    stand.entrada.advance(3_600);
    assert_eq!(stand.call().await.status, 401, "at most until the token expires");
}

#[tokio::test]
async fn a_token_in_the_query_is_a_second_credential_and_never_travels_on() {
    let stand = stand().await;
    let token = &stand.tokens.access;
    for query in
        [format!("access_token={token}"), format!("a=b&access%5ftoken={token}"), "access_token=".to_owned()]
    {
        let answer = stand.call_with(token, &format!("/mcp?{query}"), &[]).await;
        assert_eq!((answer.status.as_u16(), answer.error().as_str()), (400, "invalid_request"), "{query}");
    }
    assert!(stand.upstream.arrived().is_empty());
    assert_eq!(stand.call_with(token, "/mcp?access=token", &[]).await.status, 200);
}

#[tokio::test]
async fn a_method_that_is_not_served_is_refused_like_anything_else() {
    let stand = stand().await;
    for method in ["PUT", "PATCH", "TRACE", "PROPFIND"] {
        let request = Request::builder().method(method).uri("/mcp").header("authorization", "Bearer x");
        let answer = stand.entrada.send(request.body(Body::empty()).unwrap()).await;
        assert_eq!((answer.status.as_u16(), answer.error().as_str()), (405, "invalid_request"), "{method}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{method}");
        assert_eq!(answer.header("cache-control"), "no-store", "{method}");
        assert!(answer.header("allow").contains("POST"), "{method}");
    }
    assert_eq!(stand.entrada.events.reasons(EventName::RequestRefused), ["method_not_allowed"; 4]);
}
