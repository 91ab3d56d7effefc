//! The token endpoint (RFC 6749 §3.2): one path for every grant type, so that none forgets a check.

use crate::domain::allowed::Lacking;
use crate::domain::grant::Grant;
use crate::domain::grant::Phase;
use crate::domain::resource::Resource;
use crate::flows::AuthServer;
use crate::flows::admit::NotAdmitted;
use crate::flows::authenticate::Authenticated;
use crate::flows::authenticate::NotAuthenticated;
use crate::flows::grants::GrantError;
use crate::flows::mint::NotMinted;
use crate::flows::refusal::Refusal;
use crate::flows::refusal::Row;
use crate::flows::refusal::row;
use crate::protocol::client_auth::NotPresented;
use crate::protocol::client_auth::PresentedClient;
use crate::protocol::error::ErrorCode;
use crate::protocol::parameters::Duplicated;
use crate::protocol::parameters::Parameters;
use crate::protocol::scope::Scopes;
use crate::protocol::token::TokenResponse;

/// Why the token endpoint refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    ClientMissing,
    ClientMalformed,
    ClientAmbiguous,
    AssertionType,
    ClientUnknown,
    ClientNotConfigured,
    ClientBlocked,
    ClientSecret,
    ClientAssertion,
    AssertionReplayed,
    /// What is known of the client by its metadata document.
    ClientDocument(NotAdmitted),
    Duplicated,
    GrantTypeMissing,
    GrantTypeUnsupported,
    CodeMissing,
    CodeGarbage,
    CodeUnknown,
    CodeExpired,
    CodeSpent,
    CodeReplayed,
    RaceLost,
    NotThisClients,
    MethodWeaker,
    RedirectGone,
    RedirectMismatch,
    VerifierMissing,
    VerifierMismatch,
    ResourceMismatch,
    ResourceGone,
    ScopeGone,
    TokenMissing,
    TokenGarbage,
    TokenUnknown,
    TokenReplayed,
    GrantRevoked,
    GrantExpired,
    SessionEnded,
    /// The resource asks for more than the person has now.
    Lacking(Lacking),
    UpstreamAway,
    Busy,
    StoreAway,
    NotMinted,
}

