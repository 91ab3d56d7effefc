//! Keys: one root, one derived key for each purpose.
//!
//! A credential made for one purpose is noise to every other, and a credential made by one
//! deployment is noise to the next, because the purpose and the issuer are in the derivation.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::aead::AES_256_GCM_SIV;
use aws_lc_rs::aead::Aad;
use aws_lc_rs::aead::LessSafeKey;
use aws_lc_rs::aead::NONCE_LEN;
use aws_lc_rs::aead::Nonce;
use aws_lc_rs::aead::UnboundKey;
use aws_lc_rs::constant_time;
use aws_lc_rs::hkdf;
use aws_lc_rs::hmac;
use secrecy::ExposeSecret;
use secrecy::SecretBox;
use serde::Deserialize;
use serde::Serialize;

use crate::protocol::issuer::Issuer;

/// Bytes of a truncated HMAC-SHA-256 (RFC 2104 §5): 128 bits, against online guessing only.
pub const TAG_LEN: usize = 16;

/// Which root key made something. Every envelope and every MAC names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Generation(pub u8);

/// One generation of the root key: 32 random bytes.
pub struct RootKey {
    pub generation: Generation,
    pub bytes: SecretBox<[u8; 32]>,
}

impl fmt::Debug for RootKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RootKey({}, redacted)", self.generation.0)
    }
}

impl RootKey {
    /// Tells whether a store belongs to this key, and tells nothing else about it.
    ///
    /// Without the issuer in it: another issuer on the same key is another mistake, with other words.
    #[must_use]
    pub fn check_value(&self) -> [u8; 32] {
        derive(self, "entrada/1/check")
    }
}

/// What a key is for. It is part of what is authenticated: nothing stands in for another thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    ClientId,
    ClientSecret,
    /// A login that waits for consent, in the consent form.
    Login,
    /// A login that was consented to, in a cookie.
    Approved,
    Code,
    RefreshToken,
    /// A document in the store.
    Record,
    /// An `Mcp-Session-Id`.
    Session,
    ApiKey,
}

impl Purpose {
    const ALL: [Self; 9] = [
        Self::ClientId,
        Self::ClientSecret,
        Self::Login,
        Self::Approved,
        Self::Code,
        Self::RefreshToken,
        Self::Record,
        Self::Session,
        Self::ApiKey,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::ClientId => "client-id",
            Self::ClientSecret => "client-secret",
            Self::Login => "login",
            Self::Approved => "approved",
            Self::Code => "code",
            Self::RefreshToken => "refresh-token",
            Self::Record => "record",
            Self::Session => "session",
            Self::ApiKey => "api-key",
        }
    }
}

/// Truncated HMAC-SHA-256.
pub type Tag = [u8; TAG_LEN];

/// Something is not authentic: altered, made for another purpose or place, or by a key we no longer have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotAuthentic;

/// The derived keys of all generations that are still known.
pub struct KeyRing {
    generations: Vec<Arc<DerivedKeys>>,
    /// Which of them makes new things.
    current: usize,
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyRing({} generations, redacted)", self.generations.len())
    }
}

struct DerivedKeys {
    generation: Generation,
    /// Indexed by `Purpose as usize`.
    macs: Vec<hmac::Key>,
    aeads: Vec<LessSafeKey>,
}

