//! `GET /authorize`: the query of an authorization request. An input is the query; `{public}` is the id of that client,
//! and `{ask public}` a request of it that is all right, to put more behind.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use entrada::domain::block::Blocks;
use entrada::domain::client::Client;
use entrada::domain::keys::Purpose;
use entrada::domain::login::Browser;
use entrada::domain::login::Login;
use entrada::domain::login::MAX_STATE_LENGTH;
use entrada::flows::ask::Begun;
use entrada::flows::ask::CalledSoBy;
use entrada::flows::begin::Refused;
use entrada::flows::begin::Shown;
use entrada::protocol::parameters::Parameters;
use url::Url;
use url::form_urlencoded;

use super::Verdict;
use super::stand::ISSUER;
use super::stand::Known;
use super::stand::Stand;
use super::stand::VERIFIER_HASH;
use super::stand::filled;

thread_local! {
    static STAND: (Stand, Vec<(String, String)>) = {
        let stand = Stand::new();
        let requests = requests(&stand);
        (stand, requests)
    };
}

/// A good request of each client.
fn requests(stand: &Stand) -> Vec<(String, String)> {
    let request = |known: &Known| {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.append_pair("client_id", known.client.id.as_str());
        query.append_pair("redirect_uri", known.client.redirect_uris[0].as_str());
        query.append_pair("response_type", "code").append_pair("code_challenge_method", "S256");
        query.append_pair("code_challenge", VERIFIER_HASH);
        (format!("ask {}", known.name), query.finish())
    };
    stand.clients.iter().map(request).collect()
}

pub fn run(data: &[u8]) -> Verdict {
    STAND.with(|(stand, requests)| {
        let named =
            |name: &str| requests.iter().find(|(known, _)| known == name).map(|(_, query)| query.as_bytes());
        let query = stand.filled(&filled(data, named));
        let begun = stand.runtime.block_on(stand.auth.begin(&Parameters::parse(&query), Browser::of("b")));
        let asked = stand.store.asked();
        assert_eq!(asked.writes, [], "a stranger wrote");
        assert!(asked.reads.iter().all(|key| *key == Blocks::key()), "a stranger read {:?}", asked.reads);
        let request = Request::read(&query);
        match begun {
            Ok(begun) => {
                request.holds(stand, &begun);
                Verdict::Accepted
            }
            Err(refused) => {
                request.leads_nowhere_else(stand, &refused);
                Verdict::Refused
            }
        }
    })
}

/// The parameters, read once more: here, one that stands twice is never the one that counts.
struct Request(Vec<(String, String)>);

impl Request {
    fn read(query: &[u8]) -> Self {
        let pairs = form_urlencoded::parse(query).filter(|(_, value)| !value.is_empty());
        Self(pairs.map(|(name, value)| (name.into_owned(), value.into_owned())).collect())
    }

    fn all(&self, name: &str) -> Vec<&str> {
        self.0.iter().filter(|(known, _)| known == name).map(|(_, value)| value.as_str()).collect()
    }

    /// The one value, where there is one.
    fn one(&self, name: &str) -> Option<&str> {
        let all = self.all(name);
        assert!(all.len() < 2, "{name} stands twice: {all:?}");
        all.first().copied()
    }

    fn holds(&self, stand: &Stand, begun: &Begun) {
        let login = begun.login.open_compact(&stand.keys, Purpose::Login).expect("the form opens");
        let id = self.one("client_id").expect("a client asks");
        let known = stand.clients.iter().find(|known| known.client.id.as_str() == id).expect("it is known");
        assert_eq!(login.client_id, known.client.id);
        let redirect = login.redirect_uri.uri().as_str();
        match self.one("redirect_uri") {
            Some(uri) => assert_eq!(uri, redirect),
            None => assert_eq!(known.client.redirect_uris.len(), 1, "it has to say where to"),
        }
        assert!(registered(&known.client, redirect), "{redirect} is not registered");
        assert!(trusted(known), "{} is not trusted", known.name);
        assert_eq!(self.one("response_type"), Some("code"));
        assert!(matches!(self.one("response_mode"), None | Some("query")));
        assert_eq!(self.one("code_challenge_method"), Some("S256"));
        let challenge = self.one("code_challenge").expect("PKCE");
        assert_eq!(URL_SAFE_NO_PAD.decode(challenge).map(|hash| hash.len()), Ok(32));
        assert_eq!(login.code_challenge.encode(), challenge);
        assert_eq!(self.one("state"), login.state.as_deref());
        assert!(login.state.as_ref().is_none_or(|state| state.len() <= MAX_STATE_LENGTH));
        self.asks_for(known, &login);
        let asked = begun.consent.scopes.iter().map(|(scope, _)| scope.as_str());
        assert!(asked.eq(login.scopes.iter()), "another thing is shown");
        assert_eq!(
            (&begun.consent.resource, begun.consent.called_so_by == CalledSoBy::Operator),
            (&login.resource, known.client.is_configured())
        );
    }

