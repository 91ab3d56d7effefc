//! The program with something else than a client secret to prove itself by.

use std::fs;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::Mutex;

use axum::Json;
use axum::Router;
use axum::extract::Request;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::response::Response;
use entrada::adapters::system::SystemClock;
use entrada::demo::idp::Endpoint;
use entrada::demo::idp::FederatedCredential;
use entrada::ports::clock::Clock;
use rcgen::CertificateParams;
use rcgen::KeyPair;
use rcgen::PKCS_RSA_SHA256;
use rcgen::RsaKeySize;
use serde_json::json;
use tokio::net::TcpListener;

use crate::support::entrada::TENANT;
use crate::support::entrada::UPSTREAM_SECRET;
use crate::support::mcp;
use crate::support::program::Site;

const IDENTITY: &str = "12345678-1234-4234-8234-123456789012";
const HEADER: &str = "header-0012345";
const EXCHANGE: &str = "api://AzureADTokenExchange";

/// The settings with this in place of the secret.
fn proving(site: &Site, by: &str) -> String {
    let secret = format!("client_secret = \"{UPSTREAM_SECRET}\"");
    let settings = site.settings();
    assert!(settings.contains(&secret));
    settings.replace(&secret, by)
}

/// Signs in, calls a tool, refreshes.
async fn works(site: &Site) {
    let client = mcp::sign_in(site, 0).await;
    client.connect().await.call("whoami").await.unwrap();
    client.refresh().await.unwrap();
    let requests = site.idp.requests();
    let asked: Vec<_> = requests.iter().filter(|seen| seen.endpoint == Endpoint::Token).collect();
    assert!(asked.len() >= 2, "a code and a refresh token");
    assert!(asked.iter().all(|seen| seen.param("client_assertion").is_some()), "{asked:?}");
    assert!(asked.iter().all(|seen| seen.param("client_secret").is_none()), "{asked:?}");
}

/// What Container Apps have beside a program. It gives a token to whoever knows the header, for the one identity.
async fn identity_endpoint(token: String, asked: Arc<Mutex<Vec<String>>>) -> String {
    type Shared = (String, Arc<Mutex<Vec<String>>>);
    async fn answer(State((token, asked)): State<Shared>, request: Request) -> Response {
        let header = request.headers().get("x-identity-header").and_then(|value| value.to_str().ok());
        let query = request.uri().query().unwrap_or_default().to_owned();
        if header != Some(HEADER) || !query.contains(&format!("client_id={IDENTITY}")) {
            return StatusCode::UNAUTHORIZED.into_response();
        }
        asked.lock().unwrap().push(query);
        let expires_on = SystemClock::new().now().0 + 86_400;
        let given = json!({
            "access_token": token, "expires_on": expires_on.to_string(), "resource": EXCHANGE, "token_type": "Bearer",
        });
        Json(given).into_response()
    }
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = Router::new().fallback(answer).with_state((token, asked));
    tokio::spawn(async move { axum::serve(listener, router).await });
    format!("http://{address}/msi/token")
}

#[tokio::test]
async fn it_signs_people_in_by_its_managed_identity() {
    let site = Site::new().await;
    let credential = FederatedCredential {
        issuer: format!("https://login.microsoftonline.com/{TENANT}/v2.0"),
        subject: "1de00000-0000-4000-8000-000000000001".to_owned(),
        audience: EXCHANGE.to_owned(),
    };
    site.idp.add_federated_credential(credential.clone());
    let asked = Arc::default();
    let endpoint = identity_endpoint(site.idp.token_of(&credential), Arc::clone(&asked)).await;
    let by = format!("credential = \"managed-identity\"\nmanaged_identity = \"{IDENTITY}\"");
    let environment = [("IDENTITY_ENDPOINT", endpoint.as_str()), ("IDENTITY_HEADER", HEADER)];
    let _program = site.start_in(&environment, &proving(&site, &by)).await;
    works(&site).await;
    let asked = asked.lock().unwrap().clone();
    assert_eq!(asked.len(), 1, "one token does for every request: {asked:?}");
    assert!(
        asked[0].contains("resource=api%3A%2F%2FAzureADTokenExchange&") || asked[0].ends_with("Exchange"),
        "{asked:?}"
    );
}

#[tokio::test]
async fn it_signs_people_in_by_its_pods_identity_and_says_what_a_pod_lacks() {
    let site = Site::new().await;
    let pod = FederatedCredential {
        issuer: "https://oidc.cluster.example/".to_owned(),
        subject: "system:serviceaccount:mcp:entrada".to_owned(),
        audience: EXCHANGE.to_owned(),
    };
    site.idp.add_federated_credential(pod.clone());
    let settings = proving(&site, "credential = \"workload-identity\"");
    let ended = site.serve(&settings).await;
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert!(ended.stderr.contains("AZURE_FEDERATED_TOKEN_FILE is not set"), "{ended:?}");

    let file = site.path("azure-identity-token");
    fs::write(&file, site.idp.token_of(&pod)).unwrap();
    let environment = [("AZURE_FEDERATED_TOKEN_FILE", file.to_str().unwrap())];
    let _program = site.start_in(&environment, &settings).await;
    works(&site).await;
}

#[tokio::test]
async fn it_signs_people_in_by_a_certificate_and_does_not_start_with_half_of_one() {
    let site = Site::new().await;
    let key = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).unwrap();
    let certificate = CertificateParams::new(["entrada".to_owned()]).unwrap().self_signed(&key).unwrap();
    site.idp.add_certificate(certificate.der().to_vec());
    let file = site.path("entrada.pem");
    let settings =
        proving(&site, &format!("credential = \"certificate\"\ncertificate_file = \"{}\"", file.display()));
    for (text, words) in [(None, "cannot be read"), (Some(certificate.pem()), "no private key")] {
        text.into_iter().for_each(|text| fs::write(&file, text).unwrap());
        let ended = site.serve(&settings).await;
        assert_eq!(ended.code, Some(2), "{ended:?}");
        assert!(
            ended.stderr.contains("upstream.certificate_file: ") && ended.stderr.contains(words),
            "{ended:?}"
        );
    }
    let pem = key.serialize_pem();
    pem.lines().filter(|line| line.len() == 64).for_each(|line| site.vigil.never(line));
    fs::write(&file, format!("{}{pem}", certificate.pem())).unwrap();
    let _program = site.start_with(&settings).await;
    works(&site).await;
}
