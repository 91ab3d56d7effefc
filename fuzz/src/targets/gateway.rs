//! The gateway: a request as its caller sends it, and the headers of the upstream's answer. What reaches the upstream,
//! and what comes back, is looked at from both ends of a real connection.
//!
//! For `gateway_headers` an input is the method and path of the request, its headers line by line, an empty line, and the
//! headers of the answer line by line; for `gateway_paths` it is a path.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;

use axum::Router;
use axum::body::Body;
use axum::http::HeaderMap;
use axum::http::HeaderName;
use axum::http::HeaderValue;
use axum::http::Request;
use entrada::app;
use http_body_util::BodyExt;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::net::TcpStream;
use tower::ServiceExt;
use url::Url;

use super::Verdict;
use super::stand::Stand;

/// Says who calls, is a credential of this origin, or belongs to one connection: in lower case, `-` for `_`.
const NEVER_UP: &[&str] = &[
    "connection",
    "cookie",
    "expect",
    "forwarded",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "remote-user",
    "te",
    "trailer",
    "upgrade",
    "x-http-method-override",
    "x-original-url",
    "x-real-ip",
    "x-rewrite-url",
];
const NEVER_UP_PREFIXES: &[&str] =
    &["x-auth-request-", "x-entrada-", "x-forwarded-", "x-ms-client-principal", "x-ms-token-"];

/// Speaks for the whole origin, which is the authorization server's, or belongs to one connection.
const NEVER_DOWN: &[&str] = &[
    "alt-svc",
    "clear-site-data",
    "connection",
    "content-security-policy-report-only",
    "keep-alive",
    "location",
    "nel",
    "proxy-authenticate",
    "proxy-connection",
    "refresh",
    "report-to",
    "server",
    "service-worker-allowed",
    "set-cookie",
    "set-cookie2",
    "sourcemap",
    "strict-transport-security",
    "trailer",
    "upgrade",
    "x-powered-by",
];

/// What the gateway says itself of every request.
const OURS_UP: [(&str, &str); 2] = [("x-forwarded-host", "mcp.example.com"), ("x-forwarded-proto", "https")];

/// The session that the caller has, as the upstream knows it.
const SESSION: &str = "s1";

/// What the gateway says itself of every answer.
const OURS: [(&str, &str); 4] = [
    ("access-control-allow-origin", "*"),
    ("content-security-policy", "sandbox"),
    ("referrer-policy", "no-referrer"),
    ("x-content-type-options", "nosniff"),
];

thread_local! {
    static WAY: Way = Way::new();
}

pub fn paths(data: &[u8]) -> Verdict {
    headers(&[b"POST ", data].concat())
}

pub fn headers(data: &[u8]) -> Verdict {
    let text = String::from_utf8_lossy(data);
    let (request, answer) = text.split_once("\n\n").unwrap_or((&text, ""));
    let mut lines = request.lines();
    let Some((method, target)) = lines.next().and_then(|line| line.split_once(' ')) else {
        return Verdict::Refused;
    };
    WAY.with(|way| {
        let request = Request::builder().method(method).uri(target).header("authorization", way.bearer());
        let Ok(mut request) = request.body(Body::empty()) else { return Verdict::Refused };
        let filled = |line: &str| header(&line.replace("{session}", &way.session));
        for (name, value) in lines.filter_map(filled) {
            // Of a body that is not there; hyper would not send it.
            if name != "content-length" {
                request.headers_mut().append(name, value);
            }
        }
        way.goes(request, answer)
    })
}

fn header(line: &str) -> Option<(HeaderName, HeaderValue)> {
    let (name, value) = line.split_once(':')?;
    Some((name.parse().ok()?, value.trim().parse().ok()?))
}

fn normal(name: &str) -> String {
    name.to_ascii_lowercase().replace('_', "-")
}

/// An Entrada before an upstream. `{session}` in a header is the session that the caller has.
struct Way {
    session: String,
    stand: Stand,
    router: Router,
    upstream: Upstream,
}

