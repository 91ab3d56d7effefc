//! A browser without a screen: cookies, forms, and redirects that it stops at.

use std::sync::Arc;

use axum::http::HeaderMap;
use axum::http::StatusCode;
use axum::http::header;
use reqwest::RequestBuilder;
use reqwest::redirect;
use url::Url;

use crate::demo::watch::Watch;

/// A client that asks the server itself: what is served on this machine is not to be had from the
/// proxy that the environment may name.
///
/// # Panics
/// When the machine's TLS cannot be set up, which no page would survive.
pub fn direct(redirects: redirect::Policy) -> reqwest::Client {
    let client = reqwest::Client::builder().no_proxy().redirect(redirects).build();
    client.expect("a client for plain HTTP can be made")
}

/// A browser with a cookie jar of its own. Like every browser it shares cookies over the ports of a host.
pub struct Browser {
    http: reqwest::Client,
    watch: Arc<dyn Watch>,
    /// Host, name, value.
    cookies: Vec<(String, String, String)>,
}

impl Browser {
    /// One that holds no cookies.
    #[must_use]
    pub fn new(watch: Arc<dyn Watch>) -> Self {
        Self::with(direct(redirect::Policy::none()), watch)
    }

    /// One that asks by a client of the caller's, which must not follow redirects.
    #[must_use]
    pub fn with(http: reqwest::Client, watch: Arc<dyn Watch>) -> Self {
        Self { http, watch, cookies: Vec::new() }
    }

    /// Opens an address, as when it was clicked or typed.
    ///
    /// # Errors
    /// When nobody answers there.
    pub async fn get(&mut self, url: &str) -> Result<Page, reqwest::Error> {
        self.send(self.http.get(url)).await
    }

    /// Presses the button of this name and value on a page, or sends the form that has such a hidden
    /// field. `None` when the page has no such form.
    ///
    /// # Errors
    /// When nobody answers where the form is sent.
    pub async fn submit(
        &mut self,
        page: &Page,
        name: &str,
        value: &str,
    ) -> Result<Option<Page>, reqwest::Error> {
        let Some(form) = page.form(name, value) else { return Ok(None) };
        let Ok(action) = page.url.join(&form.action) else { return Ok(None) };
        let fields = form.fields.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let request = self
            .http
            .post(action)
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header(header::ORIGIN, page.url.origin().ascii_serialization())
            .header("sec-fetch-site", "same-origin")
            .body(body);
        self.send(request).await.map(Some)
    }

    async fn send(&mut self, request: RequestBuilder) -> Result<Page, reqwest::Error> {
        let mut request = request.build()?;
        let url = request.url().clone();
        let host = url.host_str().unwrap_or_default().to_owned();
        let own = self.cookies.iter().filter(|(of, ..)| *of == host);
        let cookies: Vec<_> = own.map(|(_, name, value)| format!("{name}={value}")).collect();
        if let (false, Ok(cookies)) = (cookies.is_empty(), cookies.join("; ").parse()) {
            request.headers_mut().insert(header::COOKIE, cookies);
        }
        let response = self.http.execute(request).await?;
        let (status, headers) = (response.status(), response.headers().clone());
        let page = Page { url, status, headers, body: response.text().await? };
        for set in page.headers.get_all(header::SET_COOKIE).iter().filter_map(|set| set.to_str().ok()) {
            self.keep(&host, set);
        }
        self.watch.answered(&page.url, &page.headers, &page.body);
        Ok(page)
    }

    fn keep(&mut self, host: &str, set: &str) {
        let Some((name, value)) = set.split(';').next().and_then(|pair| pair.split_once('=')) else { return };
        self.cookies.retain(|(of, held, _)| of != host || held != name);
        if !set.contains("Max-Age=0") {
            self.cookies.push((host.to_owned(), name.to_owned(), value.to_owned()));
        }
    }

    /// The names of the cookies that it holds.
    #[must_use]
    pub fn cookie_names(&self) -> Vec<&str> {
        self.cookies.iter().map(|(_, name, _)| name.as_str()).collect()
    }
}

/// A page, or a redirect that was not followed. It may hold secrets, so it has no `Debug`.
pub struct Page {
    /// Where it was asked for.
    pub url: Url,
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: String,
}

/// A form as it would be sent.
struct Form {
    action: String,
    fields: Vec<(String, String)>,
}

impl Page {
    /// Where it redirects to.
    #[must_use]
    pub fn location(&self) -> Option<Url> {
        let location = self.headers.get(header::LOCATION)?.to_str().ok()?;
        self.url.join(location).ok()
    }

    /// The form that has a button, or a hidden field, of this name and value.
    fn form(&self, name: &str, value: &str) -> Option<Form> {
        let forms = self.body.split("<form").skip(1).filter_map(|rest| rest.split("</form>").next());
        let form = forms
            .map(read)
            .find(|(form, buttons)| form.fields.iter().chain(buttons).any(|(n, v)| n == name && v == value));
        let (mut form, buttons) = form?;
        form.fields.extend(buttons.into_iter().find(|(n, v)| n == name && v == value));
        Some(form)
    }
}

/// A form with its hidden fields, and its buttons. What stands in an attribute of ours is never escaped
/// here: addresses without a query, and base64url.
fn read(html: &str) -> (Form, Vec<(String, String)>) {
    let action = attribute(html.split('>').next().unwrap_or_default(), "action");
    let named = |tag: &str| -> Vec<_> {
        let tags = html.split(tag).skip(1).filter_map(|rest| rest.split('>').next());
        tags.filter_map(|tag| Some((attribute(tag, "name")?, attribute(tag, "value")?))).collect()
    };
    (Form { action: action.unwrap_or_default(), fields: named("<input") }, named("<button"))
}

fn attribute(tag: &str, name: &str) -> Option<String> {
    let begin = format!("{name}=\"");
    let starts = tag.match_indices(&begin).map(|(at, _)| tag.split_at(at));
    let (_, rest) = starts.into_iter().find(|(before, _)| before.ends_with(char::is_whitespace))?;
    rest[begin.len()..].split_once('"').map(|(value, _)| value.to_owned())
}
