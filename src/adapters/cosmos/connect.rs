//! Opening the container, and refusing one that cannot keep what the store promises.

use std::sync::Arc;
use std::time::Duration;

use azure_data_cosmos::AccountReference;
use azure_data_cosmos::CosmosClient;
use azure_data_cosmos::CosmosClientBuilder;
use azure_data_cosmos::CosmosError;
use azure_data_cosmos::CosmosRuntime;
use azure_data_cosmos::RoutingStrategy;
use azure_data_cosmos::clients::ContainerClient;
use azure_data_cosmos::models::ContainerProperties;
use azure_data_cosmos::models::TimeToLive;
use azure_data_cosmos::options::AvailabilityStrategy;
use azure_data_cosmos::options::ConnectionPoolOptions;
use azure_data_cosmos::options::ContentResponseOnWrite;
use azure_data_cosmos::options::ExcludedRegions;
use azure_data_cosmos::options::OperationOptions;
use azure_data_cosmos::options::OperationOptionsBuilder;
use azure_data_cosmos::options::ReadConsistencyStrategy;
use azure_data_cosmos::options::Region;
use azure_data_cosmos::options::ServerCertificateValidation;
use azure_data_cosmos::options::ThrottlingRetryOptionsBuilder;
use tokio::time::timeout;
use url::Host;
use url::Url;

use crate::adapters::pause::rest;
use crate::domain::time::Timestamp;

use super::account;
use super::account::Regions;
use super::settings::Access;
use super::settings::ConnectError;
use super::settings::FORBIDDEN;
use super::settings::Settings;

/// The partition key's path.
pub(super) const PARTITION_KEY: &str = "/pk";

/// How often connecting asks before it says that the database is away.
const CONNECTING: u32 = 4;

/// What requests of every operation have in common.
fn operations(others: Vec<String>) -> OperationOptions {
    let others = others.into_iter().fold(ExcludedRegions::new(), ExcludedRegions::with_region);
    OperationOptionsBuilder::new()
        .with_read_consistency_strategy(ReadConsistencyStrategy::LatestCommitted)
        .with_content_response_on_write(ContentResponseOnWrite::Disabled)
        // A region that does not accept writes may be behind, and then a good token would be unknown there.
        .with_excluded_regions(others)
        .with_availability_strategy(AvailabilityStrategy::Disabled)
        .with_hedging_enabled(false)
        // Throttling is waited for within the deadline of the operation.
        .with_throttling_retry_options(ThrottlingRetryOptionsBuilder::new().with_max_retry_count(0).build())
        .build()
}

/// What the account says of its regions, now.
pub(super) async fn regions(settings: &Settings, now: Timestamp) -> Result<Regions, ConnectError> {
    permitted(&settings.endpoint)?;
    account::read(&settings.endpoint, &settings.access, now, settings.patience).await?.regions()
}

/// A client that goes to the write region alone.
pub(super) async fn client(
    builder: CosmosClientBuilder,
    settings: &Settings,
    regions: &Regions,
) -> Result<CosmosClient, ConnectError> {
    let reference = match &settings.access {
        Access::Token(credential) => {
            AccountReference::with_credential(settings.endpoint.clone().into(), Arc::clone(credential))
        }
        #[cfg(feature = "store-key")]
        Access::Key(key) => {
            use azure_core::credentials::Secret;
            use secrecy::ExposeSecret;
            let key = Secret::new(key.expose_secret().to_owned());
            AccountReference::with_authentication_key(settings.endpoint.clone().into(), key)
        }
    };
    let write = Region::from(regions.write.clone());
    builder
        .with_runtime(runtime().await?)
        .with_default_operation_options(operations(regions.others.clone()))
        .build(reference, RoutingStrategy::PreferredRegions(vec![write]))
        .await
        .map_err(|error| refused(&error))
}

/// What the SDK would otherwise read from its environment variables, and what is not for them to decide.
async fn runtime() -> Result<CosmosRuntime, ConnectError> {
    let pool = ConnectionPoolOptions::builder()
        .with_server_certificate_validation(ServerCertificateValidation::Required)
        .with_proxy_allowed(false)
        .with_gateway_v2_disabled(true)
        .build()
        .map_err(|_| ConnectError::Wrong(VARIABLES.to_owned()))?;
    let runtime = CosmosRuntime::builder().with_connection_pool(pool).build().await;
    runtime.map_err(|_| ConnectError::Wrong(VARIABLES.to_owned()))
}

