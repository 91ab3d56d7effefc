//! The whole flow, once, by a client and a browser that know only the URL of the MCP server.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::ExposeSecret;
use serde_json::Value;
use thiserror::Error;
use url::Url;

use crate::demo::browser::Browser;
use crate::demo::browser::Page;
use crate::demo::client;
use crate::demo::client::Authorized;
use crate::demo::client::Authorizing;
use crate::demo::client::ClientError;
use crate::demo::idp::Person;
use crate::demo::watch::Asked;
use crate::demo::watch::Unwatched;

/// No step takes a tenth of it, unless it never ends.
const PATIENCE: Duration = Duration::from_secs(30);

/// What is known before: to a client the URL, to a person who they are.
pub struct Route {
    pub mcp_url: String,
    /// The client's own; nothing has to listen there.
    pub redirect_uri: String,
    /// Those on the identity provider's page, and which of them signs in.
    pub people: Vec<Person>,
    pub person: usize,
}

impl Route {
    fn person(&self) -> Result<&Person, Wrong> {
        Ok(self.people.get(self.person).ok_or("there is no such person")?)
    }
}

/// A step that succeeded.
#[derive(Debug)]
pub struct Step {
    pub title: &'static str,
    pub sent: String,
    pub came: String,
}

/// The step that did not.
#[derive(Debug, Error)]
#[error("{step}: {why}")]
pub struct Failed {
    pub step: &'static str,
    pub why: String,
}

/// Why a step fails, in words.
struct Wrong(String);

impl From<ClientError> for Wrong {
    fn from(error: ClientError) -> Self {
        Self(error.to_string())
    }
}

impl From<reqwest::Error> for Wrong {
    fn from(error: reqwest::Error) -> Self {
        // Its address may hold a code.
        Self(error.without_url().to_string())
    }
}

impl From<&str> for Wrong {
    fn from(words: &str) -> Self {
        Self(words.to_owned())
    }
}

/// Walks, and tells each step as it succeeds.
///
/// # Errors
/// The first step that fails; nothing is tried after it.
pub async fn walk(route: &Route, tell: &mut (dyn FnMut(Step) + Send)) -> Result<(), Failed> {
    let challenge = at("Challenge", challenge(route)).await?;
    tell(step("Challenge", "POST /mcp initialize, without a token", format!("401 {challenge}")));

    let client = at("Discovery and registration", begin(route, &challenge)).await?;
    at("Discovery and registration", async { described(route, &client.asked(), tell) }).await?;

    let mut browser = Browser::new(Arc::new(Unwatched));
    let (authorize, sign_in) = at("Consent", consent(&mut browser, client.authorize())).await?;
    tell(step("Consent", &format!("GET {authorize}; POST /consent decision=approve"), came_to(&sign_in)));

    let (picked, callback) = at("Sign-in", sign_in_as(route, &mut browser, &sign_in)).await?;
    tell(step("Sign-in", &format!("GET {}; POST the person, {picked}", shown(&sign_in)), came_to(&callback)));

    let back = at("Code", code(route, &mut browser, &callback)).await?;
    tell(step("Code", &format!("GET {} with code, state", callback.path()), came_to(&back)));

    let client = at("Token", async { Ok(client.finish(&back).await?) }).await?;
    let (asked, token) = at("Token", granted(&client)).await?;
    tell(step("Token", &asked, token));

    let called = at("Tool call", call(route, &client)).await?;
    tell(step("Tool call", "POST /mcp tools/call whoami, with the access token", called));

    let (asked, refreshed) = at("Refresh", refresh(route, &client)).await?;
    tell(step("Refresh", &format!("{asked}; whoami again"), refreshed));

    at("Revocation", given_up(&client)).await?;
    let asked = "POST /revoke token, client_id; POST /mcp initialize, with the access token";
    tell(step("Revocation", asked, "200; 401: this client is out".to_owned()));
    Ok(())
}

async fn at<T>(step: &'static str, doing: impl Future<Output = Result<T, Wrong>>) -> Result<T, Failed> {
    match tokio::time::timeout(PATIENCE, doing).await {
        Ok(done) => done.map_err(|Wrong(why)| Failed { step, why }),
        Err(_) => Err(Failed { step, why: format!("nothing happened for {} seconds", PATIENCE.as_secs()) }),
    }
}

