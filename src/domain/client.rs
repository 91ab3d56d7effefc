//! Clients: those that carry their own registration, those that publish a document of themselves, and those that the
//! operator wrote into the configuration.
//!
//! A client that registers itself gets a `client_id` that describes and authenticates itself. Nobody has to
//! remember it, so that registering costs nothing, and a client survives a restart, a new replica and an empty
//! store.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::constant_time;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde::Serialize;
use serde_json::Value;
use sha2::Digest;
use sha2::Sha256;
use url::Url;

use crate::domain::client_keys::BadKeys;
use crate::domain::client_keys::ClientKeys;
use crate::domain::keys::Generation;
use crate::domain::keys::KeyRing;
use crate::domain::keys::NotAuthentic;
use crate::domain::keys::Purpose;
use crate::domain::keys::TAG_LEN;
use crate::protocol::client_auth::AuthMethod;
use crate::protocol::client_document::ClientDocument;
use crate::protocol::client_document::Keys;
use crate::protocol::client_id_url::ClientIdUrl;
use crate::protocol::redirect_uri::RedirectUri;
use crate::protocol::registration::ClientMetadata;
use crate::protocol::scope::Scopes;

/// Longer ids are neither made nor read: they travel in URLs and cookies.
pub const MAX_ID_LENGTH: usize = 1_024;

/// What the ids of clients that registered themselves begin with.
pub const REGISTERED_ID_PREFIX: &str = "edc_";
const SECRET_PREFIX: &str = "edcs_";
const VERSION: u8 = 1;

/// A client identifier. Not a secret.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ClientId(String);

impl ClientId {
    /// An id that somebody names, known or not.
    #[must_use]
    pub fn named(text: String) -> Self {
        Self(text)
    }

    /// The id as it stands in requests.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The host of the metadata document, where the id is the address of one.
    #[must_use]
    pub fn document_host(&self) -> Option<String> {
        let url = Url::parse(&self.0).ok().filter(|url| url.scheme() == "https")?;
        url.host_str().map(str::to_owned)
    }

    /// Whether a text has the form of [`ClientId::digest`]: 12 bytes in base64url.
    #[must_use]
    pub fn is_digest(text: &str) -> bool {
        text.len() == 16 && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
    }

    /// A short hash: how logs, metrics and the store name a client.
    #[must_use]
    pub fn digest(&self) -> String {
        let digest: [u8; 32] = Sha256::digest(format!("entrada/1/client/{}", self.0)).into();
        URL_SAFE_NO_PAD.encode(&digest[..12])
    }
}

impl fmt::Display for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A client that is known: its id was authenticated, found in the configuration, or is the address of its document.
#[derive(Clone, Debug)]
pub struct Client {
    pub id: ClientId,
    /// What it is called; [`Client::voucher`] tells by whom.
    pub name: String,
    pub redirect_uris: Vec<RedirectUri>,
    pub auth_method: AuthMethod,
    /// What it said it would ask for, which limits nothing; for a configured client, all that it may have.
    pub scope: Scopes,
    /// Present exactly when `auth_method` is `private_key_jwt`.
    pub public_keys: Option<PublicKeys>,
    origin: Origin,
}

/// How a client came here, and so how its secret is checked.
#[derive(Clone, Debug)]
enum Origin {
    /// By dynamic registration: its secret is a MAC over its id.
    Registered,
    /// By the operator, with the SHA-256 of a secret if it has one.
    Configured { secret_sha256: Option<[u8; 32]> },
    /// By its metadata document, whose hash this is.
    Published { address: ClientIdUrl, document: String },
}

/// Where the keys are by which a client authenticates.
#[derive(Clone, Debug)]
pub enum PublicKeys {
    Known(Arc<ClientKeys>),
    At(ClientIdUrl),
}

/// Who says that a client is what it is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Voucher<'a> {
    /// Whoever runs this server.
    Operator,
    /// The host that publishes its document, which lies here.
    Document(&'a ClientIdUrl),
    /// Nobody but itself.
    Nobody,
}

/// A client that the operator writes into the configuration (`[[client]]`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfiguredClient {
    pub id: String,
    pub name: String,
    pub redirect_uris: Vec<RedirectUri>,
    /// All that it may have; nothing here limits nothing.
    pub scopes: Scopes,
    /// SHA-256 of its secret, which is random and long; `None` for one without.
    pub secret_sha256: Option<[u8; 32]>,
    /// The keys by which it authenticates, a JWK Set, in place of a secret.
    pub jwks: Option<Value>,
}

