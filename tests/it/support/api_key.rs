//! API keys, as an operator makes them.

use std::time::Duration;

use entrada::flows::administer_keys::MadeKey;
use entrada::flows::administer_keys::NewKey;
use entrada::protocol::scope::Scopes;

use crate::support::entrada::Entrada;

/// One that reads, for 90 days.
pub fn new(name: &str) -> NewKey {
    NewKey {
        name: name.to_owned(),
        owner: "ada".to_owned(),
        resource: "/mcp".to_owned(),
        scopes: Scopes::parse("mcp.read"),
        expires_in: Duration::from_hours(90 * 24),
        rate: None,
    }
}

/// Makes it. From then on it may be seen nowhere.
pub async fn made(entrada: &Entrada, new: NewKey) -> MadeKey {
    let made = entrada.auth.make_key(new).await.unwrap();
    entrada.vigil.never(made.text.expose());
    made
}
