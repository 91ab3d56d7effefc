use std::sync::LazyLock;

use askama::Template;
use axum::http::StatusCode;
use axum::http::header;
use axum::response::Html;
use axum::response::IntoResponse;
use axum::response::Response;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::Digest;
use sha2::Sha256;

use super::Idp;
use super::face::Site;
use super::fault::Fault;
use super::fault::Report;

const STYLE: &str = "\
body{font:1.1rem/1.5 system-ui,sans-serif;max-width:32rem;margin:3rem auto;padding:0 1rem;\
color:#1a1a1a;background:#fff}\
.note{border:2px solid #8a4b00;padding:.75rem 1rem}\
form{margin:.75rem 0}\
button{font:inherit;color:inherit;background:#f3f3f3;border:1px solid #595959;padding:.75rem 1rem;\
width:100%;text-align:left;cursor:pointer}\
button span{display:block}";

// `form-action` is left out: browsers apply it to the redirect back to the client as well.
static POLICY: LazyLock<String> = LazyLock::new(|| {
    let style = STANDARD.encode(Sha256::digest(STYLE));
    format!("default-src 'none'; style-src 'sha256-{style}'; base-uri 'none'; frame-ancestors 'none'")
});

#[derive(Template)]
#[template(
    ext = "html",
    source = r#"<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Sign in: development identity provider</title>
<style>{{ style|safe }}</style>
</head>
<body>
<main>
<h1>Who signs in?</h1>
<p class="note"><strong>Development identity provider. This is not Microsoft.</strong>
No password is asked for. Never use it for real accounts.</p>
{%- for person in people %}
<form method="post" action="{{ action }}">
<input type="hidden" name="txn" value="{{ txn }}">
<input type="hidden" name="person" value="{{ person.index }}">
<button type="submit">{{ person.name }} <span>{{ person.email }}</span></button>
</form>
{%- endfor %}
<form method="post" action="{{ action }}">
<input type="hidden" name="txn" value="{{ txn }}">
<input type="hidden" name="cancel" value="1">
<button type="submit">Cancel</button>
</form>
</main>
</body>
</html>
"#
)]
struct People<'a> {
    style: &'a str,
    action: &'a str,
    txn: &'a str,
    people: Vec<Row<'a>>,
}

struct Row<'a> {
    index: usize,
    name: &'a str,
    email: &'a str,
}

#[derive(Template)]
#[template(
    ext = "html",
    source = r#"<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Sign-in failed: development identity provider</title>
<style>{{ style|safe }}</style>
</head>
<body>
<main>
<h1>Sign-in failed</h1>
<p class="note"><strong>Development identity provider. This is not Microsoft.</strong></p>
<p>{{ description }}</p>
</main>
</body>
</html>
"#
)]
struct Failure<'a> {
    style: &'a str,
    description: &'a str,
}

/// The sign-in page: a form for each person, and one to cancel.
pub(super) fn people(idp: &Idp, site: &Site, txn: &str) -> Response {
    let rows = idp.options.people.iter().enumerate().filter(|(_, person)| site.admits(person));
    let people = rows
        .map(|(index, person)| Row { index, name: &person.name, email: &person.preferred_username })
        .collect();
    render(StatusCode::OK, &People { style: STYLE, action: &site.pick_url(), txn, people })
}

/// The page for a fault that must not be redirected.
pub(super) fn fault(idp: &Idp, site: &Site, fault: &Fault) -> Response {
    let description = Report::new(fault, site, idp.now()).description();
    render(fault.status, &Failure { style: STYLE, description: &description })
}

fn render(status: StatusCode, page: &impl Template) -> Response {
    let Ok(body) = page.render() else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    let headers = [
        (header::CONTENT_SECURITY_POLICY, POLICY.as_str()),
        (header::CACHE_CONTROL, "no-store"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (status, headers, Html(body)).into_response()
}