/// Our own registration at the identity provider.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpstreamApp {
    /// Tenant id, or the issuer of a provider that has none.
    pub tenant: String,
    pub client_id: String,
}

/// What lies in a client id. The order of the fields is the format.
#[derive(Serialize, Deserialize)]
struct Registration {
    name: String,
    redirect_uris: Vec<RedirectUri>,
    auth_method: AuthMethod,
    scope: Scopes,
    /// Makes two confidential clients with the same metadata two clients with two secrets.
    salt: Option<[u8; 16]>,
}

/// The id would be longer than [`MAX_ID_LENGTH`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLong;

impl Client {
    /// Makes the id of a client. The same public metadata gives the same id every time, so that a
    /// client that registers twice stays one client.
    ///
    /// `salt` is used for confidential clients only.
    pub fn register(
        keys: &KeyRing,
        metadata: &ClientMetadata,
        auth_method: AuthMethod,
        salt: [u8; 16],
    ) -> Result<Self, TooLong> {
        let registration = Registration {
            name: metadata.client_name.clone(),
            redirect_uris: without_loopback_ports(&metadata.redirect_uris),
            auth_method,
            scope: metadata.scope.clone(),
            salt: (auth_method != AuthMethod::None).then_some(salt),
        };
        let generation = keys.current();
        let mut bytes = vec![VERSION, generation.0];
        bytes.extend(postcard::to_stdvec(&registration).expect("plain data serialises"));
        let tag = keys.mac(Purpose::ClientId, generation, &bytes).expect("the current generation is known");
        bytes.extend(tag);
        let id = format!("{REGISTERED_ID_PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes));
        if id.len() > MAX_ID_LENGTH {
            return Err(TooLong);
        }
        Ok(registration.into_client(id))
    }

    /// Reads a client id that somebody presents.
    pub fn recognise(keys: &KeyRing, id: &str) -> Result<Self, NotAuthentic> {
        let text = id.strip_prefix(REGISTERED_ID_PREFIX).ok_or(NotAuthentic)?;
        if id.len() > MAX_ID_LENGTH {
            return Err(NotAuthentic);
        }
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| NotAuthentic)?;
        let split = bytes.len().checked_sub(TAG_LEN).ok_or(NotAuthentic)?;
        let (message, tag) = bytes.split_at(split);
        let [VERSION, generation, registration @ ..] = message else { return Err(NotAuthentic) };
        keys.verify(Purpose::ClientId, Generation(*generation), message, tag)?;
        let registration: Registration = postcard::from_bytes(registration).map_err(|_| NotAuthentic)?;
        Ok(registration.into_client(id.to_owned()))
    }

    /// A client that the operator wrote down. A secret may come in the header or in the form.
    pub fn configured(client: ConfiguredClient) -> Result<Self, BadKeys> {
        let ConfiguredClient { id, name, redirect_uris, scopes: scope, secret_sha256, jwks } = client;
        let keys = jwks.map(|set| ClientKeys::read(&set)).transpose()?;
        let public_keys = keys.map(|keys| PublicKeys::Known(Arc::new(keys)));
        let auth_method = match (&public_keys, secret_sha256) {
            (Some(_), _) => AuthMethod::PrivateKeyJwt,
            (None, Some(_)) => AuthMethod::ClientSecretBasic,
            (None, None) => AuthMethod::None,
        };
        let origin = Origin::Configured { secret_sha256 };
        Ok(Self { id: ClientId(id), name, redirect_uris, auth_method, scope, public_keys, origin })
    }

    /// The client that the document at `address` describes, whose text is `text`.
    pub fn published(address: &ClientIdUrl, document: ClientDocument, text: &str) -> Result<Self, BadKeys> {
        let ClientDocument { metadata, keys } = document;
        let public_keys = match keys {
            None => None,
            Some(Keys::Within(set)) => Some(PublicKeys::Known(Arc::new(ClientKeys::read(&set)?))),
            Some(Keys::At(address)) => Some(PublicKeys::At(address)),
        };
        let digest: [u8; 32] = Sha256::digest(text).into();
        let document = URL_SAFE_NO_PAD.encode(&digest[..12]);
        Ok(Self {
            id: ClientId(address.as_str().to_owned()),
            name: metadata.client_name,
            redirect_uris: without_loopback_ports(&metadata.redirect_uris),
            auth_method: metadata.token_endpoint_auth_method.unwrap_or(AuthMethod::None),
            scope: metadata.scope,
            public_keys,
            origin: Origin::Published { address: address.clone(), document },
        })
    }

