//! The syntax of single values. Each reader answers with the value, or with a sentence for the operator.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::time::Duration;

use url::Host;
use url::Url;
use uuid::Uuid;

use crate::domain::limits::Rate;

/// The first segments of the paths that are Entrada's own.
const OWN_ENDPOINTS: &[&str] =
    &["authorize", "consent", "auth", "token", "register", "revoke", ".well-known", "healthz", "metrics"];

/// More in a second is no limit, and the time between two is told in whole nanoseconds.
const MOST: NonZeroU32 = NonZeroU32::new(1_000_000).expect("not zero");

type Read<T> = Result<T, String>;

/// An origin in its normal form (RFC 6454 §6.2): https, except on loopback.
pub(super) fn origin(text: &str) -> Read<String> {
    let url = web_url(text)
        .map_err(|fault| format!("{fault} Write an origin, such as \"https://mcp.example.com\"."))?;
    secure(&url)?;
    let origin = url.origin().ascii_serialization();
    if origin != text {
        return Err(format!(
            "This is not an origin in its normal form: no path, no slash at the end, no user name, \
             no default port, host in lower case. Write {origin:?}."
        ));
    }
    Ok(origin)
}

/// An issuer (OpenID Connect Core 1.0 §2: https, no query, no fragment), kept byte for byte.
pub(super) fn issuer(text: &str) -> Read<String> {
    let url = web_url(text).map_err(|fault| format!("{fault} Write the issuer as its metadata has it."))?;
    secure(&url)?;
    without_user(&url)?;
    without_query(&url)?;
    without_fragment(&url)?;
    Ok(text.to_owned())
}

/// A resource identifier (RFC 8707 §2: absolute, no fragment), kept byte for byte.
pub(super) fn identifier(text: &str) -> Read<String> {
    let url = web_url(text)
        .map_err(|fault| format!("{fault} Write it as in \"https://mcp.example.com/expenses\"."))?;
    without_user(&url)?;
    without_fragment(&url)?;
    let normal = url.as_str();
    if text != normal && Some(text) != normal.strip_suffix('/') {
        return Err(format!("This is not in its normal form, which clients send. Write {normal:?}."));
    }
    Ok(text.to_owned())
}

/// The address of an MCP server behind the gateway.
pub(super) fn upstream(text: &str) -> Read<Url> {
    let url =
        web_url(text).map_err(|fault| format!("{fault} Write it as in \"http://127.0.0.1:9000/mcp\"."))?;
    without_user(&url)?;
    without_query(&url)?;
    without_fragment(&url)?;
    Ok(url)
}

/// The URI of a Cosmos DB account, as its overview shows it.
pub(super) fn account(text: &str) -> Read<Url> {
    let url = web_url(text)
        .map_err(|fault| format!("{fault} Write it as in \"https://example.documents.azure.com:443/\"."))?;
    secure(&url)?;
    without_user(&url)?;
    without_query(&url)?;
    without_fragment(&url)?;
    if url.path() != "/" {
        return Err("This has a path. Take it out, from the slash behind the host on.".to_owned());
    }
    Ok(url)
}

/// The name of a database or a container in Cosmos DB.
pub(super) fn cosmos_name(text: &str) -> Read<String> {
    if text.len() > 255 || text.contains(['/', '\\', '?', '#']) {
        return Err(
            "A name has at most 255 characters, and none of / \\ ? #. Write one without them.".to_owned()
        );
    }
    Ok(text.to_owned())
}

/// The client id of a managed identity.
pub(super) fn client_id_of_identity(text: &str) -> Read<String> {
    tenant(text).map_err(|_| {
        "This is not a client id. Write the GUID that the identity's overview calls so; its name, its object id \
         or its resource id will not do."
            .to_owned()
    })
}

fn web_url(text: &str) -> Read<Url> {
    let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
    url.ok_or_else(|| "This is not an http or https URL.".to_owned())
}

