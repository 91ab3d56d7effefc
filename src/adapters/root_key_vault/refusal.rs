//! What Key Vault says when it does not do what it was asked, in words for the operator.

use serde::Deserialize;

use crate::ports::root_key::RootKeyError;

/// What an answer that is no success means.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    Absent,
    Disabled,
    /// The next request may be carried out.
    Again(String),
    /// None will, until somebody has changed something.
    Wrong(String),
}

pub(super) const NO_VAULT: &str =
    "What answers at keys.vault is no key vault. Write the URI that the vault's overview shows";

const UNKNOWN_IDENTITY: &str = "Key Vault does not accept the credential (401). See that the identity and the vault belong to \
    the same tenant, and that keys.vault is in the cloud that the identity is in";

const NO_ROLE: &str = "Key Vault refuses the credential (403). Give the identity the role \"Key Vault Secrets Officer\" on this \
    vault, which can take some minutes to count; a vault that goes by access policies needs list, get and set for secrets";

const FIREWALL: &str = "The firewall of the key vault does not let this machine in (403). Let its network in, or give the \
    vault a private endpoint there";

const DELETED: &str = "The secret that keys.secret names was deleted, and can be recovered (409). Recover it, as with \
    `az keyvault secret recover`; or, for a store that is new, purge it or name another";

/// An error of Key Vault. Its message is not used: it quotes ids.
#[derive(Default, Deserialize)]
struct Failed {
    #[serde(default)]
    error: Failure,
}

#[derive(Default, Deserialize)]
struct Failure {
    #[serde(default)]
    code: String,
    #[serde(default, alias = "innerError")]
    innererror: Option<Inner>,
}

#[derive(Deserialize)]
struct Inner {
    #[serde(default)]
    code: String,
}

/// What a status and its body mean.
pub(super) fn of(status: u16, body: &[u8]) -> Refusal {
    let Failure { code, innererror } = serde_json::from_slice::<Failed>(body).unwrap_or_default().error;
    let inner = innererror.map(|inner| inner.code).unwrap_or_default();
    let wrong = |words: &str| Refusal::Wrong(words.to_owned());
    match (status, inner.as_str()) {
        (401, _) => wrong(UNKNOWN_IDENTITY),
        (403, "SecretDisabled") => Refusal::Disabled,
        (403, "ForbiddenByFirewall" | "ForbiddenByConnection") => wrong(FIREWALL),
        (403, _) => wrong(NO_ROLE),
        (404, _) => Refusal::Absent,
        (409, "ObjectIsDeletedButRecoverable") => wrong(DELETED),
        (429, _) => Refusal::Again("it throttles (429)".to_owned()),
        (408 | 409 | 500.., _) => Refusal::Again(format!("it answered {}", told(status, &code))),
        (300..=399, _) => wrong(NO_VAULT),
        _ => Refusal::Wrong(format!(
            "Key Vault does not take the request: it answered {}",
            told(status, &code)
        )),
    }
}

/// The code beside the status, if it is one.
fn told(status: u16, code: &str) -> String {
    let is_word =
        !code.is_empty() && code.len() <= 64 && code.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if is_word { format!("{status} {code}") } else { status.to_string() }
}

/// It cannot be asked now.
pub(super) fn away(words: &str) -> RootKeyError {
    RootKeyError::Away(format!("the key vault is away: {words}"))
}
