//! A server to measure, on the embedded store and with an identity provider that answers at once, and a sign-in that
//! needs no browser.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_trait::async_trait;
use entrada::adapters::embedded::EmbeddedStore;
use entrada::adapters::root_key_file::RootKeyFile;
use entrada::adapters::system::SystemEntropy;
use entrada::domain::allowed::Allowed;
use entrada::domain::allowed::Audience;
use entrada::domain::brand::Brand;
use entrada::domain::client::UpstreamApp;
use entrada::domain::event::Event;
use entrada::domain::event::EventName;
use entrada::domain::forwarding::Forwarding;
use entrada::domain::limits::Limits;
use entrada::domain::login::Browser;
use entrada::domain::login::EndedLogins;
use entrada::domain::person::Person;
use entrada::domain::person::Subject;
use entrada::domain::policy::Lifetimes;
use entrada::domain::policy::Policy;
use entrada::domain::policy::Registration;
use entrada::domain::resource::Resource;
use entrada::domain::resource::Resources;
use entrada::domain::signing::SigningAlg;
use entrada::domain::time::Timestamp;
use entrada::domain::tools::ImpliedScopes;
use entrada::domain::trust::Trust;
use entrada::flows::AuthServer;
use entrada::flows::Ports;
use entrada::flows::callback::Held;
use entrada::flows::consent::Decided;
use entrada::flows::consent::Submitted;
use entrada::ports::audit::Audit;
use entrada::ports::clock::Clock;
use entrada::ports::documents::ClientDocuments;
use entrada::ports::documents::Fetched;
use entrada::ports::documents::NotFetched;
use entrada::ports::documents::Validators;
use entrada::ports::idp::IdentityProvider;
use entrada::ports::idp::Refreshed;
use entrada::ports::idp::SignInAnswer;
use entrada::ports::idp::SignInRequest;
use entrada::ports::idp::SignedIn;
use entrada::ports::idp::UpstreamError;
use entrada::ports::idp::UpstreamReason;
use entrada::ports::store::Store;
use entrada::protocol::issuer::Issuer;
use entrada::protocol::parameters::Parameters;
use entrada::protocol::pkce::CodeChallenge;
use secrecy::SecretString;
use serde_json::Value;
use serde_json::json;
use tempfile::TempDir;
use url::Url;
use url::form_urlencoded::Serializer;

const TENANT: &str = "11111111-2222-4333-8444-555555555555";
const REDIRECT_URI: &str = "http://127.0.0.1:33418/callback";
const VERIFIER: &str = "verifier-verifier-verifier-verifier-verifier-01";
const COOKIE: &str = "browser-browser-browser-browser-browser-01";

/// No client here has a document.
struct Unneeded;

#[async_trait]
impl ClientDocuments for Unneeded {
    async fn fetch(&self, _: &Url, _: &Validators) -> Result<Fetched, NotFetched> {
        Err(NotFetched::Missing)
    }
}

struct Unheard;

impl Audit for Unheard {
    fn record(&self, _: EventName, _: Event) {}
}

/// Vouches at once, for another person each time.
#[derive(Default)]
struct Obliging(AtomicU64);

#[async_trait]
impl IdentityProvider for Obliging {
    fn rotates(&self) -> bool {
        false
    }

    async fn sign_in_url(&self, request: &SignInRequest) -> Result<Url, UpstreamError> {
        let state = [("state", &request.state)];
        Ok(Url::parse_with_params("https://login.example/authorize", state).unwrap())
    }

    fn explain(&self, _: &str, _: &str) -> UpstreamError {
        UpstreamError::Declined(UpstreamReason::default())
    }

    async fn redeem(&self, _: SignInAnswer, _: Timestamp) -> Result<SignedIn, UpstreamError> {
        let oid = format!("{:032x}", self.0.fetch_add(1, Ordering::Relaxed));
        let person = Person {
            subject: Subject::Entra { tid: TENANT.to_owned(), oid },
            name: Some("Ada".to_owned()),
            preferred_username: Some("ada@example.com".to_owned()),
            roles: Vec::new(),
            groups: Some(Vec::new()),
            guest: None,
            auth_time: None,
        };
        // About as long as Entra's.
        Ok(SignedIn { person, refresh_token: Some(SecretString::from("r".repeat(1_200))) })
    }

    async fn refresh(&self, _: &SecretString, _: Timestamp) -> Result<Refreshed, UpstreamError> {
        Ok(Refreshed { person: Ok(None), refresh_token: None })
    }

    async fn groups(&self, _: &SecretString) -> Result<Vec<String>, UpstreamError> {
        Ok(Vec::new())
    }
}

/// A server on an embedded store, and a client that is registered with it.
pub struct Server {
    pub auth: AuthServer,
    client_id: String,
    _data_dir: TempDir,
}

