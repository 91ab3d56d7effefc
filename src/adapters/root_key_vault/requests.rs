//! Requests to Key Vault.
//!
//! What holds keys is overwritten when it is dropped: bodies of answers, which are gathered in one buffer that never
//! grows, and those of requests. What hyper and rustls buffer on the way is not in our hands.

use std::time::Duration;

use hyper::body::Bytes;
use reqwest::Method;
use reqwest::RequestBuilder;
use reqwest::Response;
use reqwest::header::ACCEPT;
use reqwest::header::CONTENT_TYPE;
use reqwest::header::RETRY_AFTER;
use reqwest::redirect::Policy;
use secrecy::zeroize::Zeroizing;
use tokio::time::timeout;
use url::Url;

use crate::adapters::pause::jittered;
use crate::adapters::pause::rest;
use crate::domain::keys::Generation;
use crate::ports::root_key::RootKeyError;
use crate::protocol::issuer::is_loopback;

use super::NoClient;
use super::Settings;
use super::refusal;
use super::refusal::Refusal;
use super::refusal::away;

/// Stable, and known to every cloud. Later ones have nothing for secrets that is needed here.
const API_VERSION: &str = "7.4";
/// The most that Key Vault puts on a page.
const PER_PAGE: &str = "25";
/// A page of the list has some 10 KiB.
const MAX_ANSWER: usize = 64 * 1024;
const CONNECT: Duration = Duration::from_secs(3);
/// The first pause between two requests; each one after it is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// A body that is overwritten when it is dropped.
pub(super) type Body = Zeroizing<Vec<u8>>;

/// What came of a request that was carried out.
pub(super) enum Answer {
    Body(Body),
    /// 404: there is no such secret, or no such version.
    Absent,
    /// The version is disabled.
    Disabled,
}

/// Asks one vault for one secret.
pub(super) struct Requests {
    client: reqwest::Client,
    settings: Settings,
    scope: String,
}

/// Why one request did not bring what it was sent for.
enum Trouble {
    /// It may the next time; not before this time has passed, if the vault says so.
    Again(String, Option<Duration>),
    Final(RootKeyError),
}

