//! Providers that are slow, down, or say no.

use std::io;
use std::sync::PoisonError;

use tracing_subscriber::fmt::MakeWriter;

use super::*;

const ENDED: u32 = 700_082;

fn http(status: u16, body: &str) -> Reply {
    Reply::Http { status, headers: vec![], body: body.to_owned() }
}

fn is_away<T>(outcome: &Result<T, UpstreamError>) -> bool {
    matches!(outcome, Err(UpstreamError::Away(_)))
}

#[tokio::test]
async fn a_token_that_is_not_known_ends_the_session() {
    for face in FACES {
        let world = world(face).await;
        let error = world.provider.refresh(&"a-stolen-guess".into(), world.now()).await.unwrap_err();
        let UpstreamError::Ended(reason) = error else { panic!("{error:?}") };
        let entra = face == Face::Entra;
        assert_eq!(reason.code, entra.then_some(ENDED));
        assert_eq!(reason.correlation_id.is_some(), entra);
    }
}

#[tokio::test]
async fn a_code_is_good_once() {
    for face in FACES {
        let world = world(face).await;
        let SignInAnswer { code, code_verifier, nonce } = world.code().await;
        for (n, expected) in [(1, true), (2, false)] {
            let (code, code_verifier) = (code.clone(), code_verifier.clone());
            let answer = SignInAnswer { code, code_verifier, nonce: nonce.clone() };
            let outcome = world.provider.redeem(answer, world.now()).await;
            assert_eq!(outcome.is_ok(), expected, "{n}");
            assert!(expected || matches!(outcome, Err(UpstreamError::Ended(_))), "{n}");
        }
    }
}

#[tokio::test]
async fn a_wrong_secret_is_our_own_fault() {
    for face in FACES {
        let world = world_with(face, Play::default(), "wr0ng").await;
        for outcome in [
            world.sign_in().await.map(drop),
            world.provider.refresh(&"any".into(), world.now()).await.map(drop),
        ] {
            let Err(UpstreamError::Refused(reason)) = outcome else { panic!("{outcome:?}") };
            assert_eq!(reason.code, (face == Face::Entra).then_some(7_000_215));
            assert_eq!(reason.what, "it does not accept our credential");
        }
    }
}

