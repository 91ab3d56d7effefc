//! The `[[resource]]` list.

use std::time::Duration;

use url::Url;

use super::Claim;
use super::Idp;
use super::Resource;
use super::forwarding;
use super::settings::RESOURCES;
use super::syntax;
use super::values::Item;
use super::values::Values;
use crate::domain::allowed::Allowed;
use crate::domain::forwarding::Forwarding;
use crate::domain::tools::ImpliedScopes;

/// The access token of a resource that verifies by itself cannot be revoked, so it lives shorter.
const ACCESS_WITHOUT_GATEWAY: Duration = Duration::from_mins(15);

/// A resource as it was written: what is `None` is unset or has a problem.
struct Draft {
    /// Its number in the list.
    number: usize,
    place: String,
    path: Option<String>,
    identifier: Option<String>,
    identifier_given: bool,
    upstream: Option<Url>,
    name: Option<String>,
    default: Option<bool>,
    access: Option<Duration>,
    scopes: Option<Vec<(String, String)>>,
    default_scopes: Option<Vec<String>>,
    implied: Option<ImpliedScopes>,
    claims: Option<Vec<Claim>>,
    allowed: Option<Allowed>,
    forwarding: Option<Forwarding>,
    trusted_network: Option<bool>,
}

/// Reads the list. `public_url`, `access` and `idp` are those of the whole configuration, where they have no
/// problem.
pub(super) fn read(
    values: &mut Values<'_>,
    public_url: Option<&str>,
    access: Option<Duration>,
    idp: Option<&Idp>,
) -> Option<Vec<Resource>> {
    let items = values.tables(RESOURCES)?;
    if items.is_empty() {
        return values.none_of(RESOURCES);
    }
    let drafts: Vec<_> = items.into_iter().map(|item| draft(values, item, public_url, idp)).collect();
    compare(values, &drafts);
    drafts.into_iter().map(|draft| draft.finish(access)).collect()
}

fn draft(values: &mut Values<'_>, item: Item, public_url: Option<&str>, idp: Option<&Idp>) -> Draft {
    let values = &mut values.item(&item);
    values.refuse_unknown();
    let path = values.text("resource[].path", syntax::path);
    let identifier_given = values.is_set("resource[].identifier");
    let given = values.text("resource[].identifier", syntax::identifier);
    let derived = || Some(format!("{}{}", public_url?, path.as_deref()?));
    let identifier = if identifier_given { given } else { derived() };
    let scopes = values.pairs("resource[].scopes", syntax::scope);
    let upstream = values.text("resource[].upstream", syntax::upstream);
    let trusted_network = values.flag("resource[].trusted_network");
    // Where it is not known yet which provider is meant, there are other problems to be told first.
    let entra = matches!(idp, Some(Idp::Entra { .. }));
    Draft {
        path,
        identifier,
        identifier_given,
        implied: forwarding::implied(values, scopes.as_deref()),
        allowed: forwarding::allowed(values, entra),
        forwarding: forwarding::read(values, upstream.as_ref(), trusted_network, scopes.as_deref()),
        trusted_network,
        upstream,
        name: values.text("resource[].name", |name| Ok(name.to_owned())),
        default: values.flag("resource[].default"),
        access: values.duration("resource[].access"),
        default_scopes: default_scopes(values, scopes.as_deref()),
        scopes,
        claims: values.list("resource[].claims", claim),
        number: item.number,
        place: item.place,
    }
}

/// Those that are set, or all of them.
fn default_scopes(values: &mut Values<'_>, scopes: Option<&[(String, String)]>) -> Option<Vec<String>> {
    let key = "resource[].default_scopes";
    let names: Option<Vec<String>> =
        scopes.map(|scopes| scopes.iter().map(|(name, _)| name.clone()).collect());
    if !values.is_set(key) {
        return names;
    }
    let defaults = values.list(key, |scope| match &names {
        Some(names) if !names.iter().any(|name| name == scope) => {
            Err("This is not one of the scopes of this resource. Add it there, or take it out here."
                .to_owned())
        }
        _ => Ok(scope.to_owned()),
    });
    match defaults {
        Some(defaults) if defaults.is_empty() => values
            .problem(key, "This is empty. Name a scope at least, or leave it out, which means all of them."),
        defaults => defaults,
    }
}

