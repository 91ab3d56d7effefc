//! The rows of the table of settings that say where things are kept: `store` and `keys`.

use super::settings::Fallback::Is;
use super::settings::Fallback::Unset;
use super::settings::Kind;
use super::settings::Setting;
use super::settings::setting;

pub(super) const STORAGE: &[Setting] = &[
    setting(
        "store.kind",
        Kind::OneOf(&["embedded", "cosmos"]),
        Is("embedded"),
        "Where grants are kept: in a file in `data_dir`, for one process, or in Azure Cosmos DB for NoSQL, for any \
         number of replicas",
    ),
    setting(
        "store.endpoint",
        Kind::Text,
        Unset("required for `cosmos`"),
        "The URI of the Cosmos DB account; https, except on loopback; this and what follows only for `cosmos`",
    ),
    setting("store.database", Kind::Text, Is("entrada"), "Its database"),
    setting("store.container", Kind::Text, Is("grants"), "The container in it"),
    setting(
        "store.region",
        Kind::Text,
        Unset("where the account writes"),
        "The account's write region, to be refused at the start should it be another one",
    ),
    setting(
        "store.credential",
        Kind::OneOf(&["managed-identity", "workload-identity", "developer", "key"]),
        Is("managed-identity"),
        "By what right: the machine's identity, that of a pod in Kubernetes, whoever is signed in to the Azure CLI, \
         or the account's key, for an emulator",
    ),
    setting(
        "store.managed_identity",
        Kind::Text,
        Unset("the machine's or the pod's own"),
        "The client id of a user-assigned managed identity",
    ),
    Setting {
        secret: true,
        ..setting(
            "store.key",
            Kind::Text,
            Unset("required for `key`"),
            "The account's key, in base64; never shown or logged; a release does not take one",
        )
    },
    setting(
        "keys.file",
        Kind::Text,
        Unset("`root.key` in `data_dir`"),
        "The file of the root key, from which all other keys are derived; a relative path starts from the current directory",
    ),
    setting(
        "keys.vault",
        Kind::Text,
        Unset("none: the file"),
        "The URI of the key vault that has the root key in place of the file; https, except on loopback; \
         what follows is only for it",
    ),
    setting(
        "keys.secret",
        Kind::Text,
        Is("entrada-root"),
        "The secret in it, whose versions are the generations of the root key",
    ),
    setting(
        "keys.credential",
        Kind::OneOf(&["managed-identity", "workload-identity", "developer"]),
        Is("managed-identity"),
        "By what right: the machine's identity, that of a pod in Kubernetes, or whoever is signed in to the Azure CLI",
    ),
    setting(
        "keys.managed_identity",
        Kind::Text,
        Unset("the machine's or the pod's own"),
        "The client id of a user-assigned managed identity",
    ),
];
