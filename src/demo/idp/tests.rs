//! The identity provider from outside: over sockets, by hand, with another JWT library.

mod flow;
mod refusals;
mod scripted;

use std::sync::Arc;
use std::sync::atomic::AtomicI64;
use std::sync::atomic::Ordering;

use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::Algorithm;
use jsonwebtoken::DecodingKey;
use jsonwebtoken::TokenData;
use jsonwebtoken::Validation;
use jsonwebtoken::jwk::JwkSet;
use reqwest::header::HeaderMap;
use serde_json::Map;
use serde_json::Value;
use sha2::Digest;
use sha2::Sha256;
use tokio::net::TcpListener;
use url::Url;

use super::*;

const TENANT: &str = "7e7a0000-0000-4000-8000-00000000000a";
const OTHER_TENANT: &str = "7e7a0000-0000-4000-8000-00000000000b";
const CLIENT: &str = "c11e0000-0000-4000-8000-00000000000c";
const SECRET: &str = "s3cret & =+%:ü";
const REDIRECT: &str = "https://door.example/auth/callback?keep=me";
const VERIFIER: &str = "a-verifier-of-at-least-forty-three-characters";
const SCOPE: &str = "openid profile offline_access";
const START: i64 = 1_800_000_000;

type ResponseChange = fn(GrantKind, &mut Map<String, Value>);

/// A script made of functions.
#[derive(Default)]
struct Play {
    pick: Option<usize>,
    before: Option<fn(Endpoint) -> Option<Reply>>,
    id_token: Option<fn(GrantKind, &mut IdToken)>,
    response: Option<ResponseChange>,
    assertion: Option<&'static str>,
}

#[async_trait]
impl Script for Play {
    async fn before(&self, endpoint: Endpoint, _: &[(String, String)]) -> Option<Reply> {
        self.before.and_then(|reply| reply(endpoint))
    }

    fn pick(&self) -> Option<usize> {
        self.pick
    }

    fn client_assertion(&self, assertion: &str) -> bool {
        self.assertion == Some(assertion)
    }

    fn id_token(&self, grant: GrantKind, token: &mut IdToken) {
        if let Some(lie) = self.id_token {
            lie(grant, token);
        }
    }

    fn token_response(&self, grant: GrantKind, response: &mut Map<String, Value>) {
        if let Some(change) = self.response {
            change(grant, response);
        }
    }
}

/// Signs Ada in without a page.
fn ada() -> Play {
    Play { pick: Some(0), ..Play::default() }
}

struct Answer {
    status: u16,
    headers: HeaderMap,
    body: String,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    fn text(&self, member: &str) -> String {
        self.json()[member].as_str().unwrap_or_else(|| panic!("{member} in {}", self.body)).to_owned()
    }

    /// The parameters of a redirect to the client. The query that the redirect URI has must be kept.
    fn back(&self) -> Params {
        assert_eq!(self.status, 303, "{}", self.body);
        let location = Url::parse(self.headers["location"].to_str().unwrap()).unwrap();
        let query = location.query().unwrap();
        assert!(location.as_str().starts_with(&format!("{REDIRECT}&")), "{location}");
        Params(url::form_urlencoded::parse(query.as_bytes()).into_owned().collect())
    }

    /// The AADSTS code of an error page that redirects nowhere.
    fn page_error(&self) -> (u16, u32) {
        assert!(!self.headers.contains_key("location"));
        assert!(self.body.starts_with("<!doctype html>"), "{}", self.body);
        (self.status, aadsts(&self.body))
    }

    /// Status, OAuth error and AADSTS code of a JSON error, once everything Entra has in it is there.
    fn error(&self) -> (u16, String, u32) {
        let (json, code) = (self.json(), aadsts(&self.text("error_description")));
        assert_eq!(json["error_codes"], serde_json::json!([code]));
        for member in ["timestamp", "trace_id", "correlation_id"] {
            assert!(self.text("error_description").contains(json[member].as_str().unwrap()));
        }
        assert!(self.text("error_uri").ends_with(&format!("/error?code={code}")));
        (self.status, self.text("error"), code)
    }
}

#[derive(Debug, PartialEq)]
struct Params(Vec<(String, String)>);

impl Params {
    fn get(&self, name: &str) -> &str {
        let found = self.0.iter().find(|(key, _)| key == name);
        found.map_or_else(|| panic!("{name} in {self:?}"), |(_, value)| value.as_str())
    }

    fn error(&self) -> (&str, u32) {
        (self.get("error"), aadsts(self.get("error_description")))
    }
}

fn aadsts(text: &str) -> u32 {
    let (_, rest) = text.split_once("AADSTS").unwrap_or_else(|| panic!("no AADSTS in {text}"));
    rest.split(':').next().unwrap().parse().unwrap()
}

/// An instance, a relying party that does everything by hand, and a clock.
struct Bench {
    idp: DevIdp,
    http: reqwest::Client,
    clock: Arc<AtomicI64>,
    site: String,
    oauth: String,
}

impl Bench {
    /// At the Entra face of the tenant.
    async fn entra(script: impl Script + 'static) -> Self {
        Self::with(script, Person::three(TENANT)).await.at(TENANT)
    }

