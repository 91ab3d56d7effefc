//! The plain values that decide: lifetimes, limits, trust, resources; and what pages say of the operator.

use std::time::Duration;

use crate::domain::brand::Brand;
use crate::domain::limits::Limits;
use crate::domain::resource::Resources;
use crate::domain::trust::Trust;
use crate::protocol::issuer::Issuer;

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

/// Everything that flows decide by and pages say.
#[derive(Clone, Debug)]
pub struct Policy {
    pub issuer: Issuer,
    pub lifetimes: Lifetimes,
    pub limits: Limits,
    pub trust: Trust,
    pub resources: Resources,
    /// The tenant and application at the identity provider, as the client-to-Entra mapping records it.
    pub upstream: UpstreamApp,
    /// What people know the identity provider by: Microsoft, or the provider's host.
    pub sign_in_with: String,
    pub brand: Brand,
}

/// Our own registration at the identity provider.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct UpstreamApp {
    /// Tenant id, or the issuer of a provider that has none.
    pub tenant: String,
    pub client_id: String,
}
