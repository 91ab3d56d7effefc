//! MCP clients that are known by the host that receives their codes or describes them: one table, each row with what
//! was seen.

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
    /// Where its clients' metadata documents lie, written likewise. Nothing else there is taken for one: it may be
    /// what customers of the vendor have put there.
    pub documents: &'static [&'static str],
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
    Vendor { host, paths, documents: &[], secret: None, names, seen }
}

const CALLBACK: &[&str] = &["/api/mcp/auth_callback"];
const VS_CODE: &[&str] = &["vs code", "visual studio code"];
const PERPLEXITY: &[&str] = &["/rest/connections/oauth_callback"];
const DOCUMENTS: &[&str] = &["/oauth/"];

/// The table.
pub static VENDORS: &[Vendor] = &[
    row(
        "antigravity.google",
        &["/oauth-callback"],
        &["antigravity"],
        "Antigravity, the successor of Gemini CLI",
    ),
    Vendor {
        documents: DOCUMENTS,
        ..row(
            "chatgpt.com",
            &["/connector_platform_oauth_redirect", "/connector/oauth/"],
            &["chatgpt", "openai"],
            "ChatGPT: one address, or one for each connector; a document of each kind, and Codex's",
        )
    },
    Vendor {
        documents: DOCUMENTS,
        ..row(
            "claude.ai",
            CALLBACK,
            &["claude", "anthropic"],
            "Claude: web, desktop and mobile; its document and Claude Code's",
        )
    },
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
    Vendor {
        documents: DOCUMENTS,
        ..row("opencode.ai", &[], &["opencode"], "OpenCode, a program on the user's machine: its document")
    },
    row(
        "teams.microsoft.com",
        &["/api/platform/v1.0/oAuthRedirect"],
        &["microsoft 365 copilot", "m365 copilot"],
        "Microsoft 365 Copilot; it needs a `[[client]]` with a secret",
    ),
    Vendor {
        documents: DOCUMENTS,
        ..row("vscode.dev", &["/redirect"], VS_CODE, "VS Code, and its document")
    },
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
    Vendor {
        documents: DOCUMENTS,
        ..row("zed.dev", &[], &["zed editor"], "Zed, a program on the user's machine: its document")
    },
];

/// The vendor at a host.
#[must_use]
pub fn vendor(host: &str) -> Option<&'static Vendor> {
    VENDORS.iter().find(|vendor| vendor.host == host)
}

/// Whether a client at `redirect` calls itself by a name that belongs to others.
///
/// A program on the user's own machine may be anybody's, and the consent page warns of every one of them.
#[must_use]
pub fn claims_the_name_of_another(name: &str, redirect: &RedirectUri) -> bool {
    redirect.receiver() == Receiver::Web && is_name_of_another(name, &redirect.host(), redirect.port())
}

/// Whether a name belongs to others than this host. Names are compared as people read them: letters that look
/// alike are alike (Unicode Technical Standard 39 §4), only letters and digits count, and a name may begin at any
/// word.
#[must_use]
pub fn is_name_of_another(name: &str, host: &str, port: Option<u16>) -> bool {
    let here: &[&str] = vendor(host).filter(|_| port.is_none()).map_or(&[], |vendor| vendor.names);
    let readings = readings(name);
    let claimed = WORDS.iter().filter(|(_, read)| readings.iter().any(|reading| reading.starts_with(read)));
    claimed.into_iter().any(|(word, _)| !here.contains(word))
}

/// Each word of the table, and how it is read.
static WORDS: LazyLock<Vec<(&str, String)>> = LazyLock::new(|| {
    let words = VENDORS.iter().flat_map(|vendor| vendor.names);
    words.map(|word| (*word, squeezed(skeleton(word)))).collect()
});

/// Characters, with what may stand between them. No word of the table is longer.
const LONGEST: usize = 48;

/// A name from each of its words on, as eyes may take it: with and without what is written raised, circled or wide
/// made plain, and letters before and after they are made small, since a capital I is a small i to some and a small l
/// to others.
fn readings(name: &str) -> Vec<String> {
    let seen = |c: &char| c.is_alphanumeric() || !is_invisible(*c);
    let as_written: Vec<char> = name.chars().flat_map(unenclosed).filter(seen).collect();
    let plain: Vec<char> = name.nfkc().flat_map(unenclosed).filter(seen).collect();
    let mut readings = Vec::new();
    for name in [as_written, plain] {
        for start in word_starts(&name) {
            let rest: String = name[start..].iter().take(LONGEST).collect();
            let alike: String = skeleton(&rest).flat_map(char::to_lowercase).collect();
            readings.extend([squeezed(skeleton(&rest.to_lowercase())), squeezed(skeleton(&alike))]);
        }
    }
    readings
}

/// The letter in a sign that Unicode does not take apart: letters in black circles and squares, and what stands for a
/// letter and is none.
fn unenclosed(c: char) -> Option<char> {
    let letter = |first: u32| char::from_u32(u32::from('A') + u32::from(c) - first);
    match c {
        '\u{1f150}'..='\u{1f169}' => letter(0x1_f150),
        '\u{1f170}'..='\u{1f189}' => letter(0x1_f170),
        '\u{a1}' => Some('i'),
        '|' | '!' | '\u{2223}' | '\u{5c0}' | '\u{ff5c}' | '\u{1c0}' => Some('l'),
        '\u{237a}' => Some('a'),
        '\u{212e}' => Some('e'),
        _ => Some(c),
    }
}

/// Where words begin: after what is neither letter nor digit, after a digit, and at a capital after a small letter or
/// before one.
fn word_starts(name: &[char]) -> Vec<usize> {
    let at = |position: usize| name.get(position).copied().unwrap_or(' ');
    let begins = |position: usize| {
        let (before, c, after) = (position.checked_sub(1).map_or(' ', at), at(position), at(position + 1));
        let capital = c.is_uppercase() && (before.is_lowercase() || after.is_lowercase());
        c.is_alphanumeric() && (!before.is_alphabetic() || capital)
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
            "\u{3f9}laude",
            "\u{3f2}laude",
            "\u{3f9}hatGPT",
            "C|aude",
            "C\u{2223}aude",
            "C\u{ff5c}aude",
            "C\u{5c0}aude",
            "Cl\u{237a}ude",
            "Claud\u{212e}",
            "\u{1f172}laude",
            "\u{1f152}laude",
            "Gem\u{a1}ni",
            "1claude",
            "C.l.a.u.d.e",
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
            let paths = vendor.paths.len() + vendor.documents.len();
            assert!(paths > 0 && !vendor.names.is_empty(), "{}", vendor.host);
        }
    }
}
