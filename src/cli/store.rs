//! `entrada store`: the database and the container of Cosmos DB.

use clap::Subcommand;

use crate::app::exit::Failure;
use crate::cli::Configuration;
use crate::config;
#[cfg(feature = "store-key")]
use crate::config::Credential;

/// What to do with the store.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make the database and the container in Cosmos DB where they are missing, and check them. Needs the account's
    /// key; where it counts, your infrastructure makes them.
    Init(Configuration),
}

/// Does it.
pub async fn execute(Command::Init(configuration): Command) -> Result<(), Failure> {
    let config = configuration.load()?;
    match &config.store {
        config::Store::Embedded => Err(usage(
            "store.kind is \"embedded\": its file is made at the first start, and there is nothing to do.",
        )),
        config::Store::Cosmos(cosmos) => init(cosmos).await,
    }
}

#[cfg(feature = "store-key")]
async fn init(config: &config::Cosmos) -> Result<(), Failure> {
    use std::sync::Arc;

    use crate::adapters::cosmos;
    use crate::adapters::system::SystemClock;
    use crate::ports::clock::Clock;

    if !matches!(config.credential, Credential::Key(_)) {
        return Err(usage(
            "Cosmos DB lets nobody make a database or a container but with the account's key: write store.credential \
             = \"key\" and store.key for this command, or let your infrastructure make them (docs/storage.md).",
        ));
    }
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let settings = crate::app::cosmos::settings(config, &clock)?;
    cosmos::init(&settings, clock.as_ref()).await.map_err(crate::app::cosmos::failure)?;
    super::say(&format!(
        "The container {:?} in the database {:?} is ready.",
        config.container, config.database
    ))
}

#[cfg(not(feature = "store-key"))]
async fn init(_: &config::Cosmos) -> Result<(), Failure> {
    Err(usage(
        "This program was built without keys (the feature store-key), as a release is, and cannot make a database or a \
         container. Let your infrastructure make them (docs/storage.md).",
    ))
}

fn usage(words: &str) -> Failure {
    Failure::Usage(words.to_owned())
}
