//! The development identity provider: an OpenID provider over real HTTP on loopback, driven by a script.
//!
//! One server has two faces. Under `/{tenant}` it behaves as Microsoft Entra ID does, errors included;
//! under `/oidc` it is a plain OpenID provider that rotates refresh tokens. It imports nothing from the
//! rest of the crate, so that Entrada is tested against an independent reading of the specifications.
//!
//! It asks for no password. That is why it listens on loopback only, and says on its page what it is.
//! Where it is stricter than Entra, it is so on purpose: a request parameter that it does not know is
//! refused, which shows that nothing a stranger sent was copied upstream.

mod assertion;
mod authorize;
mod client;
mod face;
mod fault;
mod form;
mod graph;
mod keys;
mod memory;
mod page;
mod person;
mod script;
mod serve;
mod sign_in;
#[cfg(test)]
mod tests;
mod token;

use std::io;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;

use axum::Router;
use secrecy::SecretString;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use assertion::Credentials;
use face::Site;
use memory::Memory;

pub use assertion::FederatedCredential;
pub use person::Person;
pub use script::Endpoint;
pub use script::GrantKind;
pub use script::IdToken;
pub use script::NoScript;
pub use script::Reply;
pub use script::Script;
pub use script::Seen;
pub use script::Signature;

/// What an instance is made of. It has one client, on both faces.
pub struct Options {
    /// The GUID of the tenant that the Entra face answers for; `organizations` and `common` work too.
    pub tenant: String,
    /// The one client.
    pub client_id: String,
    /// Its secret, at first. Beside it, it may have certificates and federated credentials, which are added later.
    pub client_secret: SecretString,
    /// The redirect URIs of the client, compared exactly.
    pub redirect_uris: Vec<String>,
    /// Who can sign in. [`Person::three`] makes three.
    pub people: Vec<Person>,
    /// The clock: seconds since the Unix epoch.
    pub now: Arc<dyn Fn() -> i64 + Send + Sync>,
    /// How this instance departs from honest behaviour.
    pub script: Arc<dyn Script>,
}

/// A running identity provider. It stops when dropped.
pub struct DevIdp {
    idp: Arc<Idp>,
    stop: oneshot::Sender<()>,
    server: JoinHandle<()>,
}

impl DevIdp {
    /// Serves on `listener`.
    ///
    /// # Errors
    /// When the listener has no address or the address is not a loopback address: whoever reaches this
    /// server can sign in as anyone.
    pub async fn start(listener: TcpListener, options: Options) -> io::Result<Self> {
        let address = listener.local_addr()?;
        if !address.ip().is_loopback() {
            let reason = "the development identity provider listens on loopback addresses only";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, reason));
        }
        tokio::task::spawn_blocking(keys::prepare).await.map_err(io::Error::other)?;

        let authority = format!("http://{address}");
        let idp = Arc::new(Idp {
            authority,
            client_secret: Mutex::new(options.client_secret.clone()),
            options,
            credentials: Credentials::default(),
            memory: Memory::default(),
        });
        let (stop, stopped) = oneshot::channel::<()>();
        let routes = Router::new().fallback(serve::serve).with_state(idp.clone());
        let server = tokio::spawn(async move {
            let stopped = async move {
                // An error means that the sender was dropped, which stops the server as well.
                stopped.await.ok();
            };
            axum::serve(listener, routes).with_graceful_shutdown(stopped).await.ok();
        });
        Ok(Self { idp, stop, server })
    }

    /// The origin: `http://127.0.0.1:PORT`.
    pub fn authority(&self) -> String {
        self.idp.authority.clone()
    }

    /// The issuer of the Entra face for the tenant of [`Options`].
    pub fn issuer_entra(&self) -> String {
        Site::entra(&self.idp.authority, &self.idp.options.tenant).issuer()
    }

    /// The issuer of the plain OpenID Connect face.
    pub fn issuer_oidc(&self) -> String {
        Site::oidc(&self.idp.authority).issuer()
    }

    /// Every request so far, oldest first, whatever the answer was. The last 2,000 are kept.
    pub fn requests(&self) -> Vec<Seen> {
        self.idp.memory.seen()
    }

    /// Every code, refresh token, access token and ID token issued so far: what must appear in no log
    /// and no store. The last 2,000 are kept.
    pub fn secrets(&self) -> Vec<String> {
        self.idp.memory.secrets()
    }

    /// Signs with a key of a new `kid` from now on, and publishes only that one.
    pub fn roll_key(&self) {
        self.idp.memory.roll_key();
    }

    /// Knows the client by another secret from now on.
    pub fn replace_client_secret(&self, secret: SecretString) {
        *self.idp.client_secret.lock().unwrap_or_else(PoisonError::into_inner) = secret;
    }

    /// Knows the client by a certificate as well, given in DER, from now on.
    pub fn add_certificate(&self, der: Vec<u8>) {
        self.idp.credentials.add_certificate(der);
    }

    /// Takes tokens of another issuer for the client as well, from now on.
    pub fn add_federated_credential(&self, credential: FederatedCredential) {
        self.idp.credentials.add_federated(credential);
    }

    /// A token of another issuer, which a client with this federated credential shows.
    pub fn token_of(&self, credential: &FederatedCredential) -> String {
        let token = credential.token(self.idp.now());
        self.idp.memory.issued(&token);
        token
    }

    /// An administrator consents that the client reads the groups of people, at Microsoft Graph, which is at the same
    /// authority here.
    pub fn consent_to_graph(&self) {
        self.idp.memory.consent_to_graph();
    }

    /// Stops, and returns when the listener is closed and the last answer is sent.
    pub async fn stop(self) {
        drop(self.stop);
        // An error means that the server task is gone already.
        self.server.await.ok();
    }
}

/// What every handler sees.
struct Idp {
    authority: String,
    options: Options,
    client_secret: Mutex<SecretString>,
    credentials: Credentials,
    memory: Memory,
}

impl Idp {
    fn now(&self) -> i64 {
        (self.options.now)()
    }

    /// The tenants there are: the configured one and those of the people.
    fn has_tenant(&self, tenant: &str) -> bool {
        tenant == self.options.tenant || self.options.people.iter().any(|person| person.tid == tenant)
    }
}
