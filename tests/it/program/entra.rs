//! `entrada entra apply`, against a Microsoft Graph on this machine.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::sync::Mutex;

use axum::http::Method;
use entrada::config;
use serde_json::Value;
use serde_json::json;

use crate::support::entrada::TENANT;
use crate::support::graph::Asked;
use crate::support::graph::Fate;
use crate::support::graph::HostedGraph;
use crate::support::graph::TOKEN;
use crate::support::program::Ended;
use crate::support::program::Site;
use crate::support::vault::Instead;
use crate::support::vault::identity_endpoint_with;

const PUBLIC_URL: &str = "https://mcp.example.com";
const IDENTITY: &str = "12345678-1234-4234-8234-123456789012";
const PRINCIPAL: &str = "1de00000-0000-4000-8000-000000000001";
const EXCHANGE: &str = "api://AzureADTokenExchange";

/// A Microsoft Graph, and whoever may ask it.
struct Stand {
    site: Site,
    graph: HostedGraph,
    endpoint: String,
    /// What the identity endpoint was asked.
    asked: Arc<Mutex<Vec<String>>>,
}

impl Stand {
    async fn new() -> Self {
        let site = Site::new().await;
        site.vigil.never(TOKEN);
        let asked = Arc::default();
        let endpoint = identity_endpoint_with(TOKEN, Arc::clone(&asked)).await;
        Self { site, graph: HostedGraph::start(TENANT).await, endpoint, asked }
    }

    async fn run(&self, options: &[&str]) -> Ended {
        let fixed = ["--tenant", TENANT, "--public-url", PUBLIC_URL, "--credential", "managed-identity"];
        self.run_as(&[&fixed, options].concat(), &[]).await
    }

    async fn run_as(&self, options: &[&str], environment: &[(&str, &str)]) -> Ended {
        let arguments = [&["entra", "apply", "--graph", &self.graph.origin], options].concat();
        let own = [
            ("IDENTITY_ENDPOINT", self.endpoint.as_str()),
            ("IDENTITY_HEADER", "header-0012345"),
            // Microsoft Graph is asked directly.
            ("HTTP_PROXY", "http://127.0.0.1:9"),
            ("ALL_PROXY", "http://127.0.0.1:9"),
        ];
        self.site.run_with(&arguments, &[&own, environment].concat()).await
    }

    /// A run that ends well.
    async fn applies(&self, options: &[&str]) -> Ended {
        let ended = self.run(options).await;
        assert_eq!(ended.code, Some(0), "{ended:?}");
        ended
    }

    /// A run that ends with 2, for a reason that has these words.
    async fn is_refused(&self, options: &[&str], words: &str) -> Ended {
        let ended = self.run(options).await;
        assert_eq!(ended.code, Some(2), "{ended:?}");
        assert!(ended.stderr.contains(words), "{words}: {ended:?}");
        assert_eq!(ended.stdout, "");
        ended
    }

    fn client_id(&self) -> String {
        self.graph.application()["appId"].as_str().unwrap().to_owned()
    }

    /// The configuration with this section is one.
    fn parses(&self, section: &str) {
        let file = self.site.write(&format!(
            "public_url = \"{PUBLIC_URL}\"\n\n{section}\n[[resource]]\npath = \"/mcp\"\nscopes = {{ \"mcp.read\" = \"Read\" }}\n"
        ));
        let secret = ("ENTRADA_UPSTREAM__CLIENT_SECRET".into(), "secret".into());
        let secret = (!section.contains("\ncredential =")).then_some(secret);
        if let Err(problems) = config::load(Some(&file), secret) {
            panic!("{problems}\n{section}");
        }
    }
}

/// The lines of a text that say what changed.
fn changes(text: &str) -> Vec<&str> {
    text.lines().filter(|line| line.starts_with("+ ") || line.starts_with("~ ")).collect()
}

fn instead(status: u16, code: &'static str) -> Instead {
    Instead::new(status, code, None)
}

const OF_IDENTITY: [&str; 4] = ["--program-identity", IDENTITY, "--program-principal", PRINCIPAL];

