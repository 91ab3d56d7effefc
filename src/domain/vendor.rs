//! MCP clients that are known by the host that receives their codes: one table, each row with what was seen.

use std::sync::LazyLock;

use unicode_normalization::UnicodeNormalization;
use unicode_security::skeleton;

use crate::protocol::client_auth::AuthMethod;
use crate::protocol::redirect_uri::Receiver;
use crate::protocol::redirect_uri::RedirectUri;
use crate::protocol::registration::is_invisible;

/// A host of a known MCP client.
#[derive(Debug)]
pub struct Vendor {
    pub host: &'static str,
    /// What may be registered there: a path, or with `/` at its end the beginning of one. Others share the host.
    pub paths: &'static [&'static str],
    /// How its clients authenticate though they do not ask for it: `None` where a public client is served as one.
    pub secret: Option<NeedsSecret>,
    /// Words of a client's name that only this host's clients, and programs on the user's own machine, may use.
    pub names: &'static [&'static str],
    /// Who was seen there, and how.
    pub seen: &'static str,
}

/// A client that does not go on without a `client_secret`, whatever it registered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NeedsSecret {
    /// The method that it is given.
    pub method: AuthMethod,
    /// Even when it asks for `none`.
    pub overrides_none: bool,
}

const BASIC: Option<NeedsSecret> =
    Some(NeedsSecret { method: AuthMethod::ClientSecretBasic, overrides_none: false });
const POST: Option<NeedsSecret> =
    Some(NeedsSecret { method: AuthMethod::ClientSecretPost, overrides_none: true });

const fn row(
    host: &'static str,
    paths: &'static [&'static str],
    names: &'static [&'static str],
    seen: &'static str,
) -> Vendor {
    Vendor { host, paths, secret: None, names, seen }
}

const CALLBACK: &[&str] = &["/api/mcp/auth_callback"];
const VS_CODE: &[&str] = &["vs code", "visual studio code"];
const PERPLEXITY: &[&str] = &["/rest/connections/oauth_callback"];

/// The table.
pub static VENDORS: &[Vendor] = &[
    row(
        "antigravity.google",
        &["/oauth-callback"],
        &["antigravity"],
        "Antigravity, the successor of Gemini CLI",
    ),
    row(
        "chatgpt.com",
        &["/connector_platform_oauth_redirect", "/connector/oauth/"],
        &["chatgpt", "openai"],
        "ChatGPT: one address, or one for each connector",
    ),
    row("claude.ai", CALLBACK, &["claude", "anthropic"], "Claude: web, desktop and mobile"),
    row("claude.com", CALLBACK, &["claude", "anthropic"], "Claude, under its other name"),
    Vendor {
        secret: POST,
        ..row("enterprise.perplexity.ai", PERPLEXITY, &["perplexity"], "Perplexity Enterprise, as Perplexity")
    },
    Vendor {
        secret: BASIC,
        ..row(
            "global.consent.azure-apim.net",
            &["/redirect", "/redirect/"],
            &["copilot studio", "power automate", "power apps"],
            "Copilot Studio, Power Platform: one address for each tool; without a secret in the answer it does not go on, and it says no method",
        )
    },
    row("insiders.vscode.dev", &["/redirect"], VS_CODE, "VS Code Insiders"),
    row(
        "oauth-redirect.googleusercontent.com",
        &["/r/"],
        &["gemini"],
        "Gemini: one address for each project",
    ),
    row(
        "teams.microsoft.com",
        &["/api/platform/v1.0/oAuthRedirect"],
        &["microsoft 365 copilot", "m365 copilot"],
        "Microsoft 365 Copilot; it needs a `[[client]]` with a secret",
    ),
    row("vscode.dev", &["/redirect"], VS_CODE, "VS Code"),
    row("www.cursor.com", &["/agents/mcp/oauth/callback"], &["cursor"], "Cursor agents on the web"),
    Vendor {
        secret: POST,
        ..row(
            "www.perplexity.ai",
            PERPLEXITY,
            &["perplexity"],
            "Perplexity: it asks for the method `none`, and refuses an answer without a secret",
        )
    },
];

/// The vendor at a host.
#[must_use]
pub fn vendor(host: &str) -> Option<&'static Vendor> {
    VENDORS.iter().find(|vendor| vendor.host == host)
}