    async fn oidc(script: impl Script + 'static) -> Self {
        let mut bench = Self::with(script, Person::three(TENANT)).await;
        bench.site = bench.idp.issuer_oidc();
        bench.oauth = bench.site.clone();
        bench
    }

    async fn with(script: impl Script + 'static, people: Vec<Person>) -> Self {
        let clock = Arc::new(AtomicI64::new(START));
        let reading = clock.clone();
        let options = Options {
            tenant: TENANT.to_owned(),
            client_id: CLIENT.to_owned(),
            client_secret: SECRET.into(),
            redirect_uris: vec!["https://door.example/other".to_owned(), REDIRECT.to_owned()],
            people,
            now: Arc::new(move || reading.load(Ordering::Relaxed)),
            script: Arc::new(script),
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let idp = DevIdp::start(listener, options).await.unwrap();
        let http = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .unwrap();
        Self { idp, http, clock, site: String::new(), oauth: String::new() }
    }

    fn at(mut self, tenant: &str) -> Self {
        self.site = format!("{}/{tenant}", self.idp.authority());
        self.oauth = format!("{}/oauth2/v2.0", self.site);
        self
    }

    fn advance(&self, seconds: i64) {
        self.clock.fetch_add(seconds, Ordering::Relaxed);
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> Answer {
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Answer { status, headers, body: response.text().await.unwrap() }
    }

    async fn get(&self, url: &str) -> Answer {
        self.send(self.http.get(url)).await
    }

    async fn post(&self, url: &str, params: &[(&str, &str)]) -> Answer {
        self.send(self.form(url, params)).await
    }

    fn form(&self, url: &str, params: &[(&str, &str)]) -> reqwest::RequestBuilder {
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(params).finish();
        self.http.post(url).header("content-type", "application/x-www-form-urlencoded").body(body)
    }

    /// The authorization request of a good client, with changes: an empty value takes a parameter out.
    async fn authorize(&self, changes: &[(&str, &str)]) -> Answer {
        let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(VERIFIER));
        let good = [
            ("client_id", CLIENT),
            ("response_type", "code"),
            ("redirect_uri", REDIRECT),
            ("scope", SCOPE),
            ("state", "st&te =+%ü"),
            ("nonce", "n-1"),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
        ];
        let query = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs(changed(&good, changes))
            .finish();
        self.get(&format!("{}/authorize?{query}", self.oauth)).await
    }

    async fn code(&self, changes: &[(&str, &str)]) -> String {
        self.authorize(changes).await.back().get("code").to_owned()
    }

    async fn exchange(&self, code: &str, changes: &[(&str, &str)]) -> Answer {
        let good = [
            ("grant_type", "authorization_code"),
            ("client_id", CLIENT),
            ("client_secret", SECRET),
            ("code", code),
            ("redirect_uri", REDIRECT),
            ("code_verifier", VERIFIER),
            ("scope", SCOPE),
        ];
        self.post(&format!("{}/token", self.oauth), &changed(&good, changes)).await
    }

    async fn refresh(&self, refresh_token: &str, changes: &[(&str, &str)]) -> Answer {
        let good = [
            ("grant_type", "refresh_token"),
            ("client_id", CLIENT),
            ("client_secret", SECRET),
            ("refresh_token", refresh_token),
            ("scope", SCOPE),
        ];
        self.post(&format!("{}/token", self.oauth), &changed(&good, changes)).await
    }

    /// A whole sign-in.
    async fn sign_in(&self) -> Answer {
        let answer = self.exchange(&self.code(&[]).await, &[]).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer
    }

    /// Verifies an ID token as a relying party must, by what discovery says.
    async fn verify(&self, id_token: &str) -> jsonwebtoken::errors::Result<TokenData<Map<String, Value>>> {
        let metadata = self.discovery().await;
        let keys = self.get(metadata["jwks_uri"].as_str().unwrap()).await;
        let keys: JwkSet = serde_json::from_str(&keys.body).unwrap();
        let kid = jsonwebtoken::decode_header(id_token)?.kid.unwrap();
        let key = DecodingKey::from_jwk(keys.find(&kid).expect("the kid is published"))?;
        let mut validation = Validation::new(Algorithm::RS256);
        validation.set_audience(&[CLIENT]);
        validation.set_issuer(&[metadata["issuer"].as_str().unwrap()]);
        validation.validate_exp = false;
        jsonwebtoken::decode(id_token, &key, &validation)
    }

    async fn claims(&self, answer: &Answer) -> Map<String, Value> {
        self.verify(&answer.text("id_token")).await.unwrap().claims
    }

    async fn discovery(&self) -> Value {
        let middle = if self.site.ends_with("/oidc") { "" } else { "/v2.0" };
        self.get(&format!("{}{middle}/.well-known/openid-configuration", self.site)).await.json()
    }
}

fn changed<'a>(good: &[(&'a str, &'a str)], changes: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let kept = good.iter().filter(|(name, _)| !changes.iter().any(|(change, _)| change == name));
    let added = changes.iter().filter(|(_, value)| !value.is_empty());
    kept.chain(added).copied().collect()
}
