//! `POST /token` and `POST /revoke`: a form, and before it, where there is a line break, an `Authorization` header.
//! `{code}` and the like stand for what was issued, `{redeem}` for a form that redeems it, to put more behind;
//! `Basic id:secret` is encoded on the way.

use std::collections::BTreeSet;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use entrada::domain::access_token::UnverifiedClaims;
use entrada::domain::block::Blocks;
use entrada::domain::grant::Grant;
use entrada::domain::reference::Kind;
use entrada::domain::reference::Reference;
use entrada::flows::token::Reason;
use entrada::protocol::parameters::Parameters;
use entrada::protocol::token::TokenResponse;
use url::form_urlencoded;

use super::Verdict;
use super::outside::Asked;
use super::outside::NOW;
use super::stand::ISSUER;
use super::stand::Known;
use super::stand::Stand;
use super::stand::VERIFIER;
use super::stand::encoded_basic;
use super::stand::filled;
use super::verdict;

thread_local! {
    static STAND: Stand = Stand::new();
}

/// Forms that are all right.
const FORMS: &[(&str, &[u8])] = &[
    (
        "redeem",
        b"client_id={public}&grant_type=authorization_code&code={code}&code_verifier=verifier-verifier-verifier-verifier-verifier-01",
    ),
    ("renew", b"client_id={public}&grant_type=refresh_token&refresh_token={refresh}"),
    ("renew web", b"grant_type=refresh_token&refresh_token={web-refresh}"),
    ("end", b"client_id={public}&token={refresh}"),
];

pub fn run(data: &[u8]) -> Verdict {
    STAND.with(|stand| {
        let named = |name: &str| FORMS.iter().find(|(known, _)| *known == name).map(|(_, form)| *form);
        let sent = stand.filled(&filled(data, named));
        let (header, body) = match sent.iter().position(|byte| *byte == b'\n') {
            Some(end) => (Some(&sent[..end]), &sent[end + 1..]),
            None => (None, sent.as_slice()),
        };
        // What is no text is refused before.
        let visible = |line: &&[u8]| line.iter().all(|byte| (b' '..=b'~').contains(byte));
        if !header.iter().all(visible) {
            return Verdict::Refused;
        }
        let header = header.map(|line| encoded_basic(&String::from_utf8_lossy(line)));
        let sent = Sent {
            stand,
            header: header.as_deref(),
            form: form_urlencoded::parse(body).into_owned().collect(),
        };
        let form = Parameters::parse(body);
        let token = sent.token(stand.runtime.block_on(stand.auth.token(header.as_deref(), &form)));
        let revoked = sent.revoked(stand.runtime.block_on(stand.auth.revoke(header.as_deref(), &form)));
        verdict(token || revoked)
    })
}

/// What was sent, read once more.
struct Sent<'a> {
    stand: &'a Stand,
    header: Option<&'a str>,
    form: Vec<(String, String)>,
}

