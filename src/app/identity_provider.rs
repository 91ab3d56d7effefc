//! From the configuration to the identity provider.

use std::env;
use std::path::PathBuf;
use std::sync::Arc;

use url::Url;

use crate::adapters::azure_credential;
use crate::adapters::azure_credential::Source;
use crate::adapters::measured::Measured;
use crate::adapters::oidc;
use crate::adapters::oidc::Certificate;
use crate::adapters::oidc::Entra;
use crate::adapters::oidc::Kind;
use crate::adapters::oidc::OidcProvider;
use crate::adapters::oidc::Settings;
use crate::app::exit::Failure;
use crate::config::Idp;
use crate::config::Proof;
use crate::config::Tenants;
use crate::config::Upstream;
use crate::ports::clock::Clock;
use crate::ports::clock::Entropy;
use crate::ports::idp::IdentityProvider;

/// Set in a pod by the webhook of Microsoft Entra Workload ID.
const FEDERATED_TOKEN_FILE: &str = "AZURE_FEDERATED_TOKEN_FILE";

/// The provider that the configuration names.
pub fn identity_provider(
    upstream: &Upstream,
    redirect_uri: &str,
    clock: &Arc<dyn Clock>,
    entropy: &Arc<dyn Entropy>,
) -> Result<Arc<dyn IdentityProvider>, Failure> {
    let settings = Settings {
        kind: kind(&upstream.idp)?,
        client_id: upstream.client_id.clone(),
        proof: proof(&upstream.proof, clock, entropy)?,
        redirect_uri: redirect_uri.to_owned(),
        scopes: upstream.scopes.clone(),
    };
    let provider =
        OidcProvider::new(settings, Arc::clone(clock)).map_err(|e| Failure::Running(e.to_string()))?;
    let provider: Arc<dyn IdentityProvider> = Arc::new(provider);
    Ok(Arc::new(Measured::new(provider, Arc::clone(clock))))
}

fn kind(idp: &Idp) -> Result<Kind, Failure> {
    let url = |setting: &str, text: &str| {
        Url::parse(text).map_err(|_| Failure::Usage(format!("{setting}: this is not a URL.")))
    };
    Ok(match idp {
        Idp::Entra { tenants, guests, authority, graph } => Kind::Entra(Entra {
            authority: url("upstream.authority", authority)?,
            tenants: match tenants {
                Tenants::One(tenant) => oidc::Tenants::One(tenant.clone()),
                Tenants::Several(tenants) => oidc::Tenants::Several(tenants.clone()),
            },
            guests: *guests,
            graph: graph.clone(),
        }),
        Idp::Oidc { issuer } => Kind::Oidc { issuer: url("upstream.issuer", issuer)? },
    })
}

fn proof(proof: &Proof, clock: &Arc<dyn Clock>, entropy: &Arc<dyn Entropy>) -> Result<oidc::Proof, Failure> {
    Ok(match proof {
        Proof::Secret(secret) => oidc::Proof::Secret(secret.clone()),
        Proof::ManagedIdentity { client_id } => {
            let source = Source::ManagedIdentity { client_id: Some(client_id.clone()) };
            oidc::Proof::ManagedIdentity(azure_credential::credential(source, Arc::clone(clock)))
        }
        Proof::WorkloadIdentity => {
            let file = env::var_os(FEDERATED_TOKEN_FILE).filter(|file| !file.is_empty());
            let missing = || {
                Failure::Usage(format!(
                    "upstream.credential: {FEDERATED_TOKEN_FILE} is not set. The workload identity webhook sets it in a pod \
                     with the label azure.workload.identity/use: \"true\" and a service account of that kind."
                ))
            };
            oidc::Proof::FederatedToken(PathBuf::from(file.ok_or_else(missing)?))
        }
        Proof::Certificate { file } => {
            let certificate = Certificate::open(file.clone(), Arc::clone(entropy));
            let unusable = |error| Failure::Usage(format!("upstream.certificate_file: {error}."));
            oidc::Proof::Certificate(certificate.map_err(unusable)?)
        }
    })
}
