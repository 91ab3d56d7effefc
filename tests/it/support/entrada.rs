//! A whole Entrada in this process: the real router, flows, embedded store and OpenID adapter, against
//! the scripted identity provider over real HTTP. Only the clock is moved.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use axum::body::Body;
use axum::http::HeaderMap;
use axum::http::Request;
use axum::http::StatusCode;
use entrada::adapters::audit::TracingAudit;
use entrada::adapters::embedded::EmbeddedStore;
use entrada::adapters::oidc::Entra;
use entrada::adapters::oidc::Kind;
use entrada::adapters::oidc::OidcProvider;
use entrada::adapters::oidc::Proof;
use entrada::adapters::oidc::Settings;
use entrada::adapters::oidc::Tenants;
use entrada::adapters::root_key_file::RootKeyFile;
use entrada::adapters::system::SystemEntropy;
use entrada::app;
use entrada::demo::idp::DevIdp;
use entrada::demo::idp::Endpoint;
use entrada::demo::idp::Options;
use entrada::demo::idp::Person;
use entrada::domain::allowed::Allowed;
use entrada::domain::allowed::Audience;
use entrada::domain::brand::Brand;
use entrada::domain::client::Client;
use entrada::domain::client::ConfiguredClient;
use entrada::domain::client::UpstreamApp;
use entrada::domain::event::Event;
use entrada::domain::event::EventName;
use entrada::domain::forwarding::Forwarding;
use entrada::domain::limits::Limits;
use entrada::domain::policy::Lifetimes;
use entrada::domain::policy::Policy;
use entrada::domain::policy::Registration;
use entrada::domain::resource::Claim;
use entrada::domain::resource::Resource;
use entrada::domain::resource::Resources;
use entrada::domain::signing::SigningAlg;
use entrada::domain::time::Timestamp;
use entrada::domain::tools::ImpliedScopes;
use entrada::domain::trust::Trust;
use entrada::flows::AuthServer;
use entrada::flows::Ports;
use entrada::ports::audit::Audit;
use entrada::ports::clock::Clock;
use entrada::ports::documents::ClientDocuments;
use entrada::ports::documents::Fetched;
use entrada::ports::documents::NotFetched;
use entrada::ports::documents::Validators;
use entrada::ports::root_key::RootKeyStore;
use entrada::ports::store::Store;
use entrada::protocol::issuer::Issuer;
use entrada::protocol::metadata::path;
use http_body_util::BodyExt;
use secrecy::SecretString;
use serde_json::Value;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tower::ServiceExt;
use tracing::subscriber::DefaultGuard;
use url::Url;

use crate::support::clock::MovedClock;
use crate::support::cosmos::HostedCosmos;
use crate::support::race::Course;
use crate::support::script::Scripted;
use crate::support::vault::HostedVault;
use crate::support::vigil::Log;
use crate::support::vigil::Vigil;

pub use entrada::demo::client::parameter;

pub const TENANT: &str = "11111111-2222-4333-8444-555555555555";
pub const ISSUER: &str = "https://mcp.example.com";
pub const UPSTREAM_SECRET: &str = "upstream-secret-0012345";
/// 2026-11-23T00:00:00Z. Any instant would do.
pub const START: Timestamp = Timestamp(1_795_392_000);

type Documents = Box<dyn Fn(Arc<dyn Clock>) -> Arc<dyn ClientDocuments>>;
/// Puts something between the flows and the store.
pub type Decorate = Box<dyn Fn(Arc<dyn Store>) -> Arc<dyn Store>>;

