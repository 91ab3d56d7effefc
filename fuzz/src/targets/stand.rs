//! An authorization server that is the same in every process: fixed keys, four clients, three grants.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use entrada::domain::access_token::Minted;
use entrada::domain::access_token::UnverifiedClaims;
use entrada::domain::allowed::Allowed;
use entrada::domain::allowed::Audience;
use entrada::domain::brand::Brand;
use entrada::domain::client::Client;
use entrada::domain::client::ConfiguredClient;
use entrada::domain::client::UpstreamApp;
use entrada::domain::document::Document;
use entrada::domain::document::WriteId;
use entrada::domain::forwarding::Forwarding;
use entrada::domain::grant::Grant;
use entrada::domain::grant::GrantBody;
use entrada::domain::grant::GrantId;
use entrada::domain::grant::Phase;
use entrada::domain::grant::UpstreamToken;
use entrada::domain::keys::Generation;
use entrada::domain::keys::KeyRing;
use entrada::domain::keys::RootKey;
use entrada::domain::limits::Limits;
use entrada::domain::person::Person;
use entrada::domain::person::Subject;
use entrada::domain::policy::Lifetimes;
use entrada::domain::policy::Policy;
use entrada::domain::policy::Registration;
use entrada::domain::reference::Kind;
use entrada::domain::reference::Reference;
use entrada::domain::resource::Resource;
use entrada::domain::resource::Resources;
use entrada::domain::root_check::RootCheck;
use entrada::domain::signing::SigningAlg;
use entrada::domain::signing::SigningKeyRecord;
use entrada::domain::signing_keys::StoredSigningKeys;
use entrada::domain::tools::ImpliedScopes;
use entrada::domain::trust::Trust;
use entrada::flows::AuthServer;
use entrada::flows::Ports;
use entrada::protocol::client_auth::AuthMethod;
use entrada::protocol::issuer::Issuer;
use entrada::protocol::pkce::CodeChallenge;
use entrada::protocol::redirect_uri::RedirectUri;
use entrada::protocol::registration::ClientMetadata;
use entrada::protocol::scope::Scopes;
use secrecy::SecretBox;
use serde_json::json;
use tokio::runtime::Builder;
use tokio::runtime::Runtime;
use url::Url;

use super::outside::EmptyWeb;
use super::outside::FrozenStore;
use super::outside::NOW;
use super::outside::NeverAsked;
use super::outside::NoEntropy;
use super::outside::OneRootKey;
use super::outside::StoppedClock;
use super::outside::Unheard;

pub const ISSUER: &str = "https://mcp.example.com";
pub const TENANT: &str = "11111111-2222-4333-8444-555555555555";
/// Of the grant whose code is out.
pub const VERIFIER: &str = "verifier-verifier-verifier-verifier-verifier-01";

/// Its code challenge.
pub const VERIFIER_HASH: &str = "GKGU7p9NJbU4DLjdg6ZcumkGyqVpBYPIRWmQpuBuz-A";

/// The example key of RFC 7515 appendix A.3, which everybody has, as PKCS #8. For tests alone.
pub const SIGNING_KEY: &str = "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgjpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LKhRANCAAR_zc4ncPbEXUGDy-5v20t7WAczNXvp7xO6z248e9FURcfxRM0bvZt-hyzf7bnuufSzaV1uqQskrYpGIyiFiOWt";

/// A client, what inputs call it, and its secret.
pub struct Known {
    pub name: &'static str,
    pub client: Client,
    pub secret: Option<String>,
}

/// The credentials that are out.
pub struct Issued {
    /// Of `public`, not redeemed.
    pub code: String,
    /// Of `public`, current.
    pub refresh: String,
    /// Of `web`, current, and the one before.
    pub web_refresh: String,
    pub web_refresh_before: String,
    /// Of the grant of `web`.
    pub access: String,
}

