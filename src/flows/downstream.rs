//! The token that the gateway sends upstream in place of the client's.
//!
//! Its audience is the upstream URL: it is of no use at this gateway, nor at any other server.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use moka::sync::Cache;
use url::Url;

use crate::domain::access_token::Caller;
use crate::domain::policy::DOWNSTREAM_TOKEN;
use crate::domain::signing::BadKey;
use crate::domain::time::Timestamp;
use crate::flows::AuthServer;

/// A cached token has to live at least this long still, for the sake of the server that checks it.
const MARGIN: Duration = Duration::from_secs(60);

/// Downstream tokens by the `jti` of the access token that they stand for, so that a request costs no
/// signature.
pub(in crate::flows) struct DownstreamTokens(Cache<String, (Arc<str>, Timestamp)>);

impl Default for DownstreamTokens {
    fn default() -> Self {
        Self(Cache::builder().max_capacity(20_000).time_to_live(DOWNSTREAM_TOKEN).build())
    }
}

impl AuthServer {
    /// A token with the caller's identity for the server at `upstream`.
    pub fn downstream_token(&self, caller: &Caller, upstream: &Url) -> Result<Arc<str>, BadKey> {
        let now = self.now();
        let cache = &self.0.downstream_tokens.0;
        let claims = caller.claims();
        if let Some((token, _)) =
            cache.get(&claims.jti).filter(|(_, exp)| now.plus(MARGIN) <= *exp || *exp == claims.exp)
        {
            return Ok(token);
        }
        // Nothing that it stands for ends before it.
        let exp = now.plus(DOWNSTREAM_TOKEN).min(claims.exp);
        let claims_there = claims.readdressed(upstream.as_str(), now, exp, self.token_id());
        let token: Arc<str> = self.signing_keys().active(now).sign(&claims_there)?.into();
        cache.insert(claims.jti.clone(), (Arc::clone(&token), exp));
        Ok(token)
    }

    /// A `jti`.
    pub(in crate::flows) fn token_id(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.random::<16>())
    }
}
