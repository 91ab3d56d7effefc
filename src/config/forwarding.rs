//! What a `[[resource]]` says of who may use it, and of how the gateway serves it.

use url::Url;

use super::document::shown;
use super::file;
use super::syntax;
use super::values::Values;
use crate::domain::allowed::Allowed;
use crate::domain::api_key::KeyId;
use crate::domain::forwarding::Forwarding;
use crate::domain::forwarding::Identity;
use crate::domain::tools::ImpliedScopes;
use crate::domain::tools::ToolPattern;
use crate::domain::tools::ToolScopes;
use crate::protocol::issuer::is_loopback;
use crate::protocol::scope::Scopes;

/// The settings that say nothing where no gateway is.
const ONLY_WITH_UPSTREAM: [&str; 11] = [
    "resource[].keys",
    "resource[].tools",
    "resource[].identity",
    "resource[].trusted_network",
    "resource[].origins",
    "resource[].body_limit",
    "resource[].connect_timeout",
    "resource[].first_byte_timeout",
    "resource[].idle_timeout",
    "resource[].http2",
    "resource[].ca_file",
];

/// Reads what concerns the gateway. `upstream`, `trusted_network` and `scopes` are the resource's, where they have no
/// problem.
pub(super) fn read(
    values: &mut Values<'_>,
    upstream: Option<&Url>,
    trusted_network: Option<bool>,
    scopes: Option<&[(String, String)]>,
) -> Option<Forwarding> {
    if !values.is_set("resource[].upstream") {
        for key in ONLY_WITH_UPSTREAM.into_iter().filter(|key| values.is_set(key)).collect::<Vec<_>>() {
            values.problem::<()>(
                key,
                "This is for the gateway, and this resource has no upstream. Write upstream, or take this out.",
            );
        }
    }
    let rules = values.scopes("resource[].tools", |_| Ok(()), |scope| known(scopes, scope));
    let rule = |(pattern, scopes): (String, Vec<String>)| (ToolPattern::new(&pattern), to_scopes(&scopes));
    let identity = identity(values, upstream, trusted_network == Some(true));
    let origins = match values.is_set("resource[].origins") {
        true => values.list("resource[].origins", syntax::web_origin).map(Some),
        false => Some(None),
    };
    let body_limit = values.size("resource[].body_limit");
    let connect_timeout = values.duration("resource[].connect_timeout");
    let first_byte_timeout = values.duration("resource[].first_byte_timeout");
    let idle_timeout = values.duration("resource[].idle_timeout");
    let http2 = values.flag("resource[].http2");
    if let (Some(connect), Some(first)) = (connect_timeout, first_byte_timeout)
        && connect > first
    {
        values.problem::<()>(
            "resource[].connect_timeout",
            "This, 5s where it is not set, is longer than first_byte_timeout, which counts from the beginning. Write less here, or \
             more there.",
        );
    }
    let plain = values.is_set("resource[].ca_file") && upstream.is_some_and(|url| url.scheme() == "http");
    let ca = match plain {
        true => values.problem(
            "resource[].ca_file",
            "This is for an upstream by https, and this one is http. Take it out.",
        ),
        false => file::certificates(values, "resource[].ca_file"),
    };
    Some(Forwarding {
        identity: identity?,
        tools: ToolScopes(rules?.into_iter().map(rule).collect()),
        origins: origins?,
        body_limit: body_limit?,
        connect_timeout: connect_timeout?,
        first_byte_timeout: first_byte_timeout?,
        idle_timeout: idle_timeout?,
        http2: http2?,
        ca: ca?,
    })
}

