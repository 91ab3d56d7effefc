//! A browser on real sockets: cookies, redirects, the consent form.

use std::sync::Arc;

use reqwest::RequestBuilder;
use reqwest::StatusCode;
use reqwest::header::HeaderMap;
use url::Url;

use crate::support::browser::hidden;
use crate::support::entrada::endpoint;
use crate::support::program::Site;
use crate::support::vigil::Vigil;

/// A browser with a cookie jar of its own. Like every browser it shares cookies over the ports of a host.
pub struct WebBrowser {
    http: reqwest::Client,
    public_url: String,
    vigil: Arc<Vigil>,
    cookies: Vec<(String, String)>,
}

/// A page, or a redirect that was not followed.
#[derive(Debug)]
pub struct Page {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: String,
}

/// A sign-in that went all the way.
pub struct SignedIn {
    /// What the person was asked.
    pub consent: Page,
    /// Where the browser was sent in the end: an address of the client's.
    pub back: Url,
}

impl WebBrowser {
    pub fn new(site: &Site) -> Self {
        let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy();
        Self {
            http: http.build().unwrap(),
            public_url: site.public_url.clone(),
            vigil: Arc::clone(&site.vigil),
            cookies: Vec::new(),
        }
    }

    /// Opens the address that a client has given, approves, signs in, and follows every redirect but the
    /// last, which leads to the client.
    pub async fn sign_in(&mut self, authorize: &str) -> SignedIn {
        let consent = self.get(authorize).await;
        assert_eq!(consent.status, 200, "no consent page: {}", consent.body);
        let mut at = self.decide(&consent, "approve").await.location();
        // Ours, the identity provider's, ours again, the client's.
        for _ in 0..3 {
            if !self.is_ours(&at) && at.path() == "/callback" {
                return SignedIn { consent, back: at };
            }
            let page = self.get(at.as_str()).await;
            assert!(page.status.is_redirection(), "no redirect: {page:?}");
            at = page.location();
        }
        panic!("the redirects lead nowhere: {at}");
    }

    pub async fn get(&mut self, url: &str) -> Page {
        self.send(self.http.get(url)).await
    }

    /// Sends the consent form.
    pub async fn decide(&mut self, page: &Page, decision: &str) -> Page {
        let login = hidden(&page.body, "login").expect("a consent form");
        let form = [("login", login.as_str()), ("decision", decision)];
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let request = self
            .http
            .post(format!("{}/consent", self.public_url))
            .header("content-type", "application/x-www-form-urlencoded")
            .header("origin", &self.public_url)
            .header("sec-fetch-site", "same-origin")
            .body(body);
        let page = self.send(request).await;
        self.vigil.never(login);
        page
    }

    async fn send(&mut self, request: RequestBuilder) -> Page {
        let mut request = request.build().unwrap();
        let url = request.url().clone();
        let cookies: Vec<_> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        if !cookies.is_empty() {
            request.headers_mut().insert("cookie", cookies.join("; ").parse().unwrap());
        }
        let response = self.http.execute(request).await.unwrap();
        let (status, headers) = (response.status(), response.headers().clone());
        let page = Page { status, headers, body: response.text().await.unwrap() };
        for set in page.headers.get_all("set-cookie") {
            let set = set.to_str().unwrap();
            let (name, value) = set.split(';').next().unwrap().split_once('=').unwrap();
            self.cookies.retain(|(held, _)| held != name);
            if !set.contains("Max-Age=0") {
                self.cookies.push((name.to_owned(), value.to_owned()));
            }
        }
        if self.is_ours(&url) {
            self.vigil.watch(endpoint(url.path()), &head(&page.headers), &page.body);
        }
        page
    }

    fn is_ours(&self, url: &Url) -> bool {
        url.origin().ascii_serialization() == self.public_url
    }

    /// The names of the cookies that it holds.
    pub fn cookie_names(&self) -> Vec<&str> {
        self.cookies.iter().map(|(name, _)| name.as_str()).collect()
    }
}

impl Page {
    pub fn location(&self) -> Url {
        let location = self.headers.get("location").unwrap_or_else(|| panic!("no redirect: {self:?}"));
        Url::parse(location.to_str().unwrap()).unwrap()
    }
}

/// Headers as lines.
pub fn head(headers: &HeaderMap) -> String {
    headers.iter().map(|(name, value)| format!("{name}: {}\n", value.to_str().unwrap_or_default())).collect()
}
