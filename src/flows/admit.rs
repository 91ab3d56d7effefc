//! Is the client one of ours, and welcome? One path for all kinds of client.

use crate::domain::client::Client;
use crate::domain::client::ClientId;
use crate::domain::login::Login;
use crate::flows::AuthServer;
use crate::flows::grants::GrantError;
use crate::flows::refusal::Refusal;
use crate::flows::refusal::Row;
use crate::flows::refusal::row;
use crate::flows::refusal::row_of_registration;
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
    /// It was asked about before the operator took its redirect URI or the trust in its host away.
    NotTrusted,
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
            Self::NotTrusted => row(
                "redirect_host_not_trusted",
                ErrorCode::InvalidRequest,
                "This server does not send sign-ins to the application's host any more. Whoever runs the server can add the host to the setting trust.hosts.",
            ),
            Self::StoreAway => row(
                "store_away",
                ErrorCode::TemporarilyUnavailable,
                "The server cannot look up its settings at the moment. Try again in a minute.",
            ),
        }
    }
}

impl AuthServer {
    /// The client of an id. Costs one MAC, and every few seconds a read.
    pub(in crate::flows) async fn client(&self, id: &str) -> Result<Client, NotAdmitted> {
        let client = self.known_client(id).ok_or_else(|| self.unknown())?;
        match self.blocks().await?.forbid(&client.id, &[]) {
            true => Err(NotAdmitted::Blocked),
            false => Ok(client),
        }
    }

    /// The client of a login in flight, if both are still welcome, and the policy has not changed since.
    pub(in crate::flows) async fn client_of(&self, login: &Login) -> Result<Client, NotAdmitted> {
        let client = self.known_client(login.client_id.as_str()).ok_or_else(|| self.unknown())?;
        self.admit(&client.id, login.redirect_uri.uri()).await?;
        match self.policy().trust.verify(&client, login.redirect_uri.uri().clone()) {
            Ok(_) => Ok(client),
            Err(_) => Err(NotAdmitted::NotTrusted),
        }
    }

    pub(in crate::flows) fn unknown(&self) -> NotAdmitted {
        if self.policy().registration.enabled { NotAdmitted::Unknown } else { NotAdmitted::NotConfigured }
    }

    /// Checks that neither the client is blocked nor the host that its code goes to.
    pub(in crate::flows) async fn admit(
        &self,
        client: &ClientId,
        redirect: &RedirectUri,
    ) -> Result<(), NotAdmitted> {
        match self.blocks().await?.forbid(client, &[redirect.host()]) {
            true => Err(NotAdmitted::Blocked),
            false => Ok(()),
        }
    }

    /// The client of an id, blocked or not: a configured one, or one that registered itself.
    pub(in crate::flows) fn known_client(&self, id: &str) -> Option<Client> {
        let policy = self.policy();
        let configured = policy.clients.iter().find(|client| client.id.as_str() == id);
        let registered = || Client::recognise(self.keys(), id).ok().filter(|_| policy.registration.enabled);
        configured.cloned().or_else(registered)
    }
}

impl From<GrantError> for NotAdmitted {
    fn from(_: GrantError) -> Self {
        Self::StoreAway
    }
}
