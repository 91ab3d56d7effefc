//! Where documents are kept.

use secrecy::SecretString;

use super::Cosmos;
use super::Credential;
use super::Store;
use super::identity;
use super::syntax;
use super::values::Values;

/// The settings of Cosmos DB alone.
const OF_COSMOS: [&str; 7] = [
    "store.endpoint",
    "store.database",
    "store.container",
    "store.region",
    "store.credential",
    "store.managed_identity",
    "store.key",
];

type Read<T> = fn(&mut Values<'_>) -> Option<T>;

pub(super) fn read(values: &mut Values<'_>) -> Option<Store> {
    let read: Read<Store> =
        values.one_of("store.kind", &[("embedded", embedded as _), ("cosmos", cosmos as _)])?;
    read(values)
}

fn embedded(values: &mut Values<'_>) -> Option<Store> {
    for key in OF_COSMOS {
        values.refuse(key, "store.kind", "cosmos");
    }
    Some(Store::Embedded)
}

fn cosmos(values: &mut Values<'_>) -> Option<Store> {
    values.require("store.endpoint");
    let endpoint = values.text("store.endpoint", syntax::account);
    let database = values.text("store.database", syntax::cosmos_name);
    let container = values.text("store.container", syntax::cosmos_name);
    let given = values.is_set("store.region");
    let region = values.text("store.region", |region| Ok(region.to_owned()));
    let credential = credential(values);
    (region.is_some() || !given).then_some(())?;
    let cosmos = Cosmos {
        endpoint: endpoint?,
        database: database?,
        container: container?,
        region,
        credential: credential?,
    };
    Some(Store::Cosmos(Box::new(cosmos)))
}

fn credential(values: &mut Values<'_>) -> Option<Credential> {
    let identities = identity::WORDS.map(|(text, word)| (text, Some(word)));
    let words: Vec<_> = identities.into_iter().chain([("key", None)]).collect();
    let Some(word) = values.one_of("store.credential", &words)? else { return key(values) };
    values.refuse("store.key", "store.credential", "key");
    let identity = identity::read(values, word, "store.credential", "store.managed_identity")?;
    Some(Credential::Identity(identity))
}

fn key(values: &mut Values<'_>) -> Option<Credential> {
    values.refuse("store.managed_identity", "store.credential", "managed-identity");
    values.require("store.key");
    let key = values.text("store.key", |key| syntax::credential(key).map(SecretString::from));
    if !cfg!(feature = "store-key") {
        return values.problem(
            "store.credential",
            "This program was built without keys (the feature store-key), as a release is: a key opens the whole \
             account to whoever reads it. Write \"managed-identity\" or \"workload-identity\".",
        );
    }
    key.map(Credential::Key)
}
