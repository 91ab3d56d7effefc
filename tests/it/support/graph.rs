//! Microsoft Graph on this machine, as far as app registrations go.
//!
//! A registration is found by its object id, its client id or its unique name, and made by a write that says so. Of what is
//! written, collections replace what was there, properties that are not sent stay, and what is enabled may be neither removed
//! nor changed. A name that a deleted registration has is taken. What was just made may not show yet.

use std::collections::VecDeque;
use std::io;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;

use axum::body::Body;
use axum::http::Method;
use axum::http::Request;
use axum::http::Response;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioExecutor;
use hyper_util::rt::TokioIo;
use hyper_util::server::conn::auto;
use serde_json::Map;
use serde_json::Value;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::support::vault::Instead;

/// What this Microsoft Graph takes for a token of its own.
pub const TOKEN: &str = "token-of-whoever-may-register";

/// A running Microsoft Graph. It ends when it is dropped.
pub struct HostedGraph {
    pub origin: String,
    kept: Arc<Mutex<Kept>>,
    /// Aborted when dropped.
    _server: JoinSet<()>,
}

/// What is registered, and what goes wrong next.
#[derive(Default)]
struct Kept {
    tenant: String,
    applications: Vec<Value>,
    principals: Vec<Value>,
    /// The client id of the registration beside each.
    credentials: Vec<(String, Value)>,
    /// Identifier URIs of registrations that were deleted.
    deleted: Vec<String>,
    /// How many requests do not see yet what was made last; and how many will not, when something is made.
    unseen: usize,
    lag: usize,
    /// What writes meet, the next of them first: nothing, an answer instead, or the loss of theirs.
    fates: VecDeque<Option<Fate>>,
    /// What reads meet.
    reads: VecDeque<Option<Instead>>,
    requests: Vec<Asked>,
    made: u32,
}

/// What a write meets.
pub enum Fate {
    Instead(Instead),
    /// It is carried out, and the connection breaks before the answer.
    Lost,
}

/// A request that arrived.
#[derive(Clone, Debug)]
pub struct Asked {
    pub method: Method,
    pub target: String,
    /// Whether it makes what is missing.
    pub upserts: bool,
    pub body: Value,
}

type Answer = Result<(u16, Value), Instead>;

impl HostedGraph {
    /// One for the directory of this tenant.
    pub async fn start(tenant: &str) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let kept = Arc::new(Mutex::new(Kept { tenant: tenant.to_owned(), ..Kept::default() }));
        let mut server = JoinSet::new();
        server.spawn(serve(listener, Arc::clone(&kept)));
        Self { origin, kept, _server: server }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap()
    }

    /// The registrations, each with all that it has.
    pub fn applications(&self) -> Vec<Value> {
        self.kept().applications.clone()
    }

    /// The only one.
    pub fn application(&self) -> Value {
        let applications = self.applications();
        assert_eq!(applications.len(), 1, "{applications:#?}");
        applications[0].clone()
    }

    pub fn principals(&self) -> Vec<Value> {
        self.kept().principals.clone()
    }

    pub fn credentials(&self) -> Vec<Value> {
        self.kept().credentials.iter().map(|(_, credential)| credential.clone()).collect()
    }

    /// Lets somebody change the only registration in the portal.
    pub fn edit(&self, change: impl FnOnce(&mut Value)) {
        change(&mut self.kept().applications[0]);
    }

    /// Lets somebody change its service principal.
    pub fn edit_principal(&self, change: impl FnOnce(&mut Value)) {
        change(&mut self.kept().principals[0]);
    }

    /// Gives the only registration a federated credential.
    pub fn trust(&self, name: &str, issuer: &str, subject: &str, audience: &str) {
        let mut kept = self.kept();
        let app_id = kept.applications[0]["appId"].as_str().unwrap().to_owned();
        let credential = json!({ "name": name, "issuer": issuer, "subject": subject, "description": null, "audiences": [audience] });
        kept.credentials.push((app_id, credential));
    }

    /// A deleted registration keeps this identifier URI.
    pub fn deleted(&self, uri: &str) {
        self.kept().deleted.push(uri.to_owned());
    }

    /// The next so many requests after something is made do not see it.
    pub fn lags(&self, requests: usize) {
        self.kept().lag = requests;
    }

    /// What the next writes meet, one after the other.
    pub fn writes_meet(&self, fates: impl IntoIterator<Item = Option<Fate>>) {
        self.kept().fates.extend(fates);
    }

    /// What the next reads are answered instead, if anything.
    pub fn reads_meet(&self, instead: impl IntoIterator<Item = Option<Instead>>) {
        self.kept().reads.extend(instead);
    }

    /// What has arrived since the last call.
    pub fn requests(&self) -> Vec<Asked> {
        std::mem::take(&mut self.kept().requests)
    }

    /// Those of them that write.
    pub fn writes(&self) -> Vec<Asked> {
        self.requests().into_iter().filter(|asked| asked.method != Method::GET).collect()
    }
}

