//! Redeeming an authorization code (RFC 6749 §4.1.3): one read, one swap.

use crate::domain::document::Version;
use crate::domain::event::EventName;
use crate::domain::grant::CODE_RETRY;
use crate::domain::grant::Grant;
use crate::domain::grant::Phase;
use crate::domain::reference::Kind;
use crate::domain::reference::Reference;
use crate::domain::resource::Resource;
use crate::domain::time::Timestamp;
use crate::flows::AuthServer;
use crate::flows::authenticate::Authenticated;
use crate::flows::grants::Loaded;
use crate::flows::token::Reason;
use crate::flows::token::Usable;
use crate::protocol::parameters::Parameters;
use crate::protocol::token::TokenResponse;

impl AuthServer {
    /// Everything is proved before anything is spent; the swap comes before the token, so that a crash
    /// between them costs a sign-in and never makes a second token.
    pub(in crate::flows) async fn exchange(
        &self,
        client: &Authenticated,
        form: &Parameters,
    ) -> Result<TokenResponse, Reason> {
        let code = form.one("code")?.ok_or(Reason::CodeMissing)?;
        let verifier = form.one("code_verifier")?.ok_or(Reason::VerifierMissing)?;
        let redirect_uri = form.one("redirect_uri")?;
        let Reference { user, grant, .. } =
            Reference::read(&self.keys(), Kind::Code, code).map_err(|_| Reason::CodeGarbage)?;
        let Loaded { grant, version, write_id } =
            self.load_grant(user, grant).await?.ok_or(Reason::CodeUnknown)?;
        let Usable { resource, scopes } = self.check_use(&grant, client, form).await?;
        // OAuth 2.1 drops the parameter; clients of 2.0 send it, and then it has to be the same.
        if redirect_uri.is_some_and(|uri| uri != grant.body.redirect_uri.as_str()) {
            return Err(Reason::RedirectMismatch);
        }
        if !grant.body.code_challenge.is_met_by(verifier) {
            return Err(Reason::VerifierMismatch);
        }
        let now = self.now();
        let settles = grant.phase == Phase::Active(0) && self.settles(&grant, write_id).await;
        if grant.phase != Phase::Pending && !settles {
            return Err(self.spent_again(&grant, now).await);
        }
        let active = match grant.phase {
            Phase::Pending => self.redeemed(grant, &version, client, resource, now).await?,
            // Our own swap, whose answer was lost: nobody has been given a token for it.
            _ => grant,
        };
        self.record(EventName::CodeRedeemed, active.event());
        Ok(self.mint(&active, resource, &scopes, now)?)
    }

    /// `Pending → Active(0)`, in the store.
    async fn redeemed(
        &self,
        grant: Grant,
        version: &Version,
        client: &Authenticated,
        resource: &Resource,
        now: Timestamp,
    ) -> Result<Grant, Reason> {
        let lifetimes = &self.policy().lifetimes;
        if now >= grant.code_expires_at(lifetimes) {
            return Err(Reason::CodeExpired);
        }
        let mut active = grant.redeemed(now, lifetimes, resource.access).ok_or(Reason::CodeSpent)?;
        active.body.generation = self.keys().current();
        active.body.note_client(client.client.auth_method, client.assertion);
        self.advance_grant(&active, version).await?;
        Ok(active)
    }

    /// A redeemed code came again, with the client's authentication and the verifier. Shortly after, it
    /// is a client that lost the answer; later, somebody has them all: the grant ends (RFC 6749 §4.1.2).
    async fn spent_again(&self, grant: &Grant, now: Timestamp) -> Reason {
        let redeemed_at = grant.body.redeemed_at.unwrap_or(grant.body.created_at);
        if now <= redeemed_at.plus(CODE_RETRY) {
            return Reason::CodeSpent;
        }
        self.record(EventName::CodeReplayed, grant.event());
        match self.end_grant(grant.user, grant.id, "code_replayed").await {
            Ok(_) => Reason::CodeReplayed,
            Err(error) => error.into(),
        }
    }
}