/// What a test wants different.
pub struct Setup {
    pub issuer: String,
    pub signing_alg: SigningAlg,
    pub lifetimes: Lifetimes,
    pub limits: Limits,
    pub trust: Trust,
    pub registration: Registration,
    /// Client ID Metadata Documents, and who fetches them.
    pub metadata_documents: bool,
    pub documents: Documents,
    pub clients: Vec<ConfiguredClient>,
    pub resources: Vec<Resource>,
    pub default_resource: Option<usize>,
    /// The plain OpenID Connect face of the identity provider in place of Entra's.
    pub oidc: bool,
    /// Whose people may sign in, of those that there are.
    pub tenants: Tenants,
    pub guests: bool,
    pub people: Vec<Person>,
    /// By which the identity provider knows us.
    pub upstream_secret: String,
    /// How long the identity provider may take.
    pub upstream_patience: Duration,
    pub sign_in_with: String,
    pub brand: Brand,
    /// What stands between the flows and the store.
    pub decorate: Decorate,
    /// The store in Cosmos DB in place of a file, and how long it may take.
    pub cosmos: Option<Duration>,
    /// The root key in a key vault in place of a file.
    pub vault: Option<Arc<HostedVault>>,
    /// Whether it is open at once: otherwise nothing has been stored.
    pub opens: bool,
}

impl Default for Setup {
    fn default() -> Self {
        let minutes = |n: u64| Duration::from_secs(60 * n);
        let days = |n: u64| minutes(60 * 24 * n);
        Self {
            issuer: ISSUER.to_owned(),
            // The fastest to make. RS256, the default of the program, has tests of its own.
            signing_alg: SigningAlg::ES256,
            lifetimes: Lifetimes {
                login: minutes(15),
                code: minutes(1),
                refresh_idle: days(30),
                refresh_max: days(90),
                grace: Duration::from_secs(90),
                recheck: minutes(5),
            },
            // Off: time stands still here, so that a limit would never be over.
            limits: Limits::default(),
            trust: Trust::default(),
            registration: Registration::default(),
            metadata_documents: true,
            documents: Box::new(|_| Arc::new(NoWeb)),
            clients: Vec::new(),
            resources: vec![resource(ISSUER, "/mcp", None)],
            default_resource: None,
            oidc: false,
            tenants: Tenants::One(TENANT.to_owned()),
            guests: false,
            people: Person::three(TENANT),
            upstream_secret: UPSTREAM_SECRET.to_owned(),
            upstream_patience: Duration::from_secs(10),
            sign_in_with: "Microsoft".to_owned(),
            brand: Brand::default(),
            decorate: Box::new(|store| store),
            cosmos: None,
            vault: None,
            opens: true,
        }
    }
}

/// A resource with two scopes.
pub fn resource(issuer: &str, path: &str, upstream: Option<Url>) -> Resource {
    Resource {
        path: path.to_owned(),
        identifier: format!("{issuer}{path}"),
        upstream,
        name: "Expenses".to_owned(),
        scopes: vec![
            ("mcp.read".to_owned(), "Read your expenses".to_owned()),
            ("mcp.write".to_owned(), "Add expenses".to_owned()),
        ],
        default_scopes: ["mcp.read", "mcp.write"].into_iter().collect(),
        implied: ImpliedScopes::default(),
        claims: vec![Claim::Name],
        access: Duration::from_secs(3_600),
        allowed: Allowed::default(),
        forwarding: Forwarding::default(),
    }
}

/// A machine without a way out.
struct NoWeb;

#[async_trait]
impl ClientDocuments for NoWeb {
    async fn fetch(&self, _: &Url, _: &Validators) -> Result<Fetched, NotFetched> {
        Err(NotFetched::Away("no way out"))
    }
}

/// Events, as they happened.
#[derive(Default)]
pub struct Events(Mutex<Vec<(EventName, Event)>>);

impl Audit for Events {
    fn record(&self, name: EventName, event: Event) {
        TracingAudit.record(name, event.clone());
        self.0.lock().unwrap().push((name, event));
    }
}

impl Events {
    pub fn count(&self, name: EventName) -> usize {
        self.0.lock().unwrap().iter().filter(|(happened, _)| *happened == name).count()
    }

    /// The last of a name.
    pub fn last(&self, name: EventName) -> Option<Event> {
        let events = self.0.lock().unwrap();
        events.iter().rfind(|(happened, _)| *happened == name).map(|(_, event)| event.clone())
    }

