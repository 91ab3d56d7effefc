//! The policy, from the configuration.

use url::Url;

use crate::app::exit::Failure;
use crate::config;
use crate::config::Config;
use crate::config::Idp;
use crate::config::Tenants;
use crate::domain::allowed::Audience;
use crate::domain::client::Client;
use crate::domain::client::UpstreamApp;
use crate::domain::policy::Lifetimes;
use crate::domain::policy::Policy;
use crate::domain::resource::Resource;
use crate::domain::resource::Resources;
use crate::protocol::issuer::Issuer;

/// The sign-ins that are Microsoft's: the public cloud and the sovereign ones.
const MICROSOFT: &[&str] = &[
    "https://login.microsoftonline.com",
    "https://login.microsoftonline.us",
    "https://login.partner.microsoftonline.cn",
    "https://login.chinacloudapi.cn",
];

/// The plain values that the flows decide by.
pub fn policy(config: &Config) -> Result<Policy, Failure> {
    let unusable = |what: &str| Failure::Usage(what.to_owned());
    let issuer = Issuer::parse(&config.public_url)
        .ok_or_else(|| unusable("public_url: this is not an origin in its normal form."))?;
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
    let (tenant, tenants) = match &config.upstream.idp {
        Idp::Entra { tenants: Tenants::One(tenant), .. } => (tenant.clone(), vec![tenant.clone()]),
        Idp::Entra { tenants: Tenants::Several(tenants), .. } => {
            ("organizations".to_owned(), tenants.clone())
        }
        Idp::Oidc { issuer } => (issuer.clone(), Vec::new()),
    };
    let guests = !matches!(config.upstream.idp, Idp::Entra { guests: false, .. });
    let upstream = UpstreamApp { tenant, client_id: config.upstream.client_id.clone() };
    let sign_in_with = sign_in_with(&config.upstream.idp);
    let clients = config.clients.iter().cloned().map(Client::configured);
    Ok(Policy {
        issuer,
        hosts: config.hosts.clone(),
        signing_alg: tokens.signing_alg,
        lifetimes,
        trust,
        registration: config.registration.clone(),
        metadata_documents: config.documents.enabled,
        clients: clients
            .collect::<Result<_, _>>()
            .map_err(|_| unusable("client: the keys of one are unusable."))?,
        limits: config.limits.clone(),
        resources,
        upstream,
        audience: Audience { tenants, guests },
        sign_in_with,
        brand: config.brand.clone(),
    })
}

/// An authority elsewhere answers as Entra does and is not Microsoft: the development identity provider.
fn sign_in_with(idp: &Idp) -> String {
    let address = match idp {
        Idp::Entra { authority, .. } if MICROSOFT.contains(&authority.as_str()) => {
            return "Microsoft".to_owned();
        }
        Idp::Entra { authority, .. } => authority,
        Idp::Oidc { issuer } => issuer,
    };
    Url::parse(address).map_or_else(|_| address.clone(), |url| url.authority().to_owned())
}

fn resource(resource: &config::Resource) -> Resource {
    Resource {
        path: resource.path.clone(),
        identifier: resource.identifier.clone(),
        upstream: resource.upstream.clone(),
        name: resource.name.clone(),
        scopes: resource.scopes.clone(),
        default_scopes: resource.default_scopes.iter().map(String::as_str).collect(),
        implied: resource.implied.clone(),
        claims: resource.claims.clone(),
        access: resource.access,
        allowed: resource.allowed.clone(),
        forwarding: resource.forwarding.clone(),
    }
}
