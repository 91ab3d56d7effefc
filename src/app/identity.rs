//! From the configuration to tokens of Azure.

use crate::adapters::azure_credential::Source;
use crate::config::Identity;

/// Where the tokens of an identity come from.
pub(super) fn source(identity: &Identity) -> Source {
    match identity {
        Identity::Managed { client_id } => Source::ManagedIdentity { client_id: client_id.clone() },
        Identity::Workload { client_id } => Source::WorkloadIdentity { client_id: client_id.clone() },
        Identity::Developer => Source::Developer,
    }
}
