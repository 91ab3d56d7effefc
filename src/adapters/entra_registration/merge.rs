//! What the registration lacks. Pure: from what was read to what is written.
//!
//! A collection that is written replaces the one that is there, and properties that are not sent stay, those of `api` and
//! `web` too (<https://learn.microsoft.com/graph/api/application-update>). So what is written holds nothing but collections
//! and values that differ, and each collection begins with all that was there, as it was read.

use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use super::AppRole;
use super::ApplyError;
use super::Change;
use super::Object;
use super::SCOPE;
use super::Step;
use super::Wanted;
use super::guid::guid;

/// Microsoft Graph, in every tenant.
const GRAPH: &str = "00000003-0000-0000-c000-000000000000";
/// What people consent to, of Microsoft Graph (<https://learn.microsoft.com/graph/permissions-reference>).
const PERMISSIONS: [(&str, &str); 4] = [
    ("openid", "37f7f235-527c-4136-accd-4a02d197296e"),
    ("profile", "14dad69e-099b-42c9-810b-d002981feec1"),
    ("offline_access", "7427e0e9-2fba-42fe-b0c0-848c9e6a8182"),
    // For the groups of people who have too many for a token.
    ("User.Read", "e1fe6dd8-ba31-4d61-89e7-88639da4683d"),
];
/// Who is a guest; and when somebody signed in, for `prompt=login` and `max_age`.
const CLAIMS: [&str; 2] = ["acct", "auth_time"];
const DISPLAY_NAME: &str = "Entrada";
/// <https://learn.microsoft.com/entra/identity-platform/reply-url>.
const MAX_REDIRECT_URIS: usize = 256;

/// What is written, as it grows.
struct Merge<'a> {
    found: &'a Value,
    creates: bool,
    body: Map<String, Value>,
    changes: Vec<Change>,
}

/// The write that the registration needs, if it needs one.
pub(super) fn application(
    found: Option<&Value>,
    wanted: &Wanted,
    tenant: &str,
) -> Result<Option<Step>, ApplyError> {
    let mut merge = Merge {
        found: found.unwrap_or(&Value::Null),
        creates: found.is_none(),
        body: Map::new(),
        changes: Vec::new(),
    };
    merge.names(wanted);
    merge.audience(wanted.multitenant);
    // Has the tenant's id in it, which every policy for identifier URIs allows
    // (https://learn.microsoft.com/entra/identity-platform/identifier-uri-restrictions).
    let uri = format!("api://{tenant}/{}", wanted.unique_name);
    merge.texts(&["identifierUris"], "identifier URI", &uri);
    merge.api(&wanted.unique_name);
    if let Some(redirect_uri) = &wanted.redirect_uri {
        merge.redirect_uri(redirect_uri)?;
    }
    merge.implicit_grants();
    merge.claims();
    merge.groups();
    merge.permissions();
    merge.app_roles(wanted)?;
    let Merge { creates, body, changes, .. } = merge;
    let step = Step { object: Object::Application, creates, body, changes };
    Ok((!step.body.is_empty()).then_some(step))
}

