//! As whom Entrada comes to Azure.

use super::Identity;
use super::syntax;
use super::values::Values;

/// One of the words that name an identity.
#[derive(Clone, Copy)]
pub(super) enum Word {
    Managed,
    Workload,
    Developer,
}

/// The words, as they are written.
pub(super) const WORDS: [(&str, Word); 3] = [
    ("managed-identity", Word::Managed),
    ("workload-identity", Word::Workload),
    ("developer", Word::Developer),
];

/// What a word says together with the setting `id`, the client id. `credential` is the setting that has the word.
pub(super) fn read(values: &mut Values<'_>, word: Word, credential: &str, id: &str) -> Option<Identity> {
    Some(match word {
        Word::Managed => Identity::Managed { client_id: client_id(values, id)? },
        Word::Workload => Identity::Workload { client_id: client_id(values, id)? },
        Word::Developer => {
            values.refuse(id, credential, "managed-identity");
            Identity::Developer
        }
    })
}

/// The inner `None` is the identity that the machine has by itself.
fn client_id(values: &mut Values<'_>, key: &str) -> Option<Option<String>> {
    let given = values.is_set(key);
    let id = values.text(key, syntax::client_id_of_identity);
    (id.is_some() || !given).then_some(id)
}
