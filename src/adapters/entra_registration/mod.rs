//! The app registration in Entra ID by which people sign in, made or brought up to date through Microsoft Graph.
//!
//! It is found by its `uniqueName`, a key that whoever makes it chooses and nobody can change
//! (<https://learn.microsoft.com/graph/api/application-upsert>), so that the same command always meets the same registration.
//! What others added stays: Microsoft Graph replaces whole collections, so each is read, completed and written back, and only
//! where something is missing. `infra/modules/entra.bicep` says the same in other words; either may follow the other.

mod dependents;
mod guid;
mod insistence;
mod merge;
mod notices;
mod refusal;
mod requests;
mod sign_in;

use std::fmt;
use std::time::Duration;

use serde_json::Map;
use serde_json::Value;
use thiserror::Error;
use url::Url;

use crate::adapters::oidc::cloud;
use crate::protocol::issuer::is_loopback;

pub use sign_in::SignIn;

use requests::Requests;
use requests::Written;

/// The delegated permission that the registration exposes, and that Entrada asks for, so that Entra issues its access token
/// for this registration.
pub const SCOPE: &str = "mcp.access";

/// Where the registration is made, and by what right.
#[derive(Debug)]
pub struct Settings {
    /// The tenant of the registration, a GUID.
    pub tenant: String,
    /// The cloud: `https://login.microsoftonline.com`, or a sovereign one.
    pub authority: Url,
    /// The origin of Microsoft Graph, where it is not that of the cloud; https, or http on loopback.
    pub graph: Option<Url>,
    pub sign_in: SignIn,
    /// How long one request may take, with all that is tried again.
    pub patience: Duration,
}

/// What the registration has to have.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// Letters, digits, `-`, `.` and `_`.
    pub unique_name: String,
    /// Without one, a new registration is called Entrada and another keeps its name.
    pub display_name: Option<String>,
    /// Whether people of other tenants sign in too.
    pub multitenant: bool,
    /// Where people come back to from the sign-in.
    pub redirect_uri: Option<String>,
    pub app_roles: Vec<AppRole>,
    /// Whose tokens stand for the registration.
    pub trusted: Option<Trusted>,
}

/// A role that people and groups may be given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppRole {
    /// As tokens have it.
    pub value: String,
    pub display_name: String,
}

/// A federated credential
/// (<https://learn.microsoft.com/graph/api/resources/federatedidentitycredential>).
#[derive(Clone, Debug)]
pub struct Trusted {
    /// Its name within the registration.
    pub name: String,
    pub description: &'static str,
    /// Unless there is one, the tenant itself, which issues the tokens of managed identities.
    pub issuer: Option<String>,
    /// For a managed identity the id of its service principal. Case counts.
    pub subject: String,
}

/// Why the registration is not as it has to be. Each text is a sentence or several.
#[derive(Debug, Error)]
pub enum ApplyError {
    /// The next attempt may succeed.
    #[error("{0}")]
    Away(String),
    /// None will, until somebody has changed something.
    #[error("{0}")]
    Wrong(String),
}

/// One thing that differs from what is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    Added { what: &'static str, value: String },
    Changed { what: String, from: String, to: String },
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Added { what, value } => write!(f, "+ {what}: {value}"),
            Self::Changed { what, from, to } => write!(f, "~ {what}: {from} → {to}"),
        }
    }
}

/// One write, and what it changes.
#[derive(Debug)]
pub struct Step {
    object: Object,
    creates: bool,
    body: Map<String, Value>,
    pub changes: Vec<Change>,
}

#[derive(Clone, Debug)]
enum Object {
    Application,
    ServicePrincipal,
    /// A federated credential of this name.
    Credential(String),
}

/// By what Entra knows the registration.
#[derive(Clone, Debug)]
struct Ids {
    /// Of the object.
    id: String,
    /// The client id.
    app_id: String,
}

/// What is there.
#[derive(Debug, Default)]
struct Found {
    application: Option<Value>,
    principal: Option<Value>,
    credentials: Vec<Value>,
}

/// A registration, as it is and as it is to be.
#[derive(Debug)]
pub struct Registration {
    requests: Requests,
    tenant: String,
    wanted: Wanted,
    notices: Vec<String>,
    /// None until it exists.
    ids: Option<Ids>,
}

impl Registration {
    /// Looks at the registration and says what has to be written, in order; nothing, where it is as it has to be. Writes
    /// nothing.
    ///
    /// # Errors
    /// There is no token, Microsoft Graph is away or refuses to show it, or something of others' is in the way.
    pub async fn look(settings: Settings, wanted: &Wanted) -> Result<(Self, Vec<Step>), ApplyError> {
        let Settings { tenant, authority, graph, sign_in, patience } = settings;
        if !cloud::is_known(&authority) && !is_loopback(&authority) {
            return Err(refusal::no_cloud());
        }
        let of_cloud = cloud::graph(&authority);
        // Beyond loopback a Microsoft Graph is whom its tokens are for.
        let audience = graph.as_ref().filter(|graph| !is_loopback(graph));
        let audience =
            audience.map_or_else(|| of_cloud.to_owned(), |graph| graph.origin().ascii_serialization());
        let token = sign_in.token(&tenant, &audience).await?;
        let root = graph.unwrap_or(Url::parse(of_cloud).expect("the clouds' addresses are URLs"));
        let requests = Requests::new(root, token, patience)?;
        let (wanted, notices) = (wanted.clone(), Vec::new());
        let mut registration = Self { requests, tenant, wanted, notices, ids: None };
        registration.check_directory().await?;
        let found = registration.found().await?;
        registration.notices = notices::of(&found, &registration.wanted);
        let steps = registration.steps(&found, &authority)?;
        Ok((registration, steps))
    }

