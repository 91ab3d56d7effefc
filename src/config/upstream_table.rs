//! The rows of `[upstream]`.

use super::settings::Fallback::Is;
use super::settings::Fallback::Required;
use super::settings::Fallback::Unset;
use super::settings::Kind;
use super::settings::Setting;
use super::settings::setting;

pub(super) const UPSTREAM: &[Setting] = &[
    setting(
        "upstream.kind",
        Kind::OneOf(&["entra", "oidc"]),
        Is("entra"),
        "The identity provider: Microsoft Entra ID, or any other with OpenID Connect",
    ),
    setting(
        "upstream.tenant",
        Kind::Text,
        Unset("required for `entra`"),
        "The GUID of the Entra tenant, or `organizations` for those of `upstream.allowed_tenants`; only for `entra`",
    ),
    setting(
        "upstream.allowed_tenants",
        Kind::List,
        Unset("required for `organizations`"),
        "The GUIDs of the tenants whose people may sign in; only where `upstream.tenant` is `organizations`",
    ),
    setting(
        "upstream.guests",
        Kind::OneOf(&["deny", "allow"]),
        Is("deny"),
        "Whether guests of a tenant may sign in; `deny` needs the optional claim `acct` in the ID token; only for `entra`",
    ),
    setting(
        "upstream.authority",
        Kind::Text,
        Is("https://login.microsoftonline.com"),
        "The origin of the Microsoft sign-in, another one for a sovereign cloud; only for `entra`",
    ),
    setting(
        "upstream.issuer",
        Kind::Text,
        Unset("required for `oidc`"),
        "The provider's issuer, byte for byte; https, except on loopback; only for `oidc`",
    ),
    setting(
        "upstream.client_id",
        Kind::Text,
        Required,
        "The client id that the identity provider gave to Entrada",
    ),
    setting(
        "upstream.credential",
        Kind::OneOf(&["secret", "managed-identity", "workload-identity", "certificate"]),
        Is("secret"),
        "By what Entrada proves who it is: a client secret, a user-assigned managed identity or the identity of a pod in \
         Kubernetes that the registration has a federated credential for, or a certificate; `oidc` takes `secret` alone",
    ),
    Setting {
        secret: true,
        ..setting(
            "upstream.client_secret",
            Kind::Text,
            Unset("required for `secret`"),
            "The client secret that the identity provider gave to Entrada; never shown or logged",
        )
    },
    setting(
        "upstream.managed_identity",
        Kind::Text,
        Unset("required for `managed-identity`"),
        "The client id of the user-assigned managed identity",
    ),
    setting(
        "upstream.certificate_file",
        Kind::Text,
        Unset("required for `certificate`"),
        "A PEM file with the certificate and its private key, of RSA; it is read anew for each use, so that a renewed one \
         counts at once; a relative path starts from the current directory",
    ),
    setting(
        "upstream.scopes",
        Kind::List,
        Is("[]"),
        "Scopes to ask of the identity provider besides openid, profile and offline_access",
    ),
    setting(
        "upstream.graph",
        Kind::Text,
        Unset("that of the cloud of `upstream.authority`"),
        "The origin of Microsoft Graph, which is asked for the groups of people who are in too many for an ID token, where \
         a resource goes by groups; only for `entra`",
    ),
];