fn secure(url: &Url) -> Read<()> {
    let loopback = matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
    if url.scheme() == "http" && !loopback {
        return Err("Plain http is only for localhost, 127.0.0.1 and [::1]. Write https.".to_owned());
    }
    Ok(())
}

pub(super) fn without_user(url: &Url) -> Read<()> {
    let none = url.username().is_empty() && url.password().is_none();
    none.then_some(()).ok_or_else(|| "This has a user name or a password in it. Take it out.".to_owned())
}

fn without_query(url: &Url) -> Read<()> {
    url.query()
        .is_none()
        .then_some(())
        .ok_or_else(|| "This has a query. Take it out, from the ? on.".to_owned())
}

fn without_fragment(url: &Url) -> Read<()> {
    let none = url.fragment().is_none();
    none.then_some(()).ok_or_else(|| "This has a fragment. Take it out, from the # on.".to_owned())
}

/// The path of a resource, which is an axum route and part of its identifier without any escaping.
pub(super) fn path(text: &str) -> Read<String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/-._~".contains(c);
    let Some(segments) = text.strip_prefix('/') else {
        return Err("A path begins with a slash. Write it as in \"/mcp\".".to_owned());
    };
    if segments.is_empty() {
        return Err("The whole origin cannot be a resource, for Entrada has endpoints of its own there. \
                    Write a path below it, such as \"/mcp\"."
            .to_owned());
    }
    if !text.chars().all(plain) {
        return Err(
            "A path has only letters, digits and - . _ ~ between its slashes. Write it as in \"/mcp\"."
                .to_owned(),
        );
    }
    if segments.ends_with('/') {
        return Err("A path has no slash at its end. Take it off.".to_owned());
    }
    if segments.split('/').any(str::is_empty) {
        return Err("This path has two slashes in a row. Write one.".to_owned());
    }
    if segments.split('/').any(|segment| segment == "." || segment == "..") {
        return Err("A path has no . and no .. as a segment. Write the path that is meant.".to_owned());
    }
    if segments.split('/').next().is_some_and(|first| OWN_ENDPOINTS.contains(&first)) {
        let own = OWN_ENDPOINTS.join(", /");
        return Err(format!("This path is among Entrada's own: /{own}. Write another, such as \"/mcp\"."));
    }
    Ok(text.to_owned())
}

