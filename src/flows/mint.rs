//! The token response of a grant: an access token, signed; the current refresh token, computed.

use crate::domain::access_token::Minted;
use crate::domain::access_token::UnverifiedClaims;
use crate::domain::grant::Grant;
use crate::domain::grant::Phase;
use crate::domain::reference::Kind;
use crate::domain::reference::Reference;
use crate::domain::resource::Resource;
use crate::domain::time::Timestamp;
use crate::flows::AuthServer;
use crate::protocol::scope::Scopes;
use crate::protocol::token::TokenResponse;

/// A key is missing, or an active grant is not active: a defect of ours, or a key dropped meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::flows) struct NotMinted;

impl AuthServer {
    /// Mints for an active grant. `scopes` may be fewer than the grant's.
    pub(in crate::flows) fn mint(
        &self,
        grant: &Grant,
        resource: &Resource,
        scopes: &Scopes,
        now: Timestamp,
    ) -> Result<TokenResponse, NotMinted> {
        let Phase::Active(n) = grant.phase else { return Err(NotMinted) };
        let exp = now.plus(resource.access).min(grant.expires_at);
        let claims = UnverifiedClaims::of(
            grant,
            Minted {
                iss: self.policy().issuer.as_str(),
                aud: &resource.identifier,
                iat: now,
                exp,
                jti: self.token_id(),
                scopes,
                claims: &resource.claims,
            },
        );
        let access_token = self.signing_keys().active(now).sign(&claims).map_err(|_| NotMinted)?;
        let generation = grant.body.generation;
        let reference = Reference { user: grant.user, grant: grant.id, n, generation };
        let refresh_token = match grant.body.upstream {
            Some(_) => Some(reference.issue(&self.keys(), Kind::RefreshToken).map_err(|_| NotMinted)?),
            None => None,
        };
        Ok(TokenResponse {
            access_token,
            token_type: "Bearer",
            expires_in: exp.since(now).as_secs(),
            refresh_token,
            scope: scopes.to_string(),
        })
    }
}