#[tokio::test]
async fn it_makes_the_registration_and_a_second_run_writes_nothing() {
    let stand = Stand::new().await;
    let options = [&OF_IDENTITY[..], &["--app-role", "expenses.approver=Approver of expenses"]].concat();
    let ended = stand.applies(&options).await;

    let application = stand.graph.application();
    assert_eq!(application["uniqueName"], "entrada");
    assert_eq!(application["displayName"], "Entrada");
    assert_eq!(application["signInAudience"], "AzureADMyOrg");
    assert_eq!(application["identifierUris"], json!([format!("api://{TENANT}/entrada")]));
    assert_eq!(application["web"]["redirectUris"], json!([format!("{PUBLIC_URL}/auth/callback")]));
    assert_eq!(application["api"]["requestedAccessTokenVersion"], 2);
    let scope = &application["api"]["oauth2PermissionScopes"][0];
    // What `guid('entrada', 'mcp.access')` is in a Bicep file.
    assert_eq!(scope["id"], "2ddce1e5-fd67-52a5-becb-0886b8564bcf");
    assert_eq!(
        (&scope["value"], &scope["type"], &scope["isEnabled"]),
        (&json!("mcp.access"), &json!("User"), &json!(true))
    );
    let role = &application["appRoles"][0];
    assert_eq!(
        (&role["value"], &role["displayName"]),
        (&json!("expenses.approver"), &json!("Approver of expenses"))
    );
    assert_eq!(role["allowedMemberTypes"], json!(["User"]));
    let principals = stand.graph.principals();
    assert_eq!(principals.len(), 1);
    assert_eq!(principals[0]["appRoleAssignmentRequired"], false);
    assert_eq!(principals[0]["tags"], json!(["WindowsAzureActiveDirectoryIntegratedApp"]));
    let credential = &stand.graph.credentials()[0];
    assert_eq!(credential["name"], "managed-identity");
    assert_eq!(credential["issuer"], format!("https://login.microsoftonline.com/{TENANT}/v2.0"));
    assert_eq!((&credential["subject"], &credential["audiences"]), (&json!(PRINCIPAL), &json!([EXCHANGE])));

    let said = changes(&ended.stderr);
    for line in [
        "+ app registration: Entrada, found again as entrada",
        "+ sign-in audience: AzureADMyOrg",
        &format!("+ redirect URI: {PUBLIC_URL}/auth/callback"),
        "+ scope: mcp.access",
        "+ optional claim of ID tokens: acct",
        "+ optional claim of ID tokens: auth_time",
        "+ groups in tokens: SecurityGroup",
        "+ permission of Microsoft Graph: User.Read",
        "+ app role: expenses.approver",
    ] {
        assert!(said.contains(&line), "{line}: {ended:?}");
    }
    let client_id = stand.client_id();
    assert_eq!(
        ended.stdout,
        format!(
            "\n[upstream]\ntenant = \"{TENANT}\"\ngraph = \"{graph}\"\nclient_id = \"{client_id}\"\n\
             scopes = [\"{client_id}/mcp.access\"]\ncredential = \"managed-identity\"\nmanaged_identity = \"{IDENTITY}\"\n",
            graph = stand.graph.origin
        )
    );
    stand.parses(&ended.stdout);
    let asked = stand.asked.lock().unwrap().clone();
    assert_eq!(asked.len(), 1, "one token does for all: {asked:?}");
    assert!(asked[0].contains("resource=https%3A%2F%2Fgraph.microsoft.com"), "{asked:?}");

    assert_eq!(stand.graph.writes().len(), 4);
    let again = stand.applies(&options).await;
    assert_eq!(stand.graph.writes().len(), 0);
    assert!(again.stderr.contains("nothing was written"), "{again:?}");
    assert_eq!(changes(&again.stderr), [""; 0]);
    assert_eq!(again.stdout, ended.stdout);
    let shown = stand.applies(&[&options[..], &["--dry-run"]].concat()).await;
    assert_eq!(shown.stdout, "The registration is as it has to be.\n");
    assert_eq!(stand.graph.application(), application);
}

/// Every text of the Bicep that is no parameter is in what is made, and what is made has no other texts.
#[tokio::test]
async fn it_makes_what_the_bicep_makes() {
    let stand = Stand::new().await;
    stand.applies(&OF_IDENTITY).await;
    let bicep =
        fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/infra/modules/entra.bicep")).unwrap();
    assert!(
        bicep.contains("id: guid(uniqueName, scopeName)")
            && bicep.contains("'api://${tenant().tenantId}/${uniqueName}'")
    );
    let (variables, resources) = bicep.split_once("\nresource app ").unwrap();
    let (_, variables) = variables.split_once("\nvar ").unwrap();
    let code = [variables, resources].join("\n");
    let code: Vec<&str> = code.lines().map(|line| line.split("//").next().unwrap_or_default()).collect();
    // An address is no comment.
    let code = code.join("\n").replace("'api:\n", "'api://AzureADTokenExchange'\n");
    let (resources, _) = code.split_once("\noutput ").unwrap();
    let quoted: BTreeSet<&str> = resources.split('\'').skip(1).step_by(2).collect();
    let said: BTreeSet<&str> =
        quoted.into_iter().filter(|text| !text.contains(['$', '@']) && !text.is_empty()).collect();

    let mut made = BTreeSet::new();
    for Asked { body, .. } in stand.graph.writes() {
        texts(&body, &mut made);
    }
    for given in [
        "Entrada",
        "AzureADMyOrg",
        &format!("api://{TENANT}/entrada"),
        &format!("{PUBLIC_URL}/auth/callback"),
        &format!("https://login.microsoftonline.com/{TENANT}/v2.0"),
        PRINCIPAL,
        "2ddce1e5-fd67-52a5-becb-0886b8564bcf",
    ] {
        assert!(made.remove(given), "{given}: {made:?}");
    }
    let made: BTreeSet<&str> = made.iter().map(String::as_str).collect();
    assert_eq!(made, said);
}

