//! Headers that must not cross the gateway, in every spelling that some server takes for the same.

use proptest::prelude::*;
use proptest::sample::select;

use super::SESSION;
use super::Stand;
use super::THROUGH_THE_PROGRAM;
use super::check;

/// A header's name in some spelling: any case, and `_` for `-`, which many servers read as the same.
fn spelled(names: &'static [&'static str]) -> impl Strategy<Value = String> {
    (select(names), any::<u64>()).prop_map(|(name, how)| {
        let letter = |(n, c): (usize, char)| match (c, how >> (n % 32) & 1, how >> (32 + n % 32) & 1) {
            ('-', 1, _) => '_',
            (_, _, 1) => c.to_ascii_uppercase(),
            _ => c,
        };
        name.chars().enumerate().map(letter).collect()
    })
}

fn normal(name: &str) -> String {
    name.to_ascii_lowercase().replace('_', "-")
}

/// Says who calls, is a credential of this origin, or belongs to one connection.
const NEVER_UP: &[&str] = &[
    "cookie",
    "forwarded",
    "proxy-authorization",
    "remote-user",
    "te",
    "x-auth-request-email",
    "x-entrada-oid",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-forwarded-user",
    "x-http-method-override",
    "x-ms-client-principal",
    "x-ms-client-principal-id",
    "x-ms-token-aad-access-token",
    "x-original-url",
    "x-real-ip",
    "x-rewrite-url",
];

/// What the gateway says itself under such names.
const OURS: [(&str, &str); 2] = [("x-forwarded-host", "mcp.example.com"), ("x-forwarded-proto", "https")];

/// Speaks for the whole origin, which is the authorization server's.
const NEVER_DOWN: &[&str] = &[
    "access-control-allow-origin",
    "access-control-allow-credentials",
    "alt-svc",
    "clear-site-data",
    "content-security-policy-report-only",
    "keep-alive",
    "location",
    "nel",
    "proxy-authenticate",
    "refresh",
    "report-to",
    "server",
    "service-worker-allowed",
    "set-cookie",
    "sourcemap",
    "strict-transport-security",
    "www-authenticate",
    "x-powered-by",
];

#[test]
fn identity_and_hop_headers_never_reach_the_upstream_however_they_are_spelled() {
    let stand = Stand::new();
    let strategy = (prop::collection::vec((spelled(NEVER_UP), "[a-z0-9]{1,12}"), 1..6), "x-[a-z]{3,8}");
    check(THROUGH_THE_PROGRAM, &strategy, |(mut headers, named)| {
        headers.push(("Connection".to_owned(), format!("close, {}", named.to_ascii_uppercase())));
        headers.push((named.clone(), "1".to_owned()));
        headers.push(("mcp-session-id".to_owned(), stand.session.clone()));
        let (arrived, _) = stand.call(&headers);
        for (name, value) in &arrived {
            let name = normal(name.as_str());
            let ours = OURS.contains(&(name.as_str(), value.to_str().unwrap()));
            prop_assert!(
                ours || !NEVER_UP.contains(&name.as_str()),
                "{name} reached the upstream: {headers:?}"
            );
            prop_assert!(name != named && name != "connection", "{name} was for one connection: {headers:?}");
        }
        prop_assert_eq!(&arrived["mcp-session-id"], SESSION);
        prop_assert!(
            !format!("{arrived:?}").contains(&stand.tokens.access),
            "the client's token travelled on"
        );
        Ok(())
    });
}

#[test]
fn headers_that_speak_for_the_origin_never_come_down_however_they_are_spelled() {
    let stand = Stand::new();
    let (_, ours) = stand.call(&[]);
    let strategy = prop::collection::vec((spelled(NEVER_DOWN), "[a-z0-9]{1,12}"), 1..6);
    check(THROUGH_THE_PROGRAM, &strategy, |headers| {
        let mut said: Vec<(&str, &str)> = headers.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        said.push(("mcp-session-id", SESSION));
        stand.upstream.answers(200, &said);
        let (_, answer) = stand.call(&[]);
        for (name, value) in &answer {
            // What the gateway says itself, it says of every answer.
            let of_ours = ours.get(name) == Some(value);
            let name = normal(name.as_str());
            prop_assert!(of_ours || !NEVER_DOWN.contains(&name.as_str()), "{name} came down: {said:?}");
        }
        prop_assert_eq!(&answer["mcp-session-id"], stand.session.as_str());
        Ok(())
    });
}
