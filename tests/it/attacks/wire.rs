//! How a request is written in an entry: a line with method and target, lines of headers, an empty line, the body.
//!
//! ```text
//! GET {attacker.authorize}
//! &scope=mcp.read          in place of the parameter of that name; without a value, it is left out
//! +state=another           beside it
//! origin: https://evil.example
//! ```
//!
//! A body that begins as JSON does is JSON. Any other is a form, a parameter on each line, which is encoded here; with
//! a `content-type` of its own it is sent as it stands. `{name}` is a live value, `{a*1000}` a letter so many times.

use axum::body::Body;
use axum::http::HeaderName;
use axum::http::HeaderValue;
use axum::http::Request;
use url::form_urlencoded;

/// Fills in the live values; `value` knows them.
pub fn filled(text: &str, value: &mut dyn FnMut(&str) -> String) -> String {
    let mut filled = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        filled.push_str(before);
        match after.split_once('}').filter(|(name, _)| is_name(name)) {
            Some((name, behind)) => {
                filled.push_str(&repeated(name).unwrap_or_else(|| value(name)));
                rest = behind;
            }
            None => {
                filled.push('{');
                rest = after;
            }
        }
    }
    filled + rest
}

/// The names of live values in a text.
pub fn names(text: &str) -> Vec<String> {
    let mut names = Vec::new();
    filled(text, &mut |name| {
        names.push(name.to_owned());
        String::new()
    });
    names
}

/// A name, and nothing that JSON or a template has between braces.
fn is_name(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._*".contains(c);
    text.starts_with(|c: char| c.is_ascii_lowercase()) && text.chars().all(plain)
}

fn repeated(name: &str) -> Option<String> {
    let (letter, count) = name.split_once('*')?;
    Some(letter.repeat(count.parse().unwrap_or_else(|_| panic!("{{{name}}}: how many?"))))
}

/// The request of an entry.
pub fn request(text: &str, value: &mut dyn FnMut(&str) -> String) -> Request<Body> {
    let (head, body) = text.trim_end_matches('\n').split_once("\n\n").unwrap_or((text.trim_end(), ""));
    let mut lines = head.lines();
    let (method, target) = lines.next().and_then(|line| line.split_once(' ')).expect("a method and a target");
    let mut target = filled(target, value);
    let mut headers: Vec<(HeaderName, HeaderValue)> = Vec::new();
    for line in lines {
        match line.as_bytes().first() {
            Some(b'&' | b'+') => {
                let (name, parameter) = line[1..].split_once('=').expect("a parameter has a =");
                target = changed(&target, line.starts_with('&'), name, &filled(parameter, value));
            }
            _ => {
                let (name, text) = line.split_once(':').unwrap_or_else(|| panic!("no header: {line}"));
                let text = filled(text.trim_start(), value);
                headers.push((name.parse().unwrap(), HeaderValue::from_bytes(text.as_bytes()).unwrap()));
            }
        }
    }
    let typed = headers.iter().any(|(name, _)| name == "content-type");
    let (content_type, body) = match body {
        "" => (None, String::new()),
        _ if typed => (None, filled(body, value)),
        _ if body.starts_with(['{', '[']) => (Some("application/json"), filled_json(body, value)),
        _ => (Some("application/x-www-form-urlencoded"), form(body, value)),
    };
    let method = filled(method, value);
    let mut request = Request::builder().method(method.as_str()).uri(target).body(Body::from(body)).unwrap();
    let typed = content_type.map(|kind| ("content-type".parse().unwrap(), HeaderValue::from_static(kind)));
    for (name, text) in headers.into_iter().chain(typed) {
        request.headers_mut().append::<HeaderName>(name, text);
    }
    request
}

/// The target with one parameter of its query replaced, left out or added.
fn changed(target: &str, replaces: bool, name: &str, value: &str) -> String {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let there = form_urlencoded::parse(query.as_bytes()).filter(|(there, _)| !replaces || there != name);
    let added = (!replaces || !value.is_empty()).then_some((name.into(), value.into()));
    let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(there.chain(added)).finish();
    format!("{path}?{query}")
}

fn form(body: &str, value: &mut dyn FnMut(&str) -> String) -> String {
    let mut form = form_urlencoded::Serializer::new(String::new());
    for line in body.lines() {
        let (name, text) = line.split_once('=').expect("a parameter has a =");
        form.append_pair(name, &filled(text, value));
    }
    form.finish()
}

fn filled_json(body: &str, value: &mut dyn FnMut(&str) -> String) -> String {
    filled(body, &mut |name| {
        let quoted = serde_json::Value::from(value(name)).to_string();
        quoted[1..quoted.len() - 1].to_owned()
    })
}

#[test]
fn a_request_is_sent_as_it_is_written() {
    let mut value = |name: &str| format!("<{name}>");
    let text = "GET /a?x=1&y=2\n&x=3 4\n+y=5\n&z={who.what}\nOrigin: {who.what}\n";
    let sent = request(text, &mut value);
    assert_eq!(sent.uri(), "/a?y=2&x=3+4&y=5&z=%3Cwho.what%3E");
    assert_eq!((sent.method().as_str(), sent.headers()["origin"].to_str().unwrap()), ("GET", "<who.what>"));
    assert_eq!(form("a=b c\nd={e}", &mut value), "a=b+c&d=%3Ce%3E");
    assert_eq!(filled_json(r#"{"a":"{b}"}"#, &mut |_| "\"\n".to_owned()), r#"{"a":"\"\n"}"#);
    assert_eq!(filled("{x*3}{{a}}", &mut value), "xxx{<a>}");
    assert_eq!(names(r#"{"a": {b.c}, {d*4}}"#), ["b.c"]);
}