/// Every string in a value that is no name.
fn texts(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::String(text) => drop(found.insert(text.clone())),
        Value::Array(list) => list.iter().for_each(|value| texts(value, found)),
        Value::Object(object) => object.values().for_each(|value| texts(value, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) => (),
    }
}

#[tokio::test]
async fn what_others_added_stays() {
    let stand = Stand::new().await;
    stand.applies(&[]).await;
    let scope = json!({ "id": "aaaaaaaa-0000-4000-8000-000000000001", "value": "other", "type": "Admin", "isEnabled": true });
    let role = json!({ "id": "aaaaaaaa-0000-4000-8000-000000000002", "value": "other.role", "displayName": "Other",
                       "isEnabled": true, "allowedMemberTypes": ["Application"] });
    let permission = json!({ "id": "aaaaaaaa-0000-4000-8000-000000000003", "type": "Role" });
    let elsewhere =
        json!({ "resourceAppId": "aaaaaaaa-0000-4000-8000-000000000004", "resourceAccess": [permission] });
    let authorized =
        json!([{ "appId": "aaaaaaaa-0000-4000-8000-000000000005", "delegatedPermissionIds": [scope["id"]] }]);
    stand.graph.edit(|application| {
        application["identifierUris"] = json!(["api://other"]);
        application["web"]["redirectUris"] = json!(["https://other.example.com/callback"]);
        application["web"]["logoutUrl"] = "https://other.example.com/out".into();
        application["web"]["implicitGrantSettings"]["enableIdTokenIssuance"] = true.into();
        application["api"]["oauth2PermissionScopes"] = json!([scope]);
        application["api"]["preAuthorizedApplications"] = authorized.clone();
        application["api"]["requestedAccessTokenVersion"] = Value::Null;
        application["appRoles"] = json!([role]);
        application["optionalClaims"] = json!({ "idToken": [{ "name": "auth_time", "essential": true }], "accessToken": [{ "name": "ipaddr" }], "saml2Token": [] });
        application["requiredResourceAccess"] = json!([elsewhere, { "resourceAppId": "00000003-0000-0000-C000-000000000000", "resourceAccess": [permission] }]);
        application["groupMembershipClaims"] = "ApplicationGroup".into();
        application["displayName"] = "What the portal calls it".into();
    });
    stand.graph.edit_principal(|principal| {
        principal["tags"] = json!(["HideApp"]);
        principal["appRoleAssignmentRequired"] = true.into();
    });
    stand.graph.trust("other", "https://issuer.example.com", "other", EXCHANGE);
    stand.graph.writes();

    let ended = stand.applies(&[&OF_IDENTITY[..], &["--app-role", "mine"]].concat()).await;
    let application = stand.graph.application();
    assert_eq!(application["displayName"], "What the portal calls it");
    assert_eq!(application["groupMembershipClaims"], "ApplicationGroup");
    assert_eq!(application["identifierUris"], json!(["api://other", format!("api://{TENANT}/entrada")]));
    assert_eq!(
        application["web"]["redirectUris"],
        json!(["https://other.example.com/callback", format!("{PUBLIC_URL}/auth/callback")])
    );
    assert_eq!(application["web"]["logoutUrl"], "https://other.example.com/out");
    assert_eq!(application["web"]["implicitGrantSettings"]["enableIdTokenIssuance"], false);
    let scopes = application["api"]["oauth2PermissionScopes"].as_array().unwrap();
    assert_eq!((&scopes[0], scopes.len()), (&scope, 2));
    assert_eq!(application["api"]["preAuthorizedApplications"], authorized);
    assert_eq!(application["appRoles"][0]["value"], "other.role");
    assert_eq!(application["appRoles"][1]["value"], "mine");
    let claims = &application["optionalClaims"];
    assert_eq!(
        (&claims["idToken"][0]["name"], &claims["idToken"][0]["essential"]),
        (&json!("auth_time"), &json!(true))
    );
    assert_eq!(
        (&claims["idToken"][1]["name"], &claims["accessToken"][0]["name"]),
        (&json!("acct"), &json!("ipaddr"))
    );
    let resources = application["requiredResourceAccess"].as_array().unwrap();
    assert_eq!((&resources[0], resources.len()), (&elsewhere, 2));
    let access = resources[1]["resourceAccess"].as_array().unwrap();
    assert_eq!((&access[0], access.len()), (&permission, 5));
    let principal = &stand.graph.principals()[0];
    assert_eq!(principal["tags"], json!(["HideApp", "WindowsAzureActiveDirectoryIntegratedApp"]));
    assert_eq!(principal["appRoleAssignmentRequired"], true);
    assert_eq!(stand.graph.credentials()[0]["name"], "other");

    let said = changes(&ended.stderr);
    assert!(said.contains(&"~ implicit grant of ID tokens: on → off"), "{ended:?}");
    assert!(said.contains(&"~ version of access tokens: 1 → 2"), "{ended:?}");
    assert!(
        !said.iter().any(|line| line.contains("auth_time") || line.contains("display name")),
        "{ended:?}"
    );
    let writes = stand.graph.writes();
    assert!(writes.iter().all(|write| write.method == Method::PATCH), "{writes:?}");
    assert!(writes[0].body.get("displayName").is_none(), "only what differs is written: {writes:?}");
    assert!(!writes[0].upserts, "what was seen is not made again: {writes:?}");
    stand.applies(&[&OF_IDENTITY[..], &["--app-role", "mine"]].concat()).await;
    assert_eq!(stand.graph.writes().len(), 0);
}

