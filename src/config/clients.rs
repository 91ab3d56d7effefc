//! The `[[client]]` list.

use super::Resource;
use super::settings::CLIENTS;
use super::syntax;
use super::values::Item;
use super::values::Values;
use crate::domain::client::ClientId;
use crate::domain::client::ConfiguredClient;
use crate::domain::client::REGISTERED_ID_PREFIX;
use crate::protocol::redirect_uri::RedirectUri;

/// Reads the list. `resources` are those of the whole configuration, where they have no problem.
pub(super) fn read(values: &mut Values<'_>, resources: Option<&[Resource]>) -> Option<Vec<ConfiguredClient>> {
    let items = values.tables(CLIENTS)?;
    let mut clients = Vec::new();
    let mut ids: Vec<(usize, String)> = Vec::new();
    for item in items {
        let (number, place) = (item.number, item.place.clone());
        let client = client(values, item, resources);
        if let Some(id) = client.as_ref().map(|client| client.id.clone()) {
            match ids.iter().find(|(_, earlier)| *earlier == id) {
                Some((earlier, _)) => values.problem_at(
                    format!("{place}.id"),
                    format!("client[{earlier}] has the same id. Give each one of its own."),
                ),
                None => ids.push((number, id)),
            }
        }
        clients.push(client);
    }
    clients.into_iter().collect()
}

fn client(values: &mut Values<'_>, item: Item, resources: Option<&[Resource]>) -> Option<ConfiguredClient> {
    let values = &mut values.item(&item);
    values.refuse_unknown();
    let id = values.text("client[].id", id);
    let name = values.text("client[].name", |name| Ok(name.to_owned()));
    let redirect_uris = values.list("client[].redirect_uris", redirect_uri);
    let redirect_uris = match redirect_uris {
        Some(uris) if uris.is_empty() => {
            values.problem("client[].redirect_uris", "This is empty. Name a redirect URI at least.")
        }
        uris => uris,
    };
    let served = |scope: &str| {
        resources.is_none_or(|all| all.iter().any(|r| r.scopes.iter().any(|(s, _)| s == scope)))
    };
    let scopes = values.list("client[].scopes", |scope| match served(scope) {
        true => Ok(scope.to_owned()),
        false => Err("No resource has this scope. Add it there, or take it out here.".to_owned()),
    });
    let secret_given = values.is_set("client[].secret_sha256");
    let secret_sha256 = values.text("client[].secret_sha256", syntax::sha256);
    if secret_given && secret_sha256.is_none() {
        return None;
    }
    Some(ConfiguredClient {
        id: id?,
        name: name?,
        redirect_uris: redirect_uris?,
        scopes: scopes?.iter().map(String::as_str).collect(),
        secret_sha256,
    })
}

fn id(text: &str) -> Result<String, String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._~".contains(c);
    if !text.chars().all(plain) || text.len() > 128 {
        return Err("A client id here has only letters, digits and - . _ ~, and at most 128 of them. \
                    `entrada client new` makes one."
            .to_owned());
    }
    if text.starts_with(REGISTERED_ID_PREFIX) {
        return Err("This looks like the id of a client that registered itself. Write one of your own; \
                    `entrada client new` makes one."
            .to_owned());
    }
    if ClientId::is_digest(text) {
        return Err(
            "This has the length of the short form by which `client list` and logs name clients: 16. \
                    Write another; `entrada client new` makes one."
                .to_owned(),
        );
    }
    Ok(text.to_owned())
}

fn redirect_uri(text: &str) -> Result<RedirectUri, String> {
    RedirectUri::parse(text).ok_or_else(|| {
        "This is not a redirect URI that could be served. Write it in its normal form: https, http on localhost, \
         127.0.0.1 or [::1], or a private-use scheme with a dot in it or of a known application; without fragment, user name, dot segments \
         and encoded separators."
            .to_owned()
    })
}
