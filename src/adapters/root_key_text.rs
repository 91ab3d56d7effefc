//! A generation of the root key as text: its number and 32 bytes in base64url, as in `1 mVx…`.

use base64::DecodeSliceError;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::ExposeSecret;
use secrecy::SecretBox;
use secrecy::zeroize::Zeroizing;

use crate::domain::keys::Generation;
use crate::domain::keys::RootKey;

/// Writes it. The text needs no escapes in JSON.
pub(super) fn written(key: &RootKey) -> Zeroizing<String> {
    let bytes = Zeroizing::new(URL_SAFE_NO_PAD.encode(key.bytes.expose_secret()));
    Zeroizing::new(format!("{} {}", key.generation.0, *bytes))
}

/// Reads it, or says in words what it has that it should not.
pub(super) fn read(text: &str) -> Result<RootKey, &'static str> {
    let malformed = "has something that is not a generation and its key";
    let (number, encoded) = text.split_once(char::is_whitespace).ok_or(malformed)?;
    let generation = number.parse::<u8>().map_err(|_| malformed)?;
    // Twice the length, so that a key that is too long is told from one that cannot be decoded.
    let mut decoded = Zeroizing::new([0; 64]);
    let wrong_length = "has a key that is not 32 bytes long";
    let length =
        URL_SAFE_NO_PAD.decode_slice(encoded.trim_start(), decoded.as_mut_slice()).map_err(|error| {
            match error {
                DecodeSliceError::OutputSliceTooSmall => wrong_length,
                DecodeSliceError::DecodeError(_) => "has a key that is not base64url without padding",
            }
        })?;
    if length != 32 {
        return Err(wrong_length);
    }
    let bytes = SecretBox::init_with_mut(|bytes: &mut [u8; 32]| bytes.copy_from_slice(&decoded[..32]));
    Ok(RootKey { generation: Generation(generation), bytes })
}