#[tokio::test]
async fn a_dry_run_shows_the_same_lines_and_writes_nothing() {
    let stand = Stand::new().await;
    let options = [&OF_IDENTITY[..], &["--name", "Door"]].concat();
    let dry = [&options[..], &["--dry-run"]].concat();
    let shown = stand.applies(&dry).await;
    assert!(shown.stdout.starts_with("+ app registration: Door, found again as entrada\n"), "{shown:?}");
    assert_eq!(stand.graph.writes().len(), 0);
    assert!(stand.graph.applications().is_empty());
    let done = stand.applies(&options).await;
    assert_eq!(changes(&shown.stdout), changes(&done.stderr));
    assert!(changes(&done.stderr).len() > 10);

    stand.graph.edit(|application| {
        application["web"]["redirectUris"] = json!([]);
        application["displayName"] = "D\u{1b}[31moor".into();
    });
    let before = stand.graph.application();
    stand.graph.writes();
    let shown = stand.applies(&dry).await;
    assert_eq!(
        shown.stdout,
        format!("~ display name: D\u{fffd}[31moor → Door\n+ redirect URI: {PUBLIC_URL}/auth/callback\n")
    );
    assert_eq!(stand.graph.writes().len(), 0);
    assert_eq!(stand.graph.application(), before);
    let done = stand.applies(&options).await;
    assert_eq!(changes(&shown.stdout), changes(&done.stderr));
    assert_eq!(stand.graph.writes().len(), 1);
}

#[tokio::test]
async fn a_scope_or_a_role_that_is_there_keeps_its_id_and_one_that_is_disabled_is_enabled() {
    let stand = Stand::new().await;
    stand.applies(&["--app-role", "one"]).await;
    let ours = "bbbbbbbb-0000-4000-8000-000000000001";
    stand.graph.edit(|application| {
        let scope = &mut application["api"]["oauth2PermissionScopes"][0];
        scope["id"] = ours.into();
        scope["userConsentDisplayName"] = "As we say it".into();
    });
    stand.graph.writes();
    stand.applies(&["--app-role", "one=Another name"]).await;
    assert_eq!(stand.graph.writes().len(), 0, "what is enabled stays as it is");

    stand.graph.edit(|application| {
        application["api"]["oauth2PermissionScopes"][0]["isEnabled"] = false.into();
        application["appRoles"][0]["isEnabled"] = false.into();
        application["appRoles"][0]["allowedMemberTypes"] = json!(["Application"]);
    });
    let ended = stand.applies(&["--app-role", "one"]).await;
    let said = changes(&ended.stderr);
    assert_eq!(
        said,
        [
            "~ scope mcp.access: disabled → enabled",
            "~ app role one: for applications → for people too",
            "~ app role one: disabled → enabled"
        ]
    );
    let application = stand.graph.application();
    let scope = &application["api"]["oauth2PermissionScopes"][0];
    assert_eq!((&scope["id"], &scope["isEnabled"]), (&json!(ours), &json!(true)));
    assert_eq!(scope["userConsentDisplayName"], "As we say it");

    stand.graph.edit(|application| application["appRoles"][0]["allowedMemberTypes"] = json!(["Application"]));
    stand.graph.writes();
    stand
        .is_refused(
            &["--app-role", "one", "--name", "Door"],
            "The app role one of the registration is for applications alone",
        )
        .await;
    assert_eq!(stand.graph.writes().len(), 0);

    // Somebody renamed the scope that has the id which a new one would get.
    stand.graph.edit(|application| {
        let scope = &mut application["api"]["oauth2PermissionScopes"][0];
        scope["id"] = "2ddce1e5-fd67-52a5-becb-0886b8564bcf".into();
        scope["value"] = "renamed".into();
    });
    stand.applies(&[]).await;
    let application = stand.graph.application();
    let scopes = application["api"]["oauth2PermissionScopes"].as_array().unwrap();
    assert_eq!((&scopes[0]["value"], &scopes[1]["value"]), (&json!("renamed"), &json!("mcp.access")));
    assert_ne!(scopes[0]["id"], scopes[1]["id"]);
}