fn absent() -> Instead {
    Instead::new(404, "Request_ResourceNotFound", None)
}

fn bad(message: &'static str) -> Instead {
    Instead::new(400, "Request_BadRequest", None).saying(message)
}

/// A registration, as it is shown when nothing was said of it but its names.
fn bare(id: String, app_id: String, unique_name: &str) -> Value {
    json!({
        "id": id, "appId": app_id, "uniqueName": unique_name, "displayName": null,
        "signInAudience": "AzureADandPersonalMicrosoftAccount", "identifierUris": [], "tags": [],
        "api": {
            "requestedAccessTokenVersion": null, "acceptMappedClaims": null, "knownClientApplications": [],
            "oauth2PermissionScopes": [], "preAuthorizedApplications": [],
        },
        "web": {
            "redirectUris": [], "homePageUrl": null, "logoutUrl": null,
            "implicitGrantSettings": { "enableIdTokenIssuance": false, "enableAccessTokenIssuance": false },
        },
        "optionalClaims": null, "groupMembershipClaims": null, "requiredResourceAccess": [], "appRoles": [],
    })
}

impl Kept {
    fn guid(&mut self) -> String {
        self.made += 1;
        format!("{:08x}-0000-4000-8000-{:012x}", self.made.wrapping_mul(0x9E37_79B9), self.made)
    }

    /// Whether what was made last does not show yet.
    fn overlooks(&mut self) -> bool {
        let overlooks = self.unseen > 0;
        self.unseen = self.unseen.saturating_sub(1);
        overlooks
    }

    /// Where the registration stands that a path names: `applications/{id}` or `applications(key='value')`.
    fn find(&self, segment: &str, id: Option<&str>) -> Option<usize> {
        let (key, value) = key_of(segment).or(id.map(|id| ("id", id)))?;
        self.applications.iter().position(|application| application[key] == value)
    }

    fn carry_out(&mut self, asked: &Asked) -> Answer {
        let (path, query) = asked.target.split_once('?').unwrap_or((&asked.target, ""));
        let segments: Vec<&str> = path.strip_prefix("/v1.0/").ok_or_else(absent)?.split('/').collect();
        let (first, rest) = segments.split_first().unwrap();
        if *first == "organization" {
            return Ok((200, json!({ "value": [{ "id": self.tenant }] })));
        }
        if first.starts_with("servicePrincipals") {
            return self.principal(asked, first, query);
        }
        let (id, rest) = match (key_of(first), rest) {
            (None, [id, rest @ ..]) => (Some(*id), rest),
            (_, rest) => (None, rest),
        };
        let at = self.find(first, id);
        match rest {
            [] => self.application_at(asked, first, at, query),
            [below] => {
                let at = at.ok_or_else(absent)?;
                if self.overlooks() {
                    return Err(absent());
                }
                let app_id = self.applications[at]["appId"].as_str().unwrap().to_owned();
                self.credential(asked, below, &app_id)
            }
            _ => Err(absent()),
        }
    }

