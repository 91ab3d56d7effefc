//! Making database and container, for emulators and first trials. Where it counts, infrastructure does it.

use azure_data_cosmos::CosmosClientBuilder;
use azure_data_cosmos::CosmosError;
use azure_data_cosmos::models::CompositeIndex;
use azure_data_cosmos::models::CompositeIndexOrder;
use azure_data_cosmos::models::CompositeIndexProperty;
use azure_data_cosmos::models::ContainerProperties;
use azure_data_cosmos::models::IndexingMode;
use azure_data_cosmos::models::IndexingPolicy;
use azure_data_cosmos::models::TimeToLive;

use crate::ports::clock::Clock;

use super::ConnectError;
use super::Settings;
use super::connect;

/// Makes the database and the container where they are missing, and sees that they are as they have to be.
///
/// # Errors
///
/// [`ConnectError`].
pub async fn init(settings: &Settings, clock: &dyn Clock) -> Result<(), ConnectError> {
    let regions = connect::regions(settings, clock.now()).await?.wanted(settings.region.as_deref())?;
    let client = connect::client(CosmosClientBuilder::new(), settings, &regions).await?;
    made(client.create_database(&settings.database, None).await)?;
    let database = client.database_client(settings.database.clone());
    made(database.create_container(properties(settings.container.clone()), None).await)?;
    connect::container(&client, settings).await.map(drop)
}

/// That it is there already is as good.
fn made<T>(answer: Result<T, CosmosError>) -> Result<(), ConnectError> {
    match answer {
        Err(error) if !error.status().is_conflict() => Err(connect::refused(&error)),
        _ => Ok(()),
    }
}

/// What is asked for is indexed, and what is sealed is not.
fn properties(container: String) -> ContainerProperties {
    let ascending = |path| CompositeIndexProperty::new(path, CompositeIndexOrder::Ascending);
    let by_key = CompositeIndex::default()
        .with_property(ascending(connect::PARTITION_KEY))
        .with_property(ascending("/id"));
    let mut indexed = IndexingPolicy::default()
        .with_indexing_mode(IndexingMode::Consistent)
        .with_included_path("/pk/?")
        .with_included_path("/exp/?")
        .with_excluded_path("/*")
        .with_composite_index(by_key);
    indexed.automatic = true;
    ContainerProperties::new(container, connect::PARTITION_KEY.into())
        .with_default_ttl(TimeToLive::NoDefault)
        .with_indexing_policy(indexed)
}