fn identity(values: &mut Values<'_>, upstream: Option<&Url>, trusted: bool) -> Option<Vec<Identity>> {
    let key = "resource[].identity";
    let identity = values.list(key, |word| match word {
        "token" => Ok(Identity::Token),
        "headers" => Ok(Identity::Headers),
        "easy-auth" => Ok(Identity::EasyAuth),
        _ => Err("There is no such form. Write token, headers or easy-auth.".to_owned()),
    });
    let identity = identity?;
    if identity.is_empty() {
        return values.problem(key, "This is empty. Write token, headers or easy-auth, or several of them.");
    }
    let unsigned = identity.iter().any(|form| form.is_unsigned());
    if unsigned && !trusted && upstream.is_some_and(|url| !is_loopback(url)) {
        return values.problem(
            key,
            "Whoever else reaches this upstream could send such headers too, for nothing signs them. Write \"token\", or \
             trusted_network = true where nobody but Entrada can reach it.",
        );
    }
    Some(identity)
}

/// Who may use it. `entra`: whether the identity provider knows tenants, and names groups by GUID.
pub(super) fn allowed(values: &mut Values<'_>, entra: bool) -> Option<Allowed> {
    let tenants = values.list("resource[].allowed_tenants", |text| match entra {
        true => syntax::tenant(text),
        false => Err("This identity provider has no tenants. Take it out.".to_owned()),
    });
    let users = values.list("resource[].allowed_users", |text| {
        let object = text.split_once(':').map_or(text, |(_, object)| object);
        match syntax::tenant(object) {
            Err(_) if entra && KeyId::parse(text).is_none() => {
                Err("This is not the object id of a person, which is a GUID, alone or as tenant:object. \
                                    Addresses change hands. Write the id that the user's overview shows."
                    .to_owned())
            }
            _ => named(text).map(|text| syntax::object_id(&text)),
        }
    });
    let groups = values.list("resource[].allowed_groups", |text| match syntax::tenant(text) {
        Err(_) if entra => {
            Err("This is not the object id of a group, which is a GUID. Tokens do not name groups, and \
                                names change hands. Write the id that the group's overview shows."
                .to_owned())
        }
        _ => Ok(syntax::object_id(text)),
    });
    let roles = values.list("resource[].allowed_roles", named);
    let clients = values.list("resource[].allowed_clients", named);
    let keys = values.flag("resource[].keys");
    let of_people = [("tenants", &tenants), ("groups", &groups), ("roles", &roles)];
    let unmet = of_people.iter().find(|(_, list)| list.as_ref().is_some_and(|list| !list.is_empty()));
    if let (Some(true), Some((list, _))) = (keys, unmet) {
        return values.problem(
            "resource[].keys",
            format!(
                "No API key could be used here: allowed_{list} asks for what only people have. Give keys a [[resource]] of \
                 their own, with another path and the same upstream, or take one of the two out."
            ),
        );
    }
    Some(Allowed {
        tenants: tenants?,
        users: users?,
        groups: groups?,
        roles: roles?,
        clients: clients?,
        keys: keys?,
    })
}

/// What somebody or something can be called.
fn named(text: &str) -> Result<String, String> {
    match text.trim() == text && !text.is_empty() {
        true => Ok(text.to_owned()),
        false => {
            Err("Nothing is called that, with a space at an end or nothing at all. Take it out.".to_owned())
        }
    }
}

/// Scopes that stand for others.
pub(super) fn implied(values: &mut Values<'_>, scopes: Option<&[(String, String)]>) -> Option<ImpliedScopes> {
    let is_known = |scope: &str| known(scopes, scope);
    let implied = values.scopes("resource[].implies", is_known, is_known)?;
    Some(ImpliedScopes(implied.into_iter().map(|(scope, others)| (scope, to_scopes(&others))).collect()))
}

fn known(scopes: Option<&[(String, String)]>, scope: &str) -> Result<(), String> {
    match scopes {
        Some(scopes) if !scopes.iter().any(|(name, _)| name == scope) => Err(format!(
            "{} is not one of the scopes of this resource. Add it there, or take it out here.",
            shown(scope)
        )),
        _ => Ok(()),
    }
}

fn to_scopes(names: &[String]) -> Scopes {
    names.iter().map(String::as_str).collect()
}
