//! Is the client one of ours, and welcome? One path for all kinds of client.

use crate::domain::client::Client;
use crate::domain::client::ClientId;
use crate::domain::client::PublicKeys;
use crate::domain::client::Voucher;
use crate::domain::client_keys::ClientKeys;
use crate::domain::login::Login;
use crate::domain::vendor::claims_the_name_of_another;
use crate::domain::vendor::is_name_of_another;
use crate::flows::AuthServer;
use crate::flows::documents::NotRead;
use crate::flows::grants::GrantError;
use crate::flows::refusal::Refusal;
use crate::flows::refusal::Row;
use crate::flows::refusal::row;
use crate::flows::refusal::row_of_registration;
use crate::protocol::client_id_url::ClientIdUrl;
use crate::protocol::error::ErrorCode;
use crate::protocol::redirect_uri::RedirectUri;

/// Why a client is not admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotAdmitted {
    /// Neither configured nor an id that we made, or not with a key that we still have.
    Unknown,
    /// Not configured, and nobody else is known here: clients do not register themselves.
    NotConfigured,
    /// The operator keeps it out.
    Blocked,
    /// It carries a name that belongs to others.
    NameOfAnother,
    /// It was asked about before the operator took its redirect URI or the trust in its host away.
    NotTrusted,
    /// Its id is meant as the address of a metadata document, and is none that could be fetched.
    NotAnAddress,
    /// Nothing is fetched from the host of its metadata document.
    DocumentHostNotTrusted,
    /// There is no metadata document to go by.
    Document(NotRead),
    /// Whether it is blocked cannot be told.
    StoreAway,
}

impl Refusal for NotAdmitted {
    /// What a person is told; at the token endpoint, a client's developer is told in other words.
    fn row(self) -> Row {
        match self {
            Self::Unknown => row_of_registration(
                "client_unknown",
                ErrorCode::InvalidClient,
                "This server does not know the application, or no longer. Remove what the application has stored for this server, then connect again.",
            ),
            Self::NotConfigured => row(
                "client_not_configured",
                ErrorCode::InvalidClient,
                "This server does not know the application, and applications do not register themselves here. Whoever runs the server can add it to the configuration.",
            ),
            Self::Blocked => row_of_registration(
                "client_blocked",
                ErrorCode::InvalidClient,
                "Whoever runs this server has blocked the application: ask there. When it has been let in again, or was replaced by a newer one, and still does not get through, remove what it has stored for this server, then connect again.",
            ),
            Self::NameOfAnother => row(
                "name_of_another",
                ErrorCode::InvalidClient,
                "The application uses the name of a known one, and the access would go to another host. If it is yours, give it another name; whoever runs the server can vouch for it by adding it to the configuration.",
            ),
            Self::NotTrusted => row(
                "redirect_host_not_trusted",
                ErrorCode::InvalidRequest,
                "This server does not send sign-ins to the application's host any more. Whoever runs the server can add the host to the setting trust.hosts.",
            ),
            Self::NotAnAddress => row(
                "client_id_malformed",
                ErrorCode::InvalidClient,
                "The application's client_id is meant as the address of its metadata document, and is not one that is served: https with a path, at a host with a name, in its normal form, without user name, fragment and dot segments, at most 512 characters long.",
            ),
            Self::DocumentHostNotTrusted => row(
                "document_host_not_trusted",
                ErrorCode::InvalidClient,
                "This server does not read what the application's host says of it. Whoever runs the server can add the host to the setting trust.hosts, or enter the application in the configuration.",
            ),
            Self::Document(why) => why.row(),
            Self::StoreAway => row(
                "store_away",
                ErrorCode::TemporarilyUnavailable,
                "The server cannot look up its settings at the moment. Try again in a minute.",
            ),
        }
    }
}