#[tokio::test]
async fn what_was_just_made_is_waited_for() {
    let stand = Stand::new().await;
    stand.graph.lags(1);
    let unknown = Fate::Instead(instead(400, "NoBackingApplicationObject"));
    stand.graph.writes_meet([None, None, None, Some(unknown)]);
    stand.applies(&OF_IDENTITY).await;
    let writes = stand.graph.writes();
    let target = |asked: &Asked| asked.target.split(['/', '(']).nth(2).unwrap().to_owned();
    assert_eq!(
        writes.iter().map(target).collect::<Vec<_>>(),
        [
            "applications",
            "applications",
            "applications",
            "servicePrincipals",
            "servicePrincipals",
            "applications"
        ]
    );
    assert_eq!((stand.graph.applications().len(), stand.graph.principals().len()), (1, 1));

    let stand = Stand::new().await;
    stand.applies(&[]).await;
    // Another replica does not know it yet.
    stand.graph.writes_meet([Some(Fate::Instead(instead(404, "Request_ResourceNotFound")))]);
    stand.applies(&OF_IDENTITY).await;
    assert_eq!(stand.graph.credentials().len(), 1);
}

#[tokio::test]
async fn an_answer_that_was_lost_makes_no_second_registration() {
    // The next attempt finds it made; or meets it without seeing it.
    for lag in [0, 3] {
        let stand = Stand::new().await;
        stand.graph.lags(lag);
        stand.graph.writes_meet([Some(Fate::Lost), None]);
        // Nor does whoever is asked for its client id know it at once.
        stand.graph.reads_meet([None, Some(instead(404, "Request_ResourceNotFound"))]);
        let ended = stand.applies(&OF_IDENTITY).await;
        assert_eq!(stand.graph.applications().len(), 1);
        let writes = stand.graph.writes();
        let tried = writes.iter().filter(|asked| asked.target.contains("uniqueName=")).count();
        assert!(tried >= 2, "{writes:?}");
        let client_id = stand.client_id();
        assert!(ended.stdout.contains(&format!("client_id = \"{client_id}\"")), "{ended:?}");
        assert_eq!(stand.graph.principals()[0]["appId"], client_id.as_str());
        stand.applies(&OF_IDENTITY).await;
        assert_eq!(stand.graph.writes().len(), 0);
    }
}

#[tokio::test]
async fn while_it_throttles_or_fails_it_is_asked_again() {
    let stand = Stand::new().await;
    let throttled = || instead(429, "TooManyRequests").with("retry-after", "1");
    stand.graph.reads_meet([Some(throttled()), Some(instead(503, "ServiceUnavailable"))]);
    stand.graph.writes_meet([
        Some(Fate::Instead(throttled())),
        Some(Fate::Instead(instead(504, "GatewayTimeout"))),
        Some(Fate::Instead(instead(409, "Directory_ConcurrencyViolation"))),
    ]);
    stand.applies(&[]).await;
    assert_eq!(stand.graph.writes().len(), 6);

    stand.graph.reads_meet([Some(instead(429, "TooManyRequests").with("retry-after", "600"))]);
    let ended = stand.run(&[]).await;
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), ""), "{ended:?}");
    assert!(ended.stderr.contains("it throttles (429), and asks to be left alone for 600 s"), "{ended:?}");
    assert_eq!(stand.graph.requests().len(), 2, "whose directory it is, once, and it is left alone");
}

#[tokio::test]
async fn every_refusal_says_who_has_to_do_what() {
    let stand = Stand::new().await;
    stand.graph.deleted(&format!("api://{TENANT}/entrada"));
    let conflict =
        "Another registration has the identifier URI that this one needs: most likely one that was deleted";
    stand.is_refused(&[], conflict).await;
    assert!(stand.graph.applications().is_empty());
    let unique = instead(409, "Conflict")
        .saying("Another object with the same value for property uniqueName already exists.");
    stand.graph.writes_meet([Some(Fate::Instead(unique))]);
    stand.is_refused(&["--unique-name", "other"], "has the unique name that this one needs").await;

    stand.graph.reads_meet([Some(instead(403, "Authorization_RequestDenied"))]);
    stand.is_refused(&[], "Application.ReadWrite.OwnedBy").await;
    stand.graph.writes_meet([Some(Fate::Instead(instead(403, "Authorization_RequestDenied")))]);
    let denied = stand.is_refused(&["--unique-name", "other"], "the role Application Developer").await;
    assert!(!denied.stderr.contains("goes on from there"), "nothing was done: {denied:?}");
    stand.graph.reads_meet([Some(instead(401, "InvalidAuthenticationToken"))]);
    stand.is_refused(&[], "does not accept the token (401)").await;
    stand.graph.reads_meet([Some(instead(302, "").with("location", "http://127.0.0.1:9/"))]);
    stand.is_refused(&[], "is no Microsoft Graph").await;
    let policy = instead(400, "Request_BadRequest").saying("A policy of \u{1b}[31mthe tenant");
    stand.graph.writes_meet([Some(Fate::Instead(policy))]);
    let refused = stand.is_refused(&["--unique-name", "other"], "it answered 400 Request_BadRequest").await;
    assert!(refused.stderr.contains("A policy of ") && !refused.stderr.contains('\u{1b}'), "{refused:?}");

    // Half way.
    let denied = || Some(Fate::Instead(instead(403, "Authorization_RequestDenied")));
    stand.graph.writes_meet([None, denied()]);
    stand.is_refused(&["--unique-name", "bare"], "What was done so far stays.").await;
    stand.graph.writes_meet([None, None, denied()]);
    let half = stand.is_refused(&["--unique-name", "other"], "What was done so far stays.").await;
    assert!(changes(&half.stderr).contains(&"+ scope: mcp.access"), "{half:?}");
    stand.graph.writes();
    stand.applies(&["--unique-name", "other"]).await;
    let writes = stand.graph.writes();
    assert_eq!(writes.len(), 1);
    assert!(writes[0].target.starts_with("/v1.0/servicePrincipals("), "{writes:?}");
}