impl Way {
    fn new() -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let url = Url::parse(&format!("http://{}/mcp", listener.local_addr().unwrap())).unwrap();
        let stand = Stand::before(Some(url.clone()));
        let upstream = Upstream {
            authority: url[url::Position::BeforeHost..url::Position::AfterPort].to_owned(),
            ..Upstream::default()
        };
        let serving = upstream.clone();
        stand.runtime.spawn(async move {
            let listener = TcpListener::from_std(listener).unwrap();
            while let Ok((connection, _)) = listener.accept().await {
                tokio::spawn(serving.clone().serve(connection));
            }
        });
        let router = stand.runtime.block_on(async {
            let upstreams = app::upstreams::upstreams(&stand.auth.policy().resources).ok().unwrap();
            app::router(&stand.auth, &upstreams)
        });
        let mut way = Self { session: String::new(), stand, router, upstream };
        way.session = way.begun();
        way
    }

    fn bearer(&self) -> String {
        format!("Bearer {}", self.stand.issued.access)
    }

    /// A session, as its owner knows it.
    fn begun(&self) -> String {
        self.says(&format!("Mcp-Session-Id: {SESSION}"));
        let request = Request::post("/mcp").header("authorization", self.bearer());
        let request = request.body(Body::empty()).unwrap();
        let answered = self.stand.runtime.block_on(self.router.clone().oneshot(request)).unwrap();
        self.upstream.arrived.lock().unwrap().clear();
        answered.headers()["mcp-session-id"].to_str().unwrap().to_owned()
    }

    /// What the upstream answers from now on.
    fn says(&self, answer: &str) {
        *self.upstream.answer.lock().unwrap_or_else(PoisonError::into_inner) = answer.to_owned();
    }

    fn goes(&self, request: Request<Body>, answer: &str) -> Verdict {
        let sent = request.headers().clone();
        let path = request.uri().path();
        let gateway = path == "/mcp" || path.starts_with("/mcp/");
        self.says(answer);
        let response = self.stand.runtime.block_on(async {
            let response = self.router.clone().oneshot(request).await.expect("the router never fails");
            let (parts, body) = response.into_parts();
            // An answer that breaks off is the upstream's to answer for.
            let _ = body.collect().await;
            parts
        });
        assert_ne!(response.status.as_u16(), 500, "an internal error");
        let arrived =
            std::mem::take(&mut *self.upstream.arrived.lock().unwrap_or_else(PoisonError::into_inner));
        assert_eq!(self.stand.store.asked().writes, []);
        for head in &arrived {
            self.went_up(&sent, head);
        }
        // Under another name than ours nothing of ours is there.
        if gateway && response.status != 421 {
            came_down(&response.headers, arrived.is_empty());
        }
        if arrived.is_empty() || response.status != 200 { Verdict::Refused } else { Verdict::Accepted }
    }

    fn went_up(&self, sent: &HeaderMap, head: &str) {
        let mut lines = head.split("\r\n");
        let request: Vec<&str> = lines.next().unwrap_or_default().split(' ').collect();
        let [_, target, "HTTP/1.1"] = request.as_slice() else { panic!("{request:?} is no request") };
        stays_below("/mcp", target);
        let headers: Vec<(String, &str)> = lines
            .filter_map(|line| line.split_once(": ").map(|(name, value)| (normal(name), value)))
            .collect();
        let listed: Vec<String> = sent
            .get_all("connection")
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(',').map(|name| normal(name.trim())))
            .collect();
        // What hyper says of the message itself, and what we put there ourselves.
        let of_message = ["host", "content-length", "transfer-encoding", "authorization", "mcp-session-id"];
        for (name, value) in &headers {
            if OURS_UP.contains(&(name.as_str(), value)) {
                continue;
            }
            assert!(!NEVER_UP.contains(&name.as_str()), "{name} went up");
            assert!(!NEVER_UP_PREFIXES.iter().any(|prefix| name.starts_with(prefix)), "{name} went up");
            assert!(
                of_message.contains(&name.as_str()) || !listed.contains(name),
                "{name} was for one connection"
            );
            assert!(!value.contains(&self.stand.issued.access), "the caller's token went up as {name}");
            assert!(name != "mcp-session-id" || *value == SESSION, "{value} is nobody's session");
        }
        let all = |wanted: &str| {
            headers.iter().filter(|(name, _)| name == wanted).map(|(_, value)| *value).collect::<Vec<_>>()
        };
        assert_eq!(all("host"), [self.upstream.authority.as_str()]);
        for (name, value) in OURS_UP {
            assert_eq!(all(name), [value]);
        }
        let [ours] = all("authorization")[..] else { panic!("not one credential: {headers:?}") };
        assert!(ours.starts_with("Bearer ey"), "{ours}");
    }
}

