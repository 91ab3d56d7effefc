//! Sealed values: what only we can read, wherever it lies.

use std::marker::PhantomData;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::domain::keys::KeyRing;
use crate::domain::keys::NotAuthentic;
use crate::domain::keys::Purpose;

/// Version of what is sealed compactly: its encoding does not describe itself, so that another version's
/// must not open.
const COMPACT_LAYOUT: &[u8] = b"1";

/// Random bytes for one sealing.
pub type SealNonce = [u8; 12];

/// A value as an AEAD envelope: generation, nonce, ciphertext with tag.
///
/// Sealing compresses nothing and pads nothing: the length of the value shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sealed<T> {
    bytes: Vec<u8>,
    value: PhantomData<fn() -> T>,
}

impl<T> Sealed<T> {
    /// Takes bytes that somebody handed us; only opening them tells what they are.
    #[must_use]
    pub fn from_bytes(bytes: Vec<u8>) -> Self {
        Self { bytes, value: PhantomData }
    }

    /// Takes base64url text. Text that is none becomes an envelope that never opens.
    #[must_use]
    pub fn from_text(text: &str) -> Self {
        Self::from_bytes(URL_SAFE_NO_PAD.decode(text).unwrap_or_default())
    }

    /// The envelope, for the store.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// The envelope in base64url, for forms and cookies.
    #[must_use]
    pub fn to_text(&self) -> String {
        URL_SAFE_NO_PAD.encode(&self.bytes)
    }
}

impl<T: Serialize + DeserializeOwned> Sealed<T> {
    /// Seals a value that lives for minutes and travels in a browser, as compactly as it goes.
    #[must_use]
    pub fn compact(keys: &KeyRing, purpose: Purpose, nonce: SealNonce, value: &T) -> Self {
        let plain = postcard::to_stdvec(value).expect("plain data serialises");
        Self::from_bytes(keys.seal(purpose, COMPACT_LAYOUT, nonce, plain))
    }

    /// Opens what [`Sealed::compact`] made.
    pub fn open_compact(&self, keys: &KeyRing, purpose: Purpose) -> Result<T, NotAuthentic> {
        let plain = keys.open(purpose, COMPACT_LAYOUT, &self.bytes)?;
        postcard::from_bytes(&plain).map_err(|_| NotAuthentic)
    }

    /// Seals the body of a document, as JSON: a later version of the program has to read it.
    #[must_use]
    pub fn record(keys: &KeyRing, place: &str, nonce: SealNonce, value: &T) -> Self {
        let plain = serde_json::to_vec(value).expect("plain data serialises");
        Self::from_bytes(keys.seal(Purpose::Record, place.as_bytes(), nonce, plain))
    }

    /// Opens what [`Sealed::record`] made at the same place.
    pub fn open_record(&self, keys: &KeyRing, place: &str) -> Result<T, NotAuthentic> {
        let plain = keys.open(Purpose::Record, place.as_bytes(), &self.bytes)?;
        serde_json::from_slice(&plain).map_err(|_| NotAuthentic)
    }
}