    pub fn all(&self, name: EventName) -> Vec<Event> {
        self.0.lock().unwrap().iter().filter(|(n, _)| *n == name).map(|(_, event)| event.clone()).collect()
    }

    pub fn reasons(&self, name: EventName) -> Vec<&'static str> {
        self.0
            .lock()
            .unwrap()
            .iter()
            .filter(|(n, _)| *n == name)
            .filter_map(|(_, event)| event.reason)
            .collect()
    }
}

/// An answer, read whole.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("not JSON: {self:?}"))
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(|value| value.to_str().unwrap()).unwrap_or_default()
    }

    /// The OAuth error code of a JSON answer.
    pub fn error(&self) -> String {
        self.json()["error"].as_str().unwrap_or_default().to_owned()
    }

    pub fn location(&self) -> Url {
        Url::parse(self.header("location")).unwrap_or_else(|_| panic!("no redirect: {self:?}"))
    }
}

/// One Entrada, and all that it stands on. Dropped, it asserts that no secret got out.
pub struct Entrada {
    pub clock: Arc<MovedClock>,
    pub idp: DevIdp,
    pub script: Arc<Scripted>,
    pub store: Arc<dyn Store>,
    pub auth: AuthServer,
    pub events: Arc<Events>,
    pub vigil: Vigil,
    pub log: Log,
    pub http: reqwest::Client,
    pub router: Router,
    cosmos: Option<HostedCosmos>,
    setup: Setup,
    dir: TempDir,
    _guard: DefaultGuard,
}

impl Entrada {
    pub async fn start() -> Self {
        Self::with(Setup::default()).await
    }

    pub async fn with(setup: Setup) -> Self {
        let log = Log::default();
        let guard = log.capture();
        let clock = MovedClock::at(START);
        let script = Scripted::new();
        let idp = idp(&setup, &clock, &script).await;
        let dir = TempDir::new().unwrap();
        let mut cosmos = None;
        let store: Arc<dyn Store> = match setup.cosmos {
            None => Arc::new(EmbeddedStore::open(dir.path(), clock.clone()).unwrap()),
            Some(patience) => {
                cosmos.insert(HostedCosmos::ready(clock.clone()).await).store_of(patience).await
            }
        };
        let store = (setup.decorate)(store);
        let events = Arc::new(Events::default());
        let root = root_key(&setup, dir.path().join("root.key"));
        let (auth, router) = assemble(&setup, root, &store, &idp, &clock, &events);
        if setup.opens {
            auth.keep_keys().await.unwrap();
        }
        let vigil = Vigil::default();
        vigil.never(UPSTREAM_SECRET);
        let key = std::fs::read_to_string(dir.path().join("root.key")).unwrap_or_default();
        key.lines().filter_map(|line| line.strip_prefix("1 ")).for_each(|key| vigil.never(key));
        let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        let _guard = guard;
        Self { clock, idp, script, store, auth, events, vigil, log, http, router, cosmos, setup, dir, _guard }
    }

    /// Another replica: the same store, root key and identity provider, its own memory.
    pub async fn replica(&self) -> Router {
        self.replica_with_auth().await.1
    }

    /// Another replica, with what its commands are given to.
    pub async fn replica_with_auth(&self) -> (AuthServer, Router) {
        let root = root_key(&self.setup, self.root_key());
        let (auth, router) = assemble(&self.setup, root, &self.store, &self.idp, &self.clock, &self.events);
        auth.keep_keys().await.unwrap();
        (auth, router)
    }

    /// Another replica, with a root key of its own, which is not open yet.
    pub fn replica_of(&self, root: impl RootKeyStore + 'static) -> (AuthServer, Router) {
        self.replica_between(Arc::clone(&self.store), root)
    }

