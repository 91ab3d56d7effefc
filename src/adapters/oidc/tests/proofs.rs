//! By what we prove ourselves at the token endpoint, judged by a provider that knows certificates and federated
//! credentials.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::path::PathBuf;

use azure_core::credentials::AccessToken;
use azure_core::credentials::TokenCredential;
use azure_core::credentials::TokenRequestOptions;
use azure_core::time::OffsetDateTime;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rcgen::CertificateParams;
use rcgen::KeyPair;
use rcgen::PKCS_RSA_SHA256;
use rcgen::RsaKeySize;
use sha2::Digest;
use sha2::Sha256;
use tempfile::TempDir;

use super::*;
use crate::adapters::oidc::BadCertificate;
use crate::adapters::oidc::Certificate;
use crate::adapters::system::SystemEntropy;
use crate::demo::idp::FederatedCredential;

const EXCHANGE: &str = "api://AzureADTokenExchange";
const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// An RSA key and a certificate of it: PEM of both, DER of the certificate.
fn certified() -> (String, String, Vec<u8>) {
    let key = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).unwrap();
    let certificate = CertificateParams::new(["entrada".to_owned()]).unwrap().self_signed(&key).unwrap();
    (key.serialize_pem(), certificate.pem(), certificate.der().to_vec())
}

fn open(file: PathBuf) -> Result<Certificate, BadCertificate> {
    Certificate::open(file, Arc::new(SystemEntropy::new()))
}

async fn proving(play: Play, proof: Proof) -> World {
    let people = DevPerson::three(TENANT);
    world_of(play, people, |idp, _| Settings { proof, ..settings(Kind::Entra(entra(idp)), "") }).await
}

/// The parts of an assertion.
fn parts(request: &Seen) -> (Value, Value) {
    let assertion = request.param("client_assertion").unwrap();
    let mut parts =
        assertion.split('.').take(2).map(|part| URL_SAFE_NO_PAD.decode(part).unwrap()).map(|json| {
            let read: Value = serde_json::from_slice(&json).unwrap();
            read
        });
    (parts.next().unwrap(), parts.next().unwrap())
}

fn code(outcome: Result<SignedIn, UpstreamError>) -> Option<u32> {
    match outcome {
        Err(UpstreamError::Refused(reason)) => reason.code,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_certificate_signs_an_assertion_of_its_own_for_each_request() {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("entrada.pem");
    let (key, pem, der) = certified();
    fs::write(&file, format!("{key}{pem}")).unwrap();
    let world = proving(Play::default(), Proof::Certificate(open(file.clone()).unwrap())).await;
    assert_eq!(code(world.sign_in().await), Some(700_027), "it is not registered");
    world.idp.add_certificate(der.clone());
    let token = world.refresh_token().await;
    world.provider.refresh(&token, world.now()).await.unwrap();

    let requests = world.seen(Endpoint::Token);
    let mut ids = Vec::new();
    for request in &requests {
        assert!(request.param("client_secret").is_none() && request.header("authorization").is_none());
        assert_eq!(request.param("client_id"), Some(CLIENT));
        assert_eq!(request.param("client_assertion_type"), Some(JWT_BEARER));
        let (header, claims) = parts(request);
        assert_eq!(header["alg"], "PS256");
        assert_eq!(header["x5t#S256"], URL_SAFE_NO_PAD.encode(Sha256::digest(&der)));
        assert_eq!(claims["aud"], format!("{}/{TENANT}/oauth2/v2.0/token", world.idp.authority()));
        assert_eq!((&claims["exp"], &claims["nbf"]), (&(START + 300).into(), &START.into()));
        ids.push(claims["jti"].to_string());
    }
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), requests.len(), "no assertion is used twice");
}

#[tokio::test]
async fn a_renewed_certificate_counts_at_once_and_one_that_is_gone_is_our_trouble() {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("entrada.pem");
    let (first, second) = (certified(), certified());
    fs::write(&file, format!("{}{}", first.1, first.0)).unwrap();
    let world = proving(Play::default(), Proof::Certificate(open(file.clone()).unwrap())).await;
    world.idp.add_certificate(first.2);
    world.idp.add_certificate(second.2);
    world.sign_in().await.unwrap();
    let before = parts(world.seen(Endpoint::Token).last().unwrap()).0;
    fs::write(&file, format!("{}{}", second.1, second.0)).unwrap();
    world.sign_in().await.unwrap();
    assert_ne!(parts(world.seen(Endpoint::Token).last().unwrap()).0, before);

    fs::remove_file(&file).unwrap();
    let count = world.count(Endpoint::Token);
    let Err(UpstreamError::Refused(reason)) = world.sign_in().await else {
        panic!("there is no certificate")
    };
    assert!(reason.explanation.unwrap().contains("upstream.certificate_file"));
    assert_eq!(world.count(Endpoint::Token), count, "nothing was asked, and the code is not spent");
}