/// However a server reads a path: below where we were told to stay.
fn stays_below(base: &str, target: &str) {
    let path = target.split('?').next().unwrap_or_default();
    let mut read = path.to_ascii_lowercase();
    for _ in 0..3 {
        for (encoded, plain) in
            [("%25", "%"), ("%2e", "."), ("%2f", "/"), ("%5c", "/"), ("%3b", ";"), ("\\", "/")]
        {
            read = read.replace(encoded, plain);
        }
    }
    let mut depth = 0;
    for segment in
        read.strip_prefix(base).unwrap_or_else(|| panic!("{target} is not below {base}")).split('/')
    {
        match segment.split(';').next() {
            Some("..") => depth -= 1,
            Some("." | "") | None => {}
            Some(_) => depth += 1,
        }
        assert!(depth >= 0, "{target} climbs");
    }
    assert!(read == base || read.as_bytes()[base.len()] == b'/', "{target} is beside {base}");
}

/// `by_us` is an answer that no upstream was asked for: it may be one to a preflight.
fn came_down(headers: &HeaderMap, by_us: bool) {
    for (name, value) in headers {
        let name = normal(name.as_str());
        assert!(!NEVER_DOWN.contains(&name.as_str()), "{name} came down");
        let cors = name.starts_with("access-control-") && name != "access-control-allow-origin";
        assert!(by_us || !cors || name == "access-control-expose-headers", "{name} came down");
        let ours = OURS.iter().find(|(ours, _)| *ours == name);
        assert!(ours.is_none_or(|(_, ours)| value == ours), "{name} says {value:?}");
        // Sealed, it is longer than what the seal adds.
        assert!(name != "mcp-session-id" || value.len() > 36, "{value:?} is the upstream's own");
        assert!(
            name != "www-authenticate" || value.as_bytes().starts_with(b"Bearer "),
            "a challenge came down"
        );
    }
    for (name, value) in OURS {
        assert_eq!(headers.get_all(name).iter().collect::<Vec<_>>(), [value]);
    }
    let cached = headers.get("cache-control").and_then(|value| value.to_str().ok()).unwrap_or_default();
    assert!(cached.contains("no-store") || cached.contains("private"), "{cached:?} is for everybody");
}

/// The upstream: it notes what arrives, byte for byte, and answers as it is told.
#[derive(Clone, Default)]
struct Upstream {
    authority: String,
    arrived: Arc<Mutex<Vec<String>>>,
    answer: Arc<Mutex<String>>,
}

impl Upstream {
    async fn serve(self, mut connection: TcpStream) {
        let mut read = Vec::new();
        let mut chunk = [0; 4_096];
        while let Ok(length @ 1..) = connection.read(&mut chunk).await {
            read.extend_from_slice(&chunk[..length]);
            let Some(end) = read.windows(4).position(|bytes| bytes == b"\r\n\r\n") else { continue };
            let head = String::from_utf8_lossy(&read[..end]).into_owned();
            read.clear();
            self.arrived.lock().unwrap_or_else(PoisonError::into_inner).push(head);
            if connection.write_all(self.told().as_bytes()).await.is_err() {
                return;
            }
        }
    }

    fn told(&self) -> String {
        let answer = self.answer.lock().unwrap_or_else(PoisonError::into_inner);
        // Of its length only we speak: a wait for a body that never comes is no finding.
        let framing = |line: &&str| {
            let name = line.split(':').next().unwrap_or_default().trim();
            name.eq_ignore_ascii_case("content-length") || name.eq_ignore_ascii_case("transfer-encoding")
        };
        let lines = answer.lines().filter(|line| !line.is_empty() && !framing(line));
        let headers: String = lines.map(|line| format!("{line}\r\n")).collect();
        format!("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n{headers}\r\n")
    }
}
