//! Dynamic client registration (RFC 7591). Nothing is stored: the id that is made is the record.

use serde_json::Value;

use crate::domain::client::Client;
use crate::domain::event::Event;
use crate::domain::event::EventName;
use crate::flows::AuthServer;
use crate::flows::refusal::Refusal;
use crate::flows::refusal::Row;
use crate::flows::refusal::row;
use crate::protocol::client_auth::AuthMethod;
use crate::protocol::error::ErrorCode;
use crate::protocol::redirect_uri::RedirectUri;
use crate::protocol::registration::ClientMetadata;
use crate::protocol::registration::NotRegistrable;
use crate::protocol::registration::RegistrationResponse;

/// Why a registration is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    Disabled,
    Malformed,
    NoRedirectUri,
    TooManyRedirectUris,
    AuthMethod,
    TooLong,
}

impl Refusal for Reason {
    fn row(self) -> Row {
        use ErrorCode::InvalidClientMetadata;
        use ErrorCode::InvalidRedirectUri;
        match self {
            Self::Disabled => row(
                "registration_disabled",
                ErrorCode::AccessDenied,
                "This server registers no clients by itself. Whoever runs it can add yours to its configuration.",
            ),
            Self::Malformed => row(
                "metadata_malformed",
                InvalidClientMetadata,
                "The body must be a JSON object of client metadata (RFC 7591 section 2).",
            ),
            Self::NoRedirectUri => row(
                "no_redirect_uri",
                InvalidRedirectUri,
                "redirect_uris must hold a URI that is https, or http on localhost, 127.0.0.1 or [::1], or of a private-use scheme with a dot in it or of a known application, in its plain form, without fragment, user information or encoded separators, at most 512 characters long. At the host of a known vendor it must be the path of that vendor.",
            ),
            Self::TooManyRedirectUris => {
                row("too_many_redirect_uris", InvalidRedirectUri, "redirect_uris holds more than 32 URIs.")
            }
            Self::AuthMethod => row(
                "auth_method_unknown",
                InvalidClientMetadata,
                "token_endpoint_auth_method must be none, client_secret_basic or client_secret_post.",
            ),
            Self::TooLong => row(
                "metadata_too_long",
                InvalidClientMetadata,
                "The metadata make a client_id of more than 1024 characters; register fewer or shorter redirect URIs.",
            ),
        }
    }
}

impl From<NotRegistrable> for Reason {
    fn from(why: NotRegistrable) -> Self {
        match why {
            NotRegistrable::Malformed => Self::Malformed,
            NotRegistrable::NoRedirectUri => Self::NoRedirectUri,
            NotRegistrable::TooManyRedirectUris => Self::TooManyRedirectUris,
            NotRegistrable::AuthMethod => Self::AuthMethod,
        }
    }
}

impl AuthServer {
    /// Registers a client: read, reduce to what exists here, make the id, answer.
    pub fn register(&self, body: &Value) -> Result<RegistrationResponse, Reason> {
        let policy = self.policy();
        if !policy.registration.enabled {
            return Err(Reason::Disabled);
        }
        let mut metadata =
            ClientMetadata::read(body, &AuthMethod::REGISTRABLE, |uri| policy.trust.may_register(uri))?;
        metadata.scope = metadata.scope.intersection(&policy.resources.all_scopes());
        let method = policy.registration.method(&metadata);
        let client =
            Client::register(&self.keys(), &metadata, method, self.random()).map_err(|_| Reason::TooLong)?;
        let secret = client.secret(&self.keys());
        let redirect_host = client.redirect_uris.first().map(RedirectUri::host);
        let event = Event { client: Some(client.id.digest()), redirect_host, ..Event::default() };
        self.record(EventName::ClientRegistered, event);
        Ok(RegistrationResponse::new(client.id.to_string(), secret, method, metadata))
    }
}
