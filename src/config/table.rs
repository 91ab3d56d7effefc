//! The table of settings. The loader, its messages and the README read it; nothing else lists a key.

use super::resource_table::RESOURCE;
use super::settings::Fallback::Is;
use super::settings::Fallback::Required;
use super::settings::Fallback::Unset;
use super::settings::Kind;
use super::settings::Setting;
use super::settings::lifetime;
use super::settings::setting;
use super::storage_table::STORAGE;
use super::upstream_table::UPSTREAM;

/// Every setting there is, in the order of the documentation.
pub static SETTINGS: &[Setting] = &joined();

const COUNT: usize =
    SERVER.len() + UPSTREAM.len() + STORAGE.len() + POLICY.len() + RESOURCE.len() + CLIENTS_AND_MORE.len();

const fn joined() -> [Setting; COUNT] {
    let parts = [SERVER, UPSTREAM, STORAGE, POLICY, RESOURCE, CLIENTS_AND_MORE];
    let mut all = [SERVER[0]; COUNT];
    let (mut part, mut row, mut at) = (0, 0, 0);
    while at < COUNT {
        if row == parts[part].len() {
            (part, row) = (part + 1, 0);
            continue;
        }
        all[at] = parts[part][row];
        (row, at) = (row + 1, at + 1);
    }
    all
}

const SERVER: &[Setting] = &[
    setting(
        "public_url",
        Kind::Text,
        Required,
        "The origin under which clients reach Entrada, which is also the issuer, byte for byte; \
         https, except on localhost, 127.0.0.1 and [::1]",
    ),
    setting(
        "listen",
        Kind::List,
        Is("127.0.0.1:8000"),
        "Where to listen: one IP address with a port, or a list of them",
    ),
    setting(
        "hosts",
        Kind::List,
        Is("[]"),
        "Names in `Host` under which proxies ask, besides that of `public_url`; a request for another name is refused \
         (DNS rebinding)",
    ),
    setting(
        "data_dir",
        Kind::Text,
        Is("./data"),
        "The directory of the embedded store, the root key and the administration socket; \
         a relative one starts from the current directory",
    ),
    lifetime(
        "stop_delay",
        Is("0s"),
        ("0s", "5m"),
        "How long everything is answered after SIGTERM, but for readiness, which says no: as long as whoever balances \
         load takes to send nothing new; a second signal ends it. What is open then has 25 s to end, so that whoever kills it waits for both and some more",
    ),
];

const POLICY: &[Setting] = &[
    setting(
        "trust.hosts",
        Kind::List,
        Is("[]"),
        "Hosts that may receive codes and publish client metadata, besides loopback and the known MCP vendors: \
         plain host names, or `host/path/` for what lies below a path of a host that others share",
    ),
    setting("trust.open", Kind::Flag, Is("false"), "Whether every host is trusted so"),
    setting(
        "trust.vendor_schemes",
        Kind::Flag,
        Is("true"),
        "Whether known clients may register private-use URI schemes without a dot (`cursor://…`), \
         which RFC 8252 §7.1 does not allow",
    ),
    setting(
        "dcr.enabled",
        Kind::Flag,
        Is("true"),
        "Whether clients may register themselves (RFC 7591); where not, those that did before are unknown too, and what \
         they hold ends with its access token",
    ),
    setting(
        "dcr.secret_hosts",
        Kind::List,
        Is("[]"),
        "Hosts whose clients get a secret though they ask for none, besides the known ones that need it",
    ),
    setting(
        "cimd.enabled",
        Kind::Flag,
        Is("true"),
        "Whether a client may be described by the metadata document at the https address that is its `client_id` \
         (Client ID Metadata Documents); it is fetched, from trusted hosts alone",
    ),
    setting(
        "cimd.ca_file",
        Kind::Text,
        Unset("none"),
        "A PEM file of certificates to trust besides the system's when documents are fetched, as behind a proxy that \
         opens TLS; a relative path starts from the current directory",
    ),
    setting(
        "tokens.signing_alg",
        Kind::OneOf(&["RS256", "ES256"]),
        Is("RS256"),
        "The algorithm that signs access tokens",
    ),
    lifetime(
        "tokens.access",
        Is("60m"),
        ("1m", "24h"),
        "The lifetime of an access token for a resource behind the gateway",
    ),
    lifetime(
        "tokens.refresh_idle",
        Is("30d"),
        ("1h", "365d"),
        "How long a refresh token waits to be used before the person must sign in again",
    ),
    lifetime(
        "tokens.refresh_max",
        Is("90d"),
        ("1h", "365d"),
        "How long after a sign-in the person must sign in again in any case; \
         no shorter than `tokens.refresh_idle`",
    ),
    lifetime("tokens.code", Is("60s"), ("10s", "10m"), "The lifetime of an authorization code"),
    lifetime("tokens.login", Is("15m"), ("1m", "1h"), "How long consent and sign-in may take together"),
    lifetime(
        "tokens.grace",
        Is("90s"),
        ("0s", "300s"),
        "How long the previous refresh token still gives the same successor; `0s` is strict",
    ),
    lifetime(
        "tokens.recheck",
        Is("5m"),
        ("0s", "24h"),
        "How old the identity provider's last answer may be when a token is refreshed; `0s` asks every time",
    ),
    setting(
        "limits.per_address",
        Kind::Rate,
        Is("1200/m"),
        "How many requests one address may send in a second, minute or hour, all at once if need be: hosted \
         clients share addresses; an IPv6 address counts with its /64; requests to the gateway with a \
         bearer token, preflights and health are not counted",
    ),
    setting(
        "limits.per_user",
        Kind::Rate,
        Is("1200/m"),
        "How many requests one person may send through the gateway, with whatever clients",
    ),
    setting(
        "limits.open_per_user",
        Kind::Count { min: 1, max: 100_000 },
        Is("100"),
        "How many requests of one person may be open at the gateway at once, streams among them",
    ),
    setting(
        "limits.per_client",
        Kind::Rate,
        Is("off"),
        "How many requests one client may send through the gateway, for whatever people",
    ),
    setting(
        "limits.proxies",
        Kind::Count { min: 0, max: 10 },
        Is("0"),
        "How many proxies stand in front and write `X-Forwarded-For`; the address is then the one that the first \
         of them saw, and with 0 that of the connection; with more than there are, clients choose their address",
    ),
];

