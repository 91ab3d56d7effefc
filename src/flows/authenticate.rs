//! Does the client prove who it is? One path for all kinds of client, in every grant type.

use crate::domain::client::Client;
use crate::flows::AuthServer;
use crate::flows::admit::NotAdmitted;
use crate::protocol::client_auth::AuthMethod;
use crate::protocol::client_auth::PresentedClient;

/// A client that is not ours, or a proof that is not the client's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotAuthenticated {
    Client(NotAdmitted),
    /// A confidential client without its secret, with a wrong one, or a public client with one.
    WrongSecret,
}

impl AuthServer {
    /// Authenticates a client at the token or revocation endpoint (RFC 6749 §3.2.1).
    ///
    /// A confidential client may send its secret in the header or in the form, whichever it registered:
    /// SDKs mix the two, and neither is weaker.
    pub(in crate::flows) async fn authenticate(
        &self,
        presented: &PresentedClient,
    ) -> Result<Client, NotAuthenticated> {
        let client = self.client(&presented.client_id).await.map_err(NotAuthenticated::Client)?;
        self.proved(client, presented)
    }

    /// The same for a client that is blocked as well: it may end what it has.
    pub(in crate::flows) fn authenticate_to_end(
        &self,
        presented: &PresentedClient,
    ) -> Result<Client, NotAuthenticated> {
        let known = self.known_client(&presented.client_id);
        self.proved(known.ok_or_else(|| NotAuthenticated::Client(self.unknown()))?, presented)
    }

    fn proved(&self, client: Client, presented: &PresentedClient) -> Result<Client, NotAuthenticated> {
        match (client.auth_method, &presented.client_secret) {
            (AuthMethod::None, None) => Ok(client),
            (AuthMethod::ClientSecretBasic | AuthMethod::ClientSecretPost, Some(secret)) => {
                client.verify_secret(self.keys(), secret).map_err(|_| NotAuthenticated::WrongSecret)?;
                Ok(client)
            }
            _ => Err(NotAuthenticated::WrongSecret),
        }
    }
}