impl Sent<'_> {
    fn all(&self, name: &str) -> Vec<&str> {
        let named = self.form.iter().filter(|(known, value)| known == name && !value.is_empty());
        named.map(|(_, value)| value.as_str()).collect()
    }

    fn one(&self, name: &str) -> Option<&str> {
        let all = self.all(name);
        assert!(all.len() < 2, "{name} stands twice: {all:?}");
        all.first().copied()
    }

    fn token(&self, answer: Result<TokenResponse, Reason>) -> bool {
        let asked = self.stand.store.asked();
        self.asked_with_a_credential(&asked, &["code", "refresh_token"]);
        match answer {
            Ok(response) => {
                let (grant, n) = self.proved();
                assert_eq!(
                    asked.writes.len(),
                    usize::from(n != Some(0) || grant.id != self.stand.grants[2].id)
                );
                self.answered(&response, grant, n);
                true
            }
            Err(_) => {
                // Nothing here is old enough to be a replay, and nobody else is there to lose a race to.
                assert_eq!(asked.writes, [], "a refusal wrote");
                false
            }
        }
    }

    fn revoked(&self, answer: Result<(), Reason>) -> bool {
        let asked = self.stand.store.asked();
        self.asked_with_a_credential(&asked, &["token"]);
        if !asked.writes.is_empty() {
            assert_eq!(answer, Ok(()));
            let token = self.one("token").expect("a token was named");
            let ended = self.stand.grants.iter().find(|grant| self.stands_for(token, grant));
            let ended = ended.expect("it is a token of a grant");
            assert_eq!(ended.body.client_id, self.client().client.id, "another client ended it");
        }
        answer.is_ok() && !asked.writes.is_empty()
    }

    /// Only whoever has something authentic makes us read a grant.
    fn asked_with_a_credential(&self, asked: &Asked, parameters: &[&str]) {
        let grants: BTreeSet<_> = asked.reads.iter().filter(|key| **key != Blocks::key()).collect();
        if grants.is_empty() && asked.writes.is_empty() {
            return;
        }
        let issued = &self.stand.issued;
        let authentic = |text: &str| {
            issued.is(Kind::Code, text) || issued.is(Kind::RefreshToken, text) || text == issued.access
        };
        let named = parameters.iter().flat_map(|name| self.all(name));
        assert!(named.into_iter().any(authentic), "garbage had {grants:?} read");
        assert_eq!(grants.len(), 1, "one credential had several grants read");
    }

    /// The client that the request proves to be.
    fn client(&self) -> &Known {
        let basic = self.header.map(|header| {
            let (scheme, pair) = header.split_once(' ').expect("a scheme");
            assert!(scheme.eq_ignore_ascii_case("basic"), "{scheme} is not Basic");
            let pair = String::from_utf8(STANDARD.decode(pair.trim()).expect("base64")).expect("text");
            let (id, secret) = pair.split_once(':').expect("a pair");
            (decoded(id), decoded(secret))
        });
        let (id, secret) = match (basic, self.one("client_id"), self.one("client_secret")) {
            (Some((id, secret)), named, None) => {
                assert!(named.is_none_or(|named| named == id), "two clients");
                (id, Some(secret).filter(|secret| !secret.is_empty()))
            }
            (Some(_), _, Some(_)) => panic!("two proofs"),
            (None, id, secret) => (id.expect("a client").to_owned(), secret.map(str::to_owned)),
        };
        let known = self.stand.clients.iter().find(|known| known.client.id.as_str() == id);
        let known = known.unwrap_or_else(|| panic!("{id} is nobody"));
        assert_eq!(known.secret, secret, "{} has not proved itself", known.name);
        known
    }

    /// The grant that was proved to be this client's, and which refresh token was presented.
    fn proved(&self) -> (&Grant, Option<u32>) {
        let client = self.client();
        let [code, refreshed, web] = self.stand.grants.as_slice() else { panic!("three grants") };
        let issued = &self.stand.issued;
        let (grant, n) = match self.one("grant_type") {
            Some("authorization_code") => {
                assert_eq!(self.one("code"), Some(issued.code.as_str()));
                assert_eq!(self.one("code_verifier"), Some(VERIFIER));
                let same = |uri| uri == code.body.redirect_uri.as_str();
                assert!(self.one("redirect_uri").is_none_or(same));
                (code, None)
            }
            Some("refresh_token") => match self.one("refresh_token") {
                Some(token) if token == issued.refresh => (refreshed, Some(0)),
                Some(token) if token == issued.web_refresh => (web, Some(1)),
                Some(token) if token == issued.web_refresh_before => (web, Some(0)),
                token => panic!("{token:?} was never issued"),
            },
            other => panic!("{other:?} is no grant type"),
        };
        assert_eq!(grant.body.client_id, client.client.id, "it is another client's");
        let served = |resource: &&str| resource.to_ascii_lowercase() == grant.body.resource;
        assert!(self.all("resource").iter().all(served), "another resource was named");
        (grant, n)
    }

    fn answered(&self, response: &TokenResponse, grant: &Grant, n: Option<u32>) {
        let claims: UnverifiedClaims =
            self.stand.auth.signing_keys().verify(&response.access_token, NOW).unwrap();
        assert_eq!((claims.iss.as_str(), claims.aud.as_str()), (ISSUER, grant.body.resource.as_str()));
        assert_eq!(claims.grant(), Some((grant.user, grant.id)));
        assert_eq!(
            (claims.scope.as_str(), claims.client_id.as_str()),
            (response.scope.as_str(), grant.body.client_id.as_str())
        );
        let asked: Vec<&str> = self.one("scope").unwrap_or_default().split(' ').collect();
        let narrows = n.is_some() && asked.iter().any(|word| grant.body.scopes.contains(word));
        for scope in response.scope.split(' ') {
            assert!(grant.body.scopes.contains(scope), "{scope} was not granted");
            assert!(!narrows || asked.contains(&scope), "{scope} was not asked for");
        }
        let successor = response.refresh_token.as_deref().expect("a refresh token");
        let next = Reference::read(&self.stand.keys, Kind::RefreshToken, successor).unwrap();
        assert_eq!((next.user, next.grant, next.n), (grant.user, grant.id, n.map_or(0, |n| n + 1)));
    }

    /// Whether a token ends this grant.
    fn stands_for(&self, token: &str, grant: &Grant) -> bool {
        let issued = &self.stand.issued;
        let [_, refreshed, web] = self.stand.grants.as_slice() else { panic!("three grants") };
        (grant.id == refreshed.id && token == issued.refresh)
            || (grant.id == web.id
                && [&issued.web_refresh, &issued.web_refresh_before, &issued.access]
                    .contains(&&token.to_owned()))
    }
}

/// A form-encoded word (RFC 6749 §2.3.1), in which an `&` would have to be encoded.
fn decoded(word: &str) -> String {
    assert!(!word.contains('&'), "{word} is more than a word");
    let pair = format!("={word}");
    form_urlencoded::parse(pair.as_bytes()).next().map(|(_, value)| value.into_owned()).unwrap_or_default()
}
