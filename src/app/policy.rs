//! The policy, from the configuration.

use crate::app::exit::Failure;
use crate::config;
use crate::config::Config;
use crate::config::Idp;
use crate::domain::policy::Lifetimes;
use crate::domain::policy::Policy;
use crate::domain::policy::UpstreamApp;
use crate::domain::resource::Resource;
use crate::domain::resource::Resources;
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
    let trust = config.trust.clone();
    let default = config.resources.iter().position(|resource| resource.default);
    let resources = Resources::new(config.resources.iter().map(resource).collect(), default);
    let tenant = match &config.upstream.idp {
        Idp::Entra { tenant, .. } => tenant.clone(),
        Idp::Oidc { issuer } => issuer.clone(),
    };
    let upstream = UpstreamApp { tenant, client_id: config.upstream.client_id.clone() };
    Ok(Policy { issuer, lifetimes, trust, resources, upstream })
}

fn resource(resource: &config::Resource) -> Resource {
    Resource {
        path: resource.path.clone(),
        identifier: resource.identifier.clone(),
        upstream: resource.upstream.clone(),
        name: resource.name.clone(),
        scopes: resource.scopes.clone(),
        default_scopes: resource.default_scopes.iter().map(String::as_str).collect(),
        claims: resource.claims.clone(),
        access: resource.access,
    }
}
