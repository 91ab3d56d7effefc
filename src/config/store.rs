//! Where documents are kept.

use secrecy::SecretString;

use super::Cosmos;
use super::Credential;
use super::Store;
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
    let words: &[(&str, Read<Credential>)] = &[
        ("managed-identity", |values| Some(Credential::ManagedIdentity { client_id: identity(values)? })),
        ("workload-identity", |values| Some(Credential::WorkloadIdentity { client_id: identity(values)? })),
        ("developer", |values| {
            values.refuse("store.managed_identity", "store.credential", "managed-identity");
            Some(Credential::Developer)
        }),
        ("key", key),
    ];
    let read = values.one_of("store.credential", words)?;
    let credential = read(values);
    if !matches!(credential, None | Some(Credential::Key(_))) {
        values.refuse("store.key", "store.credential", "key");
    }
    credential
}

/// The inner `None` is the identity that the machine has by itself.
fn identity(values: &mut Values<'_>) -> Option<Option<String>> {
    let given = values.is_set("store.managed_identity");
    let id = values.text("store.managed_identity", syntax::client_id_of_identity);
    (id.is_some() || !given).then_some(id)
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