    /// What was found, and what of it whoever applies should look at, a line each.
    #[must_use]
    pub fn notices(&self) -> &[String] {
        &self.notices
    }

    /// The client id, once there is a registration.
    #[must_use]
    pub fn client_id(&self) -> Option<&str> {
        self.ids.as_ref().map(|ids| ids.app_id.as_str())
    }

    async fn found(&mut self) -> Result<Found, ApplyError> {
        let Some(application) = self.requests.application(&self.wanted.unique_name, false).await? else {
            return Ok(Found::default());
        };
        let ids = ids(&application)?;
        let principal = self.requests.service_principal(&ids.app_id).await?;
        let credentials = self.requests.credentials(&ids.id).await?;
        if let Some(principal) = &principal {
            self.check_tenant(principal)?;
        }
        self.ids = Some(ids);
        Ok(Found { application: Some(application), principal, credentials })
    }

    fn steps(&self, found: &Found, authority: &Url) -> Result<Vec<Step>, ApplyError> {
        let wanted = &self.wanted;
        let mut steps = Vec::new();
        steps.extend(merge::application(found.application.as_ref(), wanted, &self.tenant)?);
        steps.extend(dependents::service_principal(found.principal.as_ref()));
        if let Some(trusted) = &wanted.trusted {
            let tenant = || dependents::issuer(authority, &self.tenant);
            let issuer = trusted.issuer.clone().unwrap_or_else(tenant);
            let audience = cloud::token_exchange(authority);
            steps.extend(dependents::credential(&found.credentials, trusted, &issuer, audience)?);
        }
        Ok(steps)
    }

    /// Writes one step. They are to be carried out in their order.
    ///
    /// # Errors
    /// Microsoft Graph is away, or refuses. What was written before stays, and the next look goes on from there.
    pub async fn carry_out(&mut self, step: &Step) -> Result<(), ApplyError> {
        let body = Value::Object(step.body.clone());
        let ids = match (&step.object, &self.ids) {
            (Object::Application, None) => return self.create(&step.body).await,
            (_, Some(ids)) => ids.clone(),
            (_, None) => return Err(refusal::no_graph()),
        };
        let written = match &step.object {
            Object::Application => self.requests.update_application(&ids.id, &body).await?,
            Object::ServicePrincipal => {
                self.requests.write_service_principal(&ids.app_id, step.creates, &body).await?
            }
            Object::Credential(name) => self.requests.write_credential(&ids.app_id, name, &body).await?,
        };
        match (&step.object, written) {
            (Object::ServicePrincipal, Written::Made(principal)) => self.check_tenant(&principal),
            _ => Ok(()),
        }
    }

    /// Makes the registration, once: whoever is not told whether that succeeded asks for what has the name now.
    ///
    /// It is made with nothing but its names, for one may have been there all the same and not have shown: what others have
    /// added to that stays. A name that is taken is seen before anything is made.
    async fn create(&mut self, body: &Map<String, Value>) -> Result<(), ApplyError> {
        let names = ["displayName", "signInAudience", "identifierUris"];
        let bare =
            names.into_iter().filter_map(|name| Some((name.to_owned(), body.get(name)?.clone()))).collect();
        let unique_name = &self.wanted.unique_name;
        let made = match self.requests.create_application(unique_name, &Value::Object(bare)).await? {
            Written::Made(made) => made,
            // An attempt whose answer was lost had made it, or somebody else.
            Written::Updated => {
                let made = self.requests.application(unique_name, true).await?;
                made.ok_or_else(refusal::no_graph)?
            }
        };
        let ids = ids(&made)?;
        let id = self.ids.insert(ids).id.clone();
        if let Some(rest) = merge::application(Some(&made), &self.wanted, &self.tenant)? {
            self.requests.update_application(&id, &Value::Object(rest.body)).await?;
        }
        Ok(())
    }

    /// Before anything is written: whose directory this is, as far as whoever asks may know.
    async fn check_directory(&self) -> Result<(), ApplyError> {
        let organizations = match self.requests.organizations().await {
            Ok(organizations) => organizations,
            Err(ApplyError::Wrong(_)) => None,
            Err(away) => return Err(away),
        };
        match organizations.as_ref().and_then(|list| list["value"][0]["id"].as_str()) {
            Some(owner) if !owner.eq_ignore_ascii_case(&self.tenant) => {
                Err(refusal::another_tenant(owner, &self.tenant))
            }
            _ => Ok(()),
        }
    }

    /// Entra has the tenant from the token, and we have it from the operator.
    fn check_tenant(&self, principal: &Value) -> Result<(), ApplyError> {
        match principal["appOwnerOrganizationId"].as_str() {
            Some(owner) if !owner.eq_ignore_ascii_case(&self.tenant) => {
                Err(refusal::another_tenant(owner, &self.tenant))
            }
            _ => Ok(()),
        }
    }
}

fn ids(application: &Value) -> Result<Ids, ApplyError> {
    let guid = |name: &str| {
        let id = application[name].as_str().and_then(|id| uuid::Uuid::try_parse(id).ok());
        id.map(|id| id.to_string()).ok_or_else(refusal::no_graph)
    };
    Ok(Ids { id: guid("id")?, app_id: guid("appId")? })
}