fn step(title: &'static str, sent: &str, came: String) -> Step {
    Step { title, sent: sent.to_owned(), came }
}

async fn challenge(route: &Route) -> Result<String, Wrong> {
    let challenge = client::challenge(&route.mcp_url).await?;
    match challenge.contains("resource_metadata=") {
        true => Ok(challenge),
        false => Err("the challenge does not say where the metadata are".into()),
    }
}

async fn begin(route: &Route, challenge: &str) -> Result<Authorizing, Wrong> {
    let request = client::request(&route.redirect_uri, challenge);
    Ok(Authorizing::begin(&route.mcp_url, request, Arc::new(Unwatched)).await?)
}

/// Metadata of the resource, metadata of the authorization server, registration.
fn described(route: &Route, asked: &[Asked], tell: &mut (dyn FnMut(Step) + Send)) -> Result<(), Wrong> {
    let [resource, server, registration] = asked else {
        return Err("the client did not ask for two documents and a registration".into());
    };
    if [resource, server, registration].map(|asked| asked.status) != [200, 200, 201] {
        return Err("the documents or the registration were not answered with 200, 200 and 201".into());
    }
    let said = resource.json();
    if said["resource"] != route.mcp_url.as_str() {
        return Err("the metadata are about another resource".into());
    }
    let at = text(&said["authorization_servers"][0]);
    let came = format!("200 resource {}, authorization server {at}", route.mcp_url);
    tell(step("Protected-resource metadata", &sent(resource), came));

    let (issuer_there, said) = (at, server.json());
    let [issuer, endpoint] = ["issuer", "registration_endpoint"].map(|name| text(&said[name]));
    let method = text(&said["code_challenge_methods_supported"][0]);
    if issuer != issuer_there || method != "S256" {
        return Err("the metadata are another server's, or PKCE is not S256".into());
    }
    let came = format!("200 issuer {issuer}, PKCE {method}, registration at {endpoint}");
    tell(step("Authorization-server metadata", &sent(server), came));

    let id = text(&registration.json()["client_id"]);
    let asked = sent(registration);
    let named = format!("{asked} client_name {}, redirect_uris {}", client::NAME, route.redirect_uri);
    let came = format!("201 client_id {} of {} characters, stored nowhere", short(&id), id.len());
    tell(step("Registration", &named, came));
    Ok(())
}

/// The consent page, read and approved: what was asked, and where the person goes to sign in.
async fn consent(browser: &mut Browser, authorize: &Url) -> Result<(String, Url), Wrong> {
    let page = browser.get(authorize.as_str()).await?;
    if page.status != StatusCode::OK || !page.body.contains(client::NAME) {
        return Err("there is no consent page that names the client".into());
    }
    let approved = browser.submit(&page, "decision", "approve").await?;
    let sign_in = redirect(approved.as_ref())?;
    let own = ["client_id", "redirect_uri", "resource", "state", "code_challenge"];
    let values = own.map(|name| encoded(&parameter(authorize, name)));
    if values.iter().any(|value| !value.is_empty() && sign_in.as_str().contains(value)) {
        return Err("something of the client's goes to the identity provider".into());
    }
    Ok((format!("{} with {}", authorize.path(), names(authorize.query_pairs())), sign_in))
}

/// The identity provider's page, and the way back from it.
async fn sign_in_as<'r>(
    route: &'r Route,
    browser: &mut Browser,
    sign_in: &Url,
) -> Result<(&'r str, Url), Wrong> {
    let name = &route.person()?.name;
    let page = browser.get(sign_in.as_str()).await?;
    if page.status != StatusCode::OK || !page.body.contains(name) {
        return Err("there is no sign-in page with that person on it".into());
    }
    let picked = browser.submit(&page, "person", &route.person.to_string()).await?;
    Ok((name, redirect(picked.as_ref())?))
}

async fn code(route: &Route, browser: &mut Browser, callback: &Url) -> Result<Url, Wrong> {
    let back = redirect(Some(&browser.get(callback.as_str()).await?))?;
    match shown(&back) == route.redirect_uri {
        true => Ok(back),
        false => Err("the browser is not sent back to the client".into()),
    }
}

