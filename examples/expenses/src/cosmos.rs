//! Expenses in Azure Cosmos DB for NoSQL, for several replicas that share no disk.

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;
use std::time::SystemTime;
use std::time::UNIX_EPOCH;

use async_trait::async_trait;
use azure_core::credentials::TokenCredential;
use azure_core::error::ErrorKind;
use azure_core::http::ClientOptions;
use azure_core::http::Transport;
use azure_core::http::Url;
use azure_data_cosmos::AccountReference;
use azure_data_cosmos::CosmosClient;
use azure_data_cosmos::CosmosError;
use azure_data_cosmos::FeedScope;
use azure_data_cosmos::Query;
use azure_data_cosmos::RoutingStrategy;
use azure_data_cosmos::clients::ContainerClient;
use azure_data_cosmos::options::OperationOptionsBuilder;
use azure_data_cosmos::options::ReadConsistencyStrategy;
use azure_identity::ManagedIdentityCredential;
use azure_identity::ManagedIdentityCredentialOptions;
use azure_identity::UserAssignedId;
use futures_util::TryStreamExt;
use serde::Deserialize;
use serde::Serialize;
use tokio::sync::OnceCell;
use tokio::time::timeout;
use uuid::Uuid;

use crate::caller::Caller;
use crate::expense::Expense;
use crate::ledger::Ledger;

/// How long one call may take, connecting and a token included. A client waits for it.
const PATIENCE: Duration = Duration::from_secs(10);

/// A container whose partition key is `/sub`, the caller's: nobody's expenses are in another's partition.
pub struct CosmosLedger {
    endpoint: Url,
    database: String,
    container: String,
    credential: Arc<dyn TokenCredential>,
    opened: OnceCell<ContainerClient>,
    /// When this process added its latest, as [`Document::added`].
    latest: AtomicU64,
}

/// One expense, as it is stored.
#[derive(Serialize, Deserialize)]
struct Document {
    id: String,
    sub: String,
    /// Microseconds since 1970, which a double holds exactly: JSON's numbers are doubles in Cosmos DB.
    added: u64,
    /// What the client was allowed to do when it added this.
    scope: String,
    #[serde(flatten)]
    expense: Expense,
}

impl CosmosLedger {
    /// Connects to nothing yet: that is for the first call, and for the next one if it fails.
    ///
    /// Fails, in words, if the endpoint is none to send a token to.
    pub fn new(
        endpoint: &str,
        database: &str,
        container: &str,
        credential: Arc<dyn TokenCredential>,
    ) -> Result<Self, String> {
        Ok(Self {
            endpoint: permitted(endpoint)?,
            database: database.to_owned(),
            container: container.to_owned(),
            credential,
            opened: OnceCell::new(),
            latest: AtomicU64::new(0),
        })
    }

    async fn container(&self) -> io::Result<&ContainerClient> {
        self.opened.get_or_try_init(|| self.open()).await.map_err(|error| failure(&error))
    }

    async fn open(&self) -> Result<ContainerClient, CosmosError> {
        // By quorum, so that each replica sees what another has acknowledged, whatever the account's default is.
        let operations = OperationOptionsBuilder::new()
            .with_read_consistency_strategy(ReadConsistencyStrategy::LatestCommitted)
            .build();
        let account =
            AccountReference::with_credential(self.endpoint.clone().into(), Arc::clone(&self.credential));
        // In the account's own order of regions.
        let regions = RoutingStrategy::PreferredRegions(Vec::new());
        let builder = CosmosClient::builder().with_default_operation_options(operations);
        let client = builder.build(account, regions).await?;
        client.database_client(self.database.clone()).container_client(self.container.clone(), None).await
    }

    /// Now, and later than before. Replicas whose clocks differ order what they add at once by these clocks.
    fn next(&self) -> u64 {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_micros();
        let now = u64::try_from(now).unwrap_or(u64::MAX);
        let later = |latest: u64| Some(now.max(latest.saturating_add(1)));
        let before = self.latest.fetch_update(Ordering::Relaxed, Ordering::Relaxed, later);
        now.max(before.unwrap_or_default().saturating_add(1))
    }