    fn application_at(&mut self, asked: &Asked, first: &str, at: Option<usize>, query: &str) -> Answer {
        let shown = at.filter(|_| !self.overlooks());
        match (&asked.method, shown) {
            (&Method::GET, Some(at)) => Ok((200, selected(&self.applications[at], query))),
            (&Method::PATCH, Some(at)) => {
                let written = self.written(&self.applications[at], &asked.body)?;
                self.applications[at] = written;
                Ok((204, Value::Null))
            }
            // Made, and not to be seen from here.
            (&Method::PATCH, None) if asked.upserts && at.is_some() => {
                Err(bad("Another object with the same value for property uniqueName already exists."))
            }
            (&Method::PATCH, None) if asked.upserts => {
                let Some(("uniqueName", name)) = key_of(first) else { return Err(absent()) };
                let bare = bare(self.guid(), self.guid(), name);
                let made = self.written(&bare, &asked.body)?;
                if made["displayName"].is_null() {
                    return Err(bad("Property displayName is required."));
                }
                self.applications.push(made.clone());
                self.unseen = self.lag;
                Ok((201, made))
            }
            _ => Err(absent()),
        }
    }

    /// What a registration is after a write.
    fn written(&self, before: &Value, body: &Value) -> Result<Value, Instead> {
        let mut after = before.clone();
        for (name, value) in body.as_object().unwrap() {
            let Some(place) = after.get_mut(name).filter(|_| !["id", "appId"].contains(&name.as_str()))
            else {
                return Err(bad("Invalid property."));
            };
            match (place.as_object_mut(), value.as_object()) {
                (Some(place), Some(value)) if ["api", "web"].contains(&name.as_str()) => {
                    place.extend(value.clone());
                }
                _ => *place = value.clone(),
            }
        }
        let written = [&body["api"]["oauth2PermissionScopes"], &body["appRoles"]];
        if written.into_iter().filter_map(Value::as_array).flatten().any(|one| one.get("origin").is_some()) {
            return Err(bad("Property origin is read-only."));
        }
        keeps_what_is_enabled(before, &after)?;
        self.keeps_rules(before, body, &after)?;
        complete(&mut after);
        Ok(after)
    }

    fn keeps_rules(&self, before: &Value, body: &Value, after: &Value) -> Result<(), Instead> {
        let uris = after["identifierUris"].as_array().unwrap();
        let others = self.applications.iter().filter(|other| other["id"] != before["id"]);
        let mut taken = others.flat_map(|other| other["identifierUris"].as_array().unwrap());
        if taken.any(|uri| uris.contains(uri)) || self.deleted.iter().any(|uri| uris.contains(&json!(uri))) {
            return Err(bad(
                "Another object with the same value for property identifierUris already exists.",
            ));
        }
        let entitlements = entitlements(after);
        for name in ["id", "value"] {
            let mut seen: Vec<_> =
                entitlements.iter().map(|entitlement| entitlement[name].to_string()).collect();
            seen.sort();
            seen.dedup();
            if seen.len() < entitlements.len() {
                return Err(bad("Property has duplicate values."));
            }
        }
        let new = entitlements.len() > self::entitlements(before).len();
        if new && body["api"]["preAuthorizedApplications"].is_array() {
            return Err(bad("Permission id in preAuthorizedApplications is not found."));
        }
        if after["web"]["redirectUris"].as_array().unwrap().len() > 256 {
            return Err(bad("Too many redirect URIs."));
        }
        Ok(())
    }