impl Refusal for Reason {
    #[rustfmt::skip]
    fn row(self) -> Row {
        use ErrorCode::{InvalidClient, InvalidGrant, InvalidRequest, InvalidTarget, ServerError, TemporarilyUnavailable, UnsupportedGrantType};
        match self {
            Self::ClientMissing => row("client_missing", InvalidClient, "The request names no client: send client_id, or HTTP Basic."),
            Self::ClientMalformed => row("client_malformed", InvalidClient, "The Authorization header is not HTTP Basic with a form-encoded client_id and secret, or client_assertion is not a JWT whose iss and sub are the client_id."),
            Self::ClientAmbiguous => row("client_ambiguous", InvalidRequest, "The client authenticates in more than one way, or names two ids."),
            Self::AssertionType => row("client_assertion_type", InvalidClient, "client_assertion and client_assertion_type must stand together, and the type must be urn:ietf:params:oauth:client-assertion-type:jwt-bearer."),
            Self::ClientUnknown => row("client_unknown", InvalidClient, "This server did not issue this client_id. Register again."),
            Self::ClientNotConfigured => row("client_not_configured", InvalidClient, "This server does not know this client_id, and registers no clients by itself. Whoever runs it can add yours to its configuration."),
            Self::ClientBlocked => row("client_blocked", InvalidClient, "Whoever runs this server has blocked this client."),
            Self::ClientSecret => row("client_secret", InvalidClient, "The client did not authenticate as it registered. Register again if the secret is lost."),
            Self::ClientAssertion => row("client_assertion", InvalidClient, "The client did not authenticate by the method of its metadata. For private_key_jwt, client_assertion must be signed with a key of its own, with iss and sub its client_id, aud this issuer or token endpoint, jti, and exp within 5 minutes."),
            Self::AssertionReplayed => row("client_assertion_replayed", InvalidClient, "The jti of this client_assertion was used before. Sign a new one for each request."),
            Self::ClientDocument(why) => why.row(),
            Self::Duplicated => row("parameter_duplicated", InvalidRequest, "A parameter is given more than once."),
            Self::GrantTypeMissing => row("grant_type_missing", InvalidRequest, "grant_type is required."),
            Self::GrantTypeUnsupported => row("grant_type_unsupported", UnsupportedGrantType, "grant_type must be authorization_code or refresh_token."),
            Self::CodeMissing => row("code_missing", InvalidRequest, "code is required."),
            Self::CodeGarbage => row("code_garbage", InvalidGrant, "This is not a code that this server issued."),
            Self::CodeUnknown => row("code_unknown", InvalidGrant, "The code has expired. Sign in again."),
            Self::CodeExpired => row("code_expired", InvalidGrant, "The code has expired. Sign in again."),
            Self::CodeSpent => row("code_spent", InvalidGrant, "The code was redeemed already."),
            Self::CodeReplayed => row("code_replayed", InvalidGrant, "The code was redeemed already, and has come again: its tokens have been revoked. Sign in again."),
            Self::RaceLost => row("race_lost", InvalidGrant, "Another request used the same credential first."),
            Self::NotThisClients => row("not_this_clients", InvalidGrant, "The credential was issued to another client."),
            Self::MethodWeaker => row("method_weaker", InvalidGrant, "The client authenticates more weakly than when this was granted. Sign in again."),
            Self::RedirectGone => row("redirect_gone", InvalidGrant, "The redirect_uri that this was granted for is not the client's any more. Sign in again."),
            Self::RedirectMismatch => row("redirect_mismatch", InvalidGrant, "redirect_uri is not the one of the authorization request."),
            Self::VerifierMissing => row("verifier_missing", InvalidRequest, "code_verifier is required (PKCE, RFC 7636)."),
            Self::VerifierMismatch => row("verifier_mismatch", InvalidGrant, "code_verifier does not match the code_challenge."),
            Self::ResourceMismatch => row("resource_mismatch", InvalidTarget, "resource is not the one that was authorized."),
            Self::ResourceGone => row("resource_gone", InvalidGrant, "The MCP server that was authorized is not served here any more. Sign in again."),
            Self::ScopeGone => row("scope_gone", InvalidGrant, "The client may no longer have what was granted. Sign in again."),
            Self::TokenMissing => row("refresh_token_missing", InvalidRequest, "refresh_token is required."),
            Self::TokenGarbage => row("refresh_token_garbage", InvalidGrant, "This is not a refresh token that this server issued."),
            Self::TokenUnknown => row("refresh_token_unknown", InvalidGrant, "The refresh token has expired. Sign in again."),
            Self::TokenReplayed => row("refresh_token_replayed", InvalidGrant, "The refresh token was replaced, and has come again: the session has been revoked. Sign in again."),
            Self::GrantRevoked => row("grant_revoked", InvalidGrant, "The session has been revoked. Sign in again."),
            Self::GrantExpired => row("grant_expired", InvalidGrant, "The session has expired. Sign in again."),
            Self::SessionEnded => row("upstream_session_ended", InvalidGrant, "The sign-in service has ended the session. Sign in again."),
            // RFC 6749 §5.2 has no code of its own for it.
            Self::Lacking(what) => Row { code: InvalidGrant, ..what.row() },
            Self::UpstreamAway => row("upstream_away", TemporarilyUnavailable, "The sign-in service does not answer at the moment. Nothing was spent: try again."),
            Self::Busy => row("session_busy", TemporarilyUnavailable, "Other requests of this session were first. Nothing was spent: try again."),
            Self::StoreAway => row("store_away", TemporarilyUnavailable, "The server's store does not answer at the moment. Try again."),
            Self::NotMinted => row("not_minted", ServerError, "The server could not issue a token. Sign in again."),
        }
    }
}

impl AuthServer {
    /// Answers a token request: authenticate the client, then what its grant type asks for.
    pub async fn token(
        &self,
        authorization: Option<&str>,
        form: &Parameters,
    ) -> Result<TokenResponse, Reason> {
        form.each_once()?;
        let client = &self.authenticate(&PresentedClient::read(authorization, form)?).await?;
        match form.one("grant_type")?.ok_or(Reason::GrantTypeMissing)? {
            "authorization_code" => self.exchange(client, form).await,
            "refresh_token" => self.refresh(client, form).await,
            _ => Err(Reason::GrantTypeUnsupported),
        }
    }

