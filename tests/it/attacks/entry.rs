//! What is written of an attack. An unknown key is a mistake in the file.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    attack: Vec<Attack>,
}

/// One attack: what is sent, and what has to come of it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attack {
    /// Its test has this name.
    pub name: String,
    /// In a sentence.
    pub tries: String,
    /// Where it is described: a section, an advisory, a row of `tests/README.md`. None for what is our own idea.
    #[serde(default)]
    pub source: Vec<String>,
    #[serde(default)]
    pub setting: Setting,
    /// All of it is done once with each of these for `{each}`.
    #[serde(default)]
    pub each: Vec<String>,
    /// Live values that no request names: they leave cookies and sessions behind.
    #[serde(default)]
    pub needs: Vec<String>,
    pub step: Vec<Step>,
    #[serde(default)]
    pub afterwards: Afterwards,
}

/// What the operator did that is not the default.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Setting {
    pub open_trust: bool,
    pub trusted_hosts: Vec<String>,
    pub registration_off: bool,
    /// The client `agent`, whose secret is [`super::stage::AGENT_SECRET`].
    pub configured_client: bool,
    /// Requests of one address in a minute.
    pub per_address: Option<u32>,
    pub proxies: usize,
    /// Seconds.
    pub grace: Option<u64>,
    /// What of the attacker's is kept out, when everybody has signed in.
    pub blocked: Option<Block>,
}

/// What `entrada client block` is told.
#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Block {
    Client,
    Host,
}

/// A request, and its whole answer as far as it matters.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Step {
    /// As it goes over the wire; `wire` says how it is written.
    pub request: String,
    /// Whose browser sends it: with its cookies, and it keeps those that are set.
    pub browser: Option<Who>,
    /// Seconds that go by before.
    #[serde(default)]
    pub later: u64,
    /// At another replica, with the same store.
    #[serde(default)]
    pub at_another_replica: bool,
    /// What the MCP server says to it.
    pub mcp_server_answers: Option<Spoken>,

    pub status: u16,
    /// The OAuth error, in JSON or in the redirect.
    pub error: Option<String>,
    /// What the log says of it: that it was refused for this, and for nothing that came before.
    pub reason: Option<String>,
    /// `provider`, or the whole address, without `error_description` and with `*` for a code. Left out, there is no
    /// redirect by any header.
    pub location: Option<String>,
    #[serde(default)]
    pub location_has_not: Vec<String>,
    /// Headers that are exactly so.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    #[serde(default)]
    pub no_headers: Vec<String>,
    /// What its Content-Security-Policy has in it.
    #[serde(default)]
    pub policy_has: Vec<String>,
    #[serde(default)]
    pub says: Vec<String>,
    #[serde(default)]
    pub says_not: Vec<String>,
    /// Names for later steps: `json client_id`, `header etag`, `hidden login` or `location code`.
    #[serde(default)]
    pub keep: BTreeMap<String, String>,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Who {
    Victim,
    Attacker,
}

/// An answer of the MCP server.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spoken {
    pub status: u16,
    pub headers: BTreeMap<String, String>,
}

/// What is true when all is sent.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Afterwards {
    /// The refresh token that the victim holds gives another.
    pub victim_still_signed_in: Option<bool>,
    pub attacker_still_signed_in: Option<bool>,
    /// The access token that the victim holds opens the MCP server.
    pub victims_token_opens: Option<bool>,
    /// The victim's client can redeem its code.
    pub victims_code_is_good: Option<bool>,
    /// The victim's browser can finish what it approved.
    pub victims_login_goes_on: Option<bool>,
    /// During the attack.
    pub store_writes: Option<usize>,
    /// Requests to the identity provider during the attack.
    pub provider_asked: Option<usize>,
    /// Requests that got through to the MCP server during the attack.
    pub reaches_mcp_server: Option<usize>,
    /// What the last of them had in these headers, at least.
    pub mcp_server_gets: BTreeMap<String, String>,
    pub mcp_server_gets_not: Vec<String>,
    /// Events of the audit trail during the attack, and those that did not happen.
    pub audited: Vec<String>,
    pub not_audited: Vec<String>,
}

impl Setting {
    pub fn grace(&self) -> Option<Duration> {
        self.grace.map(Duration::from_secs)
    }
}

impl Step {
    fn says_more_than_a_status(&self) -> bool {
        let told = [&self.error, &self.reason, &self.location].iter().any(|told| told.is_some());
        let body = !(self.says.is_empty() && self.says_not.is_empty());
        let listed = [&self.no_headers, &self.policy_has, &self.location_has_not];
        told || body || !self.headers.is_empty() || listed.iter().any(|listed| !listed.is_empty())
    }
}

impl Afterwards {
    fn says_something(&self) -> bool {
        let still = [
            self.victim_still_signed_in,
            self.attacker_still_signed_in,
            self.victims_token_opens,
            self.victims_code_is_good,
            self.victims_login_goes_on,
        ];
        let counted = [self.store_writes, self.provider_asked, self.reaches_mcp_server];
        let listed = [&self.mcp_server_gets_not, &self.audited, &self.not_audited];
        still.iter().any(Option::is_some)
            || counted.iter().any(Option::is_some)
            || listed.iter().any(|listed| !listed.is_empty())
            || !self.mcp_server_gets.is_empty()
    }
}

/// Reads the attacks of a file.
pub fn read(file: &str, toml: &str) -> Vec<Attack> {
    let File { attack: attacks } =
        toml::from_str(toml).unwrap_or_else(|error| panic!("{file}.toml: {error}"));
    for Attack { name, tries, step: steps, afterwards, .. } in &attacks {
        assert!(tries.ends_with('.'), "{file}.toml: {name}: what is tried, in a sentence");
        let last = steps.last().unwrap_or_else(|| panic!("{file}.toml: {name}: nothing is sent"));
        assert!(
            last.says_more_than_a_status() || afterwards.says_something(),
            "{file}.toml: {name}: nothing is expected but a status"
        );
    }
    attacks
}

#[test]
fn an_entry_that_expects_nothing_or_has_an_unknown_key_is_refused() {
    let entry = |more: &str| {
        let toml =
            format!("[[attack]]\nname = 'a'\ntries = 'A.'\n[[attack.step]]\nrequest = 'GET /'\n{more}");
        std::panic::catch_unwind(|| read("file", &toml).len()).ok()
    };
    assert_eq!(entry("status = 404\nsays-not = ['x']"), Some(1));
    assert_eq!(entry("status = 404\n[attack.afterwards]\nstore-writes = 0"), Some(1));
    assert_eq!(entry("status = 404"), None);
    assert_eq!(entry("says = ['x']"), None);
    assert_eq!(entry("status = 404\nsays-nothing = ['x']"), None);
    assert_eq!(entry("status = 404\nsays = ['x']\n[attack.afterwards]\nstore-write = 0"), None);
    assert_eq!(entry("status = 404\nsays = ['x']\n[attack.setting]\nopen = true"), None);
}
