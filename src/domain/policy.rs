//! The plain values that decide: lifetimes, limits, trust, resources; and what pages say of the operator.

use std::time::Duration;

use crate::domain::allowed::Audience;
use crate::domain::allowed::Lacking;
use crate::domain::brand::Brand;
use crate::domain::client::Client;
use crate::domain::client::ClientId;
use crate::domain::client::UpstreamApp;
use crate::domain::limits::Limits;
use crate::domain::person::Person;
use crate::domain::resource::Resources;
use crate::domain::signing::SigningAlg;
use crate::domain::trust::Trust;
use crate::domain::vendor::NeedsSecret;
use crate::domain::vendor::vendor;
use crate::protocol::client_auth::AuthMethod;
use crate::protocol::issuer::Issuer;
use crate::protocol::metadata::Introductions;
use crate::protocol::redirect_uri::Receiver;
use crate::protocol::redirect_uri::RedirectUri;
use crate::protocol::registration::ClientMetadata;

/// The lifetimes that an operator sets. Those of access tokens lie with their resources.
#[derive(Clone, Debug)]
pub struct Lifetimes {
    /// From /authorize to the callback.
    pub login: Duration,
    pub code: Duration,
    /// Of a grant that is not refreshed.
    pub refresh_idle: Duration,
    /// Of a grant, from its sign-in.
    pub refresh_max: Duration,
    /// How long the refresh token before the current one still leads to the current one. 0: not at all.
    pub grace: Duration,
    /// The identity provider's word is this good.
    pub recheck: Duration,
}

/// Lifetime of the token that the gateway sends upstream.
pub const DOWNSTREAM_TOKEN: Duration = Duration::from_secs(5 * 60);

/// After this time at most, the gateway knows of a revocation that another replica did.
pub const REVOCATION: Duration = Duration::from_secs(30);

/// How often requests that are under way are looked at.
pub const LOOKED_AT: Duration = Duration::from_secs(4);

/// Dynamic client registration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registration {
    /// Whether clients may register themselves. Where they may not, those that did before are unknown.
    pub enabled: bool,
    /// Hosts, beside the known vendors, whose clients do not go on without a secret.
    pub secret_hosts: Vec<String>,
}

impl Registration {
    /// How a client is to authenticate. One that does not say is public: the RFC's default, `client_secret_basic`,
    /// would hand a secret to native clients that never asked for one and cannot keep it. Only at a host whose
    /// clients need one is it given (RFC 7591 §3.2.1 lets the server replace what was asked).
    #[must_use]
    pub fn method(&self, metadata: &ClientMetadata) -> AuthMethod {
        let asked = metadata.token_endpoint_auth_method;
        let needs = |uri: &RedirectUri| self.needs_secret(uri);
        let given = metadata.redirect_uris.iter().filter_map(needs).find(|need| match asked {
            None => true,
            Some(AuthMethod::None) => need.overrides_none,
            Some(
                AuthMethod::ClientSecretBasic | AuthMethod::ClientSecretPost | AuthMethod::PrivateKeyJwt,
            ) => false,
        });
        given.map(|need| need.method).or(asked).unwrap_or(AuthMethod::None)
    }

    fn needs_secret(&self, redirect: &RedirectUri) -> Option<NeedsSecret> {
        let host = redirect.host();
        let post = NeedsSecret { method: AuthMethod::ClientSecretPost, overrides_none: true };
        let configured = self.secret_hosts.contains(&host).then_some(post);
        let needs = configured.or_else(|| vendor(&host).and_then(|vendor| vendor.secret));
        // A program on the user's machine cannot keep one.
        needs.filter(|_| redirect.receiver() == Receiver::Web)
    }
}

impl Default for Registration {
    fn default() -> Self {
        Self { enabled: true, secret_hosts: Vec::new() }
    }
}

/// Everything that flows decide by and pages say.
#[derive(Clone, Debug)]
pub struct Policy {
    pub issuer: Issuer,
    /// Names under which requests may come, besides that of the issuer.
    pub hosts: Vec<String>,
    /// By which algorithm new signing keys sign.
    pub signing_alg: SigningAlg,
    pub lifetimes: Lifetimes,
    pub limits: Limits,
    pub trust: Trust,
    pub registration: Registration,
    /// Whether a client may be described by the document at the address that is its id.
    pub metadata_documents: bool,
    /// Those that the operator wrote down.
    pub clients: Vec<Client>,
    pub resources: Resources,
    /// The tenant and application at the identity provider, as the client-to-Entra mapping records it.
    pub upstream: UpstreamApp,
    pub audience: Audience,
    /// What people know the identity provider by: Microsoft, or the provider's host.
    pub sign_in_with: String,
    pub brand: Brand,
}

impl Policy {
    /// What a person, with a client, lacks to use a resource. One that is gone asks for nothing: who wants it is told
    /// elsewhere.
    #[must_use]
    pub fn lacking(
        &self,
        resource: &str,
        person: &Person,
        client: &ClientId,
        redirect_host: &str,
    ) -> Option<Lacking> {
        let allowed = || self.resources.by_identifier(resource).map(|resource| &resource.allowed);
        let lacking = || allowed().and_then(|allowed| allowed.lacking(person, client, redirect_host));
        self.audience.lacking(person).or_else(lacking)
    }

    /// The longest lifetime of anything that is signed here.
    #[must_use]
    pub fn longest_token(&self) -> Duration {
        self.resources.iter().map(|resource| resource.access).fold(DOWNSTREAM_TOKEN, Duration::max)
    }

    /// How clients may come to be known here.
    #[must_use]
    pub fn introductions(&self) -> Introductions {
        let by_key = |client: &Client| client.auth_method == AuthMethod::PrivateKeyJwt;
        Introductions {
            registration: self.registration.enabled,
            documents: self.metadata_documents,
            keys: self.metadata_documents || self.clients.iter().any(by_key),
        }
    }
}