#[tokio::test]
async fn only_a_verdict_on_the_session_ends_it() {
    let world = world(Face::Entra).await;
    let token = world.refresh_token().await;
    let refresh = async || world.provider.refresh(&token, world.now()).await;

    world.play.answers(Endpoint::Token, Reply::error("interaction_required", 50_076, "MFA for ada@contoso"));
    let error = refresh().await.unwrap_err();
    assert!(matches!(&error, UpstreamError::Ended(reason) if reason.code == Some(50_076)), "{error:?}");
    assert!(!format!("{error} {error:?}").contains("contoso"));

    for reply in [
        Reply::down(),
        Reply::throttled(5),
        Reply::garbage(),
        Reply::error("temporarily_unavailable", 90_033, "busy"),
        Reply::error("server_error", 90_001, "busy"),
        http(200, "<html>please log in to the network</html>"),
        http(200, "{}"),
        http(200, ""),
        http(400, "no"),
        http(403, "<html>blocked</html>"),
        http(500, r#"{"error":"invalid_grant"}"#),
    ] {
        world.play.answers(Endpoint::Token, reply.clone());
        let outcome = refresh().await;
        assert!(is_away(&outcome), "{reply:?}: {outcome:?}");
    }

    world.play.is_honest_again();
    assert!(refresh().await.is_ok(), "nothing of it was kept");
}

#[tokio::test]
async fn an_answer_is_read_up_to_a_limit() {
    let world = world(Face::Oidc).await;
    let token = world.refresh_token().await;
    let good = r#"{"access_token":"a","token_type":"Bearer"}"#;
    for (length, expected) in [(256 * 1024, true), (256 * 1024 + 1, false)] {
        world.play.answers(Endpoint::Token, http(200, &(good.to_owned() + &" ".repeat(length - good.len()))));
        let outcome = world.provider.refresh(&token, world.now()).await;
        assert_eq!(outcome.is_ok(), expected, "{length}");
        assert!(expected || is_away(&outcome), "{outcome:?}");
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed_with_our_secret() {
    let world = world(Face::Entra).await;
    let code = world.code().await;
    for status in [301, 302, 303, 307, 308] {
        let headers = vec![("location".to_owned(), format!("{}/elsewhere", world.idp.authority()))];
        world.play.answers(Endpoint::Token, Reply::Http { status, headers, body: String::new() });
        assert!(is_away(&world.provider.refresh(&code.code, world.now()).await));
    }
    assert_eq!(world.count(Endpoint::Unknown), 0);
}

#[tokio::test]
async fn a_provider_that_says_nothing_is_away() {
    for face in FACES {
        let world = world_with(face, Play { silent: true, ..Play::default() }, SECRET).await;
        let settings = settings(kind(&world.idp, face), SECRET);
        let patience = Duration::from_millis(100);
        let impatient = OidcProvider::with_timeout(settings, world.clock.clone(), patience).unwrap();
        let error = impatient.redeem(world.code().await, world.now()).await.unwrap_err();
        assert!(matches!(&error, UpstreamError::Away(reason) if reason.what == "it did not answer in time"));
    }
}

#[tokio::test]
async fn a_provider_that_is_down_is_away() {
    let gone = {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        format!("http://{}", listener.local_addr().unwrap())
    };
    let kind = Kind::Entra(entra_at(&gone));
    let clock = Arc::new(TestClock(AtomicI64::new(START)));
    let provider = OidcProvider::new(settings(kind, SECRET), clock).unwrap();
    let error = provider.sign_in_url(&request()).await.unwrap_err();
    assert!(matches!(&error, UpstreamError::Away(reason) if reason.what == "it cannot be connected to"));
}

#[tokio::test]
async fn a_code_is_not_spent_while_the_answer_could_not_be_judged() {
    let world = world(Face::Entra).await;
    let SignInAnswer { code, code_verifier, nonce } = world.code().await;
    let answer =
        || SignInAnswer { code: code.clone(), code_verifier: code_verifier.clone(), nonce: nonce.clone() };
    for reply in [Reply::down(), Reply::garbage(), http(200, r#"{"keys":[]}"#)] {
        world.play.answers(Endpoint::Keys, reply);
        assert!(is_away(&world.provider.redeem(answer(), world.now()).await));
    }
    assert_eq!(world.count(Endpoint::Token), 0);
    world.play.is_honest_again();
    assert!(world.provider.redeem(answer(), world.now()).await.is_ok());
}

#[tokio::test]
async fn a_key_that_cannot_be_looked_for_is_not_a_verdict() {
    let world = world(Face::Entra).await;
    let token = world.refresh_token().await;
    world.idp.roll_key();
    world.play.answers(Endpoint::Keys, Reply::down());
    for _ in 0..2 {
        let refreshed = world.provider.refresh(&token, world.now()).await.unwrap();
        assert!(is_away(&refreshed.person));
        assert!(refreshed.refresh_token.is_some(), "what the provider has made of the token is kept");
    }
    assert_eq!(world.count(Endpoint::Keys), 2, "one look, whose failure holds for a minute");
    world.play.is_honest_again();
    world.clock.advance(60);
    assert!(world.provider.refresh(&token, world.now()).await.is_ok());
}

#[tokio::test]
async fn a_failed_discovery_is_tried_again_by_the_next_request() {
    for face in FACES {
        let world = world(face).await;
        for reply in
            [Reply::down(), Reply::garbage(), Reply::error("invalid_tenant", 90_002, "no such tenant")]
        {
            world.play.answers(Endpoint::Discovery, reply);
            assert!(is_away(&world.provider.sign_in_url(&request()).await));
        }
        world.play.is_honest_again();
        assert!(world.sign_in().await.is_ok());
        assert_eq!(world.count(Endpoint::Discovery), 4);
    }
}

#[tokio::test]
async fn what_was_discovered_is_renewed_daily_and_outlives_an_outage() {
    let world = world(Face::Entra).await;
    world.sign_in().await.unwrap();
    world.clock.advance(24 * 60 * 60 - 1);
    world.sign_in().await.unwrap();
    assert_eq!((world.count(Endpoint::Discovery), world.count(Endpoint::Keys)), (1, 1));

    world.clock.advance(1);
    world.play.answers(Endpoint::Discovery, Reply::down());
    world.sign_in().await.unwrap();
    world.sign_in().await.unwrap();
    assert_eq!((world.count(Endpoint::Discovery), world.count(Endpoint::Keys)), (2, 2));

    world.play.is_honest_again();
    world.clock.advance(60);
    world.sign_in().await.unwrap();
    assert_eq!(world.count(Endpoint::Discovery), 3);
}

#[tokio::test]
async fn many_at_once_ask_for_the_metadata_once() {
    let world = world(Face::Entra).await;
    let request = request();
    let ask = || world.provider.sign_in_url(&request);
    let (a, b, c, d) = tokio::join!(ask(), ask(), ask(), ask());
    assert!([a, b, c, d].iter().all(Result::is_ok));
    assert_eq!(world.count(Endpoint::Discovery), 1);

    let gone = OidcProvider::new(
        settings(Kind::Oidc { issuer: format!("{}/gone", world.idp.authority()).parse().unwrap() }, SECRET),
        world.clock.clone(),
    )
    .unwrap();
    let (a, b, c) =
        tokio::join!(gone.sign_in_url(&request), gone.sign_in_url(&request), gone.sign_in_url(&request));
    assert!([a, b, c].iter().all(is_away));
    assert_eq!(world.count(Endpoint::Unknown), 1, "a failure is shared by those who waited for it");
}

/// Everything that is logged, by whichever crate.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[tokio::test]
async fn nothing_secret_is_logged_and_an_overflow_of_groups_is() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(log.clone());
    let _guard = tracing::subscriber::set_default(subscriber.finish());

    for face in FACES {
        let world = liar(face, |token| drop(token.claims.insert("hasgroups".into(), true.into()))).await;
        let token = world.refresh_token().await;
        let refreshed = world.provider.refresh(&token, world.now()).await.unwrap();
        let error = world.provider.refresh(&"a-stolen-guess".into(), world.now()).await.unwrap_err();
        let shown = format!("{:?} {refreshed:?} {error:?} {error}", world.provider);
        let logged = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
        let issued = world.idp.secrets();
        assert!(issued.len() >= 7, "a code, and three tokens twice");
        for secret in issued.iter().map(String::as_str).chain([SECRET, VERIFIER, NONCE, "a-stolen-guess"]) {
            assert!(!logged.contains(secret) && !shown.contains(secret), "{face:?}");
        }
        assert_eq!(logged.matches("too many groups").count(), 2, "twice at Entra, never elsewhere");
    }
    let kind = Kind::Oidc { issuer: "https://idp.example".parse().unwrap() };
    assert!(!format!("{:?}", settings(kind, SECRET)).contains(SECRET));
}