    /// Another replica, with a way to the store and a root key of its own, which is not open yet.
    pub fn replica_between(
        &self,
        store: Arc<dyn Store>,
        root: impl RootKeyStore + 'static,
    ) -> (AuthServer, Router) {
        assemble(&self.setup, Arc::new(root), &store, &self.idp, &self.clock, &self.events)
    }

    /// Another replica, with a connection to the store of its own.
    pub async fn replica_on(&self, store: Arc<dyn Store>) -> Router {
        let root = root_key(&self.setup, self.root_key());
        let (auth, router) = assemble(&self.setup, root, &store, &self.idp, &self.clock, &self.events);
        auth.keep_keys().await.unwrap();
        router
    }

    /// Where the store is, when it is in Cosmos DB.
    pub fn cosmos(&self) -> &HostedCosmos {
        self.cosmos.as_ref().expect("the setup says so")
    }

    /// The same store and root key, under another policy.
    pub async fn again(mut self, setup: Setup) -> Self {
        self.setup = setup;
        (self.auth, self.router) = self.replica_with_auth().await;
        self
    }

    /// A replica that starts while the store answers, and finds it away afterwards.
    pub async fn replica_while_away(&self, course: &Course) -> Router {
        course.away(false);
        let router = self.replica().await;
        course.away(true);
        router
    }

    pub fn root_key(&self) -> PathBuf {
        self.dir.path().join("root.key")
    }

    pub fn store_file(&self) -> PathBuf {
        self.dir.path().join("entrada.redb")
    }

    pub fn advance(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    /// Sends a request to the router.
    pub async fn send(&self, request: Request<Body>) -> Answer {
        self.send_to(&self.router, request).await
    }

    /// Sends a request to a replica.
    pub async fn send_to(&self, router: &Router, request: Request<Body>) -> Answer {
        let endpoint = endpoint(request.uri().path());
        let response = router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = String::from_utf8_lossy(&body.collect().await.unwrap().to_bytes()).into_owned();
        let answer = Answer { status: parts.status, headers: parts.headers, body };
        self.idp.secrets().into_iter().for_each(|secret| self.vigil.never(secret));
        let head: String = answer
            .headers
            .iter()
            .map(|(n, v)| format!("{n}: {}\n", v.to_str().unwrap_or_default()))
            .collect();
        self.vigil.watch(endpoint, &head, &answer.body);
        assert!(answer.status.as_u16() != 500, "an internal error: {answer:?}");
        answer
    }

    pub async fn get(&self, target: &str) -> Answer {
        self.send(Request::get(target).body(Body::empty()).unwrap()).await
    }

    pub async fn post_json(&self, target: &str, body: &Value) -> Answer {
        let request = Request::post(target).header("content-type", "application/json");
        self.send(request.body(Body::from(body.to_string())).unwrap()).await
    }

    pub async fn post_form(&self, target: &str, form: &[(&str, &str)]) -> Answer {
        self.send(form_request(target, form)).await
    }

    /// How often the identity provider's token endpoint was asked to refresh.
    pub fn upstream_refreshes(&self) -> usize {
        let requests = self.idp.requests();
        requests
            .iter()
            .filter(|seen| {
                seen.endpoint == Endpoint::Token && seen.param("grant_type") == Some("refresh_token")
            })
            .count()
    }
}

impl Drop for Entrada {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let versions = self.setup.vault.iter().flat_map(|vault| vault.versions());
            let keys = versions.filter_map(|version| Some(version.value.split_once(' ')?.1.to_owned()));
            keys.for_each(|key| self.vigil.never(key));
            self.vigil.judge(&self.log.text(), &self.store_file());
        }
    }
}

/// A POST of a form.
pub fn form_request(target: &str, form: &[(&str, &str)]) -> Request<Body> {
    let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
    Request::post(target)
        .header("content-type", "application/x-www-form-urlencoded")
        .body(Body::from(body))
        .unwrap()
}

