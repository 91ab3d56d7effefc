//! Files that a setting names.

use std::fs::File;
use std::fs::metadata;
use std::io::ErrorKind;
use std::io::Read;

use super::values::Values;

/// Bytes. No bundle of certificates is larger.
const MAX_CA: usize = 1024 * 1024;

const CERTIFICATE: &[u8] = b"-----BEGIN CERTIFICATE-----";

/// The certificates in the file that a setting names; the inner `None` where it names none.
pub(super) fn certificates(values: &mut Values<'_>, key: &str) -> Option<Option<Vec<u8>>> {
    let given = values.is_set(key);
    let certificates = values.text(key, |path| {
        let wanted = "a PEM file of certificates";
        let bytes = read(path, MAX_CA, wanted)?;
        let is_pem = |bytes: &Vec<u8>| bytes.windows(CERTIFICATE.len()).any(|window| window == CERTIFICATE);
        bytes.filter(is_pem).ok_or(format!("There is no certificate in this file. Name {wanted}."))
    });
    (certificates.is_some() || !given).then_some(certificates)
}

/// The bytes of a file; `None` when there are more than `max`. `wanted` says in words what to name.
///
/// # Errors
/// A sentence without anything of the file's content.
pub(super) fn read(path: &str, max: usize, wanted: &str) -> Result<Option<Vec<u8>>, String> {
    // A pipe would be waited for.
    if metadata(path).is_ok_and(|found| !found.is_file()) {
        return Err(format!("This is not a file. Name {wanted}."));
    }
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(max as u64 + 1).read_to_end(&mut bytes)).map_err(
        |error| match error.kind() {
            ErrorKind::NotFound => {
                format!(
                    "There is no such file. Name {wanted}; a relative path starts from the current directory."
                )
            }
            kind => format!("The file cannot be read: {kind}. Name {wanted}."),
        },
    )?;
    Ok((read <= max).then_some(bytes))
}
