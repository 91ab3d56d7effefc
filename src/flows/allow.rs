//! May this person, with this client, use this resource? The operator's lists, asked at sign-in, at refresh and,
//! with each look at the grant, at the gateway.

use crate::domain::allowed::Lacking;
use crate::domain::client::ClientId;
use crate::domain::person::Person;
use crate::flows::AuthServer;
use crate::flows::refusal::Refusal;
use crate::flows::refusal::Row;
use crate::flows::refusal::row;
use crate::protocol::error::ErrorCode::AccessDenied;
use crate::protocol::redirect_uri::RedirectUri;

impl Refusal for Lacking {
    fn row(self) -> Row {
        match self {
            Self::Member => row(
                "guest_not_allowed",
                AccessDenied,
                "Your account is a guest in this organization, and this server is for its members. Sign in with another account, or ask whoever runs the server, who can let guests in with the setting upstream.guests.",
            ),
            Self::MemberUnknown => row(
                "guest_unknown",
                AccessDenied,
                "The sign-in service does not say whether your account is a guest, and this server is for members. Whoever runs the server has to add the optional claim acct to the ID token of its application, or to let guests in with upstream.guests = \"allow\".",
            ),
            Self::Tenant => row(
                "tenant_not_allowed",
                AccessDenied,
                "This MCP server is not for people of your organization's tenant. Sign in with another account, or ask whoever runs the server.",
            ),
            Self::User => row(
                "user_not_allowed",
                AccessDenied,
                "This MCP server is for named people, and your account is none of them. Sign in with another account, or ask whoever runs the server.",
            ),
            Self::Group => row(
                "group_missing",
                AccessDenied,
                "Your account is in none of the groups that may use this MCP server. An administrator of your organization can add it; sign in again afterwards.",
            ),
            Self::GroupsUnknown => row(
                "groups_unknown",
                AccessDenied,
                "Your account is in more groups than a sign-in lists, and this server may not ask Microsoft Graph for them, so that nobody can tell whether it is in one that may use this MCP server. Whoever runs the server can have an administrator consent to the delegated permission User.Read for its application, have the sign-in list only the groups that are assigned to the application, or go by app roles.",
            ),
            Self::Role => row(
                "role_missing",
                AccessDenied,
                "Your account has none of the app roles that may use this MCP server. An administrator of your organization can assign one; sign in again afterwards.",
            ),
            Self::Client => row(
                "client_not_allowed",
                AccessDenied,
                "This MCP server may not be used with this application. Use another one, or ask whoever runs the server.",
            ),
        }
    }
}

impl AuthServer {
    /// Whether a person may use a resource with a client.
    pub(in crate::flows) fn allow(
        &self,
        resource: &str,
        person: &Person,
        client: &ClientId,
        redirect_uri: &RedirectUri,
    ) -> Result<(), Lacking> {
        let lacking = self.policy().lacking(resource, person, client, &redirect_uri.host());
        lacking.map_or(Ok(()), Err)
    }
}
