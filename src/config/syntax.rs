//! The syntax of single values. Each reader answers with the value, or with a sentence for the operator.

use std::net::SocketAddr;

use url::Host;
use url::Url;
use uuid::Uuid;

use crate::domain::limits::Rate;

/// The first segments of the paths that are Entrada's own.
const OWN_ENDPOINTS: &[&str] =
    &["authorize", "consent", "auth", "token", "register", "revoke", ".well-known", "healthz", "metrics"];

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

/// The origin of a web page, as a browser writes it.
pub(super) fn web_origin(text: &str) -> Read<String> {
    let url = Url::parse(text).ok().filter(|url| url.host().is_some());
    match url.map(|url| url.origin().ascii_serialization()) {
        Some(origin) if origin == text => Ok(origin),
        _ => Err("This is not an origin as browsers send it. Write scheme, host and, unless it is the usual one, port, \
                  as in \"https://app.example.com\" or \"http://localhost:6274\"."
            .to_owned()),
    }
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
    service(text, "https://example.documents.azure.com:443/")
}

/// The URI of a key vault. Behind its name stands `vault.` and the cloud's domain, which is also whom tokens are for.
pub(super) fn vault(text: &str) -> Read<Url> {
    const EXAMPLE: &str = "https://example.vault.azure.net/";
    let url = service(text, EXAMPLE)?;
    let named = url.domain().and_then(|domain| domain.split_once('.'));
    if is_loopback(&url) || named.is_some_and(|(name, cloud)| !name.is_empty() && cloud.starts_with("vault."))
    {
        return Ok(url);
    }
    Err(format!("This is not the URI of a key vault. Write it as its overview shows it, as in {EXAMPLE:?}."))
}

/// The name of a secret in a key vault.
pub(super) fn secret_name(text: &str) -> Read<String> {
    if text.len() > 127 || !text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
        return Err(
            "A secret's name has at most 127 letters, digits and hyphens. Write one of these.".to_owned()
        );
    }
    Ok(text.to_owned())
}

/// The origin of a service of Azure's.
fn service(text: &str, example: &str) -> Read<Url> {
    let url = web_url(text).map_err(|fault| format!("{fault} Write it as in {example:?}."))?;
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

fn is_loopback(url: &Url) -> bool {
    matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"))
}

fn secure(url: &Url) -> Read<()> {
    if url.scheme() == "http" && !is_loopback(url) {
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

/// The same, or `None` for the word `organizations`.
pub(super) fn tenant_or_organizations(text: &str) -> Read<Option<String>> {
    if text == "organizations" {
        return Ok(None);
    }
    tenant(text).map(Some).map_err(|_| {
        "This is not the GUID of a tenant. Write it as in \"11111111-2222-3333-4444-555555555555\", or \
         \"organizations\" with upstream.allowed_tenants; a domain or common will not do."
            .to_owned()
    })
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
    Rate::parse(text).map(Some)
}

/// So many bytes. A fault is told without what to write instead, which stands in the table.
pub(super) fn size(text: &str) -> Read<usize> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (count, unit) = text.split_at(digits);
    let unit = match unit.trim_start() {
        "B" => 1,
        "KiB" => 1024,
        "MiB" => 1024 * 1024,
        "GiB" => 1024 * 1024 * 1024,
        "" => return Err("This has no unit.".to_owned()),
        _ => return Err("This unit is unknown: there are B, KiB, MiB and GiB.".to_owned()),
    };
    let count: usize = count.parse().map_err(|_| "This does not begin with a whole number.".to_owned())?;
    // Whatever is longer than the number can be is too large in any case.
    Ok(count.saturating_mul(unit))
}

/// The host of a `Host` header, with a port if it is not the usual one.
pub(super) fn host_header(text: &str) -> Read<String> {
    let (name, port) = text.rsplit_once(':').map_or((text, None), |(name, port)| (name, Some(port)));
    let is_port = port.is_none_or(|port| port.parse::<u16>().is_ok());
    if host(name).is_err() || !is_port {
        return Err("This is not a host as `Host` has it. Write \"mcp.example.com\", or \"mcp.example.com:8443\" where \
                    the port is not the usual one."
            .to_owned());
    }
    Ok(text.to_owned())
}

/// What identifies a person or a group: GUIDs in lower case, as they stand in tokens, where it has any.
pub(super) fn object_id(text: &str) -> String {
    let id = |part: &str| tenant(part).unwrap_or_else(|_| part.to_owned());
    match text.split_once(':') {
        Some((tid, oid)) if tenant(tid).is_ok() => format!("{}:{}", id(tid), id(oid)),
        _ => id(text),
    }
}
