//! Authorization codes and refresh tokens: references to a grant, each with a MAC.
//!
//! They hold no secret that the store would have to know: a stolen store holds no token, and garbage
//! is refused before anything is read. A reference is a function of its grant, so that the same
//! successor can be returned twice, byte for byte.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::domain::grant::GrantId;
use crate::domain::keys::Generation;
use crate::domain::keys::KeyRing;
use crate::domain::keys::NotAuthentic;
use crate::domain::keys::Purpose;
use crate::domain::person::UserKey;

const VERSION: u8 = 1;
/// Version, generation, user, grant, n.
const MESSAGE_LEN: usize = 2 + 16 + 16 + 4;

/// What a reference leads to. Prefixes tell secret scanners what they have found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An authorization code (`edac_`).
    Code,
    /// A refresh token (`edr_`).
    RefreshToken,
}

impl Kind {
    fn prefix(self) -> &'static str {
        match self {
            Self::Code => "edac_",
            Self::RefreshToken => "edr_",
        }
    }

    fn purpose(self) -> Purpose {
        match self {
            Self::Code => Purpose::Code,
            Self::RefreshToken => Purpose::RefreshToken,
        }
    }
}

/// The grant that a code or refresh token stands for, and which of its refresh tokens it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reference {
    pub user: UserKey,
    pub grant: GrantId,
    /// `n` of `Active(n)`; 0 in a code.
    pub n: u32,
    /// The generation of the root key that made it.
    pub generation: Generation,
}

impl Reference {
    /// The credential.
    pub fn issue(&self, keys: &KeyRing, kind: Kind) -> Result<String, NotAuthentic> {
        let generation = self.generation;
        let mut bytes = Vec::with_capacity(MESSAGE_LEN + 16);
        bytes.extend([VERSION, generation.0]);
        bytes.extend(self.user.0);
        bytes.extend(self.grant.0);
        bytes.extend(self.n.to_be_bytes());
        let tag = keys.mac(kind.purpose(), generation, &bytes)?;
        bytes.extend(tag);
        Ok(format!("{}{}", kind.prefix(), URL_SAFE_NO_PAD.encode(bytes)))
    }

    /// Reads a credential that somebody presents.
    pub fn read(keys: &KeyRing, kind: Kind, presented: &str) -> Result<Self, NotAuthentic> {
        let text =
            presented.strip_prefix(kind.prefix()).filter(|text| text.len() <= 128).ok_or(NotAuthentic)?;
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| NotAuthentic)?;
        let (message, tag) = bytes.split_first_chunk::<MESSAGE_LEN>().ok_or(NotAuthentic)?;
        let [VERSION, generation, rest @ ..] = message else { return Err(NotAuthentic) };
        let generation = Generation(*generation);
        keys.verify(kind.purpose(), generation, message, tag)?;
        let (user, rest) = rest.split_first_chunk::<16>().ok_or(NotAuthentic)?;
        let (grant, rest) = rest.split_first_chunk::<16>().ok_or(NotAuthentic)?;
        let n = rest.try_into().map(u32::from_be_bytes).map_err(|_| NotAuthentic)?;
        Ok(Self { user: UserKey(*user), grant: GrantId(*grant), n, generation })
    }
}