impl Issued {
    /// Whether this text was issued as such.
    pub fn is(&self, kind: Kind, text: &str) -> bool {
        match kind {
            Kind::Code => text == self.code,
            Kind::RefreshToken => {
                [&self.refresh, &self.web_refresh, &self.web_refresh_before].contains(&&text.to_owned())
            }
        }
    }
}

pub struct Stand {
    pub runtime: Runtime,
    pub auth: AuthServer,
    pub keys: KeyRing,
    pub store: Arc<FrozenStore>,
    pub clients: Vec<Known>,
    pub grants: Vec<Grant>,
    pub issued: Issued,
}

impl Stand {
    pub fn new() -> Self {
        Self::before(None)
    }

    /// The same, with an upstream behind the resource at `/mcp`.
    pub fn before(upstream: Option<Url>) -> Self {
        let keys = keys();
        let clients = clients(&keys);
        let grants = grants(&clients);
        let nonce = [7; 12];
        let mut documents: Vec<Document> =
            grants.iter().map(|grant| grant.to_document(&keys, WriteId([7; 16]), nonce)).collect();
        documents.push(root_check().to_document(WriteId([7; 16])));
        documents.push(signing_keys().to_document(&keys, WriteId([7; 16]), nonce));
        let store = Arc::new(FrozenStore::of(documents));
        let ports = Ports {
            store: store.clone(),
            root: Arc::new(OneRootKey),
            idp: Arc::new(NeverAsked),
            documents: Arc::new(EmptyWeb),
            clock: Arc::new(StoppedClock),
            entropy: Arc::new(NoEntropy),
            audit: Arc::new(Unheard),
        };
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let auth = runtime.block_on(AuthServer::open(ports, policy(&clients, upstream))).unwrap();
        let issued = issued(&keys, &auth, &grants);
        store.asked();
        Self { runtime, auth, keys, store, clients, grants, issued }
    }

    /// The client that inputs call so.
    pub fn client(&self, name: &str) -> &Known {
        self.clients.iter().find(|known| known.name == name).unwrap()
    }

    /// An input with `{public}` and the like replaced by what was issued: the fuzzer need not carry it along, changes
    /// what is around it, and a seed outlives a change of its format.
    pub fn filled(&self, data: &[u8]) -> Vec<u8> {
        filled(data, |name| self.named(name).map(str::as_bytes))
    }

    fn named(&self, name: &str) -> Option<&str> {
        let Issued { code, refresh, web_refresh, web_refresh_before, access } = &self.issued;
        match name {
            "code" => Some(code),
            "refresh" => Some(refresh),
            "web-refresh" => Some(web_refresh),
            "web-refresh-before" => Some(web_refresh_before),
            "access" => Some(access),
            "web-secret" => self.client("web").secret.as_deref(),
            _ => self.clients.iter().find(|known| known.name == name).map(|known| known.client.id.as_str()),
        }
    }
}

/// An input with each name in braces, of those that are known, replaced by what it stands for.
pub fn filled<'a>(data: &[u8], named: impl Fn(&str) -> Option<&'a [u8]>) -> Vec<u8> {
    let mut filled = Vec::with_capacity(data.len());
    let mut rest = data;
    while let Some(open) = rest.iter().position(|byte| *byte == b'{') {
        filled.extend_from_slice(&rest[..open]);
        rest = &rest[open + 1..];
        let end = rest.iter().position(|byte| *byte == b'}');
        let known = end.and_then(|end| Some((end, named(str::from_utf8(&rest[..end]).ok()?)?)));
        if let Some((end, value)) = known {
            filled.extend_from_slice(value);
            rest = &rest[end + 1..];
        } else {
            filled.push(b'{');
        }
    }
    filled.extend_from_slice(rest);
    filled
}

/// `Basic id:secret` as it is sent, for inputs that leave the encoding to us.
pub fn encoded_basic(header: &str) -> String {
    match header.split_once(' ') {
        Some((scheme, pair)) if pair.contains(':') => format!("{scheme} {}", STANDARD.encode(pair)),
        _ => header.to_owned(),
    }
}

