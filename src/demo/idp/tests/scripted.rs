use std::sync::atomic::AtomicBool;

use tokio::sync::Notify;

use super::*;

#[tokio::test]
async fn lies_are_signed_as_told() {
    let lie = |kind: GrantKind, token: &mut IdToken| {
        let claims = &mut token.claims;
        match kind {
            GrantKind::Code => {
                claims.insert("nonce".into(), "another".into());
                claims.insert("oid".into(), "someone-else".into());
                claims.insert("exp".into(), (START - 1).into());
            }
            GrantKind::Refresh => {
                claims.insert("iss".into(), "https://evil.example".into());
            }
        }
    };
    let bench = Bench::entra(Play { id_token: Some(lie), ..ada() }).await;
    let tokens = bench.sign_in().await;
    let claims = bench.claims(&tokens).await;
    assert_eq!((&claims["nonce"], &claims["oid"]), (&"another".into(), &"someone-else".into()));
    assert_eq!(claims["exp"], START - 1);
    let refreshed = bench.refresh(&tokens.text("refresh_token"), &[]).await;
    assert!(bench.verify(&refreshed.text("id_token")).await.is_err(), "the issuer is wrong");
    assert!(bench.idp.secrets().contains(&refreshed.text("id_token")));
}

#[tokio::test]
async fn a_strangers_signature_has_a_known_kid_and_does_not_verify() {
    for signature in [
        |_, token: &mut IdToken| token.signature = Signature::Stranger,
        |_, token: &mut IdToken| {
            token.signature = Signature::Absent;
        },
    ] {
        let bench = Bench::entra(Play { id_token: Some(signature), ..ada() }).await;
        let error = bench.verify(&bench.sign_in().await.text("id_token")).await.unwrap_err();
        assert_eq!(error.kind(), &jsonwebtoken::errors::ErrorKind::InvalidSignature);
    }
}

#[tokio::test]
async fn the_algorithm_none_can_be_claimed() {
    let lie = |_, token: &mut IdToken| {
        token.header.insert("alg".into(), "none".into());
        token.signature = Signature::Absent;
    };
    let bench = Bench::entra(Play { id_token: Some(lie), ..ada() }).await;
    let id_token = bench.sign_in().await.text("id_token");
    let header = URL_SAFE_NO_PAD.decode(id_token.split('.').next().unwrap()).unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&header).unwrap()["alg"], "none");
    assert!(id_token.ends_with('.'));
}

#[tokio::test]
async fn a_rolled_key_is_published_under_a_new_name() {
    let bench = Bench::entra(ada()).await;
    let kid = |answer: &Answer| jsonwebtoken::decode_header(answer.text("id_token")).unwrap().kid.unwrap();
    let before = bench.sign_in().await;
    bench.idp.roll_key();
    let after = bench.sign_in().await;
    assert_ne!(kid(&before), kid(&after));
    bench.claims(&after).await;

    let keys = bench.get(&format!("{}/discovery/v2.0/keys", bench.site)).await.json();
    assert_eq!(keys["keys"].as_array().unwrap().len(), 1);
    assert_eq!(keys["keys"][0]["kid"], kid(&after));
    assert_eq!(keys["keys"][0]["issuer"], bench.idp.issuer_entra());
    assert!(bench.discovery().await.get("code_challenge_methods_supported").is_none());
}

#[tokio::test]
async fn the_script_answers_in_its_place() {
    let reply = |endpoint| match endpoint {
        Endpoint::Discovery => Some(Reply::down()),
        Endpoint::Keys => Some(Reply::throttled(7)),
        Endpoint::Authorize => Some(Reply::denied()),
        Endpoint::Token => {
            Some(Reply::error("interaction_required", 50_076, "Due to a configuration change."))
        }
        Endpoint::Unknown => Some(Reply::garbage()),
        Endpoint::MemberObjects | Endpoint::Pick => None,
    };
    let bench = Bench::entra(Play { before: Some(reply), ..ada() }).await;
    let discovery = bench.get(&format!("{}/v2.0/.well-known/openid-configuration", bench.site)).await;
    assert_eq!(discovery.status, 503);
    let keys = bench.get(&format!("{}/discovery/v2.0/keys", bench.site)).await;
    assert_eq!((keys.status, &keys.headers["retry-after"]), (429, &"7".parse().unwrap()));
    let token = bench.refresh("any", &[]).await;
    assert_eq!(token.error(), (400, "interaction_required".into(), 50_076));
    let garbage = bench.get(&format!("{}/nowhere", bench.site)).await;
    assert!(serde_json::from_str::<Value>(&garbage.body).is_err());

    let back = bench.authorize(&[]).await.back();
    assert_eq!(back.error(), ("access_denied", 65_004));
    let elsewhere = bench.authorize(&[("redirect_uri", "https://evil.example")]).await;
    assert_eq!(elsewhere.page_error(), (400, 50_011), "even a script redirects to the client only");
}

/// Loses the first answer to a refresh.
struct Lossy(AtomicBool);

#[async_trait]
impl Script for Lossy {
    async fn after(&self, _: Endpoint, params: &[(String, String)]) -> Option<Reply> {
        let is_refresh = params.iter().any(|(_, value)| value == "refresh_token");
        (is_refresh && !self.0.swap(true, Ordering::Relaxed)).then(Reply::down)
    }

    fn pick(&self) -> Option<usize> {
        Some(0)
    }
}

#[tokio::test]
async fn an_answer_can_be_lost_after_the_token_was_rotated() {
    let bench = Bench::oidc(Lossy(AtomicBool::new(false))).await;
    let token = bench.sign_in().await.text("refresh_token");
    assert_eq!(bench.refresh(&token, &[]).await.status, 503);
    assert_eq!(bench.refresh(&token, &[]).await.text("error"), "invalid_grant");
}

#[tokio::test]
async fn a_successful_answer_can_be_changed() {
    let change = |kind, response: &mut Map<String, Value>| {
        if kind == GrantKind::Refresh {
            response.remove("id_token");
        }
    };
    let bench = Bench::entra(Play { response: Some(change), ..ada() }).await;
    let tokens = bench.sign_in().await;
    let refreshed = bench.refresh(&tokens.text("refresh_token"), &[]).await;
    assert!(refreshed.json().get("id_token").is_none());
}

/// Waits at the token endpoint until told to go on.
struct Slow {
    arrived: Arc<Notify>,
    go_on: Arc<Notify>,
}

#[async_trait]
impl Script for Slow {
    async fn before(&self, endpoint: Endpoint, _: &[(String, String)]) -> Option<Reply> {
        if endpoint == Endpoint::Token {
            self.arrived.notify_one();
            self.go_on.notified().await;
        }
        None
    }

    fn pick(&self) -> Option<usize> {
        Some(0)
    }
}

#[tokio::test]
async fn a_slow_endpoint_holds_up_nobody_else() {
    let (arrived, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let bench = Bench::entra(Slow { arrived: arrived.clone(), go_on: go_on.clone() }).await;
    let code = bench.code(&[]).await;
    let (tokens, ()) = tokio::join!(bench.exchange(&code, &[]), async {
        arrived.notified().await;
        assert!(bench.discovery().await["issuer"].is_string());
        go_on.notify_one();
    });
    assert_eq!(tokens.status, 200);
}
