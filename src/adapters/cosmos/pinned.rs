//! The connection to the write region, and to another one when the account has failed over.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::RwLock;
use std::time::Duration;

use azure_data_cosmos::CosmosClientBuilder;
use azure_data_cosmos::clients::ContainerClient;

use crate::ports::clock::Clock;

use super::ConnectError;
use super::Settings;
use super::account::Regions;
use super::connect;

/// How often the account is asked where it writes. The SDK follows a failover with its writes by itself; reads follow
/// after this time at the latest, and until then this replica may read what is old.
const EVERY: Duration = Duration::from_secs(15);
/// The same while requests fail.
const IN_TROUBLE: Duration = Duration::from_secs(5);

/// The container, by the region that the account writes in.
pub(super) struct Pinned {
    settings: Settings,
    clock: Arc<dyn Clock>,
    current: RwLock<(Regions, ContainerClient)>,
    /// When the account was asked last.
    asked: Mutex<Duration>,
}

impl Pinned {
    pub(super) async fn connect(
        builder: CosmosClientBuilder,
        settings: &Settings,
        clock: Arc<dyn Clock>,
    ) -> Result<Arc<Self>, ConnectError> {
        let regions = connect::regions(settings, clock.now()).await?.wanted(settings.region.as_deref())?;
        let client = connect::client(builder, settings, &regions).await?;
        let container = connect::container(&client, settings).await?;
        let asked = Mutex::new(clock.elapsed());
        Ok(Arc::new(Self {
            settings: settings.clone(),
            clock,
            current: RwLock::new((regions, container)),
            asked,
        }))
    }

    pub(super) fn container(&self) -> ContainerClient {
        self.current.read().unwrap_or_else(PoisonError::into_inner).1.clone()
    }

    /// Asks the account again, in a task of its own, if it is time to.
    pub(super) fn watch(self: &Arc<Self>, in_trouble: bool) {
        let now = self.clock.elapsed();
        {
            let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
            if now < *asked + if in_trouble { IN_TROUBLE } else { EVERY } {
                return;
            }
            *asked = now;
        }
        let pinned = Arc::clone(self);
        tokio::spawn(async move {
            if let Err(error) = pinned.follow().await {
                tracing::warn!(%error, "the write region of Cosmos DB is not known for certain");
            }
        });
    }

    /// Connects anew when the account writes elsewhere. What `store.region` says counts at the start alone: it is to
    /// catch a wrong account, and no reason to go without one that has failed over.
    async fn follow(&self) -> Result<(), ConnectError> {
        let regions = connect::regions(&self.settings, self.clock.now()).await?;
        if regions == self.current.read().unwrap_or_else(PoisonError::into_inner).0 {
            return Ok(());
        }
        let client = connect::client(CosmosClientBuilder::new(), &self.settings, &regions).await?;
        let container = connect::container(&client, &self.settings).await?;
        tracing::warn!(region = regions.write, "Cosmos DB writes in this region now");
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = (regions, container);
        Ok(())
    }
}
