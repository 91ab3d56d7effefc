//! What differs from one of Microsoft's clouds to another.

use url::Url;

/// What a managed identity's token has to be for, so that Entra takes it as an assertion
/// (<https://learn.microsoft.com/entra/workload-id/workload-identity-federation-config-app-trust-managed-identity>).
pub(in crate::adapters) fn token_exchange(authority: &Url) -> &'static str {
    match cloud(authority) {
        Cloud::Global => "api://AzureADTokenExchange",
        Cloud::UsGovernment => "api://AzureADTokenExchangeUSGov",
        Cloud::China => "api://AzureADTokenExchangeChina",
    }
}

/// The root of Microsoft Graph (<https://learn.microsoft.com/graph/deployments>).
pub(in crate::adapters) fn graph(authority: &Url) -> &'static str {
    match cloud(authority) {
        Cloud::Global => "https://graph.microsoft.com",
        Cloud::UsGovernment => "https://graph.microsoft.us",
        Cloud::China => "https://microsoftgraph.chinacloudapi.cn",
    }
}

/// Whether an authority is one of Microsoft's.
pub(in crate::adapters) fn is_known(authority: &Url) -> bool {
    const GLOBAL: &str = "login.microsoftonline.com";
    authority.host_str() == Some(GLOBAL) || !matches!(cloud(authority), Cloud::Global)
}

enum Cloud {
    Global,
    UsGovernment,
    China,
}

fn cloud(authority: &Url) -> Cloud {
    match authority.host_str() {
        Some("login.microsoftonline.us") => Cloud::UsGovernment,
        Some("login.partner.microsoftonline.cn" | "login.chinacloudapi.cn") => Cloud::China,
        _ => Cloud::Global,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_cloud_has_its_own_addresses() {
        for (authority, exchange, root) in [
            (
                "https://login.microsoftonline.com",
                "api://AzureADTokenExchange",
                "https://graph.microsoft.com",
            ),
            (
                "https://login.microsoftonline.us",
                "api://AzureADTokenExchangeUSGov",
                "https://graph.microsoft.us",
            ),
            (
                "https://login.partner.microsoftonline.cn",
                "api://AzureADTokenExchangeChina",
                "https://microsoftgraph.chinacloudapi.cn",
            ),
            ("http://127.0.0.1:1", "api://AzureADTokenExchange", "https://graph.microsoft.com"),
        ] {
            let authority = Url::parse(authority).unwrap();
            assert_eq!((token_exchange(&authority), graph(&authority)), (exchange, root));
        }
    }
}
