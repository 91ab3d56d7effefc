//! The table of settings. The loader, its messages and the README read it; nothing else lists a key.

/// One setting.
#[derive(Debug)]
pub struct Setting {
    /// Dotted TOML key; the keys of a `[[resource]]` begin with `resource[].`.
    pub key: &'static str,
    pub kind: Kind,
    pub default: Fallback,
    /// A phrase for the README and for the message that the setting is missing.
    pub meaning: &'static str,
    /// Whether the value must never be shown.
    pub secret: bool,
}

/// What a setting holds.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    Text,
    Flag,
    OneOf(&'static [&'static str]),
    /// Text as `humantime` reads it, in whole seconds, within both bounds.
    Duration {
        min: &'static str,
        max: &'static str,
    },
    /// So many in a second, minute or hour, or `off`.
    Rate,
    /// A whole number from 0 on.
    Count {
        max: usize,
    },
    /// Texts; one text stands for a list of one.
    List,
    /// Names and words for them, in the order of the file.
    Pairs,
}

/// What holds where a setting is left out.
#[derive(Debug, Clone, Copy)]
pub enum Fallback {
    /// Nothing: leaving it out is a problem.
    Required,
    /// No value. The words say what follows from that.
    Unset(&'static str),
    /// This value, written as an environment variable would be.
    Is(&'static str),
}

use Fallback::Is;
use Fallback::Required;
use Fallback::Unset;

const fn setting(key: &'static str, kind: Kind, default: Fallback, meaning: &'static str) -> Setting {
    Setting { key, kind, default, meaning, secret: false }
}

const fn lifetime(
    key: &'static str,
    default: Fallback,
    (min, max): (&'static str, &'static str),
    meaning: &'static str,
) -> Setting {
    setting(key, Kind::Duration { min, max }, default, meaning)
}

/// Every setting there is, in the order of the documentation.
pub static SETTINGS: &[Setting] = &[
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
        "data_dir",
        Kind::Text,
        Is("./data"),
        "The directory of the embedded store, the root key and the administration socket; \
         a relative one starts from the current directory",
    ),
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
        "The GUID of the Entra tenant; only for `entra`",
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
    Setting {
        secret: true,
        ..setting(
            "upstream.client_secret",
            Kind::Text,
            Required,
            "The client secret that the identity provider gave to Entrada; never shown or logged",
        )
    },
    setting(
        "upstream.scopes",
        Kind::List,
        Is("[]"),
        "Scopes to ask of the identity provider besides openid, profile and offline_access",
    ),
    setting(
        "store.kind",
        Kind::OneOf(&["embedded"]),
        Is("embedded"),
        "Where grants are kept: in a file in `data_dir`",
    ),
    setting(
        "trust.hosts",
        Kind::List,
        Is("[]"),
        "Hosts that may receive codes and publish client metadata, besides loopback and the known MCP vendors: \
         plain host names",
    ),
    setting("trust.open", Kind::Flag, Is("false"), "Whether every host is trusted so"),
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
        "How many requests without a credential one address may send in a second, minute or hour, \
         all at once if need be; hosted clients share addresses; an IPv6 address counts with its /64",
    ),
    setting(
        "limits.proxies",
        Kind::Count { max: 10 },
        Is("0"),
        "How many proxies stand in front and append to `X-Forwarded-For`; the address is then the one that \
         the first of them saw, and with 0 that of the connection",
    ),
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

/// The key under which `[[resource]]` tables stand.
pub(super) const RESOURCES: &str = "resource";

/// What the name of every environment variable begins with.
pub(super) const PREFIX: &str = "ENTRADA_";

impl Setting {
    /// The row of `key`.
    pub(super) fn of(key: &str) -> &'static Self {
        SETTINGS.iter().find(|setting| setting.key == key).expect("only keys of the table are asked for")
    }

    /// The place of the value in the whole configuration: for keys of a resource that of the list.
    pub(super) fn root(&self) -> &'static str {
        self.key.split_once("[].").map_or(self.key, |(list, _)| list)
    }

    /// The last part of the key.
    pub(super) fn name(&self) -> &'static str {
        self.key.rsplit_once('.').map_or(self.key, |(_, name)| name)
    }

    /// The `[section]` it stands in.
    pub(super) fn section(&self) -> Option<&'static str> {
        self.root().split_once('.').map(|(section, _)| section)
    }

    /// The environment variable that sets it; all keys of a resource share one.
    pub fn variable(&self) -> String {
        format!("{PREFIX}{}", self.root().to_ascii_uppercase().replace('.', "__"))
    }

    /// What to write, for the end of a message.
    pub(super) fn wanted(&self) -> String {
        match self.kind {
            Kind::Text => "text in quotes".to_owned(),
            Kind::Flag => "true or false, without quotes".to_owned(),
            Kind::OneOf(words) => quoted(words).join(" or "),
            Kind::Duration { min, max } => {
                let example = if let Is(default) = self.default { default } else { min };
                format!("text with a unit, from {min} to {max}, such as {example:?}")
            }
            Kind::Rate => {
                "a number and s, m or h for second, minute or hour, such as \"1200/m\", or \"off\"".to_owned()
            }
            Kind::Count { max } => format!("a whole number from 0 to {max}"),
            Kind::List => "a list of texts, such as [\"a\", \"b\"]".to_owned(),
            Kind::Pairs => {
                "names with words for each, such as { \"mcp.read\" = \"Read your expenses\" }".to_owned()
            }
        }
    }
}

fn quoted(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| format!("{word:?}")).collect()
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

/// The table for the README, in Markdown.
pub fn markdown_table() -> String {
    let mut table = String::from("| Key | Environment variable | Default | Meaning |\n|---|---|---|---|\n");
    for setting in SETTINGS {
        let default = match setting.default {
            Required => "required".to_owned(),
            Unset(words) => words.to_owned(),
            Is(value) => format!("`{value}`"),
        };
        let limits = match setting.kind {
            Kind::OneOf(words) => format!(" (`{}`)", words.join("` or `")),
            Kind::Duration { min, max } => format!(" (`{min}` to `{max}`)"),
            Kind::Rate => " (`N/s`, `N/m`, `N/h` or `off`)".to_owned(),
            Kind::Count { max } => format!(" (`0` to `{max}`)"),
            _ => String::new(),
        };
        let (key, variable, meaning) = (setting.key, setting.variable(), setting.meaning);
        table += &format!("| `{key}` | `{variable}` | {default} | {meaning}{limits} |\n");
    }
    table
}
