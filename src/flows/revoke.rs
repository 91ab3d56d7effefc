//! Revocation (RFC 7009): either token ends the whole grant.

use crate::domain::access_token::UnverifiedClaims;
use crate::domain::grant::GrantBody;
use crate::domain::grant::GrantId;
use crate::domain::person::UserKey;
use crate::domain::reference::Kind;
use crate::domain::reference::Reference;
use crate::flows::AuthServer;
use crate::flows::authenticate::Authenticated;
use crate::flows::grants::Loaded;
use crate::flows::token::Reason;
use crate::protocol::client_auth::AuthMethod;
use crate::protocol::client_auth::PresentedClient;
use crate::protocol::client_auth::Proof;
use crate::protocol::parameters::Parameters;

impl AuthServer {
    /// Ends the grant of a token. A token that is not ours, or whose grant has ended, is a success
    /// (RFC 7009 §2.2); another client's is not.
    pub async fn revoke(&self, authorization: Option<&str>, form: &Parameters) -> Result<(), Reason> {
        form.each_once()?;
        let presented = PresentedClient::read(authorization, form)?;
        let token = form.one("token")?;
        let behind = token.and_then(|token| self.grant_behind(token));
        let loaded = match behind {
            Some((user, grant)) => self.load_grant(user, grant).await?,
            None => None,
        };
        // Whoever has a public client's token may end it, also when nothing is known of the client any more.
        let is_own = loaded.as_ref().is_some_and(|loaded| is_public_clients(&loaded.grant.body, &presented));
        if !is_own {
            let Authenticated { client, assertion } = self.authenticate_to_end(&presented).await?;
            token.ok_or(Reason::TokenMissing)?;
            let Some(Loaded { grant, .. }) = &loaded else { return Ok(()) };
            if client.id != grant.body.client_id {
                return Err(Reason::NotThisClients);
            }
            if client.auth_method.is_weaker_than(grant.body.auth_method) {
                return Err(Reason::MethodWeaker);
            }
            if assertion.is_some_and(|id| self.was_taken(grant, id)) {
                return Err(Reason::AssertionReplayed);
            }
        }
        if let Some(Loaded { grant, .. }) = loaded {
            self.end_grant(grant.user, grant.id, "revoked_by_client").await?;
        }
        Ok(())
    }

    /// The grant of an authentic refresh token, or of an access token that has not expired: an old one,
    /// from a log, is no logout button.
    fn grant_behind(&self, token: &str) -> Option<(UserKey, GrantId)> {
        if let Ok(Reference { user, grant, .. }) = Reference::read(&self.keys(), Kind::RefreshToken, token) {
            return Some((user, grant));
        }
        let claims: UnverifiedClaims = self.signing_keys().verify(token, self.now()).ok()?;
        // A downstream token is signed by us too, but no client ever held one.
        let ours = self.policy().resources.by_identifier(&claims.aud).is_some();
        let live = ours && claims.iss == self.policy().issuer.as_str() && self.now() < claims.exp;
        claims.grant().filter(|_| live)
    }
}

fn is_public_clients(grant: &GrantBody, presented: &PresentedClient) -> bool {
    let by_id_alone = grant.auth_method == AuthMethod::None && presented.proof == Proof::None;
    by_id_alone && grant.client_id.as_str() == presented.client_id
}
