//! The adapter against the development identity provider, over sockets.

mod groups;
mod lies;
mod proofs;
mod sign_in;
mod tenants;
mod trouble;

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::AtomicI64;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_trait::async_trait;
use secrecy::SecretString;
use serde_json::Map;
use serde_json::Value;
use tokio::net::TcpListener;
use url::Url;

use crate::demo::idp::DevIdp;
use crate::demo::idp::Endpoint;
use crate::demo::idp::GrantKind;
use crate::demo::idp::IdToken;
use crate::demo::idp::Options;
use crate::demo::idp::Person as DevPerson;
use crate::demo::idp::Reply;
use crate::demo::idp::Script;
use crate::demo::idp::Seen;
use crate::domain::time::Timestamp;
use crate::ports::clock::Clock;
use crate::ports::idp::IdentityProvider;
use crate::ports::idp::SignInAnswer;
use crate::ports::idp::SignInRequest;
use crate::ports::idp::SignedIn;
use crate::ports::idp::UpstreamError;
use crate::protocol::pkce::CodeChallenge;

use super::Entra;
use super::Kind;
use super::OidcProvider;
use super::Proof;
use super::Settings;
use super::Tenants;

const TENANT: &str = "7e7a0000-0000-4000-8000-00000000000a";
const CLIENT: &str = "c11e0000-0000-4000-8000-00000000000c";
const SECRET: &str = "s3cret & =+%:ü";
const REDIRECT: &str = "https://door.example/auth/callback";
const VERIFIER: &str = "a-verifier-of-at-least-forty-three-characters";
const NONCE: &str = "the-nonce-of-this-sign-in";
const START: i64 = 1_800_000_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Face {
    Entra,
    Oidc,
}

const FACES: [Face; 2] = [Face::Entra, Face::Oidc];

struct TestClock(AtomicI64);

impl TestClock {
    fn advance(&self, seconds: i64) {
        self.0.fetch_add(seconds, Ordering::SeqCst);
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }

    fn elapsed(&self) -> Duration {
        self.now().since(Timestamp(START))
    }
}

type Before = Box<dyn Fn(Endpoint) -> Option<Reply> + Send>;
type Lie = Box<dyn Fn(GrantKind, &mut IdToken) + Send>;
type Change = Box<dyn Fn(&mut Map<String, Value>) + Send>;

/// What the provider does instead of being honest; it can change its mind during a test.
#[derive(Default)]
struct Play {
    before: Mutex<Option<Before>>,
    id_token: Mutex<Option<Lie>>,
    response: Mutex<Option<Change>>,
    /// Token requests are read and never answered.
    silent: bool,
}

#[async_trait]
impl Script for Play {
    async fn before(&self, endpoint: Endpoint, _: &[(String, String)]) -> Option<Reply> {
        if self.silent && endpoint == Endpoint::Token {
            std::future::pending::<()>().await;
        }
        self.before.lock().unwrap().as_ref().and_then(|before| before(endpoint))
    }

    fn pick(&self) -> Option<usize> {
        Some(0)
    }

    fn id_token(&self, grant: GrantKind, token: &mut IdToken) {
        if let Some(lie) = self.id_token.lock().unwrap().as_ref() {
            lie(grant, token);
        }
    }

    fn token_response(&self, _: GrantKind, response: &mut Map<String, Value>) {
        if let Some(change) = self.response.lock().unwrap().as_ref() {
            change(response);
        }
    }
}

impl Play {
    fn lies(lie: impl Fn(&mut IdToken) + Send + 'static) -> Self {
        Self { id_token: Mutex::new(Some(Box::new(move |_, token| lie(token)))), ..Self::default() }
    }

    fn answers(&self, at: Endpoint, reply: Reply) {
        let before = move |endpoint| (endpoint == at).then(|| reply.clone());
        *self.before.lock().unwrap() = Some(Box::new(before));
    }

    fn is_honest_again(&self) {
        *self.before.lock().unwrap() = None;
        *self.id_token.lock().unwrap() = None;
        *self.response.lock().unwrap() = None;
    }