fn root() -> RootKey {
    RootKey { generation: Generation(1), bytes: SecretBox::new(Box::new([7; 32])) }
}

fn keys() -> KeyRing {
    KeyRing::derive(&Issuer::parse(ISSUER).unwrap(), &[root()], Generation(1)).unwrap()
}

fn root_check() -> RootCheck {
    RootCheck::new(&Issuer::parse(ISSUER).unwrap(), &[root()], NOW)
}

fn signing_keys() -> StoredSigningKeys {
    let record = SigningKeyRecord { alg: SigningAlg::ES256, pkcs8: SIGNING_KEY.to_owned() };
    StoredSigningKeys::only(record, Duration::from_secs(60 * 60), NOW)
}

/// `public` runs on a person's machine, `web` is a known vendor's and has a secret, nobody trusts the host of
/// `stranger`, and the operator wrote `configured` down.
fn clients(keys: &KeyRing) -> Vec<Known> {
    let registered = |name, body: serde_json::Value, method| {
        let metadata = ClientMetadata::read(&body, &AuthMethod::REGISTRABLE, |_| true).unwrap();
        let client = Client::register(keys, &metadata, method, [7; 16]).unwrap();
        let secret = client.secret(keys);
        Known { name, client, secret }
    };
    let secret = "configured-secret";
    let configured = ConfiguredClient {
        id: "expenses-cli".to_owned(),
        name: "Expenses on the command line".to_owned(),
        redirect_uris: ["https://tools.example.com/cb?tenant=a", "http://localhost/cb"]
            .map(|uri| RedirectUri::parse(uri).unwrap())
            .to_vec(),
        scopes: Scopes::parse("mcp.read"),
        secret_sha256: Some(sha256(secret)),
        jwks: None,
    };
    vec![
        registered(
            "public",
            json!({ "client_name": "Inspector", "redirect_uris": ["http://127.0.0.1:6274/oauth/callback"] }),
            AuthMethod::None,
        ),
        registered(
            "web",
            json!({ "client_name": "Claude", "redirect_uris": ["https://claude.ai/api/mcp/auth_callback"], "scope": "mcp.read" }),
            AuthMethod::ClientSecretPost,
        ),
        registered(
            "stranger",
            json!({ "client_name": "Notes", "redirect_uris": ["https://client.example.net/cb"] }),
            AuthMethod::None,
        ),
        Known {
            name: "configured",
            client: Client::configured(configured).unwrap(),
            secret: Some(secret.to_owned()),
        },
    ]
}

/// SHA-256, by way of a code challenge, which is one.
fn sha256(text: &str) -> [u8; 32] {
    let encoded = CodeChallenge::of(text).encode();
    base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(encoded).unwrap().try_into().unwrap()
}

/// `public` has a code out and a refresh token; `web` has refreshed once.
fn grants(clients: &[Known]) -> Vec<Grant> {
    let grant = |name: &str, redirect: &str, id, phase| {
        let client = &clients.iter().find(|known| known.name == name).unwrap().client;
        let person = Person {
            subject: Subject::Entra {
                tid: TENANT.to_owned(),
                oid: "99999999-8888-4777-8666-555555555555".to_owned(),
            },
            name: Some("Ada".to_owned()),
            preferred_username: Some("ada@example.com".to_owned()),
            roles: Vec::new(),
            groups: Some(Vec::new()),
            guest: None,
            auth_time: None,
        };
        let body = GrantBody {
            client_id: client.id.clone(),
            client_name: client.name.clone(),
            auth_method: client.auth_method,
            assertions: Vec::new(),
            redirect_uri: RedirectUri::parse(redirect).unwrap(),
            code_challenge: CodeChallenge::of(VERIFIER),
            resource: format!("{ISSUER}/mcp"),
            scopes: Scopes::parse("mcp.read mcp.write"),
            person,
            generation: Generation(1),
            created_at: NOW,
            redeemed_at: None,
            swapped_at: NOW,
            upstream: Some(UpstreamToken("upstream".into())),
            vouched_at: NOW,
            lease: None,
        };
        let user = body.person.subject.user_key();
        Grant { id: GrantId([id; 16]), user, phase, expires_at: NOW.plus(Duration::from_secs(900)), body }
    };
    let (loopback, web) = ("http://127.0.0.1:6274/oauth/callback", "https://claude.ai/api/mcp/auth_callback");
    vec![
        grant("public", loopback, 1, Phase::Pending),
        grant("public", loopback, 2, Phase::Active(0)),
        grant("web", web, 3, Phase::Active(1)),
    ]
}