    fn principal(&mut self, asked: &Asked, segment: &str, query: &str) -> Answer {
        let Some(("appId", app_id)) = key_of(segment) else { return Err(absent()) };
        let of = self.applications.iter().any(|application| application["appId"] == app_id);
        if asked.method == Method::PATCH && (self.overlooks() || !of) {
            return Err(bad(
                "The appId of the service principal does not reference a valid application object.",
            ));
        }
        let at = self.principals.iter().position(|principal| principal["appId"] == app_id);
        match (&asked.method, at) {
            (&Method::GET, Some(at)) => Ok((200, selected(&self.principals[at], query))),
            (&Method::PATCH, Some(at)) => {
                self.principals[at].as_object_mut().unwrap().extend(asked.body.as_object().unwrap().clone());
                Ok((204, Value::Null))
            }
            (&Method::PATCH, None) if asked.upserts => {
                let mut made = json!({
                    "id": self.guid(), "appId": app_id, "tags": [], "appRoleAssignmentRequired": false,
                    "appOwnerOrganizationId": self.tenant,
                });
                made.as_object_mut().unwrap().extend(asked.body.as_object().unwrap().clone());
                self.principals.push(made.clone());
                Ok((201, made))
            }
            _ => Err(absent()),
        }
    }

    fn credential(&mut self, asked: &Asked, segment: &str, app_id: &str) -> Answer {
        let of = |(id, _): &&(String, Value)| id == app_id;
        let Some((_, name)) = key_of(segment) else {
            let list: Vec<&Value> =
                self.credentials.iter().filter(of).map(|(_, credential)| credential).collect();
            return Ok((200, json!({ "value": list })));
        };
        let at = self.credentials.iter().position(|(id, found)| id == app_id && found["name"] == name);
        let known = at.map(|at| self.credentials[at].1.clone());
        let mut after = known.unwrap_or_else(|| json!({ "name": name, "description": null }));
        after.as_object_mut().unwrap().extend(asked.body.as_object().unwrap().clone());
        let alike =
            |other: &Value| other["issuer"] == after["issuer"] && other["subject"] == after["subject"];
        if self.credentials.iter().filter(of).any(|(_, other)| other["name"] != name && alike(other)) {
            return Err(bad("FederatedIdentityCredential with name other already exists."));
        }
        if after["audiences"].as_array().is_none_or(|audiences| audiences.len() != 1)
            || self.credentials.len() >= 20 && at.is_none()
        {
            return Err(bad("FederatedIdentityCredential is not valid."));
        }
        match at {
            Some(at) => {
                self.credentials[at].1 = after;
                Ok((204, Value::Null))
            }
            None if asked.upserts => {
                self.credentials.push((app_id.to_owned(), after.clone()));
                Ok((201, after))
            }
            None => Err(absent()),
        }
    }
}

/// `key` and `value` of `collection(key='value')`.
fn key_of(segment: &str) -> Option<(&str, &str)> {
    let (_, inside) = segment.strip_suffix("')")?.split_once('(')?;
    inside.split_once("='")
}

/// What `$select` asks for.
fn selected(object: &Value, query: &str) -> Value {
    let names = query.strip_prefix("$select=").unwrap().split(',');
    let mut shown: Map<String, Value> = names.map(|name| (name.to_owned(), object[name].clone())).collect();
    shown.insert("@odata.context".to_owned(), "https://graph.microsoft.com/v1.0/$metadata".into());
    shown.into()
}

/// Scopes and app roles, but for what is only shown.
fn entitlements(application: &Value) -> Vec<Value> {
    let lists = [&application["api"]["oauth2PermissionScopes"], &application["appRoles"]];
    let mut all: Vec<Value> = lists.into_iter().flat_map(|list| list.as_array().unwrap().clone()).collect();
    all.iter_mut().for_each(|one| drop(one.as_object_mut().unwrap().remove("origin")));
    all
}