impl KeyRing {
    /// Derives every key once. `None` when `current`, under which new things are to be made, is not among them.
    #[must_use]
    pub fn derive<'a>(
        issuer: &Issuer,
        roots: impl IntoIterator<Item = &'a RootKey>,
        current: Generation,
    ) -> Option<Self> {
        let generations: Vec<_> =
            roots.into_iter().map(|root| Arc::new(DerivedKeys::new(issuer, root))).collect();
        let current = generations.iter().position(|keys| keys.generation == current)?;
        Some(Self { generations, current })
    }

    /// These generations of it alone, in this order; `None` when one of them is not known. Nothing is derived for that.
    #[must_use]
    pub fn keeping(
        &self,
        generations: impl IntoIterator<Item = Generation>,
        current: Generation,
    ) -> Option<Self> {
        let known = |generation| self.generations.iter().find(|keys| keys.generation == generation).cloned();
        let generations: Vec<_> = generations.into_iter().map(known).collect::<Option<_>>()?;
        let current = generations.iter().position(|keys| keys.generation == current)?;
        Some(Self { generations, current })
    }

    /// The generation under which new things are made.
    #[must_use]
    pub fn current(&self) -> Generation {
        self.issuing().generation
    }

    /// All generations, in the order in which they were given.
    pub fn generations(&self) -> impl Iterator<Item = Generation> {
        self.generations.iter().map(|keys| keys.generation)
    }

    /// Whether there are keys of a generation.
    #[must_use]
    pub fn knows(&self, generation: Generation) -> bool {
        self.of(generation).is_ok()
    }

    /// Whether a generation was made before another one. One that is not known is older than all.
    #[must_use]
    pub fn is_older(&self, one: Generation, other: Generation) -> bool {
        let place = |generation| self.generations().position(|known| known == generation);
        place(one) < place(other)
    }

    /// A MAC over `message`, by the key of `generation`.
    pub fn mac(&self, purpose: Purpose, generation: Generation, message: &[u8]) -> Result<Tag, NotAuthentic> {
        let full = hmac::sign(&self.of(generation)?.macs[purpose as usize], message);
        let mut tag = [0; TAG_LEN];
        tag.copy_from_slice(&full.as_ref()[..TAG_LEN]);
        Ok(tag)
    }

    /// Checks a MAC, in constant time.
    pub fn verify(
        &self,
        purpose: Purpose,
        generation: Generation,
        message: &[u8],
        tag: &[u8],
    ) -> Result<(), NotAuthentic> {
        let expected = self.mac(purpose, generation, message)?;
        constant_time::verify_slices_are_equal(&expected, tag).map_err(|_| NotAuthentic)
    }

    /// Seals `plain` (AES-256-GCM-SIV, RFC 8452: a repeated nonce would not break it), bound to
    /// `place`, which has to be given again to open it.
    #[must_use]
    pub fn seal(&self, purpose: Purpose, place: &[u8], nonce: [u8; NONCE_LEN], plain: Vec<u8>) -> Vec<u8> {
        let keys = self.issuing();
        let mut sealed = Vec::with_capacity(1 + NONCE_LEN + plain.len() + TAG_LEN);
        sealed.push(keys.generation.0);
        sealed.extend_from_slice(&nonce);
        let mut text = plain;
        keys.aeads[purpose as usize]
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(place), &mut text)
            .expect("AES-GCM-SIV seals anything shorter than 2^36 bytes");
        sealed.append(&mut text);
        sealed
    }

    /// Opens what [`KeyRing::seal`] made for the same purpose and place.
    pub fn open(&self, purpose: Purpose, place: &[u8], sealed: &[u8]) -> Result<Vec<u8>, NotAuthentic> {
        let (&generation, rest) = sealed.split_first().ok_or(NotAuthentic)?;
        let (nonce, text) = rest.split_at_checked(NONCE_LEN).ok_or(NotAuthentic)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| NotAuthentic)?;
        let key = &self.of(Generation(generation))?.aeads[purpose as usize];
        let mut text = text.to_vec();
        let length = key.open_in_place(nonce, Aad::from(place), &mut text).map_err(|_| NotAuthentic)?.len();
        text.truncate(length);
        Ok(text)
    }

    fn issuing(&self) -> &DerivedKeys {
        &self.generations[self.current]
    }

    fn of(&self, generation: Generation) -> Result<&DerivedKeys, NotAuthentic> {
        let found = self.generations.iter().find(|keys| keys.generation == generation);
        found.map(AsRef::as_ref).ok_or(NotAuthentic)
    }
}

impl DerivedKeys {
    fn new(issuer: &Issuer, root: &RootKey) -> Self {
        let key = |kind: &str, purpose: Purpose| {
            derive(root, &format!("entrada/1/{issuer}/{}/{kind}", purpose.name()))
        };
        let aead = |purpose| {
            UnboundKey::new(&AES_256_GCM_SIV, &key("seal", purpose))
                .map(LessSafeKey::new)
                .expect("32 bytes are a key of AES-256")
        };
        Self {
            generation: root.generation,
            macs: Purpose::ALL.map(|p| hmac::Key::new(hmac::HMAC_SHA256, &key("mac", p))).into(),
            aeads: Purpose::ALL.map(aead).into(),
        }
    }
}

/// HKDF-SHA-256 (RFC 5869). The root is uniformly random, so the salt may be empty (§3.1).
fn derive(root: &RootKey, info: &str) -> [u8; 32] {
    let mut key = [0; 32];
    hkdf::Salt::new(hkdf::HKDF_SHA256, &[])
        .extract(root.bytes.expose_secret())
        .expand(&[info.as_bytes()], hkdf::HKDF_SHA256)
        .and_then(|output| output.fill(&mut key))
        .expect("HKDF-SHA-256 gives 32 bytes");
    key
}
