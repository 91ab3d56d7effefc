//! A browser: cookies, redirects, the consent form, and the way to the identity provider and back.

use axum::body::Body;
use axum::http::Request;
use url::Url;

use crate::support::entrada::Answer;
use crate::support::entrada::Entrada;
use crate::support::entrada::form_request;

/// A browser with its own cookie jar.
#[derive(Clone, Default)]
pub struct Browser {
    pub cookies: Vec<(String, String)>,
}

impl Browser {
    /// Opens an address of Entrada.
    pub async fn open(&mut self, entrada: &Entrada, target: &str) -> Answer {
        self.send(entrada, Request::get(path_of(target)).body(Body::empty()).unwrap()).await
    }

    /// Decides on a consent page.
    pub async fn decide(&mut self, entrada: &Entrada, page: &Answer, decision: &str) -> Answer {
        let login = hidden(&page.body, "login").expect("a consent form");
        let again = hidden(&page.body, "again");
        let mut form = vec![("login", login.as_str()), ("decision", decision)];
        form.extend(again.as_deref().map(|again| ("again", again)));
        self.send(entrada, form_request("/consent", &form)).await
    }

    /// Follows a redirect to the identity provider, which picks the person at once, and returns where it
    /// sends the browser: our callback.
    pub async fn at_idp(&self, entrada: &Entrada, sign_in: &Url) -> Url {
        let response = entrada.http.get(sign_in.as_str()).send().await.unwrap();
        let location = response.headers().get("location").expect("the identity provider redirects");
        Url::parse(location.to_str().unwrap()).unwrap()
    }

    /// The whole way from /authorize to the client's redirect URI.
    pub async fn sign_in(&mut self, entrada: &Entrada, authorize: &str) -> Url {
        let callback = self.to_callback(entrada, authorize).await;
        let answer = self.open(entrada, callback.as_str()).await;
        assert_eq!(answer.status, 303, "the callback did not complete: {}", answer.body);
        answer.location()
    }

    /// The way from /authorize to our callback, which is not opened yet.
    #[expect(clippy::wrong_self_convention, reason = "a way to go, not a conversion")]
    pub async fn to_callback(&mut self, entrada: &Entrada, authorize: &str) -> Url {
        let page = self.open(entrada, authorize).await;
        assert_eq!(page.status, 200, "no consent page: {}", page.body);
        let approved = self.decide(entrada, &page, "approve").await;
        assert_eq!(approved.status, 303, "not approved: {}", approved.body);
        self.at_idp(entrada, &approved.location()).await
    }

    /// Sends a request with the cookies, and keeps those that are set.
    pub async fn send(&mut self, entrada: &Entrada, mut request: Request<Body>) -> Answer {
        let cookies: Vec<String> =
            self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        if !cookies.is_empty() {
            request.headers_mut().insert("cookie", cookies.join("; ").parse().unwrap());
        }
        let answer = entrada.send(request).await;
        self.take(&answer);
        answer
    }

    /// Keeps the cookies that an answer sets.
    pub fn take(&mut self, answer: &Answer) {
        for set in answer.headers.get_all("set-cookie") {
            let set = set.to_str().unwrap();
            let (name, value) = set.split(';').next().unwrap().split_once('=').unwrap();
            self.cookies.retain(|(held, _)| held != name);
            if !set.contains("Max-Age=0") {
                self.cookies.push((name.to_owned(), value.to_owned()));
            }
        }
    }
}

/// The path and query of an absolute or relative address.
pub fn path_of(target: &str) -> String {
    match Url::parse(target) {
        Ok(url) => format!("{}{}", url.path(), url.query().map(|q| format!("?{q}")).unwrap_or_default()),
        Err(_) => target.to_owned(),
    }
}

/// The value of a hidden field.
pub fn hidden(html: &str, name: &str) -> Option<String> {
    let (_, rest) = html.split_once(&format!("name=\"{name}\" value=\""))?;
    rest.split_once('"').map(|(value, _)| value.to_owned())
}
