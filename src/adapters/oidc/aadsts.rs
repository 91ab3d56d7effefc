//! What the error numbers of Entra (`AADSTS…`) mean to the person who meets one, and who has to act.
//!
//! The meanings are those of Microsoft's list,
//! <https://learn.microsoft.com/entra/identity-platform/reference-error-codes>. It lacks 28000, 650053, 70021,
//! 700211, 700212, 700213, 7002138, 70044 and 9010010, whose texts many people have quoted. Numbers may change, the list says: one that
//! is not here falls back on the OAuth error.

/// A row of the table.
#[derive(Debug)]
pub(super) struct Row {
    pub codes: &'static [u32],
    pub meaning: Meaning,
    /// For the person: what happened, and what to do next.
    pub sentence: &'static str,
}

/// What became of the sign-in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// The person declined.
    Declined,
    /// This account or device is not let in.
    Denied,
    /// Nobody has consented who may.
    NotConsented,
    /// It has ended, or needs the person once more: starting again helps.
    Again,
    /// Our registration or our settings are wrong.
    Refused,
    /// It is busy or failing.
    Away,
}

/// The row of a number.
pub(super) fn row(code: u32) -> Option<&'static Row> {
    TABLE.iter().find(|row| row.codes.contains(&code))
}

const fn new(codes: &'static [u32], meaning: Meaning, sentence: &'static str) -> Row {
    Row { codes, meaning, sentence }
}