    /// The checks that every use of a grant has in common: whose is it, for which resource, and is it still
    /// welcome. Nothing is spent before all of them hold.
    pub(in crate::flows) async fn check_use(
        &self,
        grant: &Grant,
        Authenticated { client, assertion }: &Authenticated,
        form: &Parameters,
    ) -> Result<Usable<'_>, Reason> {
        if grant.body.client_id != client.id {
            return Err(Reason::NotThisClients);
        }
        if client.auth_method.is_weaker_than(grant.body.auth_method) {
            return Err(Reason::MethodWeaker);
        }
        if assertion.is_some_and(|id| self.was_taken(grant, id)) {
            return Err(Reason::AssertionReplayed);
        }
        let resource =
            self.policy().resources.by_identifier(&grant.body.resource).ok_or(Reason::ResourceGone)?;
        if form.all("resource").any(|named| !resource.is_named(named)) {
            return Err(Reason::ResourceMismatch);
        }
        self.admit(&client.id, &grant.body.redirect_uri).await?;
        // The operator or the client may have taken it away since: whoever has the code may have it from there.
        if !client.allows(&grant.body.redirect_uri) {
            return Err(Reason::RedirectGone);
        }
        if grant.phase == Phase::Revoked {
            return Err(Reason::GrantRevoked);
        }
        // The store shows a grant through its last second; a token of no seconds is of no use.
        if self.now() >= grant.expires_at {
            return Err(Reason::GrantExpired);
        }
        // The operator may have taken something away since, from the resource or from a configured client.
        let scopes = client.permitted(&grant.body.scopes.intersection(&resource.all_scopes()));
        if scopes.is_empty() {
            return Err(Reason::ScopeGone);
        }
        self.note_use(client).await;
        Ok(Usable { resource, scopes })
    }
}

/// What a grant may be used for.
pub(in crate::flows) struct Usable<'a> {
    pub resource: &'a Resource,
    /// What was granted and is still permitted.
    pub scopes: Scopes,
}

impl From<NotPresented> for Reason {
    fn from(why: NotPresented) -> Self {
        match why {
            NotPresented::Missing => Self::ClientMissing,
            NotPresented::Malformed => Self::ClientMalformed,
            NotPresented::Ambiguous => Self::ClientAmbiguous,
            NotPresented::AssertionType => Self::AssertionType,
        }
    }
}

impl From<NotAuthenticated> for Reason {
    fn from(why: NotAuthenticated) -> Self {
        match why {
            NotAuthenticated::Client(why) => why.into(),
            NotAuthenticated::WrongSecret => Self::ClientSecret,
            NotAuthenticated::WrongAssertion => Self::ClientAssertion,
        }
    }
}

impl From<NotAdmitted> for Reason {
    fn from(why: NotAdmitted) -> Self {
        match why {
            NotAdmitted::Unknown => Self::ClientUnknown,
            NotAdmitted::NotConfigured => Self::ClientNotConfigured,
            // Grants that were made go on; at /token no redirect URI is judged.
            NotAdmitted::Blocked | NotAdmitted::NotTrusted | NotAdmitted::NameOfAnother => {
                Self::ClientBlocked
            }
            NotAdmitted::NotAnAddress | NotAdmitted::DocumentHostNotTrusted | NotAdmitted::Document(_) => {
                Self::ClientDocument(why)
            }
            NotAdmitted::StoreAway => Self::StoreAway,
        }
    }
}

impl From<Duplicated> for Reason {
    fn from(_: Duplicated) -> Self {
        Self::Duplicated
    }
}

impl From<GrantError> for Reason {
    fn from(error: GrantError) -> Self {
        match error {
            GrantError::Conflict => Self::RaceLost,
            GrantError::Away => Self::StoreAway,
        }
    }
}

impl From<NotMinted> for Reason {
    fn from(_: NotMinted) -> Self {
        Self::NotMinted
    }
}