fn issued(keys: &KeyRing, auth: &AuthServer, grants: &[Grant]) -> Issued {
    let reference = |grant: &Grant, kind, n| {
        let reference = Reference { user: grant.user, grant: grant.id, n, generation: Generation(1) };
        reference.issue(keys, kind).unwrap()
    };
    Issued {
        code: reference(&grants[0], Kind::Code, 0),
        refresh: reference(&grants[1], Kind::RefreshToken, 0),
        web_refresh: reference(&grants[2], Kind::RefreshToken, 1),
        web_refresh_before: reference(&grants[2], Kind::RefreshToken, 0),
        access: auth.signing_keys().active(NOW).sign(&claims(&grants[2])).unwrap(),
    }
}

/// What an access token of a grant says.
pub fn claims(grant: &Grant) -> UnverifiedClaims {
    let minted = Minted {
        iss: ISSUER,
        aud: &grant.body.resource,
        iat: NOW,
        exp: NOW.plus(Duration::from_secs(3_600)),
        jti: "0".to_owned(),
        scopes: &grant.body.scopes,
        claims: &[],
    };
    UnverifiedClaims::of(grant, minted)
}

fn policy(clients: &[Known], upstream: Option<Url>) -> Policy {
    let minutes = |n: u64| Duration::from_secs(60 * n);
    let resource = |path: &str, scopes: &[&str], upstream| Resource {
        path: path.to_owned(),
        identifier: format!("{ISSUER}{path}"),
        upstream,
        name: path.to_owned(),
        scopes: scopes.iter().map(|scope| ((*scope).to_owned(), format!("What {scope} is"))).collect(),
        default_scopes: scopes.iter().copied().collect(),
        implied: ImpliedScopes::default(),
        claims: Vec::new(),
        access: minutes(60),
        allowed: Allowed { keys: true, ..Allowed::default() },
        forwarding: Forwarding::default(),
    };
    let resources = vec![
        resource("/mcp", &["mcp.read", "mcp.write"], upstream),
        resource("/notes", &["notes.read"], None),
    ];
    Policy {
        issuer: Issuer::parse(ISSUER).unwrap(),
        hosts: Vec::new(),
        signing_alg: SigningAlg::ES256,
        lifetimes: Lifetimes {
            login: minutes(15),
            code: minutes(1),
            refresh_idle: minutes(30 * 24 * 60),
            refresh_max: minutes(90 * 24 * 60),
            grace: Duration::from_secs(90),
            recheck: minutes(5),
        },
        limits: Limits::default(),
        trust: Trust::default(),
        registration: Registration::default(),
        metadata_documents: true,
        clients: clients
            .iter()
            .filter(|known| known.client.is_configured())
            .map(|k| k.client.clone())
            .collect(),
        resources: Resources::new(resources, Some(0)),
        upstream: UpstreamApp { tenant: TENANT.to_owned(), client_id: "entrada".to_owned() },
        audience: Audience { tenants: vec![TENANT.to_owned()], guests: false },
        sign_in_with: "Microsoft".to_owned(),
        brand: Brand::default(),
    }
}