impl Server {
    /// Nobody has signed in yet.
    pub async fn open(policy: Policy, clock: Arc<dyn Clock>) -> Self {
        let data_dir = TempDir::new().unwrap();
        let store: Arc<dyn Store> = Arc::new(EmbeddedStore::open(data_dir.path(), clock.clone()).unwrap());
        let entropy = Arc::new(SystemEntropy::new());
        let root = Arc::new(RootKeyFile::new(data_dir.path().join("root.key")));
        let ports = Ports {
            store,
            root,
            idp: Arc::new(Obliging::default()),
            documents: Arc::new(Unneeded),
            clock,
            entropy,
            audit: Arc::new(Unheard),
        };
        let auth = AuthServer::open(ports, policy).await.unwrap();
        let client_id = auth.register(&metadata()).ok().unwrap().client_id;
        Self { auth, client_id, _data_dir: data_dir }
    }

    /// The form that redeems the code of a new sign-in.
    pub async fn redemption(&self) -> Parameters {
        let challenge = CodeChallenge::of(VERIFIER).encode();
        let request = parameters(&[
            ("response_type", "code"),
            ("client_id", &self.client_id),
            ("redirect_uri", REDIRECT_URI),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
        ]);
        let login = self.auth.begin(&request, Browser::of(COOKIE)).await.ok().unwrap().login.to_text();
        let form = Submitted {
            login: &login,
            decision: Some("approve"),
            browser: COOKIE,
            asked_again: false,
            approved: Vec::new(),
            ended: EndedLogins::default(),
            cross_site: false,
        };
        let Ok(Decided::Approved { sign_in, login, .. }) = self.auth.consent(form).await else {
            unreachable!()
        };
        let held =
            Held { browser: Some(COOKIE), approved: Some(&login.to_text()), ended: EndedLogins::default() };
        let (_, state) = sign_in.query_pairs().find(|(name, _)| name == "state").unwrap();
        let answer = parameters(&[("code", "upstream"), ("state", &state)]);
        let back = Url::parse(&self.auth.callback(&answer, held).await.unwrap()).unwrap();
        let (_, code) = back.query_pairs().find(|(name, _)| name == "code").unwrap();
        parameters(&[
            ("grant_type", "authorization_code"),
            ("client_id", &self.client_id),
            ("redirect_uri", REDIRECT_URI),
            ("code_verifier", VERIFIER),
            ("code", &code),
        ])
    }

    /// The access token for such a form.
    pub async fn redeem(&self, form: &Parameters) -> String {
        self.auth.token(None, form).await.ok().unwrap().access_token
    }

    /// What it protects.
    pub fn resource(&self) -> &Resource {
        self.auth.policy().resources.default().unwrap()
    }
}

fn parameters(pairs: &[(&str, &str)]) -> Parameters {
    Parameters::parse(Serializer::new(String::new()).extend_pairs(pairs).finish().as_bytes())
}

/// What the client registers with.
pub fn metadata() -> Value {
    json!({ "client_name": "Bench", "redirect_uris": [REDIRECT_URI], "token_endpoint_auth_method": "none" })
}

/// A resource without an upstream.
pub fn resource(issuer: &str) -> Resource {
    Resource {
        path: "/mcp".to_owned(),
        identifier: format!("{issuer}/mcp"),
        upstream: None,
        name: "Expenses".to_owned(),
        scopes: vec![("mcp.read".to_owned(), "Read your expenses".to_owned())],
        default_scopes: ["mcp.read"].into_iter().collect(),
        implied: ImpliedScopes::default(),
        claims: Vec::new(),
        access: minutes(60),
        allowed: Allowed::default(),
        forwarding: Forwarding::default(),
    }
}

/// The defaults.
pub fn policy(issuer: &str, signing_alg: SigningAlg, resource: Resource) -> Policy {
    Policy {
        signing_alg,
        issuer: Issuer::parse(issuer).unwrap(),
        hosts: Vec::new(),
        lifetimes: Lifetimes {
            login: minutes(15),
            code: minutes(1),
            refresh_idle: minutes(30 * 24 * 60),
            refresh_max: minutes(90 * 24 * 60),
            grace: Duration::from_secs(90),
            recheck: minutes(5),
        },
        metadata_documents: false,
        registration: Registration::default(),
        clients: Vec::new(),
        limits: Limits::default(),
        trust: Trust::default(),
        resources: Resources::new(vec![resource], None),
        upstream: UpstreamApp { tenant: TENANT.to_owned(), client_id: "entrada".to_owned() },
        audience: Audience { tenants: vec![TENANT.to_owned()], guests: false },
        sign_in_with: "Microsoft".to_owned(),
        brand: Brand::default(),
    }
}

fn minutes(n: u64) -> Duration {
    Duration::from_secs(60 * n)
}