impl Merge<'_> {
    /// What was found at this path.
    fn at(&self, path: &[&str]) -> &Value {
        path.iter().fold(self.found, |value, name| &value[*name])
    }

    fn list(&self, path: &[&str]) -> Vec<Value> {
        self.at(path).as_array().cloned().unwrap_or_default()
    }

    /// Scopes or app roles, without what is shown of them and may not be written
    /// (<https://learn.microsoft.com/graph/api/resources/approle>).
    fn entitlements(&self, path: &[&str]) -> Vec<Value> {
        let mut list = self.list(path);
        list.iter_mut().filter_map(Value::as_object_mut).for_each(|found| drop(found.remove("origin")));
        list
    }

    /// Writes a value, at most one object deep.
    fn put(&mut self, path: &[&str], value: Value) {
        match path {
            [outer, inner] => {
                let outer = self.body.entry(*outer).or_insert_with(|| json!({}));
                outer[*inner] = value;
            }
            path => {
                self.body.insert(path.concat(), value);
            }
        }
    }

    fn added(&mut self, what: &'static str, value: &str) {
        self.changes.push(Change::Added { what, value: value.to_owned() });
    }

    fn changed(&mut self, what: &str, from: &str, to: &str) {
        let (what, from, to) = (what.to_owned(), from.to_owned(), to.to_owned());
        self.changes.push(Change::Changed { what, from, to });
    }

    fn names(&mut self, wanted: &Wanted) {
        let name = wanted.display_name.as_deref();
        if self.creates {
            let name = name.unwrap_or(DISPLAY_NAME);
            self.put(&["displayName"], name.into());
            self.added("app registration", &format!("{name}, found again as {}", wanted.unique_name));
        } else if let Some(name) = name {
            let found = self.at(&["displayName"]).as_str().unwrap_or_default().to_owned();
            if found != name {
                self.put(&["displayName"], name.into());
                self.changed("display name", &found, name);
            }
        }
    }

    fn audience(&mut self, multitenant: bool) {
        let wanted = if multitenant { "AzureADMultipleOrgs" } else { "AzureADMyOrg" };
        let found = self.at(&["signInAudience"]).as_str().unwrap_or_default().to_owned();
        if found == wanted {
            return;
        }
        self.put(&["signInAudience"], wanted.into());
        match self.creates {
            true => self.added("sign-in audience", wanted),
            false => self.changed("sign-in audience", &found, wanted),
        }
    }

    /// Adds a text to a list.
    fn texts(&mut self, path: &[&str], what: &'static str, text: &str) {
        let mut list = self.list(path);
        if list.iter().any(|found| found == text) {
            return;
        }
        list.push(text.into());
        self.put(path, list.into());
        self.added(what, text);
    }

    fn redirect_uri(&mut self, uri: &str) -> Result<(), ApplyError> {
        const URIS: [&str; 2] = ["web", "redirectUris"];
        let found = self.list(&URIS);
        if found.len() >= MAX_REDIRECT_URIS && !found.iter().any(|found| found == uri) {
            return Err(ApplyError::Wrong(format!(
                "The registration has {MAX_REDIRECT_URIS} redirect URIs, and may have no more. Take away one that is not used."
            )));
        }
        self.texts(&URIS, "redirect URI", uri);
        Ok(())
    }

    fn api(&mut self, unique_name: &str) {
        const VERSION: [&str; 2] = ["api", "requestedAccessTokenVersion"];
        if *self.at(&VERSION) != 2 {
            self.put(&VERSION, 2.into());
            match self.creates {
                true => self.added("version of access tokens", "2"),
                // Unset, it is 1 for whoever lets only organizations in.
                false => self.changed("version of access tokens", "1", "2"),
            }
        }
        const SCOPES: [&str; 2] = ["api", "oauth2PermissionScopes"];
        let scope = json!({
            "id": self.free_id(unique_name, SCOPE),
            "value": SCOPE,
            "type": "User",
            "isEnabled": true,
            "adminConsentDisplayName": "Sign in to MCP servers",
            "adminConsentDescription": "Allows Entrada to know who is signed in, for the MCP servers behind it.",
            "userConsentDisplayName": "Sign in to MCP servers",
            "userConsentDescription": "Allows Entrada to know who you are, for the MCP servers behind it.",
        });
        let mut scopes = self.entitlements(&SCOPES);
        if self.entitle(&mut scopes, "scope", SCOPE, scope) {
            self.put(&SCOPES, scopes.into());
        }
    }

    /// Adds a scope or an app role, or enables the one that has this value. One that is enabled stays as it is: it may be
    /// neither removed nor changed (`CannotDeleteOrUpdateEnabledEntitlement`), and whoever disabled it first would take it
    /// from people.
    fn entitle(&mut self, list: &mut Vec<Value>, what: &'static str, value: &str, new: Value) -> bool {
        let Some(found) = list.iter_mut().find(|found| found["value"] == value) else {
            list.push(new);
            self.added(what, value);
            return true;
        };
        if found["isEnabled"] != false {
            return false;
        }
        found["isEnabled"] = true.into();
        self.changed(&format!("{what} {value}"), "disabled", "enabled");
        true
    }

    /// The id that the Bicep gives to what has this value, unless something with another value has taken it.
    fn free_id(&self, unique_name: &str, value: &str) -> String {
        let taken = [self.list(&["api", "oauth2PermissionScopes"]), self.list(&["appRoles"])].concat();
        let is_free = |id: &String| {
            !taken
                .iter()
                .any(|found| found["id"].as_str().is_some_and(|taken| taken.eq_ignore_ascii_case(id)))
        };
        let others = (2..).map(|nth: u32| guid(&[unique_name, value, &nth.to_string()]));
        let mut ids = std::iter::once(guid(&[unique_name, value])).chain(others).map(|id| id.to_string());
        ids.find(is_free).expect("there are more ids than can be taken")
    }

    fn implicit_grants(&mut self) {
        let grants = [("enableAccessTokenIssuance", "access tokens"), ("enableIdTokenIssuance", "ID tokens")];
        let on = |(name, _): &(&str, &str)| self.at(&["web", "implicitGrantSettings"])[*name] == true;
        let on: Vec<_> = grants.into_iter().filter(on).collect();
        if self.creates || !on.is_empty() {
            let off: Map<_, _> = grants.iter().map(|(name, _)| ((*name).to_owned(), false.into())).collect();
            self.put(&["web", "implicitGrantSettings"], off.into());
        }
        for (_, what) in on {
            self.changed(&format!("implicit grant of {what}"), "on", "off");
        }
    }

    /// All optional claims are one value, so those of other tokens are written back with them.
    fn claims(&mut self) {
        let mut claims = self.list(&["optionalClaims", "idToken"]);
        let known = claims.len();
        for name in CLAIMS {
            if !claims.iter().any(|claim| claim["name"] == name) {
                claims.push(json!({ "name": name }));
                self.added("optional claim of ID tokens", name);
            }
        }
        if claims.len() > known {
            let mut all = self.at(&["optionalClaims"]).as_object().cloned().unwrap_or_default();
            all.insert("idToken".to_owned(), claims.into());
            self.put(&["optionalClaims"], all.into());
        }
    }

    /// For `allowed_groups`. Whoever has chosen other groups, or none, has a reason to.
    fn groups(&mut self) {
        if self.at(&["groupMembershipClaims"]).is_null() {
            self.put(&["groupMembershipClaims"], "SecurityGroup".into());
            self.added("groups in tokens", "SecurityGroup");
        }
    }

    fn permissions(&mut self) {
        let mut resources = self.list(&["requiredResourceAccess"]);
        let is_graph = |resource: &Value| is_guid(&resource["resourceAppId"], GRAPH);
        let at = resources.iter().position(is_graph).unwrap_or_else(|| {
            resources.push(json!({ "resourceAppId": GRAPH, "resourceAccess": [] }));
            resources.len() - 1
        });
        let mut access = resources[at]["resourceAccess"].as_array().cloned().unwrap_or_default();
        let known = access.len();
        for (name, id) in PERMISSIONS {
            if !access.iter().any(|found| is_guid(&found["id"], id) && found["type"] == "Scope") {
                access.push(json!({ "id": id, "type": "Scope" }));
                self.added("permission of Microsoft Graph", name);
            }
        }
        if access.len() > known {
            resources[at]["resourceAccess"] = access.into();
            self.put(&["requiredResourceAccess"], resources.into());
        }
    }

    fn app_roles(&mut self, wanted: &Wanted) -> Result<(), ApplyError> {
        let mut roles = self.entitlements(&["appRoles"]);
        let mut differs = false;
        for AppRole { value, display_name } in &wanted.app_roles {
            let role = roles.iter_mut().find(|role| role["value"] == *value.as_str());
            let for_people = |role: &Value| {
                role["allowedMemberTypes"].as_array().is_some_and(|of| of.contains(&"User".into()))
            };
            if let Some(role) = role.filter(|role| !for_people(role)) {
                if role["isEnabled"] != false {
                    return Err(for_applications(value));
                }
                role["allowedMemberTypes"] = json!(["User", "Application"]);
                self.changed(&format!("app role {value}"), "for applications", "for people too");
            }
            let new = json!({
                "id": self.free_id(&wanted.unique_name, value),
                "value": value,
                "displayName": display_name,
                "description": display_name,
                "isEnabled": true,
                "allowedMemberTypes": ["User"],
            });
            differs |= self.entitle(&mut roles, "app role", value, new);
        }
        if differs {
            self.put(&["appRoles"], roles.into());
        }
        Ok(())
    }
}

fn for_applications(value: &str) -> ApplyError {
    ApplyError::Wrong(format!(
        "The app role {value} of the registration is for applications alone, and nobody could be given it. While it is enabled it \
         cannot be changed: disable it in the Entra admin center and give this command again, or name another."
    ))
}

/// GUIDs are the same in either case.
fn is_guid(found: &Value, id: &str) -> bool {
    found.as_str().is_some_and(|found| found.eq_ignore_ascii_case(id))
}
