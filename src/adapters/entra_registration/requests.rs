//! Requests to Microsoft Graph.

use std::time::Duration;

use reqwest::Method;
use reqwest::RequestBuilder;
use reqwest::Response;
use reqwest::header::ACCEPT;
use reqwest::header::CONTENT_TYPE;
use reqwest::header::HeaderName;
use reqwest::header::RETRY_AFTER;
use reqwest::redirect::Policy;
use secrecy::ExposeSecret;
use secrecy::SecretString;
use serde_json::Value;
use url::Url;

use super::ApplyError;
use super::insistence::Trouble;
use super::insistence::insist;
use super::refusal;
use super::refusal::Refusal;

const CONNECT: Duration = Duration::from_secs(5);
/// From the connection to the last byte read. A write takes seconds at times.
const REQUEST: Duration = Duration::from_secs(30);
/// A registration may have some 1,200 entries.
const MAX_ANSWER: usize = 1024 * 1024;
const PREFER: HeaderName = HeaderName::from_static("prefer");
/// What is read of a registration.
const APPLICATION: &str = "$select=id,appId,displayName,signInAudience,identifierUris,api,web,optionalClaims,\
    groupMembershipClaims,requiredResourceAccess,appRoles,createdDateTime,passwordCredentials,keyCredentials,spa,publicClient";
const SERVICE_PRINCIPAL: &str = "$select=id,appId,tags,appOwnerOrganizationId,accountEnabled";

/// Asks one Microsoft Graph, with one token.
#[derive(Debug)]
pub(super) struct Requests {
    client: reqwest::Client,
    root: Url,
    token: SecretString,
    patience: Duration,
}

/// What came of a write.
pub(super) enum Written {
    /// 201, and what was made.
    Made(Value),
    /// 204.
    Updated,
}