fn claim(text: &str) -> Result<Claim, String> {
    match text {
        "name" => Ok(Claim::Name),
        "preferred_username" => Ok(Claim::PreferredUsername),
        "roles" => Ok(Claim::Roles),
        "groups" => Ok(Claim::Groups),
        _ => Err("There is no such claim. Write name, preferred_username, roles or groups.".to_owned()),
    }
}

/// The rules that several resources keep together.
fn compare(values: &mut Values<'_>, drafts: &[Draft]) {
    for (n, draft) in drafts.iter().enumerate() {
        for earlier in &drafts[..n] {
            compare_paths(values, draft, earlier);
            compare_identifiers(values, draft, earlier);
        }
        let taken = |other: &&Draft| draft.upstream.is_some() && other.identifier_url() == draft.upstream;
        if let Some(other) = drafts.iter().find(taken) {
            values.problem_at(
                format!("{}.upstream", draft.place),
                format!(
                    "This is the identifier of resource[{}]. The MCP server gets tokens with this URL as \
                     audience, which the gateway must never accept. Write the address that only Entrada uses.",
                    other.number
                ),
            );
        }
    }
    let mut defaults = drafts.iter().filter(|draft| draft.default == Some(true));
    let Some(first) = defaults.next() else { return };
    for draft in defaults {
        values.problem_at(
            format!("{}.default", draft.place),
            format!("resource[{}] is the default already. Mark one at most.", first.number),
        );
    }
}

fn compare_paths(values: &mut Values<'_>, draft: &Draft, earlier: &Draft) {
    let (Some(path), Some(other)) = (&draft.path, &earlier.path) else { return };
    let place = format!("{}.path", draft.place);
    let number = earlier.number;
    if path == other {
        values.problem_at(place, format!("resource[{number}] has the same path. Give each one of its own."));
    } else if syntax::overlap(path, other) {
        values.problem_at(
            place,
            format!(
                "This path, or that of resource[{number}], is the beginning of the other. Put them side by side."
            ),
        );
    }
}

fn compare_identifiers(values: &mut Values<'_>, draft: &Draft, earlier: &Draft) {
    let key = match (draft.identifier_given, earlier.identifier_given) {
        (true, _) => "identifier",
        (false, true) => "path",
        // Then the paths are the same, which is told already.
        (false, false) => return,
    };
    let identifier = draft.identifier_url();
    if identifier.is_some() && identifier == earlier.identifier_url() {
        values.problem_at(
            format!("{}.{key}", draft.place),
            format!(
                "This gives the identifier that resource[{}] has. Give each one of its own.",
                earlier.number
            ),
        );
    }
}

impl Draft {
    /// The identifier in its normal form: what a client may write in two ways is one identifier.
    fn identifier_url(&self) -> Option<Url> {
        self.identifier.as_deref().and_then(|identifier| Url::parse(identifier).ok())
    }

    /// The resource, unless a part that it needs has a problem.
    fn finish(self, access: Option<Duration>) -> Option<Resource> {
        let path = self.path?;
        let usual = if self.upstream.is_some() { access } else { Some(ACCESS_WITHOUT_GATEWAY) };
        Some(Resource {
            identifier: self.identifier?,
            access: self.access.or(usual)?,
            name: self.name.unwrap_or_else(|| path.clone()),
            path,
            upstream: self.upstream,
            default: self.default?,
            scopes: self.scopes?,
            default_scopes: self.default_scopes?,
            implied: self.implied?,
            claims: self.claims?,
            allowed: self.allowed?,
            forwarding: self.forwarding?,
            trusted_network: self.trusted_network?,
        })
    }
}