    fn changes(&self, change: impl Fn(&mut Map<String, Value>) + Send + 'static) {
        *self.response.lock().unwrap() = Some(Box::new(change));
    }
}

/// A provider of one kind, and the adapter in front of it.
struct World {
    idp: DevIdp,
    play: Arc<Play>,
    clock: Arc<TestClock>,
    provider: OidcProvider,
}

async fn world(face: Face) -> World {
    world_with(face, Play::default(), SECRET).await
}

async fn liar(face: Face, lie: impl Fn(&mut IdToken) + Send + 'static) -> World {
    world_with(face, Play::lies(lie), SECRET).await
}

async fn world_with(face: Face, play: Play, secret: &str) -> World {
    world_of(play, DevPerson::three(TENANT), |idp, _| settings(kind(idp, face), secret)).await
}

async fn world_of(
    play: Play,
    people: Vec<DevPerson>,
    settings: impl FnOnce(&DevIdp, &Arc<TestClock>) -> Settings,
) -> World {
    let (play, clock) = (Arc::new(play), Arc::new(TestClock(AtomicI64::new(START))));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let now = clock.clone();
    let options = Options {
        tenant: TENANT.into(),
        client_id: CLIENT.into(),
        client_secret: SECRET.into(),
        redirect_uris: vec![REDIRECT.into()],
        people,
        now: Arc::new(move || now.now().0),
        script: play.clone(),
    };
    let idp = DevIdp::start(listener, options).await.unwrap();
    let provider = OidcProvider::new(settings(&idp, &clock), clock.clone()).unwrap();
    World { idp, play, clock, provider }
}

fn kind(idp: &DevIdp, face: Face) -> Kind {
    match face {
        Face::Entra => Kind::Entra(entra(idp)),
        Face::Oidc => Kind::Oidc { issuer: idp.issuer_oidc().parse().unwrap() },
    }
}

fn entra(idp: &DevIdp) -> Entra {
    entra_at(&idp.authority())
}

fn entra_at(authority: &str) -> Entra {
    let authority: Url = authority.parse().unwrap();
    let graph = Some(authority.clone());
    Entra { authority, tenants: Tenants::One(TENANT.into()), guests: false, graph }
}

fn settings(kind: Kind, secret: &str) -> Settings {
    Settings {
        kind,
        client_id: CLIENT.into(),
        proof: Proof::Secret(secret.into()),
        redirect_uri: REDIRECT.into(),
        scopes: vec!["email".into(), "openid".into()],
    }
}

fn request() -> SignInRequest {
    SignInRequest {
        state: "the state".into(),
        nonce: NONCE.into(),
        code_challenge: CodeChallenge::of(VERIFIER),
        login_hint: None,
        reauthenticate: false,
        max_age: None,
    }
}

impl World {
    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Goes to the provider as a browser would, and comes back with a code.
    async fn code(&self) -> SignInAnswer {
        let url = self.provider.sign_in_url(&request()).await.unwrap();
        let browser = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy();
        let answer = browser.build().unwrap().get(url).send().await.unwrap();
        let location = Url::parse(answer.headers()["location"].to_str().unwrap()).unwrap();
        assert!(location.as_str().starts_with(&format!("{REDIRECT}?")), "{location}");
        let back = |name: &str| location.query_pairs().find(|(key, _)| key == name).unwrap().1.into_owned();
        assert_eq!(back("state"), "the state");
        SignInAnswer { code: back("code").into(), code_verifier: VERIFIER.into(), nonce: NONCE.into() }
    }

    async fn sign_in(&self) -> Result<SignedIn, UpstreamError> {
        let code = self.code().await;
        self.provider.redeem(code, self.now()).await
    }

    /// The refresh token of an honest sign-in.
    async fn refresh_token(&self) -> SecretString {
        self.sign_in().await.unwrap().refresh_token.unwrap()
    }

    fn seen(&self, endpoint: Endpoint) -> Vec<Seen> {
        self.idp.requests().into_iter().filter(|seen| seen.endpoint == endpoint).collect()
    }

    fn count(&self, endpoint: Endpoint) -> usize {
        self.seen(endpoint).len()
    }
}