const CLIENTS_AND_MORE: &[Setting] = &[
    setting(
        "client[].id",
        Kind::Text,
        Required,
        "The `client_id` of a client that is registered here; `entrada client new` makes one; with `document` the address \
         of that",
    ),
    setting(
        "client[].document",
        Kind::Text,
        Unset("none"),
        "A file with the client's metadata document, which is then never fetched: for hosts that are private or refuse \
         this server; it takes the place of `name`, `redirect_uris` and `secret_sha256`",
    ),
    setting(
        "client[].name",
        Kind::Text,
        Unset("required without `document`"),
        "What the consent page calls it, as something you vouch for",
    ),
    setting(
        "client[].redirect_uris",
        Kind::List,
        Unset("required without `document`"),
        "Where its codes may go, whatever `trust` says; the port of a loopback address does not matter",
    ),
    setting(
        "client[].scopes",
        Kind::List,
        Is("[]"),
        "All that it may have; without any, what the resource has",
    ),
    setting(
        "client[].secret_sha256",
        Kind::Text,
        Unset("none: a public client"),
        "SHA-256 of its secret, in hexadecimal",
    ),
    setting(
        "brand.name",
        Kind::Text,
        Unset("none"),
        "The name of the organisation or product, at the head and the foot of pages",
    ),
    setting(
        "brand.logo",
        Kind::Text,
        Unset("none"),
        "A picture beside `brand.name`, always on white: an SVG, PNG, JPEG or WebP file of at most 64 KiB; \
         a relative path starts from the current directory",
    ),
    setting(
        "brand.accent",
        Kind::Text,
        Is("#0b57d0"),
        "The colour of buttons and links as `#rrggbb`; where text could not be read on it or in it, \
         pages take a darker or lighter shade",
    ),
    setting(
        "brand.support_url",
        Kind::Text,
        Unset("none"),
        "Where people get help, at the foot of pages and where a sign-in fails: an https URL or a mailto address",
    ),
    setting("log.format", Kind::OneOf(&["text", "json"]), Is("text"), "The form of log lines"),
    setting(
        "metrics.listen",
        Kind::Text,
        Unset("off"),
        "An IP address and a port of its own for `/metrics`; there are none unless this is set",
    ),
];

impl Setting {
    /// The row of `key`.
    pub(super) fn of(key: &str) -> &'static Self {
        SETTINGS.iter().find(|setting| setting.key == key).expect("only keys of the table are asked for")
    }
}

/// The environment variables that are settings, each with the key that it sets.
pub(super) fn variables() -> Vec<(String, &'static str)> {
    let mut variables: Vec<_> = SETTINGS.iter().map(|setting| (setting.variable(), setting.root())).collect();
    variables.dedup();
    variables
}

/// The names of the `[section]`s.
pub(super) fn sections() -> Vec<&'static str> {
    let mut sections: Vec<_> = SETTINGS.iter().filter_map(Setting::section).collect();
    sections.dedup();
    sections
}
