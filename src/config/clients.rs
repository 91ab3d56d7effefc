//! The `[[client]]` list.

use serde_json::Value;

use super::Resource;
use super::file;
use super::settings::CLIENTS;
use super::syntax;
use super::values::Item;
use super::values::Values;
use crate::domain::client::ClientId;
use crate::domain::client::ConfiguredClient;
use crate::domain::client::REGISTERED_ID_PREFIX;
use crate::domain::client_keys::ClientKeys;
use crate::protocol::client_document::BadDocument;
use crate::protocol::client_document::ClientDocument;
use crate::protocol::client_document::Keys;
use crate::protocol::client_id_url::ClientIdUrl;
use crate::protocol::redirect_uri::RedirectUri;
use crate::protocol::scope::Scopes;

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
    let described = if values.is_set("client[].document") { by_document(values) } else { by_hand(values) };
    let served = |scope: &str| {
        resources.is_none_or(|all| all.iter().any(|r| r.scopes.iter().any(|(s, _)| s == scope)))
    };
    let scopes = values.list("client[].scopes", |scope| match served(scope) {
        true => Ok(scope.to_owned()),
        false => Err("No resource has this scope. Add it there, or take it out here.".to_owned()),
    });
    let scopes = scopes?.iter().map(String::as_str).collect();
    Some(ConfiguredClient { scopes, ..described? })
}

/// A client as the operator describes it.
fn by_hand(values: &mut Values<'_>) -> Option<ConfiguredClient> {
    let id = values.text("client[].id", id);
    values.require("client[].name");
    let name = values.text("client[].name", |name| Ok(name.to_owned()));
    values.require("client[].redirect_uris");
    let redirect_uris = values.list("client[].redirect_uris", redirect_uri);
    let redirect_uris = match redirect_uris {
        Some(uris) if uris.is_empty() => {
            values.problem("client[].redirect_uris", "This is empty. Name a redirect URI at least.")
        }
        uris => uris,
    };
    let secret_given = values.is_set("client[].secret_sha256");
    let secret_sha256 = values.text("client[].secret_sha256", syntax::sha256);
    if secret_given && secret_sha256.is_none() {
        return None;
    }
    let (id, name, redirect_uris) = (id?, name?, redirect_uris?);
    Some(ConfiguredClient { id, name, redirect_uris, scopes: Scopes::default(), secret_sha256, jwks: None })
}

/// A client as its metadata document describes it, which lies in a file here.
fn by_document(values: &mut Values<'_>) -> Option<ConfiguredClient> {
    for key in ["client[].name", "client[].redirect_uris", "client[].secret_sha256"] {
        if values.is_set(key) {
            values.problem::<()>(key, "The document says this. Take it out here, or take out document.");
        }
    }
    let address = values.text("client[].id", |id| {
        ClientIdUrl::parse(id).ok_or(
            "With a document this is the address that the document has: https with a path, at a host with a name, in \
             its normal form, without user name, fragment and dot segments, at most 512 characters."
                .to_owned(),
        )
    });
    let text = values.text("client[].document", |path| {
        if ClientIdUrl::is_meant_by(path) {
            return Err("This is an address, and nothing is fetched for it. Save the document to a file, and name that."
                .to_owned());
        }
        let bytes = file::read(path, MAX_DOCUMENT, DOCUMENT)?;
        let bytes = bytes.ok_or("The file is larger than 64 KiB, and no metadata document is.")?;
        String::from_utf8(bytes).map_err(|_| format!("The file is no text. Name {DOCUMENT}."))
    });
    let (address, text) = (address?, text?);
    let ClientDocument { metadata, keys } = match ClientDocument::read(&address, &text, |_| true) {
        Ok(document) => document,
        Err(why) => return values.problem("client[].document", why.sentence()),
    };
    if metadata.client_name.is_empty() {
        let sentence = "The document has no client_name, and the consent page says that you vouch for it. Write one into it.";
        return values.problem("client[].document", sentence);
    }
    if let Some(uri) = unserved(&text) {
        let sentence = format!(
            "redirect_uris[{uri}] in the document could not be served, or stands there twice. Take it out there."
        );
        return values.problem("client[].document", sentence);
    }
    let jwks = match keys {
        None => None,
        Some(Keys::Within(set)) if ClientKeys::read(&set).is_ok() => Some(set),
        Some(Keys::Within(_)) => return values.problem("client[].document", BadDocument::Keys.sentence()),
        Some(Keys::At(_)) => {
            let sentence =
                "The document has a jwks_uri, and nothing is fetched for it. Write the keys into it as jwks.";
            return values.problem("client[].document", sentence);
        }
    };
    Some(ConfiguredClient {
        id: address.as_str().to_owned(),
        name: metadata.client_name,
        redirect_uris: metadata.redirect_uris,
        scopes: Scopes::default(),
        secret_sha256: None,
        jwks,
    })
}

/// The first redirect URI of a document that no client could have: what is fetched may hold some, what an operator
/// writes down is a mistake.
fn unserved(document: &str) -> Option<usize> {
    let document: Value = serde_json::from_str(document).ok()?;
    let uris = document.get("redirect_uris")?.as_array()?;
    let served = |uri: &Value| uri.as_str().is_some_and(|uri| RedirectUri::parse(uri).is_some());
    (0..uris.len()).find(|number| !served(&uris[*number]) || uris[..*number].contains(&uris[*number]))
}

/// The operator vouches for it, so that it may be larger than what is fetched.
const MAX_DOCUMENT: usize = 64 * 1024;
const DOCUMENT: &str = "a file with a client's metadata document, in JSON";

fn id(text: &str) -> Result<String, String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._~".contains(c);
    if ClientIdUrl::is_meant_by(text) {
        return Err("This is an address. Name the file with the metadata document beside it, as document; or, where it \
                    may be fetched, take the client out here and add its host to trust.hosts."
            .to_owned());
    }
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
