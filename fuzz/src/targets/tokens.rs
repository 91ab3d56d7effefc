//! Access tokens at the gateway and at `/revoke`: what begins with `{` are claims, which our own key signs; anything
//! else is presented as it is.

use entrada::domain::access_token::UnverifiedClaims;
use entrada::domain::api_key::PREFIX;
use entrada::domain::block::Blocks;
use entrada::domain::client::Client;
use entrada::domain::grant::Phase;
use entrada::protocol::parameters::Parameters;
use serde_json::Value;
use url::form_urlencoded::Serializer;

use super::Issued;
use super::Verdict;
use super::outside::NOW;
use super::stand::ISSUER;
use super::stand::Stand;
use super::stand::claims;
use super::verdict;

thread_local! {
    static GATEWAY: Stand = Stand::new();
    /// Another replica: one remembers what it has ended, and the next input is to meet the same grants.
    static REVOCATION: Stand = Stand::new();
}

pub fn run(data: &[u8]) -> Verdict {
    let Ok(text) = str::from_utf8(data) else { return Verdict::Refused };
    if !text.starts_with('{') {
        return presented(text, None);
    }
    let Ok(claims) = serde_json::from_str::<Value>(text) else { return Verdict::Refused };
    let token = GATEWAY.with(|stand| stand.auth.signing_keys().active(NOW).sign(&claims));
    presented(&token.expect("claims are signed"), Some(&claims))
}

/// `signed` is what stands in the token, if we have just signed it.
fn presented(token: &str, signed: Option<&Value>) -> Verdict {
    let accepted = GATEWAY.with(|stand| opens(stand, token, signed));
    GATEWAY.with(|stand| is_no_key(stand, token));
    let garbage = signed.is_none() && !accepted;
    REVOCATION.with(|stand| ends(stand, token, garbage));
    verdict(accepted)
}

/// At which of the resources is it good, and is it rightly so?
fn opens(stand: &Stand, token: &str, signed: Option<&Value>) -> bool {
    let mut accepted = false;
    for resource in stand.auth.policy().resources.iter() {
        let Ok(caller) = stand.runtime.block_on(stand.auth.verify(token, resource)) else { continue };
        let claims = caller.credential.claims();
        assert_eq!((claims.iss.as_str(), &claims.aud), (ISSUER, &resource.identifier));
        assert!(NOW < claims.exp && claims.nbf.0 <= NOW.0 + 60, "{claims:?} is of another time");
        of_a_grant(stand, claims, signed);
        accepted = true;
    }
    assert_eq!(stand.store.asked().writes, [], "a call wrote");
    accepted
}

/// Nobody has made a key: none is found, and none is looked for.
fn is_no_key(stand: &Stand, text: &str) {
    let key = format!("{PREFIX}{text}");
    for resource in stand.auth.policy().resources.iter() {
        for text in [text, &key] {
            assert!(
                stand.runtime.block_on(stand.auth.verify_key(text, resource)).is_err(),
                "nobody issued it"
            );
        }
    }
    assert_eq!(stand.store.asked().reads, [], "a key that nobody made was looked up");
}

/// What does it end, and rightly so?
fn ends(stand: &Stand, token: &str, garbage: bool) {
    let web = stand.client("web");
    let revoked = revoke(stand, token, &web.client, web.secret.as_deref());
    let asked = stand.store.asked();
    let looked_up = asked.reads.iter().any(|key| *key != Blocks::key());
    assert!(!(garbage && looked_up), "garbage was looked up");
    if asked.writes.is_empty() {
        return;
    }
    assert!(revoked, "it ended something and failed");
    let claims: UnverifiedClaims = stand.auth.signing_keys().verify(token, NOW).expect("it is ours");
    assert!(claims.iss == ISSUER && NOW < claims.exp, "{claims:?} ended something");
    assert!(stand.auth.policy().resources.by_identifier(&claims.aud).is_some(), "it is for nobody here");
    let mut grants = stand.grants.iter();
    let grant = grants.find(|grant| claims.grant() == Some((grant.user, grant.id))).expect("a grant");
    assert_eq!(grant.body.client_id, web.client.id, "it is another client's");
}

/// The token is of a grant that lives; and if we did not sign it just now, it is the one that is out.
fn of_a_grant(stand: &Stand, told: &UnverifiedClaims, signed: Option<&Value>) {
    // All but the revoked one: a token of a pending grant is of a redemption that the store has lost.
    let mut living = stand.grants.iter().filter(|grant| grant.phase != Phase::Revoked);
    let live = living.any(|grant| told.grant() == Some((grant.user, grant.id)));
    assert!(live, "{told:?} is of no grant that lives");
    match signed {
        Some(signed) => {
            for (claim, value) in [
                ("iss", Some(&told.iss)),
                ("aud", Some(&told.aud)),
                ("sub", Some(&told.sub)),
                ("sid", told.sid.as_ref()),
            ] {
                assert_eq!(signed[claim].as_str(), value.map(String::as_str), "{claim} is another");
            }
        }
        None => assert_eq!(*told, claims(&stand.grants[2]), "nobody issued it"),
    }
}

fn revoke(stand: &Stand, token: &str, client: &Client, secret: Option<&str>) -> bool {
    let mut form = Serializer::new(String::new());
    form.append_pair("token", token).append_pair("client_id", client.id.as_str());
    form.append_pair("client_secret", secret.unwrap_or_default());
    let form = Parameters::parse(form.finish().as_bytes());
    stand.runtime.block_on(stand.auth.revoke(None, &form)).is_ok()
}

/// The access token, and what stands in it.
pub fn issued() -> Vec<Issued> {
    let stand = Stand::new();
    let claims = serde_json::to_vec(&claims(&stand.grants[2])).unwrap();
    vec![("claims", claims), ("token", stand.issued.access.into_bytes())]
}
