//! The policy, from the configuration.

use crate::app::exit::Failure;
use crate::config;
use crate::config::Config;
use crate::config::Idp;
use crate::domain::policy::Lifetimes;
use crate::domain::policy::Policy;
use crate::domain::policy::UpstreamApp;
use crate::domain::resource::Claim;
use crate::domain::resource::Resource;
use crate::domain::resource::Resources;
use crate::domain::signing::SigningAlg;
use crate::domain::trust::Trust;
use crate::protocol::issuer::Issuer;

/// The plain values that the flows decide by.
pub fn policy(config: &Config) -> Result<Policy, Failure> {
    let issuer = Issuer::parse(&config.public_url)
        .ok_or_else(|| Failure::Usage("public_url: this is not an origin in its normal form.".to_owned()))?;
    let tokens = &config.tokens;
    let lifetimes = Lifetimes {
        login: tokens.login,
        code: tokens.code,
        refresh_idle: tokens.refresh_idle,
        refresh_max: tokens.refresh_max,
        grace: tokens.grace,
        recheck: tokens.recheck,
    };
    let trust = Trust { hosts: config.trust.hosts.clone(), open: config.trust.open };
    let default = config.resources.iter().position(|resource| resource.default);
    let resources = Resources::new(config.resources.iter().map(resource).collect(), default);
    let tenant = match &config.upstream.idp {
        Idp::Entra { tenant, .. } => tenant.clone(),
        Idp::Oidc { issuer } => issuer.clone(),
    };
    let upstream = UpstreamApp { tenant, client_id: config.upstream.client_id.clone() };
    Ok(Policy { issuer, lifetimes, trust, resources, upstream })
}

/// `tokens.signing_alg`.
#[must_use]
pub fn signing_alg(config: &Config) -> SigningAlg {
    match config.tokens.signing_alg {
        config::SigningAlg::Rs256 => SigningAlg::RS256,
        config::SigningAlg::Es256 => SigningAlg::ES256,
    }
}

fn resource(resource: &config::Resource) -> Resource {
    let claim = |claim: &config::Claim| match claim {
        config::Claim::Name => Claim::Name,
        config::Claim::PreferredUsername => Claim::PreferredUsername,
        config::Claim::Roles => Claim::Roles,
        config::Claim::Groups => Claim::Groups,
    };
    Resource {
        path: resource.path.clone(),
        identifier: resource.identifier.clone(),
        upstream: resource.upstream.clone(),
        name: resource.name.clone(),
        scopes: resource.scopes.clone(),
        default_scopes: resource.default_scopes.iter().map(String::as_str).collect(),
        claims: resource.claims.iter().map(claim).collect(),
        access: resource.access,
    }
}
