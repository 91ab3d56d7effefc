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
use super::person::Person;

const STYLE: &str = include_str!("style.css");

// `form-action` is left out: browsers apply it to the redirect back to the client as well.
static POLICY: LazyLock<String> = LazyLock::new(|| {
    let style = STANDARD.encode(Sha256::digest(STYLE));
    // The image is the empty icon, without which browsers ask for one.
    format!(
        "default-src 'none'; style-src 'sha256-{style}'; img-src data:; base-uri 'none'; frame-ancestors 'none'"
    )
});

#[derive(Template)]
#[template(
    ext = "html",
    source = r#"<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>{{ content.title() }} (development identity provider)</title>
<link rel="icon" href="data:,">
<style>{{ style|safe }}</style>
</head>
<body>
<header><p class="band">Development identity provider. This is not Microsoft.</p></header>
<main>
<h1>{{ content.title() }}</h1>
{%- match content %}{% when Content::People with { action, txn, people } %}
<p>These people are made up. No password is asked for: never use this with real accounts.</p>
<ul>
{%- for person in people %}
<li><form method="post" action="{{ action }}">
<input type="hidden" name="txn" value="{{ txn }}">
<input type="hidden" name="person" value="{{ person.index }}">
<button type="submit"><b><bdi>{{ person.name }}</bdi></b> <span>{{ person.email }}</span> <span>{{ person.roles }}</span></button>
</form></li>
{%- endfor %}
</ul>
<form method="post" action="{{ action }}" class="cancel">
<input type="hidden" name="txn" value="{{ txn }}">
<input type="hidden" name="cancel" value="1">
<button type="submit">Cancel</button>
</form>
{%- when Content::Fault with { description } %}
<p>{{ description }}</p>
<p>Go back to the application that sent you here, and start again. If it happens again, this message is for whoever develops that application.</p>
{%- endmatch %}
</main>
</body>
</html>
"#
)]
struct Page<'a> {
    style: &'a str,
    content: Content<'a>,
}

enum Content<'a> {
    People { action: &'a str, txn: &'a str, people: Vec<Row<'a>> },
    Fault { description: &'a str },
}

impl Content<'_> {
    fn title(&self) -> &'static str {
        match self {
            Self::People { .. } => "Who signs in?",
            Self::Fault { .. } => "Sign-in failed",
        }
    }
}

struct Row<'a> {
    index: usize,
    name: &'a str,
    email: &'a str,
    roles: String,
}

impl<'a> Row<'a> {
    fn new(index: usize, person: &'a Person) -> Self {
        let roles = match person.roles.as_slice() {
            [] => "No role".to_owned(),
            [role] => format!("Role {role}"),
            roles => format!("Roles {}", roles.join(", ")),
        };
        Self { index, name: &person.name, email: &person.preferred_username, roles }
    }
}

/// The sign-in page: a form for each person, and one to cancel.
pub(super) fn people(idp: &Idp, site: &Site, txn: &str) -> Response {
    let rows = idp.options.people.iter().enumerate().filter(|(_, person)| site.admits(person));
    let people = rows.map(|(index, person)| Row::new(index, person)).collect();
    render(StatusCode::OK, Content::People { action: &site.pick_url(), txn, people })
}

/// The page for a fault that must not be redirected.
pub(super) fn fault(idp: &Idp, site: &Site, fault: &Fault) -> Response {
    let description = Report::new(fault, site, idp.now()).description();
    render(fault.status, Content::Fault { description: &description })
}

fn render(status: StatusCode, content: Content<'_>) -> Response {
    let Ok(body) = (Page { style: STYLE, content }).render() else {
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
