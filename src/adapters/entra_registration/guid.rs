//! The GUIDs of scopes and app roles, which whoever makes one chooses.

use aws_lc_rs::digest::SHA1_FOR_LEGACY_USE_ONLY;
use aws_lc_rs::digest::digest;
use uuid::Builder;
use uuid::Uuid;
use uuid::uuid;

/// The namespace of what Azure Resource Manager makes.
const NAMESPACE: Uuid = uuid!("11fb06fb-712d-4ddd-98c7-e71bbd588830");

/// What `guid(…)` of Bicep gives for these: a UUID of version 5 (RFC 9562 §5.5) of them, with hyphens between
/// (<https://learn.microsoft.com/azure/azure-resource-manager/bicep/bicep-functions-string#guid>). That page names the
/// algorithm alone; namespace and hyphen are as everybody uses them who computes such names outside Azure. Should they not
/// be so, nothing breaks: what is found by its value keeps its id.
pub(super) fn guid(parts: &[&str]) -> Uuid {
    let name = [NAMESPACE.as_bytes(), parts.join("-").as_bytes()].concat();
    let hash = digest(&SHA1_FOR_LEGACY_USE_ONLY, &name);
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hash.as_ref()[..16]);
    Builder::from_sha1_bytes(bytes).into_uuid()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From Python: `uuid5(UUID("11fb06fb-712d-4ddd-98c7-e71bbd588830"), "entrada-mcp.access")`.
    #[test]
    fn it_is_a_uuid_of_version_5() {
        let id = guid(&["entrada", "mcp.access"]);
        assert_eq!(id.get_version_num(), 5);
        assert_eq!(id.to_string(), "2ddce1e5-fd67-52a5-becb-0886b8564bcf");
        assert_ne!(id, guid(&["mcp.access", "entrada"]), "the order counts");
    }
}
