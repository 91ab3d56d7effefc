//! What Entra ID refuses.

use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;

use async_trait::async_trait;
use entrada::demo::idp::Endpoint;
use entrada::demo::idp::Reply;
use entrada::demo::idp::Script;

#[derive(Default)]
struct Numbers {
    /// `AADSTS…`, at the sign-in page.
    sign_in: Option<u32>,
    /// At the token endpoint, and how often.
    token: Option<(u32, usize)>,
}

#[derive(Default)]
pub struct Trouble(Mutex<Numbers>);

impl Trouble {
    pub fn at_sign_in(&self, number: u32) {
        self.numbers().sign_in = Some(number);
    }

    pub fn at_token(&self, number: u32, times: usize) {
        self.numbers().token = Some((number, times));
    }

    pub fn over(&self) {
        *self.numbers() = Numbers::default();
    }

    /// How many refusals of the token endpoint are left.
    pub fn left(&self) -> usize {
        self.numbers().token.map_or(0, |(_, times)| times)
    }

    fn numbers(&self) -> MutexGuard<'_, Numbers> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Script for Trouble {
    async fn before(&self, endpoint: Endpoint, _: &[(String, String)]) -> Option<Reply> {
        let mut numbers = self.numbers();
        let description = "Refused.".to_owned();
        match endpoint {
            Endpoint::Authorize => numbers.sign_in.map(|aadsts| Reply::Redirect {
                error: "access_denied".to_owned(),
                aadsts,
                description,
            }),
            Endpoint::Token => match &mut numbers.token {
                Some((number, times)) if *times > 0 => {
                    *times -= 1;
                    let error = "invalid_client".to_owned();
                    Some(Reply::Error { status: 401, error, aadsts: *number, description })
                }
                _ => None,
            },
            _ => None,
        }
    }
}