const VARIABLES: &str = "An environment variable of the Cosmos DB SDK (AZURE_COSMOS_…) has a value that it does not \
    take. Unset those variables.";

/// Plain http carries the key and every document in clear.
fn permitted(endpoint: &Url) -> Result<(), ConnectError> {
    let loopback = match endpoint.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    if endpoint.scheme() == "https" || (endpoint.scheme() == "http" && loopback) {
        return Ok(());
    }
    Err(ConnectError::Wrong(
        "store.endpoint has to begin with https://, except on loopback. Write the URI that the account's overview \
         shows."
            .to_owned(),
    ))
}

/// The container, when it is as it has to be.
pub(super) async fn container(
    client: &CosmosClient,
    settings: &Settings,
) -> Result<ContainerClient, ConnectError> {
    let mut asked = 0;
    loop {
        asked += 1;
        let opened = timeout(settings.patience, open(client, settings)).await;
        match opened.unwrap_or_else(|_| Err(ConnectError::Away("it did not answer in time".to_owned()))) {
            Err(ConnectError::Away(_)) if asked < CONNECTING => {
                rest(Duration::from_millis(100 << asked)).await;
            }
            opened => return opened,
        }
    }
}

async fn open(client: &CosmosClient, settings: &Settings) -> Result<ContainerClient, ConnectError> {
    let Settings { database, container, .. } = settings;
    let missing = |error: &CosmosError| match u16::from(error.status().status_code()) {
        404 => ConnectError::Wrong(format!(
            "The account has no container {container:?} in a database {database:?}. Your infrastructure makes them \
             (docs/storage.md says how they have to be); `entrada store init` does it where store.key may be used."
        )),
        _ => refused(error),
    };
    let client = client.database_client(database.clone()).container_client(container.clone(), None).await;
    let client = client.map_err(|error| missing(&error))?;
    let read = client.read(None).await.map_err(|error| missing(&error))?;
    let properties = read.into_model().map_err(|_| ConnectError::Wrong(NOT_UNDERSTOOD.to_owned()))?;
    suitable(container, &properties)?;
    Ok(client)
}

const NOT_UNDERSTOOD: &str = "What answers at store.endpoint describes the container in a way that this version of \
    Entrada does not understand. See that it is Azure Cosmos DB for NoSQL; if it is, please report this.";

/// Refuses what would lose documents, keep them for ever, or not list them.
fn suitable(container: &str, properties: &ContainerProperties) -> Result<(), ConnectError> {
    let wrong = |words: String| Err(ConnectError::Wrong(words));
    let paths = properties.partition_key.paths();
    if paths.len() != 1 || paths[0] != PARTITION_KEY {
        return wrong(format!(
            "The container {container:?} is partitioned by {}, and has to be by {PARTITION_KEY}. That cannot be \
             changed: make another one, and name it in store.container.",
            paths.join(", ")
        ));
    }
    let ttl = match properties.default_ttl {
        TimeToLive::NoDefault => return indexed(container, properties),
        TimeToLive::Seconds(seconds) => {
            format!("removes every document after {seconds} s, keys and clients too")
        }
        _ => "never removes what has expired".to_owned(),
    };
    wrong(format!(
        "The container {container:?} {ttl}. Set its default time to live to -1 (\"on, no default\"): each document \
         says itself when it may go."
    ))
}

/// Lists are in the order of partition and id, which needs an index of both.
fn indexed(container: &str, properties: &ContainerProperties) -> Result<(), ConnectError> {
    let composite = properties.indexing_policy.iter().flat_map(|policy| &policy.composite_indexes);
    let by_key = |index: &azure_data_cosmos::models::CompositeIndex| {
        let paths: Vec<_> = index.properties.iter().map(|property| property.path.as_str()).collect();
        paths == [PARTITION_KEY, "/id"]
    };
    if composite.into_iter().any(by_key) {
        return Ok(());
    }
    Err(ConnectError::Wrong(format!(
        "The container {container:?} has no composite index of /pk and /id, both ascending, without which nothing can \
         be listed. Add it to the indexing policy: docs/storage.md shows the whole of it."
    )))
}

/// What an error at the start means. Its text quotes names, so only its status is used.
pub(super) fn refused(error: &CosmosError) -> ConnectError {
    let status = error.status();
    let code = u16::from(status.status_code());
    match code {
        401 | 403 => ConnectError::Wrong(FORBIDDEN.to_owned()),
        _ => ConnectError::Away(format!("it answered {code} when the container was opened")),
    }
}
