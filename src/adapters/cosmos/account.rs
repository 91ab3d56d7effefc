//! The account as it describes itself. The SDK reads it too, and keeps to itself whether several regions
//! accept writes; so we ask, before it does.

use std::time::Duration;

use azure_core::time::OffsetDateTime;
use azure_core::time::to_rfc7231;
use reqwest::StatusCode;
use reqwest::redirect::Policy;
use serde::Deserialize;
use url::Url;

use crate::domain::time::Timestamp;

use super::Access;
use super::ConnectError;

/// Of Cosmos DB's REST interface: the oldest that takes tokens of Entra ID.
const API_VERSION: &str = "2020-07-15";
const SCOPE: &str = "https://cosmos.azure.com/.default";
const CONNECT: Duration = Duration::from_secs(3);

/// What has to be known of the account.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Account {
    writable_locations: Vec<Location>,
    readable_locations: Vec<Location>,
    #[serde(default)]
    enable_multiple_write_locations: bool,
}

#[derive(Debug, Deserialize)]
struct Location {
    name: String,
}

/// Where an account writes, and where else it could be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Regions {
    pub(super) write: String,
    pub(super) others: Vec<String>,
}

impl Account {
    /// The region that every request goes to, and all others, which none may go to.
    pub(super) fn regions(self) -> Result<Regions, ConnectError> {
        if self.enable_multiple_write_locations {
            return Err(ConnectError::Wrong(SEVERAL_WRITE_REGIONS.to_owned()));
        }
        let [write] = self.writable_locations.as_slice() else {
            // During a failover both are named for some seconds.
            return Err(away("the account's write region is moving"));
        };
        let others = self.readable_locations.into_iter().map(|location| location.name);
        let others = others.filter(|name| plain(name) != plain(&write.name)).collect();
        Ok(Regions { write: write.name.clone(), others })
    }
}

impl Regions {
    /// Refuses to write elsewhere than the operator wants.
    pub(super) fn wanted(self, region: Option<&str>) -> Result<Self, ConnectError> {
        match region {
            Some(region) if plain(region) != plain(&self.write) => Err(ConnectError::Wrong(format!(
                "store.region is {region:?}, but the account writes in {:?}, and everything is read there. Write \
                 that region, or take the setting out.",
                self.write
            ))),
            _ => Ok(self),
        }
    }
}

const SEVERAL_WRITE_REGIONS: &str = "The account accepts writes in several regions. Two of them could each let the \
    same code or refresh token be used once, so Entrada does not run on it: turn multi-region writes off, or name \
    another account in store.endpoint.";

/// "East US 2" and `eastus2` are one region.
fn plain(region: &str) -> String {
    region.chars().filter(|c| !c.is_whitespace()).collect::<String>().to_ascii_lowercase()
}

/// Asks `endpoint`.
pub(super) async fn read(
    endpoint: &Url,
    access: &Access,
    now: Timestamp,
    patience: Duration,
) -> Result<Account, ConnectError> {
    let date = OffsetDateTime::from_unix_timestamp(now.0).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    let date = to_rfc7231(&date).to_lowercase();
    let client = reqwest::Client::builder()
        .connect_timeout(CONNECT)
        .timeout(patience)
        .redirect(Policy::none())
        .no_proxy()
        .build()
        .map_err(|_| away("there is no HTTP client: the system's root certificates cannot be used"))?;
    let request = client
        .get(endpoint.clone())
        .header("x-ms-version", API_VERSION)
        .header("x-ms-date", &date)
        .header("accept", "application/json")
        .header("authorization", authorization(access, &date).await?);
    let response = request.send().await.map_err(|error| {
        away(match (error.is_timeout(), error.is_connect()) {
            (true, _) => "store.endpoint did not answer in time",
            (_, true) => "store.endpoint cannot be reached: its name, the network, or its certificate",
            _ => "store.endpoint broke the connection off",
        })
    })?;
    match response.status() {
        StatusCode::OK => {}
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            return Err(ConnectError::Wrong(super::settings::FORBIDDEN.to_owned()));
        }
        status if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS => {
            return Err(away(&format!("store.endpoint answered {}", status.as_u16())));
        }
        _ => return Err(ConnectError::Wrong(NO_ACCOUNT.to_owned())),
    }
    let body = response.bytes().await.map_err(|_| away("store.endpoint broke its answer off"))?;
    serde_json::from_slice(&body).map_err(|_| ConnectError::Wrong(NO_ACCOUNT.to_owned()))
}

const NO_ACCOUNT: &str = "What answers at store.endpoint is no Cosmos DB account for NoSQL. Write the URI that the \
    account's overview shows.";

fn away(words: &str) -> ConnectError {
    ConnectError::Away(words.to_owned())
}

/// The header of a request for the account itself, whose resource has no name.
#[cfg_attr(not(feature = "store-key"), expect(unused_variables, reason = "only a key signs the date"))]
async fn authorization(access: &Access, date: &str) -> Result<String, ConnectError> {
    let plain = match access {
        Access::Token(credential) => {
            let token = credential.get_token(&[SCOPE], None).await.map_err(|_| {
                away("there is no token for Cosmos DB; the log says why the credential did not give one")
            })?;
            format!("type=aad&ver=1.0&sig={}", token.token.secret())
        }
        #[cfg(feature = "store-key")]
        Access::Key(key) => {
            use azure_core::credentials::Secret;
            use azure_core::hmac::hmac_sha256;
            use secrecy::ExposeSecret;

            let key = Secret::new(key.expose_secret().to_owned());
            let signature = hmac_sha256(&format!("get\n\n\n{date}\n\n"), &key).map_err(|_| {
                ConnectError::Wrong("store.key is not base64. Write the key as it was given.".into())
            })?;
            format!("type=master&ver=1.0&sig={signature}")
        }
    };
    Ok(url::form_urlencoded::byte_serialize(plain.as_bytes()).collect())
}
