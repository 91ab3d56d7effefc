//! PKCE (RFC 7636): every client, S256 only, by the letter.

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use sha2::Digest;
use sha2::Sha256;

use crate::support::browser::Browser;
use crate::support::client::Client;
use crate::support::client::Tokens;
use crate::support::client::VERIFIER;
use crate::support::client::challenge;
use crate::support::client::code_of;
use crate::support::entrada::Answer;
use crate::support::entrada::Entrada;
use crate::support::entrada::parameter;

/// Signs in with the challenge of a verifier, and redeems with another.
async fn redeem(entrada: &Entrada, client: &Client, challenged: &str, presented: &str) -> Answer {
    let authorize = client.authorize(&[("code_challenge", &challenge(challenged))]);
    let code = code_of(&Browser::default().sign_in(entrada, &authorize).await);
    let mut form = client.redeem_form(&code);
    form.retain(|(name, _)| name != "code_verifier");
    form.push(("code_verifier".to_owned(), presented.to_owned()));
    let form: Vec<(&str, &str)> = form.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    entrada.post_form("/token", &form).await
}

/// RFC 7636 §4.1: 43 to 128 unreserved characters, whatever the hash says.
#[tokio::test]
async fn a_verifier_has_43_to_128_unreserved_characters() {
    let entrada = Entrada::start().await;
    let client = Client::register(&entrada).await;
    for (verifier, good) in [
        ("v".repeat(42), false),
        ("v".repeat(43), true),
        ("A-Z.a_z~0123456789".repeat(5), true),
        ("v".repeat(128), true),
        ("v".repeat(129), false),
        (format!("{} ", "v".repeat(43)), false),
        (format!("{}+", "v".repeat(43)), false),
        (format!("{}=", "v".repeat(43)), false),
        (format!("{}\u{e9}", "v".repeat(43)), false),
        (format!("{}\0", "v".repeat(43)), false),
    ] {
        let answer = redeem(&entrada, &client, &verifier, &verifier).await;
        let error = if good { "" } else { "invalid_grant" };
        assert_eq!(answer.error(), error, "{verifier:?}");
    }
}

/// RFC 7636 §7.2, and what `plain` would accept.
#[tokio::test]
async fn the_challenge_itself_is_no_verifier() {
    let entrada = Entrada::start().await;
    let client = Client::register(&entrada).await;
    let answer = redeem(&entrada, &client, VERIFIER, &challenge(VERIFIER)).await;
    assert_eq!((answer.status.as_u16(), answer.error().as_str()), (400, "invalid_grant"));
    Tokens::of(&redeem(&entrada, &client, VERIFIER, VERIFIER).await);
}

#[tokio::test]
async fn no_client_gets_a_code_without_a_challenge_of_s256() {
    let entrada = Entrada::start().await;
    let method = serde_json::json!({ "token_endpoint_auth_method": "client_secret_basic" });
    let clients = [Client::register(&entrada).await, Client::register_with(&entrada, method).await];
    let hashes = (0_u8..).map(|n| STANDARD_NO_PAD.encode(Sha256::digest([n])));
    let standard = hashes.into_iter().find(|hash| hash.contains(['+', '/'])).unwrap();
    let good = challenge(VERIFIER);
    let [padded, short, long] = [format!("{good}="), good[..42].to_owned(), format!("{good}A")];
    let cases: [&[(&str, &str)]; 9] = [
        &[("code_challenge", "")],
        &[("code_challenge", ""), ("code_challenge_method", "")],
        &[("code_challenge_method", "")],
        &[("code_challenge_method", "plain")],
        &[("code_challenge_method", "s256")],
        &[("code_challenge", &standard)],
        &[("code_challenge", &padded)],
        &[("code_challenge", &short)],
        &[("code_challenge", &long)],
    ];
    for client in &clients {
        for changes in cases {
            let answer = entrada.get(&client.authorize(changes)).await;
            assert_eq!(answer.status, 302, "{changes:?}");
            assert_eq!(
                parameter(&answer.location(), "error").as_deref(),
                Some("invalid_request"),
                "{changes:?}"
            );
        }
    }
}

/// RFC 7636 §7.1, RFC 9700 §4.5.3.1: the verifier of another sign-in, even of the same client and person.
#[tokio::test]
async fn a_code_is_bound_to_the_challenge_of_its_own_request() {
    let entrada = Entrada::start().await;
    let client = Client::register(&entrada).await;
    let another = "another-verifier-another-verifier-another-verifier";
    assert_eq!(redeem(&entrada, &client, another, VERIFIER).await.error(), "invalid_grant");
    Tokens::of(&redeem(&entrada, &client, another, another).await);
}

/// OAuth 2.1 §4.1.2: nobody can take it out of what travels through the browser.
#[tokio::test]
async fn the_challenge_is_in_nothing_that_comes_back() {
    let entrada = Entrada::start().await;
    let client = Client::register(&entrada).await;
    let (mut browser, challenge) = (Browser::default(), challenge(VERIFIER));
    let page = browser.open(&entrada, &client.authorize(&[])).await;
    let approved = browser.decide(&entrada, &page, "approve").await;
    let callback = browser.at_idp(&entrada, &approved.location()).await;
    let back = browser.open(&entrada, callback.as_str()).await;
    for answer in [&page, &approved, &back] {
        assert!(!format!("{:?} {}", answer.headers, answer.body).contains(&challenge));
    }
}
