//! Clients at work: people sign in and refresh, over real sockets, many at a time.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;

use entrada::demo::browser::Browser;
use entrada::demo::watch::Watch;
use reqwest::StatusCode;
use reqwest::redirect::Policy;
use serde_json::Value;
use serde_json::json;
use tokio::sync::watch;
use url::Url;

use crate::support::client::VERIFIER;
use crate::support::client::challenge;
use crate::support::entrada::parameter;
use crate::support::program::Site;
use crate::support::web_browser::Lookout;

const REDIRECT_URI: &str = "http://127.0.0.1:33418/callback";

/// What a client has that was answered: a grant, and how it goes on with it.
#[derive(Clone, Debug)]
pub enum Answered {
    /// It was sent back with this code, and has not redeemed it.
    Code(String),
    /// Its latest tokens: the answer of the token endpoint.
    Tokens(Value),
}

/// A connection that ended before the answer.
#[derive(Debug)]
pub struct Cut;

impl From<reqwest::Error> for Cut {
    fn from(_: reqwest::Error) -> Self {
        Self
    }
}

/// One client of many people. Each of its requests comes on a connection of its own, which may lead to another replica.
pub struct Load<'s> {
    site: &'s Site,
    lookout: Arc<Lookout>,
    http: reqwest::Client,
    client_id: String,
    /// How many answers have arrived.
    pub answers: watch::Sender<usize>,
}

impl<'s> Load<'s> {
    pub async fn new(site: &'s Site) -> Self {
        let lookout = Arc::new(Lookout::of(site));
        let http = reqwest::Client::builder().no_proxy().pool_max_idle_per_host(0).redirect(Policy::none());
        let http = http.build().unwrap();
        let registration = json!({ "client_name": "Load", "redirect_uris": [REDIRECT_URI] });
        let request = http.post(format!("{}/register", site.public_url));
        let request = request.header("content-type", "application/json").body(registration.to_string());
        let registered: Value =
            serde_json::from_str(&request.send().await.unwrap().text().await.unwrap()).unwrap();
        let client_id = registered["client_id"].as_str().unwrap().to_owned();
        Self { site, lookout, http, client_id, answers: watch::Sender::new(0) }
    }

    /// Signs in and refreshes until a connection breaks or it is told to stop; then, what was answered until then. Every
    /// third sign-in is left with its code, as by a client that is slow to redeem it.
    pub async fn work(&self, stopped: &AtomicBool) -> Vec<Answered> {
        let mut held = Vec::new();
        while !stopped.load(Ordering::Relaxed) {
            let Ok(code) = self.sign_in().await else { return held };
            held.push(Answered::Code(code.clone()));
            self.answers.send_modify(|count| *count += 1);
            if held.len() % 3 == 0 {
                continue;
            }
            // From here on the code may be spent without an answer; that costs a sign-in, and no more.
            let last = held.len() - 1;
            let Ok(answer) = self.redeem(&code).await else {
                held.pop();
                return held;
            };
            held[last] = Answered::Tokens(self.good(answer));
            for _ in 0..3 {
                let Answered::Tokens(tokens) = &held[last] else { unreachable!() };
                let Ok(answer) = self.refresh(tokens).await else { return held };
                held[last] = Answered::Tokens(self.good(answer));
            }
        }
        held
    }

    fn good(&self, (status, body): (StatusCode, Value)) -> Value {
        assert_eq!(status, 200, "{body}");
        self.answers.send_modify(|count| *count += 1);
        body
    }

    /// A person in a browser of their own, up to the client's code.
    pub async fn sign_in(&self) -> Result<String, Cut> {
        let challenge = challenge(VERIFIER);
        let query = [
            ("response_type", "code"),
            ("client_id", &self.client_id),
            ("redirect_uri", REDIRECT_URI),
            ("state", "state"),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
        ];
        let authorize = format!("{}/authorize", self.site.public_url);
        let authorize = Url::parse_with_params(&authorize, query).unwrap();
        let mut browser = Browser::with(self.http.clone(), self.lookout.clone());
        let consent = browser.get(authorize.as_str()).await?;
        let mut page = browser.submit(&consent, "decision", "approve").await?.expect("a consent form");
        for _ in 0..2 {
            let location = page.location().expect("a redirect");
            page = browser.get(location.as_str()).await?;
        }
        Ok(parameter(&page.location().expect("a redirect"), "code").expect("a code"))
    }

    pub async fn redeem(&self, code: &str) -> Result<(StatusCode, Value), Cut> {
        let grant = ("grant_type", "authorization_code");
        self.token(&[grant, ("code", code), ("redirect_uri", REDIRECT_URI), ("code_verifier", VERIFIER)])
            .await
    }

    pub async fn refresh(&self, tokens: &Value) -> Result<(StatusCode, Value), Cut> {
        let token = tokens["refresh_token"].as_str().unwrap();
        self.token(&[("grant_type", "refresh_token"), ("refresh_token", token)]).await
    }

    async fn token(&self, form: &[(&str, &str)]) -> Result<(StatusCode, Value), Cut> {
        let form = form.iter().copied().chain([("client_id", self.client_id.as_str())]);
        let form = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let request = self.http.post(format!("{}/token", self.site.public_url));
        let request = request.header("content-type", "application/x-www-form-urlencoded").body(form);
        let answer = request.send().await?;
        let (url, status, headers) = (answer.url().clone(), answer.status(), answer.headers().clone());
        let body = answer.text().await?;
        self.lookout.answered(&url, &headers, &body);
        Ok((status, serde_json::from_str(&body).unwrap()))
    }

    /// Who was answered goes on, and the MCP server knows them.
    pub async fn goes_on(&self, answered: Answered) -> Value {
        let (status, tokens) = match &answered {
            Answered::Code(code) => self.redeem(code).await.unwrap(),
            Answered::Tokens(tokens) => self.refresh(tokens).await.unwrap(),
        };
        assert_eq!(status, 200, "{tokens}: {answered:?}");
        let access = tokens["access_token"].as_str().unwrap();
        let hello = json!({
            "jsonrpc": "2.0", "id": 1, "method": "initialize",
            "params": {
                "protocolVersion": "2025-11-25", "capabilities": {},
                "clientInfo": { "name": "Load", "version": "1" },
            },
        });
        let called = self
            .http
            .post(self.site.mcp_url())
            .bearer_auth(access)
            .header("content-type", "application/json")
            .header("accept", "application/json, text/event-stream")
            .body(hello.to_string());
        assert_eq!(called.send().await.unwrap().status(), 200);
        tokens
    }
}
