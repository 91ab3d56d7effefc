//! Revocation (RFC 7009): either token ends the whole grant.

use crate::domain::access_token::UnverifiedClaims;
use crate::domain::grant::GrantId;
use crate::domain::person::UserKey;
use crate::domain::reference::Kind;
use crate::domain::reference::Reference;
use crate::flows::AuthServer;
use crate::flows::token::Reason;
use crate::protocol::client_auth::PresentedClient;
use crate::protocol::parameters::Parameters;

impl AuthServer {
    /// Ends the grant of a token. A token that is not ours, or whose grant has ended, is a success
    /// (RFC 7009 §2.2); another client's is not.
    pub async fn revoke(&self, authorization: Option<&str>, form: &Parameters) -> Result<(), Reason> {
        form.each_once()?;
        let client = self.authenticate_to_end(&PresentedClient::read(authorization, form)?)?;
        let token = form.one("token")?.ok_or(Reason::TokenMissing)?;
        let Some((user, grant)) = self.grant_behind(token) else { return Ok(()) };
        let Some(loaded) = self.load_grant(user, grant).await? else { return Ok(()) };
        if client.id != loaded.grant.body.client_id {
            return Err(Reason::NotThisClients);
        }
        self.end_grant(user, grant, "revoked_by_client").await?;
        Ok(())
    }

    /// The grant of an authentic refresh token, or of an access token that has not expired: an old one,
    /// from a log, is no logout button.
    fn grant_behind(&self, token: &str) -> Option<(UserKey, GrantId)> {
        if let Ok(Reference { user, grant, .. }) = Reference::read(self.keys(), Kind::RefreshToken, token) {
            return Some((user, grant));
        }
        let claims: UnverifiedClaims = self.signing_keys().verify(token).ok()?;
        // A downstream token is signed by us too, but no client ever held one.
        let ours = self.policy().resources.by_identifier(&claims.aud).is_some();
        let live = ours && claims.iss == self.policy().issuer.as_str() && self.now() < claims.exp;
        claims.grant().filter(|_| live)
    }
}
