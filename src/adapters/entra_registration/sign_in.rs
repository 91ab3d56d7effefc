//! By what right Microsoft Graph is asked.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use azure_core::credentials::TokenCredential;
use azure_identity::AzureCliCredential;
use azure_identity::AzureCliCredentialOptions;
use azure_identity::AzureDeveloperCliCredential;
use azure_identity::AzureDeveloperCliCredentialOptions;
use secrecy::SecretString;
use tokio::time::timeout;

use super::ApplyError;
use super::insistence::away;

/// A tool of Azure's is a program that starts, and asks Entra in its turn.
const FETCH: Duration = Duration::from_secs(60);

/// Who asks.
pub enum SignIn {
    /// Whoever is signed in to the Azure CLI, else to the Azure Developer CLI.
    DeveloperTools,
    AzureCli,
    AzureDeveloperCli,
    /// An identity of the machine's, whose tenant is its own.
    Identity(Arc<dyn TokenCredential>),
}

impl fmt::Debug for SignIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::DeveloperTools => "DeveloperTools",
            Self::AzureCli => "AzureCli",
            Self::AzureDeveloperCli => "AzureDeveloperCli",
            Self::Identity(_) => "Identity",
        })
    }
}

impl SignIn {
    /// A token for `audience`, an origin. The SDK's credential for both tools takes no tenant, so they are asked one by one.
    pub(super) async fn token(&self, tenant: &str, audience: &str) -> Result<SecretString, ApplyError> {
        let credentials = self.credentials(tenant).map_err(|error| none(&[error]))?;
        let scope = format!("{audience}/.default");
        let mut tried = Vec::new();
        for credential in credentials {
            match timeout(FETCH, credential.get_token(&[&scope], None)).await {
                Ok(Ok(token)) => return Ok(token.token.secret().to_owned().into()),
                Ok(Err(error)) => tried.push(error),
                Err(_) => return Err(away("no token for it came in time")),
            }
        }
        Err(none(&tried))
    }

    fn credentials(&self, tenant: &str) -> azure_core::Result<Vec<Arc<dyn TokenCredential>>> {
        let tenant_id = Some(tenant.to_owned());
        let cli = || {
            let options = AzureCliCredentialOptions { tenant_id: tenant_id.clone(), ..Default::default() };
            AzureCliCredential::new(Some(options))
        };
        let developer_cli = || {
            let options =
                AzureDeveloperCliCredentialOptions { tenant_id: tenant_id.clone(), ..Default::default() };
            AzureDeveloperCliCredential::new(Some(options))
        };
        Ok(match self {
            Self::DeveloperTools => vec![cli()?, developer_cli()?],
            Self::AzureCli => vec![cli()?],
            Self::AzureDeveloperCli => vec![developer_cli()?],
            Self::Identity(credential) => vec![Arc::clone(credential)],
        })
    }
}

/// The log has what the tools said, on one line; it holds no token.
fn none(tried: &[azure_core::Error]) -> ApplyError {
    for error in tried {
        let said = error.to_string();
        tracing::warn!(?said, "there is no token for Microsoft Graph");
    }
    ApplyError::Wrong(
        "Nobody is signed in who could ask Microsoft Graph; the lines above say what was tried. Sign in, as with `az login \
         --tenant` and the tenant's id, or let --credential name another way."
            .to_owned(),
    )
}
