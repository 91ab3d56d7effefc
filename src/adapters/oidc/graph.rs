//! Microsoft Graph, for the groups that an ID token has no room for.

use http::StatusCode;
use secrecy::SecretString;
use serde::Deserialize;
use serde_json::json;
use url::Url;

use crate::ports::idp::UpstreamError;
use crate::ports::idp::UpstreamReason;

use super::failure::away;
use super::failure::refused;
use super::http_client::HttpClient;

/// What we ask for there. It is enough for the memberships of whoever is signed in
/// (<https://learn.microsoft.com/graph/api/user-getmemberobjects#permissions>).
const PERMISSION: &str = "User.Read";

/// The scope of a token for this Graph. A token is for one resource (AADSTS28000), so it takes a request of its own.
pub(super) fn scope(root: &Url) -> String {
    format!("{}/{PERMISSION}", root.as_str().trim_end_matches('/'))
}

#[derive(Deserialize)]
struct Members {
    value: Vec<String>,
}

/// Everything that the person whose token this is is a member of, however deep: groups, directory roles and
/// administrative units
/// (<https://learn.microsoft.com/graph/api/directoryobject-getmemberobjects>).
pub(super) async fn member_objects(
    http: &HttpClient,
    root: &Url,
    token: &SecretString,
    admin_consent: Option<&Url>,
) -> Result<Vec<String>, UpstreamError> {
    let url =
        root.join("/v1.0/me/getMemberObjects").map_err(|_| refused("Microsoft Graph has no address"))?;
    let question = json!({ "securityEnabledOnly": false }).to_string();
    let answer = http.post_json(&url, question, token).await?;
    match answer.status {
        StatusCode::OK => {
            let members: Members = serde_json::from_slice(&answer.body)
                .map_err(|_| away("what Microsoft Graph sent cannot be read"))?;
            Ok(members.value.into_iter().map(|id| id.to_ascii_lowercase()).collect())
        }
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            let what = "Microsoft Graph does not tell us the groups: User.Read is missing";
            let admin_consent = admin_consent.cloned().map(Box::new);
            Err(UpstreamError::Refused(UpstreamReason { what, admin_consent, ..UpstreamReason::default() }))
        }
        // Directory_ResultSizeLimitExceeded.
        StatusCode::BAD_REQUEST => Err(refused("Microsoft Graph cannot list so many groups")),
        _ => Err(away("Microsoft Graph is failing or busy")),
    }
}