async fn idp(setup: &Setup, clock: &Arc<MovedClock>, script: &Arc<Scripted>) -> DevIdp {
    let clock = Arc::clone(clock);
    let issuer = &setup.issuer;
    let options = Options {
        tenant: TENANT.to_owned(),
        client_id: "99999999-8888-4777-8666-555555555555".to_owned(),
        client_secret: SecretString::from(UPSTREAM_SECRET),
        redirect_uris: vec![format!("{issuer}{}", path::CALLBACK)],
        people: setup.people.clone(),
        now: Arc::new(move || clock.now().0),
        script: script.clone(),
    };
    DevIdp::start(TcpListener::bind("127.0.0.1:0").await.unwrap(), options).await.unwrap()
}

fn root_key(setup: &Setup, file: PathBuf) -> Arc<dyn RootKeyStore> {
    match &setup.vault {
        Some(vault) => Arc::new(vault.root_key()),
        None => Arc::new(RootKeyFile::new(file)),
    }
}

fn assemble(
    setup: &Setup,
    root: Arc<dyn RootKeyStore>,
    store: &Arc<dyn Store>,
    idp: &DevIdp,
    clock: &Arc<MovedClock>,
    events: &Arc<Events>,
) -> (AuthServer, Router) {
    let issuer = Issuer::parse(&setup.issuer).unwrap();
    let kind = match setup.oidc {
        true => Kind::Oidc { issuer: Url::parse(&idp.issuer_oidc()).unwrap() },
        false => {
            let authority = Url::parse(&idp.authority()).unwrap();
            let graph = Some(authority.clone());
            let tenants = setup.tenants.clone();
            Kind::Entra(Entra { authority, tenants, guests: setup.guests, graph })
        }
    };
    let settings = Settings {
        kind,
        client_id: "99999999-8888-4777-8666-555555555555".to_owned(),
        proof: Proof::Secret(SecretString::from(setup.upstream_secret.clone())),
        redirect_uri: issuer.at(path::CALLBACK),
        scopes: vec!["api://entrada/mcp.access".to_owned()],
    };
    let entropy = Arc::new(SystemEntropy::default());
    let tenants = match &setup.tenants {
        _ if setup.oidc => Vec::new(),
        Tenants::One(tenant) => vec![tenant.clone()],
        Tenants::Several(tenants) => tenants.clone(),
    };
    let policy = Policy {
        issuer,
        hosts: Vec::new(),
        signing_alg: setup.signing_alg,
        lifetimes: setup.lifetimes.clone(),
        limits: setup.limits.clone(),
        trust: setup.trust.clone(),
        registration: setup.registration.clone(),
        metadata_documents: setup.metadata_documents,
        clients: setup.clients.iter().cloned().map(|client| Client::configured(client).unwrap()).collect(),
        resources: Resources::new(setup.resources.clone(), setup.default_resource),
        upstream: UpstreamApp { tenant: TENANT.to_owned(), client_id: settings.client_id.clone() },
        audience: Audience { tenants, guests: setup.oidc || setup.guests },
        sign_in_with: setup.sign_in_with.clone(),
        brand: setup.brand.clone(),
    };
    let provider = OidcProvider::with_timeout(settings, clock.clone(), setup.upstream_patience).unwrap();
    let ports = Ports {
        store: Arc::clone(store),
        root,
        idp: Arc::new(provider),
        documents: (setup.documents)(clock.clone()),
        clock: clock.clone(),
        entropy,
        audit: events.clone(),
    };
    let auth = AuthServer::new(ports, policy);
    let upstreams = app::upstreams::upstreams(&auth.policy().resources).unwrap();
    let router = app::router(&auth, &upstreams);
    (auth, router)
}

/// The endpoint of a path, as the one that may issue a secret.
pub fn endpoint(path: &str) -> &'static str {
    let known = [path::AUTHORIZE, path::CONSENT, path::CALLBACK, path::TOKEN, path::REGISTER, path::REVOKE];
    known.into_iter().find(|known| *known == path).unwrap_or("elsewhere")
}