    /// Who says that it is what it is called.
    #[must_use]
    pub fn voucher(&self) -> Voucher<'_> {
        match &self.origin {
            Origin::Configured { .. } => Voucher::Operator,
            Origin::Published { address, .. } => Voucher::Document(address),
            Origin::Registered => Voucher::Nobody,
        }
    }

    /// Whether the operator vouches for it, its name and its redirect URIs.
    #[must_use]
    pub fn is_configured(&self) -> bool {
        self.voucher() == Voucher::Operator
    }

    /// A short hash of its metadata document, where it has one: which of its versions somebody saw.
    #[must_use]
    pub fn document(&self) -> Option<&str> {
        match &self.origin {
            Origin::Published { document, .. } => Some(document),
            Origin::Registered | Origin::Configured { .. } => None,
        }
    }

    /// The secret of a confidential client that registered itself: a MAC over its id, so that it need not be
    /// stored either.
    ///
    /// `None` for any other.
    #[must_use]
    pub fn secret(&self, keys: &KeyRing) -> Option<String> {
        let by_secret =
            matches!(self.auth_method, AuthMethod::ClientSecretBasic | AuthMethod::ClientSecretPost);
        if !by_secret || self.is_configured() {
            return None;
        }
        let generation = keys.current();
        let tag = keys.mac(Purpose::ClientSecret, generation, self.id.as_str().as_bytes()).ok()?;
        let bytes = [[VERSION, generation.0].as_slice(), &tag].concat();
        Some(format!("{SECRET_PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes)))
    }

    /// Checks a presented secret, in constant time.
    pub fn verify_secret(&self, keys: &KeyRing, secret: &str) -> Result<(), NotAuthentic> {
        if let Origin::Configured { secret_sha256 } = self.origin {
            let digest: [u8; 32] = Sha256::digest(secret).into();
            let expected = secret_sha256.ok_or(NotAuthentic)?;
            return constant_time::verify_slices_are_equal(&expected, &digest).map_err(|_| NotAuthentic);
        }
        let text = secret.strip_prefix(SECRET_PREFIX).ok_or(NotAuthentic)?;
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| NotAuthentic)?;
        let [VERSION, generation, tag @ ..] = bytes.as_slice() else { return Err(NotAuthentic) };
        keys.verify(Purpose::ClientSecret, Generation(*generation), self.id.as_str().as_bytes(), tag)
    }

    /// What of `asked` it may have: all of it, unless the operator gave it a list.
    #[must_use]
    pub fn permitted(&self, asked: &Scopes) -> Scopes {
        if self.is_configured() && !self.scope.is_empty() {
            asked.intersection(&self.scope)
        } else {
            asked.clone()
        }
    }

    /// Whether it registered this redirect URI.
    #[must_use]
    pub fn allows(&self, presented: &RedirectUri) -> bool {
        self.redirect_uris.iter().any(|registered| registered.allows(presented))
    }

    /// The name to show, which may be missing.
    #[must_use]
    pub fn shown_name(&self) -> &str {
        if self.name.is_empty() { "An application without a name" } else { &self.name }
    }
}

impl Registration {
    fn into_client(self, id: String) -> Client {
        Client {
            id: ClientId(id),
            name: self.name,
            redirect_uris: self.redirect_uris,
            auth_method: self.auth_method,
            scope: self.scope,
            public_keys: None,
            origin: Origin::Registered,
        }
    }
}

/// Native clients take any free port (RFC 8252 §7.3), whatever they named before.
fn without_loopback_ports(named: &[RedirectUri]) -> Vec<RedirectUri> {
    let mut redirect_uris: Vec<RedirectUri> = Vec::new();
    for uri in named.iter().map(RedirectUri::without_loopback_port) {
        if !redirect_uris.contains(&uri) {
            redirect_uris.push(uri);
        }
    }
    redirect_uris
}
