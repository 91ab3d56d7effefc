//! The demo's browser on a test's site, which keeps an eye on every answer of the program.

use std::sync::Arc;

use axum::http::HeaderMap;
use entrada::demo::browser::Browser;
use entrada::demo::browser::Page;
use entrada::demo::watch::Asked;
use entrada::demo::watch::Watch;
use url::Url;

use crate::support::browser::hidden;
use crate::support::entrada::endpoint;
use crate::support::program::Site;
use crate::support::vigil::Vigil;

/// Shows the vigil what the program answers, and what must never be seen again.
pub struct Lookout {
    public_url: String,
    vigil: Arc<Vigil>,
}

impl Lookout {
    pub fn of(site: &Site) -> Self {
        Self::at(&site.public_url, site)
    }

    /// For a program of the site that is reached elsewhere.
    pub fn at(public_url: &str, site: &Site) -> Self {
        Self { public_url: public_url.to_owned(), vigil: Arc::clone(&site.vigil) }
    }

    fn is_ours(&self, url: &Url) -> bool {
        url.origin().ascii_serialization() == self.public_url
    }
}

impl Watch for Lookout {
    fn answered(&self, url: &Url, headers: &HeaderMap, body: &str) {
        if self.is_ours(url) {
            self.vigil.watch(endpoint(url.path()), &head(headers), body);
        }
    }

    fn asked(&self, asked: &Asked) {
        asked.parameter("code_verifier").into_iter().for_each(|verifier| self.vigil.never(verifier));
    }
}

/// A person's browser. The identity provider signs them in without a page.
pub struct WebBrowser {
    browser: Browser,
    lookout: Arc<Lookout>,
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
        let lookout = Arc::new(Lookout::of(site));
        Self { browser: Browser::new(lookout.clone()), lookout }
    }

    /// Opens the address that a client has given, approves, signs in, and follows every redirect but the
    /// last, which leads to the client.
    pub async fn sign_in(&mut self, authorize: &str) -> SignedIn {
        let consent = self.get(authorize).await;
        assert_eq!(consent.status, 200, "no consent page: {}", consent.body);
        let mut at = location(&self.decide(&consent, "approve").await);
        // Ours, the identity provider's, ours again, the client's.
        for _ in 0..3 {
            if !self.lookout.is_ours(&at) && at.path() == "/callback" {
                return SignedIn { consent, back: at };
            }
            at = location(&self.get(at.as_str()).await);
        }
        panic!("the redirects lead nowhere: {at}");
    }

    pub async fn get(&mut self, url: &str) -> Page {
        self.browser.get(url).await.unwrap()
    }

    /// Sends the consent form.
    pub async fn decide(&mut self, page: &Page, decision: &str) -> Page {
        let decided = self.browser.submit(page, "decision", decision).await.unwrap();
        hidden(&page.body, "login").into_iter().for_each(|login| self.lookout.vigil.never(login));
        decided.expect("a consent form")
    }

    /// The names of the cookies that it holds.
    pub fn cookie_names(&self) -> Vec<&str> {
        self.browser.cookie_names()
    }
}

/// Where a page redirects to.
pub fn location(page: &Page) -> Url {
    page.location().unwrap_or_else(|| panic!("no redirect: {} {}", page.status, page.body))
}

/// Headers as lines.
pub fn head(headers: &HeaderMap) -> String {
    headers.iter().map(|(name, value)| format!("{name}: {}\n", value.to_str().unwrap_or_default())).collect()
}