/// Whether a client at `redirect` calls itself by a name that belongs to others. Names are compared as people
/// read them: letters that look alike are alike (Unicode Technical Standard 39 §4), only letters and digits
/// count, and a name may begin at any word.
///
/// A program on the user's own machine may be anybody's, and the consent page warns of every one of them.
#[must_use]
pub fn claims_the_name_of_another(name: &str, redirect: &RedirectUri) -> bool {
    if redirect.receiver() != Receiver::Web {
        return false;
    }
    let host = redirect.host();
    let here: &[&str] =
        vendor(&host).filter(|_| redirect.port().is_none()).map_or(&[], |vendor| vendor.names);
    let readings = readings(name);
    let claimed = WORDS.iter().filter(|(_, read)| readings.iter().any(|reading| reading.starts_with(read)));
    claimed.into_iter().any(|(word, _)| !here.contains(word))
}

/// Each word of the table, and how it is read.
static WORDS: LazyLock<Vec<(&str, String)>> = LazyLock::new(|| {
    let words = VENDORS.iter().flat_map(|vendor| vendor.names);
    words.map(|word| (*word, squeezed(skeleton(word)))).collect()
});

/// Letters and digits. No word of the table is longer.
const LONGEST: usize = 24;

/// A name from each of its words on, as eyes may take it: a capital I is a small i to some and a small l to others.
fn readings(name: &str) -> Vec<String> {
    // What is written raised, circled or wide is the same letter.
    let name: Vec<char> = name.nfkc().filter(|c| c.is_alphanumeric() || !is_invisible(*c)).collect();
    let mut readings = Vec::new();
    for start in word_starts(&name) {
        let rest: String = name[start..].iter().filter(|c| c.is_alphanumeric()).take(LONGEST).collect();
        let alike: String = skeleton(&rest).flat_map(char::to_lowercase).collect();
        readings.extend([squeezed(skeleton(&rest.to_lowercase())), squeezed(skeleton(&alike))]);
    }
    readings
}

/// Where words begin: after what is neither letter nor digit, and at a capital after a small letter or before one.
fn word_starts(name: &[char]) -> Vec<usize> {
    let at = |position: usize| name.get(position).copied().unwrap_or(' ');
    let begins = |position: usize| {
        let (before, c, after) = (position.checked_sub(1).map_or(' ', at), at(position), at(position + 1));
        let capital = c.is_uppercase() && (before.is_lowercase() || after.is_lowercase());
        c.is_alphanumeric() && (!before.is_alphanumeric() || capital)
    };
    (0..name.len()).filter(|position| begins(*position)).collect()
}

fn squeezed(text: impl Iterator<Item = char>) -> String {
    text.flat_map(char::to_lowercase).filter(|c| c.is_alphanumeric()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claims(name: &str, redirect: &str) -> bool {
        claims_the_name_of_another(name, &RedirectUri::parse(redirect).unwrap())
    }

    #[test]
    fn a_name_is_compared_as_people_read_it() {
        let elsewhere = "https://evil.example/cb";
        for name in [
            "Claude",
            "CLAUDE",
            "Claude (official)",
            "ClaudeAI",
            "C l a u d e",
            "Cl\u{200b}aude",
            "\u{421}laude",
            "CIaude",
            "C1aude",
            "GEMINI",
            "Gem\u{131}ni",
            "Visual Studio Code",
            "VS-Code",
            "ｃｈａｔｇｐｔ",
            "The Claude",
            "MyClaude",
            "MCPClaude",
            "Clᵃude",
            "Ⓒⓛⓐⓤⓓⓔ",
            "Cl\u{ad}aude",
            "Connector for ChatGPT",
        ] {
            assert!(claims(name, elsewhere), "{name}");
        }
        for name in
            ["Acme", "Expenses of the month", "Precursor", "Dev's Code Review", "Microsoft Fabric tools", ""]
        {
            assert!(!claims(name, elsewhere), "{name}");
        }
    }

    #[test]
    fn a_name_may_be_used_where_it_belongs_and_on_the_users_machine() {
        for redirect in [
            "https://claude.ai/api/mcp/auth_callback",
            "https://claude.com/api/mcp/auth_callback",
            "http://localhost/callback",
            "cursor://anysphere.cursor-mcp/oauth/callback",
        ] {
            assert!(!claims("Claude", redirect), "{redirect}");
        }
        for redirect in
            ["https://chatgpt.com/connector/oauth/x", "https://claude.ai:8443/api/mcp/auth_callback"]
        {
            assert!(claims("Claude", redirect), "{redirect}");
        }
    }

    #[test]
    fn every_vendor_is_there_once_with_a_path_and_a_name() {
        for (n, vendor) in VENDORS.iter().enumerate() {
            assert!(VENDORS[..n].iter().all(|other| other.host < vendor.host), "{}", vendor.host);
            assert!(!vendor.paths.is_empty() && !vendor.names.is_empty(), "{}", vendor.host);
        }
    }
}