    async fn try_add(&self, document: &Document) -> io::Result<()> {
        let container = self.container().await?;
        match container.create_item(document.sub.clone(), &document.id, document, None).await {
            Ok(_) => Ok(()),
            // The SDK sends again what it got no answer to. Nobody else has drawn this id.
            Err(error) if u16::from(error.status().status_code()) == 409 => Ok(()),
            Err(error) => Err(failure(&error)),
        }
    }

    async fn try_all(&self, sub: &str) -> io::Result<Vec<Expense>> {
        let scope = FeedScope::partition(sub.to_owned());
        let container = self.container().await?;
        let found = container.query_items::<Document>(Query::from("SELECT * FROM c"), scope, None).await;
        let found = found.map_err(|error| failure(&error))?;
        let mut documents: Vec<Document> = found.try_collect().await.map_err(|error| failure(&error))?;
        // All of them are read anyway, and so no index is needed.
        documents.sort_by(|one, other| (one.added, &one.id).cmp(&(other.added, &other.id)));
        Ok(documents.into_iter().map(|document| document.expense).collect())
    }
}

#[async_trait]
impl Ledger for CosmosLedger {
    async fn add(&self, caller: &Caller, expense: Expense) -> io::Result<()> {
        let document = Document {
            id: Uuid::new_v4().to_string(),
            sub: caller.claims().sub.clone(),
            added: self.next(),
            scope: caller.claims().scope.clone(),
            expense,
        };
        in_time(self.try_add(&document)).await
    }

    async fn all(&self, caller: &Caller) -> io::Result<Vec<Expense>> {
        in_time(self.try_all(&caller.claims().sub)).await
    }
}

/// The machine's own identity in Entra ID, or the user-assigned one of this client id. Asked for a token when
/// one is needed.
pub fn managed_identity(client_id: Option<String>) -> azure_core::Result<Arc<dyn TokenCredential>> {
    // The endpoint is the machine's own, over plain http: a proxy would read the token.
    let direct = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build();
    let direct = direct.map_err(|error| azure_core::Error::new(ErrorKind::Other, error))?;
    let transport = Some(Transport::new(Arc::new(direct)));
    let options = ManagedIdentityCredentialOptions {
        user_assigned_id: client_id.map(UserAssignedId::ClientId),
        client_options: ClientOptions { transport, ..ClientOptions::default() },
    };
    Ok(ManagedIdentityCredential::new(Some(options))?)
}

/// Plain http carries the token and every expense in clear.
fn permitted(endpoint: &str) -> Result<Url, String> {
    let url: Url = endpoint.parse().map_err(|_| {
        "It is no URL. Write the URI that the account's overview shows, such as \
         https://example.documents.azure.com/."
            .to_owned()
    })?;
    let loopback = matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
    if url.scheme() == "https" || (url.scheme() == "http" && loopback) {
        return Ok(url);
    }
    Err("It has to begin with https://, except on loopback.".to_owned())
}

async fn in_time<T>(work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    timeout(PATIENCE, work).await.unwrap_or_else(|_| {
        let words = format!("Cosmos DB, or the identity that it asks for, did not answer in {PATIENCE:?}");
        Err(io::Error::new(io::ErrorKind::TimedOut, words))
    })
}

/// What an error means, for the log. Its own text quotes ids.
fn failure(error: &CosmosError) -> io::Error {
    let status = error.status();
    let advice = match u16::from(status.status_code()) {
        401 | 403 => {
            ": give the identity the role \"Cosmos DB Built-in Data Contributor\" on the container, and see that \
             the account's firewall lets this machine in"
        }
        404 => ": see that the database and the container are there",
        _ => "",
    };
    io::Error::other(format!("Cosmos DB answered {status}{advice}"))
}