    fn asks_for(&self, known: &Known, login: &Login) {
        let served: &[&str] = match login.resource.strip_prefix(ISSUER) {
            Some("/mcp") => &["mcp.read", "mcp.write"],
            Some("/notes") => &["notes.read"],
            _ => panic!("{} is no resource", login.resource),
        };
        let named = |resource: &&str| Url::parse(resource).is_ok_and(|url| url.as_str() == login.resource);
        assert!(self.all("resource").iter().all(named), "another resource was named than {}", login.resource);
        let asked = self.one("scope").unwrap_or_default();
        let any = asked.split(' ').any(|word| served.contains(&word));
        let configured = known.client.is_configured();
        for scope in login.scopes.iter() {
            assert!(served.contains(&scope), "{scope} is not there");
            assert!(!configured || scope == "mcp.read", "{scope} is not for this client");
            assert!(
                !any || configured || asked.split(' ').any(|word| word == scope),
                "{scope} was not asked for"
            );
        }
        assert!(!login.scopes.is_empty());
        let prompts: Vec<&str> = self.one("prompt").unwrap_or_default().split(' ').collect();
        assert!(!prompts.contains(&"none"));
        assert_eq!(login.reauthenticate, prompts.contains(&"login"));
        assert_eq!(
            login.max_age.map(u64::from),
            self.one("max_age").map(|age| age.parse().expect("a number"))
        );
        if let Some(hint) = &login.login_hint {
            assert_eq!(self.one("login_hint"), Some(hint.as_str()));
            assert!(hint.contains('@') && hint.bytes().all(|byte| byte.is_ascii_graphic()), "{hint} goes on");
        }
    }

    fn leads_nowhere_else(&self, stand: &Stand, refused: &Refused) {
        let (to, by_itself) = match &refused.shown {
            Shown::Page => return,
            Shown::PageWithLink(to) => (to, false),
            Shown::Redirect(to) => (to, true),
        };
        let id = self.one("client_id").expect("nothing is known of whoever asks, and an error goes to it");
        let known = stand.clients.iter().find(|known| known.client.id.as_str() == id).expect("it is known");
        let back = match self.one("redirect_uri") {
            Some(uri) => uri,
            None => known.client.redirect_uris[0].as_str(),
        };
        assert!(registered(&known.client, back), "{back} is not registered");
        assert!(trusted(known), "{to} is of {}, which is not trusted", known.name);
        assert!(!by_itself || named_host(back), "{to} is nobody's that was named");
        let rest = to.strip_prefix(back).unwrap_or_else(|| panic!("{to} is not {back}"));
        assert!(rest.starts_with(if back.contains('?') { '&' } else { '?' }), "{to} is not {back}");
        let answer = Self::read(&rest.as_bytes()[1..]);
        assert_eq!(answer.one("iss"), Some(ISSUER));
        assert!(
            answer.one("error").is_some_and(|code| code.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'))
        );
        assert_eq!(answer.all("code"), [""; 0]);
        let first = self.all("state").first().copied().filter(|state| state.len() <= MAX_STATE_LENGTH);
        assert_eq!(answer.one("state"), first);
    }
}

/// Whether a client registered this, the port of a loopback address aside (RFC 8252 §7.3).
fn registered(client: &Client, presented: &str) -> bool {
    let bare = |text: &str| {
        let mut url = Url::parse(text).expect("a redirect URI is a URL");
        if url.scheme() == "http" {
            url.set_port(None).expect("it has a host");
        }
        url
    };
    client.redirect_uris.iter().any(|uri| {
        uri.as_str() == presented
            || (uri.as_str().starts_with("http:") && bare(uri.as_str()) == bare(presented))
    })
}

/// Only the host of `stranger` may not receive anything.
fn trusted(known: &Known) -> bool {
    known.name != "stranger"
}

/// A host that the operator or the table of vendors names, or the person's own machine.
fn named_host(uri: &str) -> bool {
    let host = Url::parse(uri).ok().and_then(|url| url.host_str().map(str::to_owned));
    host.is_some_and(|host| {
        ["127.0.0.1", "localhost", "claude.ai", "tools.example.com"].contains(&host.as_str())
    })
}
