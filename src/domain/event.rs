//! The audit trail: what is worth knowing afterwards, by ids only, never a credential.

/// Everything that is recorded. The table in `docs/events.md` is this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EventName {
    ClientRegistered,
    DocumentRefused,
    DocumentKept,
    ConsentShown,
    ConsentApproved,
    ConsentDenied,
    SignInCompleted,
    CodeRedeemed,
    CodeReplayed,
    TokenRefreshed,
    TokenRepeated,
    TokenReplayed,
    TokenAhead,
    GrantRevoked,
    KeyUsed,
    KeyExpiring,
    RequestRefused,
    UpstreamRefused,
    KeysRotated,
    StoreAway,
    AdministrationUsed,
}

impl EventName {
    /// Every name, in the order of the table.
    pub const ALL: [Self; 21] = [
        Self::ClientRegistered,
        Self::DocumentRefused,
        Self::DocumentKept,
        Self::ConsentShown,
        Self::ConsentApproved,
        Self::ConsentDenied,
        Self::SignInCompleted,
        Self::CodeRedeemed,
        Self::CodeReplayed,
        Self::TokenRefreshed,
        Self::TokenRepeated,
        Self::TokenReplayed,
        Self::TokenAhead,
        Self::GrantRevoked,
        Self::KeyUsed,
        Self::KeyExpiring,
        Self::RequestRefused,
        Self::UpstreamRefused,
        Self::KeysRotated,
        Self::StoreAway,
        Self::AdministrationUsed,
    ];

    /// The name as it is written: `consent.shown`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.row().0
    }

    /// What it means, for the table.
    #[must_use]
    pub fn meaning(self) -> &'static str {
        self.row().1
    }

    /// The fields that it can carry.
    #[must_use]
    pub fn fields(self) -> &'static [&'static str] {
        self.row().2
    }

    fn row(self) -> (&'static str, &'static str, &'static [&'static str]) {
        match self {
            Self::ClientRegistered => (
                "client.registered",
                "A client registered itself, which stores nothing; the host is that of its first redirect URI.",
                &["client", "redirect_host"],
            ),
            Self::DocumentRefused => (
                "document.refused",
                "A client's metadata document (`metadata`) or key set (`jwks`) was fetched and not given, or does not hold; the reason says which of the two, and why.",
                &["client", "document_host", "call", "reason"],
            ),
            Self::DocumentKept => (
                "document.kept",
                "Its host does not give it at the moment: the last good copy serves, for 7 days at most.",
                &["client", "document_host", "call"],
            ),
            Self::ConsentShown => (
                "consent.shown",
                "A verified authorization request was answered with the consent page; `document` is the hash of the metadata document by which it named the client.",
                &["client", "document", "redirect_host", "resource", "scope"],
            ),
            Self::ConsentApproved => (
                "consent.approved",
                "A person approved; the browser was sent to the identity provider.",
                &["client", "document", "redirect_host", "resource", "scope"],
            ),
            Self::ConsentDenied => (
                "consent.denied",
                "A person declined.",
                &["client", "document", "redirect_host", "resource", "scope"],
            ),
            Self::SignInCompleted => (
                "signin.completed",
                "The identity provider vouched for a person; a grant exists and its code is out.",
                &["client", "grant", "subject", "redirect_host", "resource", "scope"],
            ),
            Self::CodeRedeemed => (
                "code.redeemed",
                "A code became an access token, and a refresh token where the provider gave one.",
                &["client", "grant", "subject", "resource", "scope"],
            ),
            Self::CodeReplayed => (
                "code.replayed",
                "A redeemed code came again with full proof, too late for a retry; the grant was revoked.",
                &["client", "grant", "subject", "resource", "scope"],
            ),
            Self::TokenRefreshed => (
                "token.refreshed",
                "A refresh token became its successor and a new access token.",
                &["client", "grant", "subject", "resource", "scope", "n"],
            ),
            Self::TokenRepeated => (
                "token.repeated",
                "The refresh token before the current one came within the grace; it got the same successor.",
                &["client", "grant", "subject", "resource", "scope", "n"],
            ),
            Self::TokenReplayed => (
                "token.replayed",
                "A refresh token came again after the grace; the grant was revoked.",
                &["client", "grant", "subject", "resource", "scope", "n"],
            ),
            Self::TokenAhead => (
                "token.ahead",
                "A refresh token of ours came of which the store knows nothing: it has lost its last writes, in a fail-over or because a backup was put back. It is taken.",
                &["client", "grant", "subject", "resource", "scope", "n"],
            ),
            Self::GrantRevoked => (
                "grant.revoked",
                "A grant ended; the reason says why.",
                &["client", "grant", "subject", "resource", "scope", "reason"],
            ),
            Self::KeyUsed => (
                "key.used",
                "An API key was used; `n` requests since the last such event of this process, at most a minute before.",
                &["subject", "resource", "n"],
            ),
            Self::KeyExpiring => (
                "key.expiring",
                "An API key ends in `n` days and was not rotated yet: once a day in its last 14, or in the last quarter of a short life.",
                &["subject", "name", "resource", "n"],
            ),
            Self::RequestRefused => (
                "request.refused",
                "A request was refused; the reason is ours, the client saw a code. The client is the one that was named, known or not; at the gateway client and person are those of the token, or the subject is the API key, and `scope` is what would be needed.",
                &["endpoint", "status", "reason", "client", "subject", "redirect_host", "scope"],
            ),
            Self::UpstreamRefused => (
                "upstream.refused",
                "The identity provider did not do what was asked; code and ids as it gave them.",
                &["call", "reason", "upstream_code", "correlation_id"],
            ),
            Self::AdministrationUsed => (
                "administration.used",
                "An operator gave a command; `n` grants, clients or API keys were concerned, or the client that is named was blocked or let in again, or the API key made, rotated or revoked.",
                &[
                    "operation",
                    "n",
                    "client",
                    "redirect_host",
                    "document_host",
                    "subject",
                    "name",
                    "resource",
                    "scope",
                ],
            ),
            Self::KeysRotated => (
                "keys.rotated",
                "There is a new signing key (`signing`, or `signing_compromised` in the place of all others) or generation of the root key (`root`, `root_compromised`); `n` is the generation.",
                &["operation", "n"],
            ),
            Self::StoreAway => (
                "store.away",
                "The store did not answer, or what it holds cannot be read.",
                &["operation", "client", "reason"],
            ),
        }
    }
}

/// One thing that happened. Absent fields are not written.
#[derive(Clone, Debug, Default)]
pub struct Event {
    pub client: Option<String>,
    /// The `sid`.
    pub grant: Option<String>,
    /// `tid:oid`, or an API key's `key:…`.
    pub subject: Option<String>,
    /// What the operator calls an API key.
    pub name: Option<String>,
    pub redirect_host: Option<String>,
    /// A short hash of a client's metadata document.
    pub document: Option<String>,
    /// Where it lies.
    pub document_host: Option<String>,
    pub resource: Option<String>,
    pub scope: Option<String>,
    /// Which refresh token, counted from 0; or how many grants, requests or days.
    pub n: Option<u32>,
    pub endpoint: Option<String>,
    pub status: Option<u16>,
    pub reason: Option<&'static str>,
    pub call: Option<&'static str>,
    pub operation: Option<&'static str>,
    /// `AADSTS…` without its prefix.
    pub upstream_code: Option<u32>,
    pub correlation_id: Option<String>,
}