fn redirect(page: Option<&Page>) -> Result<Url, Wrong> {
    let page = page.ok_or("the page has no such form")?;
    let location = page.location().filter(|_| page.status == StatusCode::SEE_OTHER);
    location.ok_or_else(|| Wrong(format!("{} where 303 leads on, from {}", page.status, shown(&page.url))))
}

/// What was asked for the token, and what it says of itself.
async fn granted(client: &Authorized) -> Result<(String, String), Wrong> {
    let asked = client.asked().pop().ok_or("the client asked for no token")?;
    let (said, claims) = (asked.json(), claims(client.tokens().await?.access.expose_secret())?);
    let (seconds, audience, scope) = (text(&said["expires_in"]), text(&claims["aud"]), text(&said["scope"]));
    let came = format!("200 access token, {seconds} s, aud {audience}, scope {scope}; refresh token");
    Ok((sent_form(&asked), came))
}

/// Who the MCP server behind the gateway says is calling.
async fn call(route: &Route, client: &Authorized) -> Result<String, Wrong> {
    let session = client.connect(()).await?;
    let who = session.call("whoami").await;
    session.end().await;
    let who = who?;
    if who["oid"] != route.person()?.oid.as_str() {
        return Err("the MCP server was told of somebody else".into());
    }
    let [oid, tid] = ["oid", "tid"].map(|name| text(&who[name]));
    Ok(format!("oid {oid}, tid {tid}, as the MCP server was told"))
}

async fn refresh(route: &Route, client: &Authorized) -> Result<(String, String), Wrong> {
    let before = client.tokens().await?;
    let after = client.refresh().await?;
    if before.access.expose_secret() == after.access.expose_secret()
        || before.refresh.expose_secret() == after.refresh.expose_secret()
    {
        return Err("the tokens are the old ones".into());
    }
    let asked = client.asked().pop().ok_or("the client asked for no token")?;
    let called = call(route, client).await?;
    Ok((sent_form(&asked), format!("200 new access token and refresh token; {called}")))
}

/// The walk leaves nothing behind.
async fn given_up(client: &Authorized) -> Result<(), Wrong> {
    client.revoke().await?;
    match client.connect(()).await {
        Err(ClientError::Connect(error)) if error.is_authorization_required() => Ok(()),
        Err(error) => Err(error.into()),
        Ok(_) => Err("the access token is still good".into()),
    }
}

/// The claims of a token, unverified: to show them.
fn claims(token: &str) -> Result<Value, Wrong> {
    let payload = token.split('.').nth(1).unwrap_or_default();
    let bytes =
        URL_SAFE_NO_PAD.decode(payload).map_err(|_| Wrong("the access token is no JWT".to_owned()))?;
    serde_json::from_slice(&bytes).map_err(|_| Wrong("the access token has no claims".to_owned()))
}

fn sent(asked: &Asked) -> String {
    format!("{} {}", asked.method, asked.url.path())
}

fn sent_form(asked: &Asked) -> String {
    let grant_type = asked.parameter("grant_type").unwrap_or_default();
    let others = url::form_urlencoded::parse(asked.body.as_bytes()).filter(|(name, _)| name != "grant_type");
    format!("{} grant_type={grant_type} with {}", sent(asked), names(others))
}

/// The answer that led there.
fn came_to(url: &Url) -> String {
    let issuer = parameter(url, "iss");
    let issuer = if issuer.is_empty() { issuer } else { format!("; iss {issuer}") };
    format!("303 {} with {}{issuer}", shown(url), names(url.query_pairs()))
}

/// The names of parameters. Their values may be secrets.
fn names<'p>(pairs: impl Iterator<Item = (Cow<'p, str>, Cow<'p, str>)>) -> String {
    pairs.map(|(name, _)| name).collect::<Vec<_>>().join(", ")
}

/// A value as it stands in a query.
fn encoded(value: &str) -> String {
    url::form_urlencoded::byte_serialize(value.as_bytes()).collect()
}

/// An address without its query, which may hold a secret.
fn shown(url: &Url) -> String {
    let mut url = url.clone();
    url.set_query(None);
    url.into()
}

/// A member as a person reads it.
fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// The beginning of a secret, or of something as long.
fn short(text: &str) -> String {
    text.chars().take(9).chain(['…']).collect()
}

/// A parameter of the query, or nothing.
fn parameter(url: &Url, name: &str) -> String {
    client::parameter(url, name).unwrap_or_default()
}