impl Requests {
    /// `root` is an origin. The token goes nowhere else: a redirect would take it elsewhere, so none is followed, and a
    /// variable that somebody set for another program must not decide which proxy sees the traffic.
    pub(super) fn new(root: Url, token: SecretString, patience: Duration) -> Result<Self, ApplyError> {
        let client = reqwest::Client::builder()
            .user_agent(concat!("entrada/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT)
            .timeout(REQUEST)
            .redirect(Policy::none())
            .referer(false)
            .no_proxy()
            .build();
        let client = client.map_err(|_| refusal::no_client())?;
        Ok(Self { client, root, token, patience })
    }

    /// The tenant that the directory is of
    /// (<https://learn.microsoft.com/graph/api/organization-list>).
    pub(super) async fn organizations(&self) -> Result<Option<Value>, ApplyError> {
        self.get("organization", "$select=id", false).await
    }

    /// The registration. One that was just made is `expected`, and waited for.
    pub(super) async fn application(
        &self,
        unique_name: &str,
        expected: bool,
    ) -> Result<Option<Value>, ApplyError> {
        self.get(&format!("applications(uniqueName='{unique_name}')"), APPLICATION, expected).await
    }

    pub(super) async fn service_principal(&self, app_id: &str) -> Result<Option<Value>, ApplyError> {
        self.get(&format!("servicePrincipals(appId='{app_id}')"), SERVICE_PRINCIPAL, false).await
    }

    /// Every federated credential: there are 20 at most, which is one page.
    pub(super) async fn credentials(&self, id: &str) -> Result<Vec<Value>, ApplyError> {
        let list = self.get(&format!("applications/{id}/federatedIdentityCredentials"), "", true).await?;
        list.and_then(|list| list["value"].as_array().cloned()).ok_or_else(refusal::no_graph)
    }

    /// Makes the registration, or writes over the one that is there.
    pub(super) async fn create_application(
        &self,
        unique_name: &str,
        body: &Value,
    ) -> Result<Written, ApplyError> {
        self.patch(&format!("applications(uniqueName='{unique_name}')"), true, body).await
    }

    pub(super) async fn update_application(&self, id: &str, body: &Value) -> Result<Written, ApplyError> {
        self.patch(&format!("applications/{id}"), false, body).await
    }

    /// <https://learn.microsoft.com/graph/api/serviceprincipal-upsert>.
    pub(super) async fn write_service_principal(
        &self,
        app_id: &str,
        creates: bool,
        body: &Value,
    ) -> Result<Written, ApplyError> {
        self.patch(&format!("servicePrincipals(appId='{app_id}')"), creates, body).await
    }

    /// <https://learn.microsoft.com/graph/api/federatedidentitycredential-upsert>.
    pub(super) async fn write_credential(
        &self,
        app_id: &str,
        name: &str,
        body: &Value,
    ) -> Result<Written, ApplyError> {
        let path = format!("applications(appId='{app_id}')/federatedIdentityCredentials(name='{name}')");
        self.patch(&path, true, body).await
    }

    fn request(&self, method: Method, path: &str, query: &str) -> RequestBuilder {
        let mut url = self.root.clone();
        url.set_path(&format!("/v1.0/{path}"));
        url.set_query(Some(query).filter(|query| !query.is_empty()));
        let request = self.client.request(method, url).bearer_auth(self.token.expose_secret());
        request.header(ACCEPT, "application/json")
    }

    async fn get(&self, path: &str, query: &str, expected: bool) -> Result<Option<Value>, ApplyError> {
        insist(self.patience, async || {
            let refused = match ask(self.request(Method::GET, path, query)).await {
                Ok(answer) => return answer.map(Some).ok_or_else(|| Trouble::Final(refusal::no_graph())),
                Err(refused) => refused,
            };
            match refused.refusal {
                Refusal::Absent(_) if !expected => Ok(None),
                Refusal::Absent(why) | Refusal::Again(why) | Refusal::Unsure(why) => {
                    Err(Trouble::Again { why, wanted: refused.wanted })
                }
                Refusal::Conflict(words) | Refusal::Wrong(words) => {
                    Err(Trouble::Final(ApplyError::Wrong(words)))
                }
            }
        })
        .await
    }

    /// Writes; with `creates`, also what is not there. What is absent otherwise was made or read a moment ago, so it is waited
    /// for. After an attempt that may have been carried out, a conflict may be with what that one made: so it is not final.
    async fn patch(&self, path: &str, creates: bool, body: &Value) -> Result<Written, ApplyError> {
        let mut unsure = false;
        insist(self.patience, async || {
            let mut request = self.request(Method::PATCH, path, "");
            request = request.header(CONTENT_TYPE, "application/json").body(body.to_string());
            if creates {
                request = request.header(PREFER, "create-if-missing");
            }
            let refused = match ask(request).await {
                Ok(answer) => return Ok(answer.map_or(Written::Updated, Written::Made)),
                Err(refused) => refused,
            };
            unsure |= matches!(refused.refusal, Refusal::Unsure(_));
            match refused.refusal {
                Refusal::Conflict(words) if !unsure => Err(Trouble::Final(ApplyError::Wrong(words))),
                Refusal::Wrong(words) => Err(Trouble::Final(ApplyError::Wrong(words))),
                Refusal::Conflict(_) => {
                    Err(Trouble::again("it has what it was asked for, or something else that is in the way"))
                }
                Refusal::Absent(why) | Refusal::Again(why) | Refusal::Unsure(why) => {
                    Err(Trouble::Again { why, wanted: refused.wanted })
                }
            }
        })
        .await
    }
}

/// An answer that is no success.
struct Refused {
    refusal: Refusal,
    /// How long Microsoft Graph wants to be left alone.
    wanted: Option<Duration>,
}

/// Sends one request. None is an answer without a body.
async fn ask(request: RequestBuilder) -> Result<Option<Value>, Refused> {
    let unsure = |error: &reqwest::Error| Refused { refusal: unreachable(error), wanted: None };
    let wrong = || Refused { refusal: Refusal::Wrong(refusal::NO_GRAPH.to_owned()), wanted: None };
    let mut response = request.send().await.map_err(|error| unsure(&error))?;
    let status = response.status().as_u16();
    let wanted = retry_after(&response);
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| unsure(&error))? {
        body.extend_from_slice(&chunk);
        if body.len() > MAX_ANSWER {
            return Err(wrong());
        }
    }
    match status {
        204 => Ok(None),
        200 | 201 => serde_json::from_slice(&body).map(Some).map_err(|_| wrong()),
        status => Err(Refused { refusal: refusal::of(status, &body, wanted), wanted }),
    }
}

/// In seconds, as Microsoft Graph writes it (<https://learn.microsoft.com/graph/throttling>).
fn retry_after(response: &Response) -> Option<Duration> {
    let seconds = response.headers().get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}

/// The error itself is dropped: its text holds the URL. Who was never reached has done nothing.
fn unreachable(error: &reqwest::Error) -> Refusal {
    match (error.is_connect(), error.is_timeout()) {
        (true, _) => {
            Refusal::Again("it cannot be reached: its name, the network, or its certificate".to_owned())
        }
        (_, true) => Refusal::Unsure("it did not answer in time".to_owned()),
        _ => Refusal::Unsure("it broke the connection off".to_owned()),
    }
}