impl Requests {
    pub(super) fn new(settings: Settings) -> Result<Self, NoClient> {
        // A redirect would take the token elsewhere, and a proxy is for what people browse.
        let client = reqwest::Client::builder()
            .user_agent(concat!("entrada/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT)
            .redirect(Policy::none())
            .referer(false)
            .no_proxy()
            .build()
            .map_err(|_| NoClient)?;
        let scope = scope(&settings.vault);
        Ok(Self { client, settings, scope })
    }

    /// Where the versions are listed.
    pub(super) fn list(&self) -> Url {
        let mut url = self.url(&["versions"]);
        url.query_pairs_mut().append_pair("maxresults", PER_PAGE);
        url
    }

    /// Where a version lies.
    pub(super) fn version(&self, version: &str) -> Url {
        self.url(&[version])
    }

    /// The next page of the list. The token goes nowhere but to this vault.
    pub(super) fn next(&self, link: &str) -> Result<Url, RootKeyError> {
        let url = Url::parse(link).ok().filter(|url| url.origin() == self.settings.vault.origin());
        url.ok_or_else(|| {
            RootKeyError::Wrong(
                "Key Vault continues its list of versions at another address, which is not asked. See that keys.vault is \
                 the vault's own URI, as its overview shows it"
                    .to_owned(),
            )
        })
    }

    fn url(&self, below: &[&str]) -> Url {
        let mut url = self.settings.vault.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(["secrets", &self.settings.secret]).extend(below);
        }
        url.query_pairs_mut().append_pair("api-version", API_VERSION);
        url
    }

    /// Asks. With `expected`, what is absent is asked for again.
    pub(super) async fn get(&self, url: &Url, expected: bool) -> Result<Answer, RootKeyError> {
        self.persist(expected, || self.client.get(url.clone())).await
    }

    /// Makes a version with this value. Tried again, it may make two alike, which is as good as one.
    pub(super) async fn set(&self, value: &str, generation: Generation) -> Result<Body, RootKeyError> {
        let kind = format!("Entrada root key, generation {}", generation.0);
        let mut text = Zeroizing::new(String::with_capacity(256));
        for part in [r#"{"value":""#, value, r#"","contentType":""#, &kind, r#""}"#] {
            text.push_str(part);
        }
        // Clones of it share the one buffer.
        let body = Bytes::from_owner(Zeroizing::new(std::mem::take(&mut *text).into_bytes()));
        let url = self.url(&[]);
        match self.persist(false, || self.send(Method::PUT, &url, body.clone())).await? {
            Answer::Body(body) => Ok(body),
            Answer::Absent | Answer::Disabled => Err(RootKeyError::Wrong(refusal::NO_VAULT.to_owned())),
        }
    }

    /// Disables a version, if it is there.
    pub(super) async fn disable(&self, version: &str) -> Result<(), RootKeyError> {
        let url = self.version(version);
        let body = Bytes::from_static(br#"{"attributes":{"enabled":false}}"#);
        self.persist(false, || self.send(Method::PATCH, &url, body.clone())).await.map(drop)
    }

    fn send(&self, method: Method, url: &Url, body: Bytes) -> RequestBuilder {
        self.client.request(method, url.clone()).header(CONTENT_TYPE, "application/json").body(body)
    }

    /// Sends until there is an answer that stands, or the time is over.
    async fn persist(
        &self,
        expected: bool,
        request: impl Fn() -> RequestBuilder,
    ) -> Result<Answer, RootKeyError> {
        let patience = self.settings.patience;
        let mut why = "it did not answer in time".to_owned();
        let done = timeout(patience, async {
            // Not within the time of a request: the first one takes a machine some seconds.
            let credential = &self.settings.credential;
            let token = credential.get_token(&[&self.scope], None).await.map_err(|_| {
                away("there is no token for it; the log says why the credential did not give one")
            })?;
            let mut pause = FIRST_PAUSE;
            loop {
                let asked = timeout(patience / 2, ask(request().bearer_auth(token.token.secret()))).await;
                let wanted = match asked {
                    Ok(Ok(Answer::Absent)) if expected => {
                        "it does not show yet what was put there a moment ago".clone_into(&mut why);
                        None
                    }
                    Ok(Ok(answer)) => return Ok(answer),
                    Ok(Err(Trouble::Final(error))) => return Err(error),
                    Ok(Err(Trouble::Again(words, wanted))) => {
                        why = words;
                        wanted
                    }
                    Err(_) => {
                        "it did not answer in time".clone_into(&mut why);
                        None
                    }
                };
                if wanted.is_some_and(|wanted| wanted >= patience) {
                    return Err(away(&why));
                }
                rest(wanted.unwrap_or_default().max(jittered(pause))).await;
                pause *= 2;
            }
        })
        .await;
        done.unwrap_or_else(|_| Err(away(&why)))
    }
}

/// Sends one request.
async fn ask(request: RequestBuilder) -> Result<Answer, Trouble> {
    let request = request.header(ACCEPT, "application/json");
    let response = request.send().await.map_err(|error| unreachable(&error))?;
    let status = response.status().as_u16();
    let wanted = retry_after(&response);
    let body = whole(response).await?;
    if (200..300).contains(&status) {
        return Ok(Answer::Body(body));
    }
    match refusal::of(status, &body) {
        Refusal::Absent => Ok(Answer::Absent),
        Refusal::Disabled => Ok(Answer::Disabled),
        Refusal::Again(words) => Err(Trouble::Again(
            match wanted {
                Some(wanted) => format!("{words}, and asks to be left alone for {} s", wanted.as_secs()),
                None => words,
            },
            wanted,
        )),
        Refusal::Wrong(words) => Err(Trouble::Final(RootKeyError::Wrong(words))),
    }
}

/// Whom tokens have to be for. Behind a vault's name stands what its cloud calls the service; an emulator takes the public
/// cloud's.
fn scope(vault: &Url) -> String {
    let cloud = vault.domain().and_then(|domain| domain.split_once('.')).map(|(_, cloud)| cloud);
    let audience = cloud.filter(|_| !is_loopback(vault)).unwrap_or("vault.azure.net");
    format!("https://{audience}/.default")
}

async fn whole(mut response: Response) -> Result<Body, Trouble> {
    let mut body = Zeroizing::new(Vec::with_capacity(MAX_ANSWER));
    while let Some(chunk) = response.chunk().await.map_err(|error| unreachable(&error))? {
        if body.len() + chunk.len() > MAX_ANSWER {
            return Err(Trouble::Final(RootKeyError::Wrong(refusal::NO_VAULT.to_owned())));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// In seconds, as Key Vault writes it.
fn retry_after(response: &Response) -> Option<Duration> {
    let seconds = response.headers().get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}

/// The error itself is dropped: its text holds the URL.
fn unreachable(error: &reqwest::Error) -> Trouble {
    let words = match (error.is_timeout(), error.is_connect()) {
        (true, _) => "it did not answer in time",
        (_, true) => "it cannot be reached: its name, the network, or its certificate",
        _ => "it broke the connection off",
    };
    Trouble::Again(words.to_owned(), None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_for_the_vaults_of_its_cloud() {
        for (vault, audience) in [
            ("https://contoso.vault.azure.net/", "https://vault.azure.net/.default"),
            ("https://contoso.vault.azure.cn/", "https://vault.azure.cn/.default"),
            ("https://contoso.vault.usgovcloudapi.net/", "https://vault.usgovcloudapi.net/.default"),
            ("http://127.0.0.1:9/", "https://vault.azure.net/.default"),
            ("http://localhost:9/", "https://vault.azure.net/.default"),
        ] {
            assert_eq!(scope(&Url::parse(vault).unwrap()), audience, "{vault}");
        }
    }
}
