//! Client ID Metadata Documents (draft-ietf-oauth-client-id-metadata-document §4): what a client publishes of itself.

use serde_json::Value;

use crate::protocol::client_auth::AuthMethod;
use crate::protocol::client_id_url::ClientIdUrl;
use crate::protocol::redirect_uri::RedirectUri;
use crate::protocol::registration::ClientMetadata;
use crate::protocol::registration::NotRegistrable;

/// A document that holds: it is of the client whose id is its address, and is fit for use as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientDocument {
    pub metadata: ClientMetadata,
    /// Present exactly when the client authenticates by a key.
    pub keys: Option<Keys>,
}

/// Where a client's public keys are (RFC 7591 §2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Keys {
    /// `jwks`: in the document.
    Within(Value),
    /// `jwks_uri`: at an address of the same form as a client id.
    At(ClientIdUrl),
}

/// Why a document does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadDocument {
    /// It is not JSON.
    NotJson,
    /// Its `client_id` is not the address that it lies at, character for character.
    ClientId,
    /// It holds a secret, or asks to authenticate by one: everybody can read it (§4.1).
    Secret,
    /// It asks for a method that is not served.
    AuthMethod,
    /// `private_key_jwt` without usable keys, or with both `jwks` and `jwks_uri`.
    Keys,
    /// `jwks_uri` lies where this server fetches nothing from.
    KeysHost,
    /// No redirect URI that we could ever send a code to, or too many.
    RedirectUris,
    /// It is no object of client metadata.
    Malformed,
}

impl BadDocument {
    /// How logs name it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::NotJson => "document_not_json",
            Self::ClientId => "document_client_id",
            Self::Secret => "document_secret",
            Self::AuthMethod => "document_auth_method",
            Self::Keys => "document_keys",
            Self::KeysHost => "document_keys_host_not_trusted",
            Self::RedirectUris => "document_redirect_uris",
            Self::Malformed => "document_malformed",
        }
    }

    /// What is wrong with it, in words for whoever publishes it.
    #[must_use]
    pub fn sentence(self) -> &'static str {
        match self {
            Self::NotJson => "The metadata document of the application is not JSON.",
            Self::ClientId => {
                "The client_id in the metadata document of the application is not the address of the document, character for character."
            }
            Self::Secret => {
                "The metadata document of the application speaks of a client_secret, which a public document cannot keep: token_endpoint_auth_method must be none or private_key_jwt."
            }
            Self::AuthMethod => {
                "token_endpoint_auth_method in the metadata document of the application must be none or private_key_jwt."
            }
            Self::Keys => {
                "The metadata document of the application asks for private_key_jwt: it must have either jwks or an https jwks_uri, with public keys for RS256, PS256 or ES256 and their like."
            }
            Self::KeysHost => {
                "The metadata document of the application has a jwks_uri at a host that this server fetches no keys from. Whoever runs the server can add the host to the setting trust.hosts."
            }
            Self::RedirectUris => {
                "The metadata document of the application has no redirect URI that this server could send a code to, or more than 32."
            }
            Self::Malformed => {
                "The metadata document of the application is not an object of client metadata."
            }
        }
    }
}

/// How a client may authenticate that has no secret with us.
const SERVED: [AuthMethod; 2] = [AuthMethod::None, AuthMethod::PrivateKeyJwt];

impl ClientDocument {
    /// Reads the document that lies at `address`, by the rules of a registration, which may refuse more redirect
    /// URIs (`acceptable`).
    pub fn read(
        address: &ClientIdUrl,
        text: &str,
        acceptable: impl Fn(&RedirectUri) -> bool,
    ) -> Result<Self, BadDocument> {
        let document: Value = serde_json::from_str(text).map_err(|_| BadDocument::NotJson)?;
        if document.get("client_id").and_then(Value::as_str) != Some(address.as_str()) {
            return Err(if document.is_object() { BadDocument::ClientId } else { BadDocument::Malformed });
        }
        let said = |name: &str| document.get(name).filter(|value| !value.is_null());
        let method = said("token_endpoint_auth_method").and_then(Value::as_str).unwrap_or_default();
        let secret = said("client_secret").is_some() || said("client_secret_expires_at").is_some();
        if secret || method.starts_with("client_secret_") {
            return Err(BadDocument::Secret);
        }
        let metadata = ClientMetadata::read(&document, &SERVED, acceptable)?;
        let keys = match metadata.token_endpoint_auth_method {
            Some(AuthMethod::PrivateKeyJwt) => Some(keys(said("jwks"), said("jwks_uri"))?),
            _ => None,
        };
        Ok(Self { metadata, keys })
    }
}

fn keys(within: Option<&Value>, at: Option<&Value>) -> Result<Keys, BadDocument> {
    match (within, at) {
        (Some(set), None) => Ok(Keys::Within(set.clone())),
        (None, Some(uri)) => {
            let address = uri.as_str().and_then(ClientIdUrl::parse);
            address.map(Keys::At).ok_or(BadDocument::Keys)
        }
        _ => Err(BadDocument::Keys),
    }
}

impl From<NotRegistrable> for BadDocument {
    fn from(why: NotRegistrable) -> Self {
        match why {
            NotRegistrable::Malformed => Self::Malformed,
            NotRegistrable::NoRedirectUri | NotRegistrable::TooManyRedirectUris => Self::RedirectUris,
            NotRegistrable::AuthMethod => Self::AuthMethod,
        }
    }
}
