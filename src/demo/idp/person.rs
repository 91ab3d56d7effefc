use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::Digest;
use sha2::Sha256;

/// Someone who can sign in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// The object id: a GUID, the same for every client of the tenant.
    pub oid: String,
    /// The tenant: a GUID.
    pub tid: String,
    /// The name for display.
    pub name: String,
    /// The e-mail address that the person types at sign-in.
    pub preferred_username: String,
    /// App roles. Left out of the ID token when empty.
    pub roles: Vec<String>,
    /// Group ids. Left out of the ID token when empty, and where it has no room for them.
    pub groups: Vec<String>,
    /// Whether they are a guest of the tenant, rather than a member.
    pub guest: bool,
}

impl Person {
    /// Three people of one tenant: an administrator with a group, a reader, and someone with neither
    /// roles nor groups whose name is not ASCII.
    pub fn three(tenant: &str) -> Vec<Self> {
        let person = |oid: &str, name: &str, user: &str, roles: &[&str], groups: &[&str]| Self {
            oid: oid.to_owned(),
            tid: tenant.to_owned(),
            name: name.to_owned(),
            preferred_username: format!("{user}@contoso.example"),
            roles: roles.iter().map(ToString::to_string).collect(),
            groups: groups.iter().map(ToString::to_string).collect(),
            guest: false,
        };
        vec![
            person(
                "0a1c0de0-0000-4000-8000-000000000001",
                "Ada Park",
                "ada",
                &["Tools.Admin", "Tools.Read"],
                &["0e0a9b1c-0000-4000-8000-0000000000a1"],
            ),
            person("0a1c0de0-0000-4000-8000-000000000002", "Ben Okafor", "ben", &["Tools.Read"], &[]),
            person("0a1c0de0-0000-4000-8000-000000000003", "Zoë Ångström", "zoe", &[], &[]),
        ]
    }

    /// An identifier that differs from client to client (OpenID Connect Core §8.1).
    pub(super) fn pairwise_sub(&self, client_id: &str) -> String {
        digest(&[client_id, &self.tid, &self.oid])
    }

    /// An identifier that is the same for every client and does not give the `oid` away.
    pub(super) fn public_sub(&self) -> String {
        digest(&["public", &self.tid, &self.oid])
    }
}

fn digest(parts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part.len().to_be_bytes());
        hash.update(part);
    }
    URL_SAFE_NO_PAD.encode(hash.finalize())
}
