//! By what we prove at the token endpoint who we are.

use std::fmt;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;

use azure_core::credentials::TokenCredential;
use secrecy::SecretString;

use crate::domain::time::Timestamp;
use crate::ports::idp::UpstreamError;
use crate::ports::idp::UpstreamReason;

use super::certificate::Certificate;
use super::failure::away;

/// The longest token of a pod that is taken for one, in bytes.
const MAX_TOKEN: u64 = 64 * 1024;

/// Who we are, in the four ways that Entra knows. Other providers take a secret.
pub enum Proof {
    Secret(SecretString),
    /// Tokens of a user-assigned managed identity, for which the registration has a federated credential.
    ManagedIdentity(Arc<dyn TokenCredential>),
    /// The file with the token that Kubernetes gives to a pod and replaces every hour, in the same way.
    FederatedToken(PathBuf),
    Certificate(Certificate),
}

/// What goes with a request.
pub(super) enum Presented<'a> {
    Secret(&'a SecretString),
    /// `client_assertion` (RFC 7521 §4.2).
    Assertion(SecretString),
}

impl fmt::Debug for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Secret(_) => "Secret(redacted)",
            Self::ManagedIdentity(_) => "ManagedIdentity",
            Self::FederatedToken(_) => "FederatedToken",
            Self::Certificate(_) => "Certificate",
        })
    }
}

/// For whom an assertion is, and from whom.
pub(super) struct Assertion<'a> {
    pub client_id: &'a str,
    pub token_endpoint: &'a str,
    /// What tokens of a managed identity are asked for.
    pub exchange: &'static str,
    pub now: Timestamp,
}

impl Proof {
    /// Another provider than Entra takes a secret alone.
    pub(super) fn is_secret(&self) -> bool {
        matches!(self, Self::Secret(_))
    }

    /// Whether a federated credential has to be known for it.
    pub(super) fn is_federated(&self) -> bool {
        matches!(self, Self::ManagedIdentity(_) | Self::FederatedToken(_))
    }

    pub(super) async fn present(&self, about: &Assertion<'_>) -> Result<Presented<'_>, UpstreamError> {
        Ok(match self {
            Self::Secret(secret) => Presented::Secret(secret),
            Self::ManagedIdentity(identity) => {
                let scope = format!("{}/.default", about.exchange);
                let token = identity.get_token(&[&scope], None).await;
                let token = token.map_err(|_| away("our managed identity has no token"))?;
                Presented::Assertion(token.token.secret().into())
            }
            Self::FederatedToken(file) => Presented::Assertion(federated(file).await?),
            Self::Certificate(certificate) => {
                let assertion = certificate.assertion(about.client_id, about.token_endpoint, about.now).await;
                Presented::Assertion(assertion.map_err(|error| {
                    tracing::error!(%error, "upstream.certificate_file");
                    ours(CERTIFICATE)
                })?)
            }
        })
    }
}

const CERTIFICATE: &str = "This server cannot use its certificate. Whoever runs the server finds out why in its log, at upstream.certificate_file.";
const TOKEN: &str = "This server cannot read the token of its pod. Whoever runs the server has to look at AZURE_FEDERATED_TOKEN_FILE, which the workload identity webhook sets.";

/// Read each time: it is replaced long before it ends.
async fn federated(file: &Path) -> Result<SecretString, UpstreamError> {
    let path = file.to_owned();
    let read = tokio::task::spawn_blocking(move || {
        use std::io::Read;
        let mut token = String::new();
        std::fs::File::open(path)?.take(MAX_TOKEN).read_to_string(&mut token)?;
        Ok::<_, std::io::Error>(token)
    });
    match read.await {
        Ok(Ok(token)) if !token.trim().is_empty() => Ok(token.trim().into()),
        Ok(Ok(_)) => {
            tracing::error!("AZURE_FEDERATED_TOKEN_FILE: the file is empty");
            Err(ours(TOKEN))
        }
        Ok(Err(error)) => {
            tracing::error!(error = %error.kind(), "AZURE_FEDERATED_TOKEN_FILE");
            Err(ours(TOKEN))
        }
        Err(_) => Err(ours(TOKEN)),
    }
}

/// The trouble is with us, and waiting does not mend it.
fn ours(explanation: &'static str) -> UpstreamError {
    UpstreamError::Refused(UpstreamReason {
        what: "we have nothing to prove ourselves by",
        explanation: Some(explanation),
        ..UpstreamReason::default()
    })
}
