//! Files that a setting names.

use std::fs::File;
use std::fs::metadata;
use std::io::ErrorKind;
use std::io::Read;

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