#[tokio::test]
async fn another_tenant_is_told_from_ours_before_anything_is_written() {
    let stand = Stand {
        graph: HostedGraph::start("eeeeeeee-0000-4000-8000-000000000001").await,
        ..Stand::new().await
    };
    stand.is_refused(&OF_IDENTITY, "belongs to the tenant eeeeeeee-0000-4000-8000-000000000001").await;
    stand.is_refused(&["--dry-run"], "belongs to the tenant eeeeeeee-0000-4000-8000-000000000001").await;
    assert_eq!(stand.graph.writes().len(), 0);
}

/// Somebody was first to choose the unique name.
#[tokio::test]
async fn what_was_found_and_not_asked_for_is_shown() {
    let stand = Stand::new().await;
    let first = stand.applies(&OF_IDENTITY).await;
    assert!(!first.stderr.contains("Found: "), "{first:?}");
    stand.graph.edit(|application| {
        application["createdDateTime"] = "2026-11-30T08:00:00Z".into();
        application["passwordCredentials"] = json!([{ "hint": "abc" }]);
        application["keyCredentials"] = json!([{}, {}]);
        application["spa"] = json!({ "redirectUris": ["https://spa.example.com/"] });
        application["web"]["redirectUris"]
            .as_array_mut()
            .unwrap()
            .push("https://other.example.com/\u{1b}[2J".into());
        application["api"]["oauth2PermissionScopes"][0]["type"] = "Admin".into();
    });
    stand.graph.edit_principal(|principal| principal["accountEnabled"] = false.into());
    stand.graph.trust("theirs", "https://issuer.example.com", "them", EXCHANGE);
    stand.graph.writes();
    for options in [&OF_IDENTITY[..], &[&OF_IDENTITY[..], &["--dry-run"]].concat()] {
        let ended = stand.applies(options).await;
        for line in [
            &*format!("Found: Entrada, client id {}, made 2026-11-30T08:00:00Z", stand.client_id()),
            "! client secrets: 1. Whoever has one is Entrada to Entra ID",
            "! certificates: 2. Whoever has one is Entrada to Entra ID",
            "! another redirect URI: https://spa.example.com/",
            "! another federated credential: theirs, issuer https://issuer.example.com, subject them",
            "! the scope mcp.access is one that only administrators consent to (type Admin)",
            "! the service principal is disabled: nobody can sign in",
        ] {
            assert!(ended.stderr.lines().any(|shown| shown == line), "{line}: {ended:?}");
        }
        assert!(!ended.stderr.contains('\u{1b}'), "{ended:?}");
    }
    assert_eq!(stand.graph.writes().len(), 0);
}

/// A first look may miss what is there.
#[tokio::test]
async fn what_did_not_show_at_first_keeps_what_it_has() {
    let stand = Stand::new().await;
    stand.applies(&[]).await;
    stand.graph.edit(|application| {
        application["web"]["redirectUris"] = json!(["https://other.example.com/callback"]);
    });
    stand.graph.edit_principal(|principal| principal["appRoleAssignmentRequired"] = true.into());
    let missed = || Some(instead(404, "Request_ResourceNotFound"));
    stand.graph.reads_meet([missed()]);
    stand.applies(&[]).await;
    let uris = &stand.graph.application()["web"]["redirectUris"];
    assert_eq!(*uris, json!(["https://other.example.com/callback", format!("{PUBLIC_URL}/auth/callback")]));
    assert_eq!(stand.graph.principals()[0]["appRoleAssignmentRequired"], true);
}

#[tokio::test]
async fn an_authority_that_is_none_of_microsofts_is_never_trusted() {
    let stand = Stand::new().await;
    let options = [&OF_IDENTITY[..], &["--authority", "https://login.evil.example"]].concat();
    stand.is_refused(&options, "none of Microsoft's clouds").await;
    for public_url in ["https://*.example.com", "http://[::1]:8080"] {
        let options = ["--tenant", TENANT, "--public-url", public_url, "--credential", "managed-identity"];
        let ended = stand.run_as(&options, &[]).await;
        assert_eq!(ended.code, Some(2), "{ended:?}");
        assert!(ended.stderr.contains("names one host"), "{ended:?}");
    }
    assert!(stand.graph.requests().is_empty());
}