/// `CannotDeleteOrUpdateEnabledEntitlement`.
fn keeps_what_is_enabled(before: &Value, after: &Value) -> Result<(), Instead> {
    let after = entitlements(after);
    let enabled = entitlements(before).into_iter().filter(|found| found["isEnabled"] == true);
    let lost = enabled.filter(|found| {
        let same = |new: &&Value| {
            new["id"] == found["id"] && {
                let mut new = (*new).clone();
                new["isEnabled"] = true.into();
                new == *found
            }
        };
        !after.iter().any(|new| same(&new))
    });
    match lost.count() {
        0 => Ok(()),
        _ => Err(Instead::new(400, "CannotDeleteOrUpdateEnabledEntitlement", None)
            .saying("Permission (scope or role) cannot be deleted or updated unless disabled first.")),
    }
}

/// What is shown of an object beside what was said of it.
fn complete(application: &mut Value) {
    let claims = application["optionalClaims"]["idToken"].as_array_mut();
    for claim in claims.into_iter().flatten() {
        for (name, value) in
            [("source", Value::Null), ("essential", false.into()), ("additionalProperties", json!([]))]
        {
            claim.as_object_mut().unwrap().entry(name).or_insert(value);
        }
    }
    if application["optionalClaims"].is_object() {
        for token in ["accessToken", "saml2Token"] {
            application["optionalClaims"].as_object_mut().unwrap().entry(token).or_insert(json!([]));
        }
    } else {
        application["optionalClaims"] = Value::Null;
    }
    for role in application["appRoles"].as_array_mut().into_iter().flatten() {
        role.as_object_mut().unwrap().entry("origin").or_insert("Application".into());
    }
}

async fn serve(listener: TcpListener, kept: Arc<Mutex<Kept>>) {
    let mut open = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let kept = Arc::clone(&kept);
        let service = service_fn(move |request| answer(Arc::clone(&kept), request));
        open.spawn(async move {
            let builder = auto::Builder::new(TokioExecutor::new());
            builder.serve_connection(TokioIo::new(stream), service).await.ok();
        });
    }
}

/// An error breaks the connection.
async fn answer(kept: Arc<Mutex<Kept>>, request: Request<Incoming>) -> io::Result<Response<Body>> {
    let (head, body) = request.into_parts();
    let header = |name: &str| head.headers.get(name).map(|value| value.to_str().unwrap().to_owned());
    let body = body.collect().await.unwrap().to_bytes();
    let body = if body.is_empty() { Value::Null } else { serde_json::from_slice(&body).unwrap() };
    let upserts = header("prefer").as_deref() == Some("create-if-missing");
    let asked = Asked { method: head.method.clone(), target: head.uri.to_string(), upserts, body };
    let mut kept = kept.lock().unwrap();
    kept.requests.push(asked.clone());
    if header("authorization").as_deref() != Some(&format!("Bearer {TOKEN}")) {
        return Ok(Instead::new(401, "InvalidAuthenticationToken", None).response());
    }
    if asked.method == Method::PATCH && header("content-type").as_deref() != Some("application/json") {
        return Ok(Instead::new(415, "UnsupportedMediaType", None).response());
    }
    let fate = match asked.method {
        // Who asks is not always told, and goes on without.
        Method::GET if asked.target.starts_with("/v1.0/organization") => None,
        Method::GET => kept.reads.pop_front().flatten().map(Fate::Instead),
        _ => kept.fates.pop_front().flatten(),
    };
    if let Some(Fate::Instead(instead)) = fate {
        return Ok(instead.response());
    }
    let answer = kept.carry_out(&asked);
    if let Some(Fate::Lost) = fate {
        return Err(io::Error::from(io::ErrorKind::ConnectionReset));
    }
    Ok(match answer {
        Ok((status, body)) => {
            let builder = Response::builder().status(status).header("content-type", "application/json");
            let body = if status == 204 { Body::empty() } else { Body::from(body.to_string()) };
            builder.body(body).unwrap()
        }
        Err(instead) => instead.response(),
    })
}