#[test]
fn a_certificate_that_will_not_do_is_told_why() {
    let dir = TempDir::new().unwrap();
    let (key, pem, _) = certified();
    let (other, ..) = certified();
    let curve = KeyPair::generate().unwrap();
    let of_curve = CertificateParams::new(["entrada".to_owned()]).unwrap().self_signed(&curve).unwrap();
    let cases = [
        (pem.clone(), BadCertificate::NoKey),
        (key.clone(), BadCertificate::NoCertificate),
        (String::new(), BadCertificate::NoCertificate),
        (format!("{pem}{other}"), BadCertificate::AnotherKey),
        (format!("{}{}", of_curve.pem(), curve.serialize_pem()), BadCertificate::NotRsa),
        (format!("{pem}{}", key.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY")), BadCertificate::NoKey),
        (
            format!("{pem}-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"),
            BadCertificate::Damaged,
        ),
    ];
    for (number, (text, expected)) in cases.into_iter().enumerate() {
        let file = dir.path().join(format!("{number}.pem"));
        fs::write(&file, text).unwrap();
        assert_eq!(open(file).unwrap_err(), expected, "{number}");
    }
    let missing = open(Path::new("/nowhere/entrada.pem").to_owned()).unwrap_err();
    assert_eq!(missing, BadCertificate::Unreadable(ErrorKind::NotFound));
}

fn identity() -> FederatedCredential {
    FederatedCredential {
        issuer: format!("https://login.example/{TENANT}/v2.0"),
        subject: "1de00000-0000-4000-8000-000000000001".into(),
        audience: EXCHANGE.into(),
    }
}

/// A managed identity, which gives what it has, or nothing.
#[derive(Debug, Default)]
struct Identity {
    token: Mutex<Option<String>>,
    asked: Mutex<Vec<String>>,
}

#[derive(Debug)]
struct Handle(Arc<Identity>);

#[async_trait]
impl TokenCredential for Handle {
    async fn get_token(
        &self,
        scopes: &[&str],
        _: Option<TokenRequestOptions<'_>>,
    ) -> azure_core::Result<AccessToken> {
        self.0.asked.lock().unwrap().push(scopes.join(" "));
        let none = || azure_core::Error::with_message(azure_core::error::ErrorKind::Credential, "none");
        let token = self.0.token.lock().unwrap().clone().ok_or_else(none)?;
        Ok(AccessToken::new(token, OffsetDateTime::from_unix_timestamp(START + 3_600).unwrap()))
    }
}

async fn managed(play: Play) -> (World, Arc<Identity>) {
    let identity_of_machine = Arc::new(Identity::default());
    let handle = Arc::new(Handle(Arc::clone(&identity_of_machine)));
    let world = proving(play, Proof::ManagedIdentity(handle)).await;
    *identity_of_machine.token.lock().unwrap() = Some(world.idp.token_of(&identity()));
    (world, identity_of_machine)
}

#[tokio::test]
async fn a_managed_identitys_token_is_the_assertion() {
    let (world, machine) = managed(Play::default()).await;
    world.idp.add_federated_credential(identity());
    let token = world.refresh_token().await;
    world.provider.refresh(&token, world.now()).await.unwrap();
    let own = machine.token.lock().unwrap().clone();
    for request in world.seen(Endpoint::Token) {
        assert_eq!(request.param("client_assertion"), own.as_deref());
        assert_eq!(request.param("client_assertion_type"), Some(JWT_BEARER));
        assert!(request.param("client_secret").is_none() && request.header("authorization").is_none());
    }
    let asked = machine.asked.lock().unwrap().clone();
    assert!(asked.iter().all(|scope| scope == "api://AzureADTokenExchange/.default"), "{asked:?}");

    *machine.token.lock().unwrap() = None;
    let refreshed = world.provider.refresh(&token, world.now()).await;
    assert!(matches!(refreshed, Err(UpstreamError::Away(_))), "{refreshed:?}");
}

#[tokio::test]
async fn the_token_of_a_pod_is_read_anew_each_time() {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("azure-identity-token");
    fs::write(&file, "not yet").unwrap();
    let world = proving(Play::default(), Proof::FederatedToken(file.clone())).await;
    let pod = FederatedCredential {
        issuer: "https://oidc.cluster.example/".into(),
        subject: "system:serviceaccount:mcp:entrada".into(),
        audience: EXCHANGE.into(),
    };
    world.idp.add_federated_credential(pod.clone());
    fs::write(&file, format!("{}\n", world.idp.token_of(&pod))).unwrap();
    world.sign_in().await.unwrap();
    world.clock.advance(23 * 60 * 60);
    world.sign_in().await.unwrap();
    world.clock.advance(60 * 60 + 300);
    assert_eq!(code(world.sign_in().await), Some(700_024), "it has ended");
    fs::write(&file, world.idp.token_of(&pod)).unwrap();
    world.sign_in().await.unwrap();

    for broken in [Some(""), Some(" \n"), None] {
        match broken {
            Some(text) => fs::write(&file, text).unwrap(),
            None => fs::remove_file(&file).unwrap(),
        }
        let Err(UpstreamError::Refused(reason)) = world.sign_in().await else { panic!("there is no token") };
        assert!(reason.explanation.unwrap().contains("AZURE_FEDERATED_TOKEN_FILE"));
    }
}

/// The first `times` answers of the token endpoint say that it knows no such credential.
fn spreading(times: usize) -> Play {
    let left = Mutex::new(times);
    let play = Play::default();
    *play.before.lock().unwrap() = Some(Box::new(move |endpoint| {
        let mut left = left.lock().unwrap();
        if endpoint != Endpoint::Token || *left == 0 {
            return None;
        }
        *left -= 1;
        let number = if left.is_multiple_of(2) { 70_021 } else { 700_213 };
        Some(Reply::error("invalid_client", number, "No matching federated identity record found."))
    }));
    play
}

#[tokio::test]
async fn a_federated_credential_may_take_some_seconds_to_be_known() {
    for (times, attempts) in [(1, 2), (3, 4)] {
        let (world, _) = managed(spreading(times)).await;
        world.idp.add_federated_credential(identity());
        let answer = world.code().await;
        tokio::time::pause();
        world.provider.redeem(answer, world.now()).await.unwrap();
        tokio::time::resume();
        assert_eq!(world.count(Endpoint::Token), attempts);
    }
}

#[tokio::test]
async fn one_that_was_never_made_is_waited_for_briefly_and_after_ten_minutes_not_at_all() {
    let (world, _) = managed(Play::default()).await;
    let mut counted = 0;
    for (later, attempts) in [(0, 4), (599, 4), (1, 1), (3_600, 1)] {
        world.clock.advance(later);
        let answer = world.code().await;
        tokio::time::pause();
        assert_eq!(code(world.provider.redeem(answer, world.now()).await), Some(70_021));
        tokio::time::resume();
        assert_eq!(world.count(Endpoint::Token) - counted, attempts, "{later} s later");
        counted += attempts;
    }
    world.idp.add_federated_credential(FederatedCredential { subject: "another".into(), ..identity() });
    assert_eq!(code(world.sign_in().await), Some(700_213));
    world.idp.add_federated_credential(identity());
    world.sign_in().await.unwrap();
}

#[tokio::test]
async fn another_refusal_is_not_tried_again() {
    let (world, _) = managed(Play::default()).await;
    world.idp.add_federated_credential(FederatedCredential { audience: "another".into(), ..identity() });
    assert_eq!(code(world.sign_in().await), Some(700_212));
    assert_eq!(world.count(Endpoint::Token), 1);
}

#[test]
fn another_provider_takes_a_secret_alone() {
    let settings = Settings {
        proof: Proof::FederatedToken("token".into()),
        ..settings(Kind::Oidc { issuer: "https://idp.example".parse().unwrap() }, "")
    };
    let clock = Arc::new(TestClock(AtomicI64::new(START)));
    assert!(matches!(OidcProvider::new(settings, clock), Err(crate::adapters::oidc::SettingsError::Proof)));
}