const TABLE: &[Row] = &[
    // What the person can do.
    new(
        &[65_004],
        Meaning::Declined,
        "You declined at the sign-in service. Start again from your application to change your mind.",
    ),
    new(
        &[50_072, 50_074, 50_076, 50_078, 50_079],
        Meaning::Again,
        "Your organization asks for multifactor authentication, and it was not completed. Start again from your application and complete it; if you cannot, ask an administrator of your organization.",
    ),
    new(
        &[50_158],
        Meaning::Again,
        "Your organization asks for a further check by another service, and it was not passed. Start again from your application and complete it; if you cannot, ask an administrator of your organization.",
    ),
    new(
        &[50_173, 70_008, 70_043, 70_044, 700_082],
        Meaning::Again,
        "This sign-in has expired or was revoked at the sign-in service. Start again from your application.",
    ),
    new(
        &[54_005],
        Meaning::Again,
        "A sign-in works once, and this one was used already. Start again from your application.",
    ),
    new(
        &[50_055, 50_144],
        Meaning::Denied,
        "Your password has expired. Change it, or ask an administrator of your organization to reset it; then start again from your application.",
    ),
    new(
        &[50_053],
        Meaning::Denied,
        "Your account is locked after too many attempts, or the sign-in came from an address that is blocked. Wait a while and start again, or ask an administrator of your organization.",
    ),
    new(
        &[16_000, 16_003, 50_014, 50_020, 50_034, 51_004, 90_072],
        Meaning::Denied,
        "This account is not known in the organization that this server is for. Start again and sign in with an account that is, or ask an administrator of that organization to add yours as a guest, if this server lets guests in.",
    ),
    // What an administrator of the tenant can do.
    new(
        &[50_105],
        Meaning::Denied,
        "Your account is not among those that may use this server. Ask an administrator of your organization to assign you to the enterprise application of this server: in the Microsoft Entra admin center, at Enterprise apps, the one with the application ID below, Users and groups.",
    ),
    new(
        &[50_057],
        Meaning::Denied,
        "Your account is disabled. Ask an administrator of your organization to enable it.",
    ),
    new(
        &[53_000],
        Meaning::Denied,
        "Your organization asks for a device that complies with its rules, and this one does not. Enrol it, or start again on one that does; an administrator of your organization knows how.",
    ),
    new(
        &[53_001],
        Meaning::Denied,
        "Your organization asks for a device that has joined its domain, and this one has not. Start again on one that has, or ask an administrator of your organization.",
    ),
    new(
        &[53_003, 530_032],
        Meaning::Denied,
        "A Conditional Access policy of your organization blocks this sign-in. An administrator of your organization finds which one in the sign-in logs of the Microsoft Entra admin center, by the correlation ID below.",
    ),
    new(
        &[53_011, 530_034],
        Meaning::Denied,
        "This sign-in is blocked because your home organization sees a risk with your account. Ask an administrator there.",
    ),
    new(
        &[65_001, 90_008, 90_094, 90_095],
        Meaning::NotConsented,
        "Your organization has not consented to this server's application yet. Ask an administrator of your organization to grant it admin consent, at the address below; then start again from your application.",
    ),
    // What whoever runs the server can do.
    new(
        &[7_000_215],
        Meaning::Refused,
        "The sign-in service does not accept this server's client secret. Whoever runs the server has to set upstream.client_secret to the value of the secret, not to its ID.",
    ),
    new(
        &[7_000_222],
        Meaning::Refused,
        "This server's client secret has expired. Whoever runs the server has to make a new one in Entra and set it as upstream.client_secret.",
    ),
    new(
        &[7_000_218],
        Meaning::Refused,
        "The sign-in service has got no credential from this server. Whoever runs the server has to check upstream.credential, and under which platform its redirect URI is registered: it has to be Web.",
    ),
    new(
        &[70_021, 700_211, 700_212, 700_213, 7_002_138],
        Meaning::Refused,
        "The sign-in service knows no federated credential that fits this server. Whoever runs the server has to compare its issuer, subject and audience; one that was just made takes some minutes to count.",
    ),
    new(
        &[700_024, 700_027],
        Meaning::Refused,
        "The sign-in service does not accept what this server proves itself by. Whoever runs the server has to compare upstream.certificate_file with the certificates of the application, which expire, and the server's clock with the time.",
    ),
    new(
        &[700_025],
        Meaning::Refused,
        "The sign-in service takes this server for a public client. Whoever runs the server has to register its redirect URI under the platform Web.",
    ),
    new(
        &[50_011],
        Meaning::Refused,
        "The redirect URI of this server is not registered at the sign-in service. Whoever runs the server has to register public_url followed by /auth/callback, exactly, under the platform Web.",
    ),
    new(
        &[700_016],
        Meaning::Refused,
        "The organization does not know this server's application. Whoever runs the server has to check upstream.client_id and upstream.tenant.",
    ),
    new(
        &[7_000_112],
        Meaning::Refused,
        "This server's application is disabled at the sign-in service. Whoever runs the server has to have it enabled there.",
    ),
    new(
        &[28_002, 500_011, 650_053, 70_011],
        Meaning::Refused,
        "A scope that this server asks for does not exist at the sign-in service. Whoever runs the server has to check upstream.scopes.",
    ),
    new(
        &[28_000, 700_022],
        Meaning::Refused,
        "This server asks for scopes of more than one API at once. Whoever runs the server has to keep those of one in upstream.scopes.",
    ),
    new(
        &[90_009],
        Meaning::Refused,
        "This server's own application is named by a URI where its ID is needed. Whoever runs the server has to write upstream.scopes with the client ID.",
    ),
    // We never send `resource`, and always `scope`.
    new(
        &[900_144, 901_002, 9_010_010],
        Meaning::Refused,
        "The sign-in service does not understand how this server asks. This is a defect: whoever runs the server should report it.",
    ),
    // What time can do.
    new(
        &[50_033, 90_006, 90_012, 90_024, 90_033, 90_055, 90_090],
        Meaning::Away,
        "The sign-in service is busy or failing at the moment. Try again in a minute.",
    ),
    // It comes as `invalid_grant`, and is about how often this server asks.
    new(
        &[50_196],
        Meaning::Away,
        "The sign-in service has had too many requests of one kind from this server. Try again in some minutes; if it stays so, whoever runs the server finds the reason in its log.",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_has_one_row() {
        let mut codes: Vec<u32> = TABLE.iter().flat_map(|row| row.codes).copied().collect();
        let count = codes.len();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), count);
        for code in codes {
            assert!(row(code).is_some());
        }
        assert!(row(1).is_none());
    }

    #[test]
    fn every_sentence_says_who_can_act() {
        for Row { codes, meaning, sentence } in TABLE {
            assert!(sentence.ends_with('.') && sentence.is_ascii(), "{codes:?}");
            let who: &[&str] = match meaning {
                Meaning::Declined | Meaning::Again => &["tart again"],
                Meaning::Denied | Meaning::NotConsented => {
                    &["tart again", "sk an administrator", "An administrator"]
                }
                Meaning::Refused => &["hoever runs the server"],
                Meaning::Away => &["Try again"],
            };
            assert!(who.iter().any(|who| sentence.contains(who)), "{codes:?}: {sentence}");
        }
    }
}