/// Whether two paths are the same or one contains the other, by whole segments.
pub(super) fn overlap(a: &str, b: &str) -> bool {
    let (short, long) = if a.len() <= b.len() { (a, b) } else { (b, a) };
    long.strip_prefix(short).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// The host of a URL as `url` writes it, without brackets, patterns or anything else around it.
pub(super) fn host(text: &str) -> Read<String> {
    let normal = Host::parse(text).is_ok_and(|host| host.to_string() == text);
    let label = |label: &str| {
        !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    };
    if !normal || !text.split('.').all(label) {
        return Err("This is not a plain host name. Write it in lower case ASCII, without scheme, port, \
                    path or wildcard, as in \"app.example.com\"."
            .to_owned());
    }
    Ok(text.to_owned())
}

/// A host, or what lies below a path of one.
pub(super) fn host_or_part(text: &str) -> Read<String> {
    let (name, below) = text.split_once('/').map_or((text, None), |(name, below)| (name, Some(below)));
    if host(name).is_err() {
        return Err(
            "This is not a host. Write it in lower case ASCII, without scheme, port and wildcard, as in \
                    \"app.example.com\", or \"app.example.com/tenant/\" for what lies below a path of it."
                .to_owned(),
        );
    }
    let Some(below) = below else { return Ok(text.to_owned()) };
    let plain = |c: char| c.is_ascii_alphanumeric() || "/-._~".contains(c);
    let segments = below.strip_suffix('/').unwrap_or_default();
    let bad = |segment: &str| segment.is_empty() || segment == "." || segment == "..";
    if !below.chars().all(plain) || segments.split('/').any(bad) {
        return Err(
            "What follows a host here is a path that ends in a slash: everything below it is meant. \
                    Write it as in \"app.example.com/tenant/\"."
                .to_owned(),
        );
    }
    Ok(text.to_owned())
}

/// A SHA-256 in hexadecimal.
pub(super) fn sha256(text: &str) -> Read<[u8; 32]> {
    let digits = text.as_bytes().chunks(2).map(|two| {
        let two =
            std::str::from_utf8(two).ok().filter(|two| two.bytes().all(|digit| digit.is_ascii_hexdigit()))?;
        u8::from_str_radix(two, 16).ok()
    });
    let bytes: Option<Vec<u8>> = if text.len() == 64 { digits.collect() } else { None };
    bytes.and_then(|bytes| bytes.try_into().ok()).ok_or_else(|| {
        "This is not a SHA-256 in hexadecimal: 64 digits. `entrada client new` prints it with the secret."
            .to_owned()
    })
}

/// The id of one tenant, in lower case as in the claim `tid`.
pub(super) fn tenant(text: &str) -> Read<String> {
    let tenant = text.to_ascii_lowercase();
    // Uuid also reads braces, URNs and digits without hyphens.
    if Uuid::try_parse(&tenant).map(|uuid| uuid.hyphenated().to_string()).as_ref() != Ok(&tenant) {
        return Err(
            "This is not the GUID of a tenant. Write it as in \"11111111-2222-3333-4444-555555555555\"; \
                    a domain, common or organizations will not do."
                .to_owned(),
        );
    }
    Ok(tenant)
}

/// A client id or client secret (RFC 6749 appendix A.1, A.2).
pub(super) fn credential(text: &str) -> Read<String> {
    if !text.bytes().all(|byte| (0x20..=0x7e).contains(&byte)) {
        return Err("This has a character beyond printable ASCII in it (RFC 6749 appendix A). \
                    Write exactly what the identity provider gave."
            .to_owned());
    }
    Ok(text.to_owned())
}

/// A `scope-token` (RFC 6749 §3.3).
pub(super) fn scope(text: &str) -> Read<String> {
    let allowed = |byte: u8| matches!(byte, 0x21 | 0x23..=0x5b | 0x5d..=0x7e);
    if text.is_empty() || !text.bytes().all(allowed) {
        return Err(
            "A scope is printable ASCII without spaces, double quotes and backslashes (RFC 6749 §3.3). \
                    Write it as in \"mcp.read\"."
                .to_owned(),
        );
    }
    Ok(text.to_owned())
}

/// An IP address and a port.
pub(super) fn listener(text: &str) -> Read<SocketAddr> {
    text.parse().map_err(|_| {
        "This is not an address to listen on. Write an IP address and a port, as in \"127.0.0.1:8000\" or \
         \"[::]:8000\"."
            .to_owned()
    })
}

/// So many in a second, minute or hour; `None` is off. A fault is told
/// without what to write instead, which stands in the table.
pub(super) fn rate(text: &str) -> Read<Option<Rate>> {
    if text == "off" {
        return Ok(None);
    }
    let Some((count, unit)) = text.split_once('/') else {
        return Err("This has no unit.".to_owned());
    };
    let period = match unit {
        "s" => Duration::from_secs(1),
        "m" => Duration::from_mins(1),
        "h" => Duration::from_hours(1),
        _ => return Err("This unit is unknown.".to_owned()),
    };
    let digits = count.bytes().all(|byte| byte.is_ascii_digit());
    // Whatever is longer than the number can be is more than the most.
    let count = if digits && !count.is_empty() { Some(count.parse().unwrap_or(u32::MAX)) } else { None };
    match count.map(NonZeroU32::new) {
        None => Err("This does not begin with a whole number.".to_owned()),
        Some(None) => Err("With 0 nobody could sign in.".to_owned()),
        Some(Some(count)) if count > MOST => Err(format!("This is more than {MOST}.")),
        Some(Some(count)) => Ok(Some(Rate { count, period })),
    }
}
