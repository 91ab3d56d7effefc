//! Where the root key is kept.

use std::path::Path;
use std::path::PathBuf;

use super::Keys;
use super::Vault;
use super::identity;
use super::syntax;
use super::values::Values;

/// The settings of a key vault alone.
const OF_VAULT: [&str; 3] = ["keys.secret", "keys.credential", "keys.managed_identity"];

pub(super) fn read(values: &mut Values<'_>, data_dir: Option<&Path>) -> Option<Keys> {
    if values.is_set("keys.vault") {
        return vault(values).map(Keys::Vault);
    }
    for key in OF_VAULT.iter().filter(|key| values.is_set(key)).collect::<Vec<_>>() {
        values.problem::<()>(key, "This is only for keys.vault. Take it out, or name the vault there.");
    }
    let given = values.is_set("keys.file");
    match values.text("keys.file", |path| Ok(PathBuf::from(path))) {
        None if !given => data_dir.map(|directory| Keys::File(directory.join("root.key"))),
        file => file.map(Keys::File),
    }
}

fn vault(values: &mut Values<'_>) -> Option<Vault> {
    if values.is_set("keys.file") {
        values.problem::<()>(
            "keys.file",
            "The root key is either in a file or in a vault. Take this out, or keys.vault.",
        );
    }
    let url = values.text("keys.vault", syntax::vault);
    let secret = values.text("keys.secret", syntax::secret_name);
    let word = values.one_of("keys.credential", &identity::WORDS);
    let identity =
        word.and_then(|word| identity::read(values, word, "keys.credential", "keys.managed_identity"));
    Some(Vault { url: url?, secret: secret?, identity: identity? })
}
