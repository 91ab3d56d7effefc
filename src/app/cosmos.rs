//! From the configuration to Cosmos DB.

use std::sync::Arc;
use std::time::Duration;

use crate::adapters::azure_credential;
use crate::adapters::cosmos::Access;
use crate::adapters::cosmos::ConnectError;
use crate::adapters::cosmos::Settings;
use crate::app::exit::Failure;
use crate::app::identity::source;
use crate::config;
use crate::config::Credential;
use crate::ports::clock::Clock;

/// How long one operation may take. People wait for some of them, and clients give up after ten seconds or more.
const PATIENCE: Duration = Duration::from_secs(5);

/// What the adapter needs to know.
pub fn settings(config: &config::Cosmos, clock: &Arc<dyn Clock>) -> Result<Settings, Failure> {
    let identity = match &config.credential {
        Credential::Identity(identity) => identity,
        Credential::Key(key) => return with_key(config, key),
    };
    let credential = azure_credential::credential(source(identity), Arc::clone(clock));
    Ok(with(config, Access::Token(credential)))
}

#[cfg(feature = "store-key")]
fn with_key(config: &config::Cosmos, key: &secrecy::SecretString) -> Result<Settings, Failure> {
    tracing::warn!(
        "store.credential is \"key\": whoever reads the key owns the whole Cosmos DB account. Use it for an emulator \
         alone, and an identity for everything else."
    );
    Ok(with(config, Access::Key(key.clone())))
}

/// The configuration has refused it before.
#[cfg(not(feature = "store-key"))]
fn with_key(_: &config::Cosmos, _: &secrecy::SecretString) -> Result<Settings, Failure> {
    Err(Failure::Usage("store.credential: this program was built without keys.".to_owned()))
}

fn with(config: &config::Cosmos, access: Access) -> Settings {
    Settings {
        endpoint: config.endpoint.clone(),
        database: config.database.clone(),
        container: config.container.clone(),
        region: config.region.clone(),
        access,
        patience: PATIENCE,
    }
}

/// How the program ends without the container.
#[must_use]
pub fn failure(error: ConnectError) -> Failure {
    let text = error.to_string();
    match error {
        ConnectError::Away(_) => Failure::Store(text),
        ConnectError::Wrong(_) => Failure::Usage(text),
    }
}