#[tokio::test]
async fn a_federated_credential_of_our_name_is_ours_and_no_other_is() {
    let stand = Stand::new().await;
    stand.applies(&OF_IDENTITY).await;
    let other = "1de00000-0000-4000-8000-000000000002";
    let ended = stand.applies(&["--program-identity", IDENTITY, "--program-principal", other]).await;
    assert_eq!(
        changes(&ended.stderr),
        [format!("~ federated credential managed-identity, subject: {PRINCIPAL} → {other}")]
    );
    assert_eq!(stand.graph.credentials().len(), 1);
    assert_eq!(stand.graph.credentials()[0]["subject"], other);

    let second = [&OF_IDENTITY[..], &["--federated-credential", "second"]].concat();
    stand.applies(&second).await;
    let names: Vec<Value> =
        stand.graph.credentials().iter().map(|credential| credential["name"].clone()).collect();
    assert_eq!(names, ["managed-identity", "second"]);
    // Whose issuer and subject are trusted under another name needs no other.
    stand.graph.writes();
    stand.applies(&[&OF_IDENTITY[..], &["--federated-credential", "third"]].concat()).await;
    assert_eq!(stand.graph.writes().len(), 0);

    let cluster = [
        "--kubernetes-issuer",
        "https://oidc.cluster.example/",
        "--kubernetes-subject",
        "system:serviceaccount:mcp:Entrada",
    ];
    let ended = stand.applies(&cluster).await;
    let credential = &stand.graph.credentials()[2];
    assert_eq!(
        (&credential["name"], &credential["issuer"]),
        (&json!("kubernetes"), &json!("https://oidc.cluster.example/"))
    );
    assert_eq!(credential["subject"], "system:serviceaccount:mcp:Entrada");
    assert!(ended.stdout.ends_with("\ncredential = \"workload-identity\"\n"), "{ended:?}");
    stand.parses(&ended.stdout);

    stand.graph.trust(
        "theirs",
        "https://oidc.cluster.example/",
        "system:serviceaccount:mcp:other",
        "api://other",
    );
    stand.graph.writes();
    let theirs = [
        "--kubernetes-issuer",
        "https://oidc.cluster.example/",
        "--kubernetes-subject",
        "system:serviceaccount:mcp:other",
    ];
    stand.is_refused(&theirs, "The federated credential \"theirs\"").await;
    for nth in stand.graph.credentials().len()..20 {
        stand.graph.trust(&format!("more-{nth}"), "https://more.example", &nth.to_string(), EXCHANGE);
    }
    let new = [
        "--federated-credential",
        "new",
        "--program-identity",
        IDENTITY,
        "--program-principal",
        "1de00000-0000-4000-8000-000000000003",
    ];
    stand.is_refused(&new, "has 20 federated credentials").await;
    assert_eq!(stand.graph.writes().len(), 0);
}

#[tokio::test]
async fn people_of_other_tenants_sign_in_where_they_are_named_and_a_secret_is_asked_for_where_nothing_else_is()
 {
    let stand = Stand::new().await;
    let ended = stand.applies(&[]).await;
    assert!(
        ended.stdout.contains("\n# And a client secret, in the variable ENTRADA_UPSTREAM__CLIENT_SECRET."),
        "{ended:?}"
    );
    stand.parses(&ended.stdout);
    let other = "22222222-0000-4000-8000-000000000002";
    let ended = stand.applies(&["--allowed-tenant", TENANT, "--allowed-tenant", &other.to_uppercase()]).await;
    assert_eq!(changes(&ended.stderr), ["~ sign-in audience: AzureADMyOrg → AzureADMultipleOrgs"]);
    let tenants = format!("tenant = \"organizations\"\nallowed_tenants = [\"{TENANT}\", \"{other}\"]\n");
    assert!(ended.stdout.contains(&tenants), "{ended:?}");
    stand.parses(&ended.stdout);
    let writes = stand.graph.writes();
    assert_eq!(writes.last().unwrap().body, json!({ "signInAudience": "AzureADMultipleOrgs" }));
}

/// A deployment may need the client id before anybody knows its address.
#[tokio::test]
async fn the_address_may_come_later() {
    let stand = Stand::new().await;
    let options = ["--tenant", TENANT, "--credential", "managed-identity"];
    let first = stand.run_as(&options, &[]).await;
    assert_eq!(first.code, Some(0), "{first:?}");
    assert!(
        first.stderr.contains("Nobody can sign in until") && !first.stderr.contains("redirect URI"),
        "{first:?}"
    );
    let second = stand.applies(&[]).await;
    assert_eq!(changes(&second.stderr), [format!("+ redirect URI: {PUBLIC_URL}/auth/callback")]);
    let third = stand.run_as(&options, &[]).await;
    assert!(third.stderr.contains("nothing was written"), "{third:?}");
    assert_eq!(stand.graph.application()["web"]["redirectUris"].as_array().unwrap().len(), 1);

    let full: Vec<String> = (0..256).map(|nth| format!("https://{nth}.example.com/callback")).collect();
    stand.graph.edit(|application| application["web"]["redirectUris"] = json!(full));
    stand.graph.writes();
    stand.is_refused(&[], "has 256 redirect URIs, and may have no more").await;
    assert_eq!(stand.graph.writes().len(), 0);
}