impl AuthServer {
    /// The client of an id. Costs one MAC, and every few seconds a read; one that publishes a document of itself, a
    /// fetch now and then.
    pub(in crate::flows) async fn client(&self, id: &str) -> Result<Client, NotAdmitted> {
        if let Some(client) = self.recognised(id) {
            self.welcome(&client.id, &[]).await?;
            return Ok(client);
        }
        self.published(id).await
    }

    /// The client of a login in flight, if both are still welcome, and the policy has not changed since.
    pub(in crate::flows) async fn client_of(&self, login: &Login) -> Result<Client, NotAdmitted> {
        let client = self.client(login.client_id.as_str()).await?;
        check_name(&client, login.redirect_uri.uri())?;
        self.admit(&client.id, login.redirect_uri.uri()).await?;
        match self.policy().trust.verify(&client, login.redirect_uri.uri().clone()) {
            Ok(_) => Ok(client),
            Err(_) => Err(NotAdmitted::NotTrusted),
        }
    }

    /// Checks that neither the client is blocked nor the host that its code goes to.
    pub(in crate::flows) async fn admit(
        &self,
        client: &ClientId,
        redirect: &RedirectUri,
    ) -> Result<(), NotAdmitted> {
        self.welcome(client, &[redirect.host()]).await
    }

    /// The client of an id that tells by itself, blocked or not: a configured one, or one that registered itself.
    pub(in crate::flows) fn recognised(&self, id: &str) -> Option<Client> {
        let policy = self.policy();
        let configured = policy.clients.iter().find(|client| client.id.as_str() == id);
        let registered = || Client::recognise(&self.keys(), id).ok().filter(|_| policy.registration.enabled);
        configured.cloned().or_else(registered)
    }

    /// The client whose id is the address of its metadata document. From a host that the operator keeps out nothing
    /// is fetched.
    pub(in crate::flows) async fn published(&self, id: &str) -> Result<Client, NotAdmitted> {
        let policy = self.policy();
        if !policy.metadata_documents || !ClientIdUrl::is_meant_by(id) {
            return Err(self.unknown());
        }
        let address = ClientIdUrl::parse(id).ok_or(NotAdmitted::NotAnAddress)?;
        if !policy.trust.may_publish(&address) {
            return Err(NotAdmitted::DocumentHostNotTrusted);
        }
        let id = ClientId::named(id.to_owned());
        self.welcome(&id, &[]).await?;
        let held = self.document::<Client>(&address, &id, None).await?;
        if let Some(PublicKeys::At(keys)) = &held.value.public_keys {
            if self.blocks().await?.forbid_document_host(keys.host()) {
                return Err(NotAdmitted::Blocked);
            }
            // One that could not authenticate in the end is told before anybody signs in.
            self.document::<ClientKeys>(keys, &id, None).await?;
        }
        Ok(Client::clone(&held.value))
    }

    pub(in crate::flows) fn unknown(&self) -> NotAdmitted {
        if self.policy().registration.enabled { NotAdmitted::Unknown } else { NotAdmitted::NotConfigured }
    }

    async fn welcome(&self, client: &ClientId, hosts: &[String]) -> Result<(), NotAdmitted> {
        match self.blocks().await?.forbid(client, hosts) {
            true => Err(NotAdmitted::Blocked),
            false => Ok(()),
        }
    }
}

/// Checks that a client carries no name that belongs to others: its document may have changed since it was shown.
pub(in crate::flows) fn check_name(client: &Client, redirect: &RedirectUri) -> Result<(), NotAdmitted> {
    let of_another = match client.voucher() {
        Voucher::Operator => false,
        Voucher::Document(address) => is_name_of_another(&client.name, address.host(), None),
        Voucher::Nobody => claims_the_name_of_another(&client.name, redirect),
    };
    if of_another { Err(NotAdmitted::NameOfAnother) } else { Ok(()) }
}

impl From<GrantError> for NotAdmitted {
    fn from(_: GrantError) -> Self {
        Self::StoreAway
    }
}

impl From<NotRead> for NotAdmitted {
    fn from(why: NotRead) -> Self {
        Self::Document(why)
    }
}
