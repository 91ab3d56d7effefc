//! What an operator asks for about clients: who they are, who is kept out, and to change that.

use std::collections::HashSet;

use serde::Deserialize;
use serde::Serialize;

use crate::domain::block::Block;
use crate::domain::block::Blocked;
use crate::domain::block::Blocks;
use crate::domain::block::Unchanged;
use crate::domain::client::Client;
use crate::domain::client::ClientId;
use crate::domain::client_record::ClientRecord;
use crate::domain::event::Event;
use crate::domain::event::EventName;
use crate::flows::AuthServer;
use crate::flows::administer::PAGE;
use crate::flows::administer::StoreAway;
use crate::flows::clients::PARTITION_PREFIX;
use crate::flows::grants::GrantError;
use crate::ports::store::Listing;
use crate::protocol::client_id_url::ClientIdUrl;
use crate::protocol::redirect_uri::RedirectUri;

/// A client as an operator sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientSummary {
    /// Short hash of the client id, as logs and grants name it.
    pub client: String,
    pub client_name: String,
    /// The id as it is written, for a client of the configuration.
    pub configured_id: Option<String>,
    /// The address of its metadata document, which is its id, for one that publishes it.
    pub document: Option<String>,
    /// Where codes went last, or may go.
    pub redirect_hosts: Vec<String>,
    /// Seconds since 1970; absent when nobody has signed in with it.
    pub first_used_at: Option<i64>,
    pub last_used_at: Option<i64>,
    /// Itself, or a host of its.
    pub blocked: bool,
}

/// The clients that people have signed in with and those of the configuration, and every block.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Clients {
    pub clients: Vec<ClientSummary>,
    pub blocks: Vec<Block>,
    /// How many more there are that no key of this server opens.
    pub unreadable: usize,
}

/// Whom an operator means.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// A client, by its id or by the short hash of it.
    Client(String),
    RedirectHost(String),
    DocumentHost(String),
}

/// Why nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NotChanged {
    /// No client of this server has this id.
    NoSuchClient,
    /// It is as it was asked to be.
    Already,
    /// There are as many blocks as there may be.
    TooMany,
    StoreAway,
}

impl AuthServer {
    /// Lists the clients that people have signed in with, and those of the configuration.
    pub async fn list_clients(&self) -> Result<Clients, StoreAway> {
        let blocks = self.blocks().await?;
        let mut found = Clients { blocks: blocks.0.clone(), ..Clients::default() };
        let mut after = None;
        loop {
            let listing = Listing::Prefix(PARTITION_PREFIX);
            let stored = self.store().list(listing, after.as_ref(), PAGE).await.map_err(|_| StoreAway)?;
            let whole = stored.len() == PAGE;
            after = stored.last().map(|stored| stored.document.key.clone());
            for stored in stored {
                match self.client_record(stored.document) {
                    Some(record) => found.clients.push(self.of_record(record, &blocks)),
                    None => found.unreadable += 1,
                }
            }
            if !whole {
                break;
            }
        }
        let used: HashSet<String> = found.clients.iter().map(|client| client.client.clone()).collect();
        let unused = self.policy().clients.iter().filter(|client| !used.contains(&client.id.digest()));
        found.clients.extend(unused.map(|client| of_client(client, &blocks)));
        self.record_clients("client.list", None, u32::try_from(found.clients.len()).ok());
        Ok(found)
    }

    /// Keeps clients out of /authorize, /token and the gateway: here at once, on other replicas within 10 seconds.
    /// Their grants stay, and go on when they are let in again.
    pub async fn block(&self, target: Target) -> Result<Blocked, NotChanged> {
        let what = self.meant(target).ok_or(NotChanged::NoSuchClient)?;
        self.change_blocks(|blocks| blocks.with(what.clone(), self.now()).map_err(NotChanged::from)).await?;
        self.record_clients("client.block", Some(&what), None);
        Ok(what)
    }

    /// Lets clients in again.
    pub async fn unblock(&self, target: Target) -> Result<Blocked, NotChanged> {
        let what = self.meant(target).ok_or(NotChanged::NoSuchClient)?;
        self.change_blocks(|blocks| blocks.without(&what).map_err(NotChanged::from)).await?;
        self.record_clients("client.unblock", Some(&what), None);
        Ok(what)
    }

    /// An id has to be one that can come: a block of a misread one would help nobody.
    fn meant(&self, target: Target) -> Option<Blocked> {
        match target {
            Target::RedirectHost(host) => Some(Blocked::RedirectHost(host)),
            Target::DocumentHost(host) => Some(Blocked::DocumentHost(host)),
            Target::Client(text) => {
                let id = ClientId::named(text);
                let is_id =
                    self.recognised(id.as_str()).is_some() || ClientIdUrl::parse(id.as_str()).is_some();
                let named = || ClientId::is_digest(id.as_str()).then(|| id.to_string());
                Some(id.digest()).filter(|_| is_id).or_else(named).map(Blocked::Client)
            }
        }
    }

    fn of_record(&self, record: ClientRecord, blocks: &Blocks) -> ClientSummary {
        let id = ClientId::named(record.client_id);
        let hosts = vec![record.redirect_uri.host()];
        let configured = self.policy().clients.iter().any(|client| client.id == id);
        let published = !configured && ClientIdUrl::parse(id.as_str()).is_some();
        ClientSummary {
            client: id.digest(),
            client_name: record.client_name,
            configured_id: configured.then(|| id.to_string()),
            document: published.then(|| id.to_string()),
            first_used_at: Some(record.first_used_at.0),
            last_used_at: Some(record.last_used_at.0),
            blocked: blocks.forbid(&id, &hosts),
            redirect_hosts: hosts,
        }
    }

    fn record_clients(&self, operation: &'static str, what: Option<&Blocked>, n: Option<u32>) {
        let mut event = Event { operation: Some(operation), n, ..Event::default() };
        match what {
            Some(Blocked::Client(digest)) => event.client = Some(digest.clone()),
            Some(Blocked::RedirectHost(host)) => event.redirect_host = Some(host.clone()),
            Some(Blocked::DocumentHost(host)) => event.document_host = Some(host.clone()),
            None => {}
        }
        self.record(EventName::AdministrationUsed, event);
    }
}

fn of_client(client: &Client, blocks: &Blocks) -> ClientSummary {
    let mut hosts: Vec<_> = client.redirect_uris.iter().map(RedirectUri::host).collect();
    hosts.sort_unstable();
    hosts.dedup();
    ClientSummary {
        client: client.id.digest(),
        client_name: client.name.clone(),
        configured_id: Some(client.id.to_string()),
        document: None,
        first_used_at: None,
        last_used_at: None,
        blocked: blocks.forbid(&client.id, &hosts),
        redirect_hosts: hosts,
    }
}

impl From<Unchanged> for NotChanged {
    fn from(why: Unchanged) -> Self {
        match why {
            Unchanged::Already => Self::Already,
            Unchanged::TooMany => Self::TooMany,
        }
    }
}

impl From<GrantError> for NotChanged {
    fn from(_: GrantError) -> Self {
        Self::StoreAway
    }
}