#[tokio::test]
async fn a_sovereign_cloud_has_its_own_issuer_and_audience() {
    let stand = Stand::new().await;
    let options = [&OF_IDENTITY[..], &["--authority", "https://login.microsoftonline.us"]].concat();
    let ended = stand.applies(&options).await;
    let credential = &stand.graph.credentials()[0];
    assert_eq!(credential["audiences"], json!(["api://AzureADTokenExchangeUSGov"]));
    assert_eq!(credential["issuer"], format!("https://login.microsoftonline.us/{TENANT}/v2.0"));
    assert!(ended.stdout.contains("\nauthority = \"https://login.microsoftonline.us\"\n"), "{ended:?}");
    stand.parses(&ended.stdout);
    let asked = stand.asked.lock().unwrap().clone();
    assert!(asked[0].contains("resource=https%3A%2F%2Fgraph.microsoft.us"), "{asked:?}");
}

#[tokio::test]
async fn the_azure_cli_is_asked_first_and_for_the_tenant() {
    let stand = Stand::new().await;
    let tools = stand.site.path("tools");
    fs::create_dir(&tools).unwrap();
    let path = format!("{}:/usr/bin:/bin", tools.display());
    let install = |name: &str, script: &str| {
        let file = tools.join(name);
        fs::write(&file, format!("#!/bin/sh\necho \"{name} $*\" >> {}/asked\n{script}\n", tools.display()))
            .unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
    };
    let options = ["--tenant", TENANT, "--public-url", PUBLIC_URL];
    let nobody = stand.run_as(&options, &[("PATH", &path)]).await;
    assert_eq!(nobody.code, Some(2), "{nobody:?}");
    assert!(
        nobody.stderr.contains("Nobody is signed in") && nobody.stderr.contains("az not found"),
        "{nobody:?}"
    );
    assert!(stand.graph.requests().is_empty());

    install(
        "az",
        &format!(r#"echo '{{"accessToken":"{TOKEN}","expires_on":4102444800,"tokenType":"Bearer"}}'"#),
    );
    install("azd", "exit 1");
    let ended = stand.run_as(&options, &[("PATH", &path)]).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let asked = fs::read_to_string(tools.join("asked")).unwrap();
    fs::remove_file(tools.join("asked")).unwrap();
    assert_eq!(
        asked,
        format!(
            "az account get-access-token -o json --scope https://graph.microsoft.com/.default --tenant {TENANT}\n"
        )
    );

    let loud = stand.run_as(&options, &[("PATH", &path), ("RUST_LOG", "trace")]).await;
    assert!(loud.code == Some(0) && loud.stderr.contains("TRACE"), "no token is printed at any level");

    install("az", "echo 'Please run az login' >&2; exit 1");
    let token = format!(r#"echo '{{"token":"{TOKEN}","expiresOn":"2100-01-01T00:00:00Z"}}'"#);
    install("azd", &token);
    let ended = stand.run_as(&options, &[("PATH", &path)]).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(!ended.stderr.contains("az login"), "it did not have to be: {ended:?}");
    let only =
        stand.run_as(&[&options[..], &["--credential", "azure-cli"]].concat(), &[("PATH", &path)]).await;
    assert_eq!(only.code, Some(2), "{only:?}");
    assert!(only.stderr.contains("Please run az login"), "{only:?}");
}

#[tokio::test]
async fn what_cannot_be_is_refused_before_anybody_is_asked() {
    let stand = Stand::new().await;
    for (options, words) in [
        (&["--unique-name", "a'b"][..], "letters, digits and - . _"),
        (&["--allowed-tenant", "contoso.com"], "write a GUID"),
        (&["--app-role", "mcp.access"], "is a scope of the registration"),
        (&["--app-role", "with space"], "no spaces"),
        (&["--authority", "http://login.example.com"], "write an origin"),
        (&["--program-identity", IDENTITY], "--program-principal"),
        (&["--kubernetes-subject", "x"], "--kubernetes-issuer"),
        (&["--federated-credential", "name"], "--federated-credential"),
    ] {
        stand.is_refused(options, words).await;
    }
    let fixed = ["--tenant", TENANT, "--public-url", "http://mcp.example.com"];
    assert_eq!(stand.run_as(&fixed, &[]).await.code, Some(2));
    let fixed = ["--tenant", TENANT, "--public-url", PUBLIC_URL, "--managed-identity", IDENTITY];
    let ended = stand.run_as(&fixed, &[]).await;
    assert!(ended.code == Some(2) && ended.stderr.contains("--program-identity"), "{ended:?}");
    assert!(stand.graph.requests().is_empty() && stand.asked.lock().unwrap().is_empty());
}
