//! Does the client prove who it is? One path for all kinds of client, in every grant type.

use std::sync::Arc;

use crate::domain::client::Client;
use crate::domain::client::PublicKeys;
use crate::domain::client_assertion::AssertionId;
use crate::domain::client_assertion::NotVerified;
use crate::domain::client_assertion::Verified;
use crate::domain::client_assertion::verify;
use crate::domain::client_keys::ClientKeys;
use crate::flows::AuthServer;
use crate::flows::admit::NotAdmitted;
use crate::protocol::client_auth::AuthMethod;
use crate::protocol::client_auth::PresentedClient;
use crate::protocol::client_auth::Proof;
use crate::protocol::metadata::path;

/// A client that has proved who it is.
pub(in crate::flows) struct Authenticated {
    pub client: Client,
    /// Of the assertion by which it did: no grant takes one twice.
    pub assertion: Option<AssertionId>,
}

/// A client that is not ours, or a proof that is not the client's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotAuthenticated {
    Client(NotAdmitted),
    /// A client that authenticates by a secret without it, with a wrong one, or one that has none with one.
    WrongSecret,
    /// An assertion that does not hold, or none where one is needed.
    WrongAssertion,
}

impl AuthServer {
    /// Authenticates a client at the token or revocation endpoint (RFC 6749 §3.2.1).
    ///
    /// A confidential client may send its secret in the header or in the form, whichever it registered:
    /// SDKs mix the two, and neither is weaker.
    pub(in crate::flows) async fn authenticate(
        &self,
        presented: &PresentedClient,
    ) -> Result<Authenticated, NotAuthenticated> {
        let client = self.client(&presented.client_id).await.map_err(NotAuthenticated::Client)?;
        self.proved(client, &presented.proof).await
    }

    /// The same for a client that is blocked as well: it may end what it has. From a host that is kept out no document
    /// is fetched, even then.
    pub(in crate::flows) async fn authenticate_to_end(
        &self,
        presented: &PresentedClient,
    ) -> Result<Authenticated, NotAuthenticated> {
        let client = match self.recognised(&presented.client_id) {
            Some(client) => client,
            None => self.published(&presented.client_id).await.map_err(NotAuthenticated::Client)?,
        };
        self.proved(client, &presented.proof).await
    }

    async fn proved(&self, client: Client, proof: &Proof) -> Result<Authenticated, NotAuthenticated> {
        let assertion = match (client.auth_method, proof) {
            (AuthMethod::None, Proof::None) => None,
            (AuthMethod::ClientSecretBasic | AuthMethod::ClientSecretPost, Proof::Secret(secret)) => {
                client.verify_secret(&self.keys(), secret).map_err(|_| NotAuthenticated::WrongSecret)?;
                None
            }
            (AuthMethod::PrivateKeyJwt, Proof::Assertion(assertion)) => {
                Some(self.verified(&client, assertion).await?.id)
            }
            (AuthMethod::PrivateKeyJwt, _) | (_, Proof::Assertion(_)) => {
                return Err(NotAuthenticated::WrongAssertion);
            }
            _ => return Err(NotAuthenticated::WrongSecret),
        };
        Ok(Authenticated { client, assertion })
    }

    /// Verifies an assertion (RFC 7523 §3). Where its key is not among those that the client publishes, they are
    /// fetched once more: it may have changed them.
    async fn verified(&self, client: &Client, assertion: &str) -> Result<Verified, NotAuthenticated> {
        let keys = self.public_keys(client, None).await?;
        match self.judged_assertion(client, &keys, assertion) {
            Err(NotVerified::UnknownKey) => {
                let newer = self.public_keys(client, Some(&keys)).await?;
                self.judged_assertion(client, &newer, assertion)
            }
            judged => judged,
        }
        .map_err(|_| NotAuthenticated::WrongAssertion)
    }

    fn judged_assertion(
        &self,
        client: &Client,
        keys: &ClientKeys,
        assertion: &str,
    ) -> Result<Verified, NotVerified> {
        let issuer = &self.policy().issuer;
        let audiences = [issuer.as_str(), &issuer.at(path::TOKEN)];
        verify(assertion, keys, client.id.as_str(), &audiences, self.now())
    }

    /// The keys of a client, other ones than `seen` where there are any.
    async fn public_keys(
        &self,
        client: &Client,
        seen: Option<&Arc<ClientKeys>>,
    ) -> Result<Arc<ClientKeys>, NotAuthenticated> {
        match &client.public_keys {
            Some(PublicKeys::At(address)) => match self.document(address, &client.id, seen).await {
                Ok(held) => Ok(Arc::clone(&held.value)),
                Err(why) => Err(NotAuthenticated::Client(NotAdmitted::Document(why))),
            },
            Some(PublicKeys::Known(keys)) => Ok(Arc::clone(keys)),
            None => Err(NotAuthenticated::WrongAssertion),
        }
    }
}
