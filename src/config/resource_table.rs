//! The rows of `[[resource]]`.

use super::settings::Fallback::Is;
use super::settings::Fallback::Required;
use super::settings::Fallback::Unset;
use super::settings::Kind;
use super::settings::Setting;
use super::settings::lifetime;
use super::settings::setting;

pub(super) const RESOURCE: &[Setting] = &[
    setting(
        "resource[].path",
        Kind::Text,
        Required,
        "The path under `public_url` at which the gateway serves this MCP server, such as `/mcp`",
    ),
    setting(
        "resource[].identifier",
        Kind::Text,
        Unset("`public_url` + `path`"),
        "The resource identifier and the audience of its tokens (RFC 8707): an absolute URL without a fragment",
    ),
    setting(
        "resource[].upstream",
        Kind::Text,
        Unset("none: tokens are only issued"),
        "The http(s) URL of the MCP server behind the gateway",
    ),
    setting(
        "resource[].name",
        Kind::Text,
        Unset("the path"),
        "What the consent page and the metadata call the resource",
    ),
    setting(
        "resource[].default",
        Kind::Flag,
        Is("false"),
        "Whether a request that names no resource means this one; at most one",
    ),
    lifetime(
        "resource[].access",
        Unset("`tokens.access`; without `upstream` `15m`"),
        ("1m", "24h"),
        "The lifetime of an access token for this resource",
    ),
    setting(
        "resource[].scopes",
        Kind::Pairs,
        Required,
        "Its scopes and, for the consent page, what each permits in words; \
         at least one, and their order is kept",
    ),
    setting(
        "resource[].default_scopes",
        Kind::List,
        Unset("all of `scopes`"),
        "The scopes of a request that names none",
    ),
    setting(
        "resource[].claims",
        Kind::List,
        Is("[]"),
        "What its access tokens say about the person besides who it is: \
         any of `name`, `preferred_username`, `roles`, `groups`",
    ),
    setting(
        "resource[].implies",
        Kind::Scopes,
        Unset("none"),
        "Scopes that stand for others as well: `{ \"mcp.write\" = [\"mcp.read\"] }`",
    ),
    setting(
        "resource[].tools",
        Kind::Scopes,
        Unset("none"),
        "Scopes that a call of a tool needs, by its name, in which `*` stands for any text: \
         `{ \"delete_*\" = \"mcp.write\" }`; every line that matches counts; only with `upstream`, as all that follows but \
         `allowed_…`",
    ),
    setting(
        "resource[].identity",
        Kind::List,
        Is("token"),
        "How the MCP server learns who calls: `token` (a bearer token of ours), `headers` (`X-Entrada-Oid`, `-Tid`, `-Name`, \
         `-Client`, `-Scope`), `easy-auth` (`X-MS-CLIENT-PRINCIPAL`, `-ID`, `-NAME`, `-IDP`, as Azure App Service sends them), \
         or several of them",
    ),
    setting(
        "resource[].trusted_network",
        Kind::Flag,
        Is("false"),
        "Whether nobody but Entrada can reach `upstream` and nobody else is on the network between: headers without a \
         signature go beyond loopback only then, and plain http without a warning",
    ),
    setting(
        "resource[].keys",
        Kind::Flag,
        Is("false"),
        "Whether API keys open it, for agents that have no browser (`entrada key new`); a key has neither tenant, group nor role, \
         and stands in `allowed_users` and `allowed_clients` as `key:…`",
    ),
    setting(
        "resource[].allowed_tenants",
        Kind::List,
        Is("[]"),
        "Tenants whose people may use it, by GUID; each `allowed_…` list that is not empty has to be met, at sign-in, \
         at refresh and at the gateway",
    ),
    setting(
        "resource[].allowed_users",
        Kind::List,
        Is("[]"),
        "People who may use it, by object id (another provider's `sub`) or as `tid:oid`",
    ),
    setting(
        "resource[].allowed_groups",
        Kind::List,
        Is("[]"),
        "Groups whose members may use it, by object id; of who is in too many for the token to list, Microsoft Graph is asked",
    ),
    setting("resource[].allowed_roles", Kind::List, Is("[]"), "App roles whose holders may use it"),
    setting(
        "resource[].allowed_clients",
        Kind::List,
        Is("[]"),
        "Clients that may use it: a `client_id`, its short hash as in the log, or the host of its metadata document or \
         redirect URI",
    ),
    setting(
        "resource[].origins",
        Kind::List,
        Unset("any: what counts is the token"),
        "Web pages that may use it, by `Origin`; requests without that header are no page's",
    ),
    setting(
        "resource[].body_limit",
        Kind::Size { min: "1KiB", max: "1GiB" },
        Is("4MiB"),
        "The longest request body",
    ),
    lifetime(
        "resource[].connect_timeout",
        Is("5s"),
        ("1s", "5m"),
        "How long a connection to `upstream` may take, name and TLS included; no longer than `first_byte_timeout`",
    ),
    lifetime(
        "resource[].first_byte_timeout",
        Is("3m"),
        ("1s", "1h"),
        "How long `upstream` may take to begin its answer, from the beginning of the request",
    ),
    lifetime(
        "resource[].idle_timeout",
        Is("1h"),
        ("1s", "24h"),
        "How long `upstream` may be silent within an answer",
    ),
    setting(
        "resource[].http2",
        Kind::Flag,
        Is("false"),
        "Whether `upstream` is asked by HTTP/2 alone, over one connection for everybody; otherwise by HTTP/1.1, where a slow \
         reader or many streams keep nobody else waiting",
    ),
    setting(
        "resource[].ca_file",
        Kind::Text,
        Unset("none"),
        "A PEM file of certificates to trust besides the system's when `upstream` is https; a relative path starts from \
         the current directory",
    ),
];
