//! What an answer of the provider means that is an error. Its text goes nowhere.

use http::StatusCode;
use serde_json::Value;
use url::Url;
use uuid::Uuid;

use crate::ports::idp::UpstreamError;
use crate::ports::idp::UpstreamReason;

use super::aadsts::Meaning;
use super::entra;
use super::http_client::Answer;
use super::realm::Realm;

/// What an answer with an error status means for a document that everybody may read.
pub(super) fn of_document(answer: &Answer, what: &'static str) -> UpstreamError {
    UpstreamError::Away(Said::read(&answer.body).reason(what))
}

/// What an error answer of the token endpoint means (RFC 6749 §5.2).
///
/// `Ended` costs a person their session, so it is for the two codes alone that say so, and not even for
/// those when the number says that the trouble is not the person's.
pub(super) fn of_token_request(answer: &Answer, realm: &Realm) -> UpstreamError {
    let (said, meaning) = Said::read(&answer.body).explained(realm);
    let busy = [StatusCode::TOO_MANY_REQUESTS, StatusCode::REQUEST_TIMEOUT].contains(&answer.status);
    if busy || !answer.status.is_client_error() || meaning == Some(Meaning::Away) {
        return UpstreamError::Away(said.reason("the token endpoint is failing or busy"));
    }
    match said.error.as_str() {
        "invalid_grant" => {
            UpstreamError::Ended(said.reason("the code or refresh token is not valid there any more"))
        }
        "interaction_required" => UpstreamError::Ended(said.reason("it wants to see the person")),
        "temporarily_unavailable" | "server_error" => {
            UpstreamError::Away(said.reason("the token endpoint is failing or busy"))
        }
        "consent_required" => UpstreamError::Denied(said.reason(NOT_CONSENTED)),
        "" => UpstreamError::Away(said.reason("the token endpoint gave an answer that is no OAuth error")),
        code => {
            let what = refusal(code);
            UpstreamError::Refused(said.reason(what))
        }
    }
}

/// What an error answer means where a token for Microsoft Graph was asked for: it ends no session.
pub(super) fn not_groups(error: UpstreamError) -> UpstreamError {
    match error {
        UpstreamError::Away(_) => error,
        error => UpstreamError::Refused(UpstreamReason {
            what: "it gives us no token to ask Microsoft Graph for groups with",
            // That is about a sign-in; whoever reads it has signed in, and lacks something else.
            explanation: None,
            ..error.reason().clone()
        }),
    }
}

/// The error number of an answer of the token endpoint.
pub(super) fn number(answer: &Answer) -> Option<u32> {
    Said::read(&answer.body).code
}

/// What an error at our redirect URI means (RFC 6749 §4.1.2.1, OpenID Connect Core 1.0 §3.1.2.6).
///
/// The number decides where it is known. Entra says `access_denied` of a person who declined, and of one
/// who would consent but may not (AADSTS90094): the second did not change their mind.
pub(super) fn of_sign_in(error: &str, description: &str, realm: &Realm) -> UpstreamError {
    let (said, meaning) = Said::at_redirect(error, description).explained(realm);
    let meaning = meaning.unwrap_or(match error {
        "access_denied" if said.code.is_none() => Meaning::Declined,
        "access_denied" | "consent_required" => Meaning::Denied,
        "login_required" | "interaction_required" | "account_selection_required" => Meaning::Again,
        "temporarily_unavailable" | "server_error" => Meaning::Away,
        _ => Meaning::Refused,
    });
    match meaning {
        Meaning::Declined => UpstreamError::Declined(said.reason("the person declined there")),
        Meaning::NotConsented => UpstreamError::Denied(said.reason(NOT_CONSENTED)),
        Meaning::Denied if error == "consent_required" => UpstreamError::Denied(said.reason(NOT_CONSENTED)),
        Meaning::Denied => UpstreamError::Denied(said.reason("it does not let the person in")),
        Meaning::Again => UpstreamError::Ended(said.reason("it wants to see the person")),
        Meaning::Refused => UpstreamError::Refused(said.reason(refusal(error))),
        Meaning::Away => UpstreamError::Away(said.reason("it is failing or busy")),
    }
}

const NOT_CONSENTED: &str = "nobody has consented to the scopes that we ask for";

fn refusal(code: &str) -> &'static str {
    match code {
        "invalid_client" => "it does not accept our credential",
        "unauthorized_client" => "our registration may not do this",
        "invalid_scope" => "it does not know a scope that we ask for",
        "invalid_request" => "it finds our request malformed",
        "invalid_resource" | "invalid_target" => "the scopes we ask for belong to no resource that it knows",
        "unsupported_grant_type" => "our registration may not use this grant",
        "unsupported_response_type" => "our registration may not use this response type",
        _ => "it refuses the request",
    }
}

/// What can be kept of an error answer. Its text cannot: it quotes the request.
struct Said {
    /// Only ever compared; empty when there is none.
    error: String,
    code: Option<u32>,
    correlation_id: Option<String>,
    explanation: Option<&'static str>,
    admin_consent: Option<Url>,
}

impl Said {
    /// Reads whatever can be read. Entra adds `error_codes` and `correlation_id` to RFC 6749 §5.2.
    fn read(body: &[u8]) -> Self {
        let answer: Value = serde_json::from_slice(body).unwrap_or_default();
        let text = |name: &str| answer.get(name).and_then(Value::as_str).unwrap_or_default();
        let listed = answer.pointer("/error_codes/0").and_then(Value::as_u64);
        Self {
            error: text("error").to_owned(),
            code: listed
                .and_then(|number| u32::try_from(number).ok())
                .or_else(|| aadsts(text("error_description"))),
            correlation_id: Uuid::try_parse(text("correlation_id")).ok().map(|id| id.to_string()),
            explanation: None,
            admin_consent: None,
        }
    }

    /// The same from the parameters of a redirect, where the text is all that Entra adds.
    fn at_redirect(error: &str, description: &str) -> Self {
        Self {
            error: error.to_owned(),
            code: aadsts(description),
            correlation_id: correlation_id(description),
            explanation: None,
            admin_consent: None,
        }
    }

    /// With what its number means, where that is known.
    fn explained(self, realm: &Realm) -> (Self, Option<Meaning>) {
        let row = self.code.and_then(|code| realm.meaning(code));
        let meaning = row.map(|row| row.meaning);
        let missing = meaning == Some(Meaning::NotConsented);
        let admin_consent = realm.admin_consent().filter(|_| missing).cloned();
        (Self { explanation: row.map(|row| row.sentence), admin_consent, ..self }, meaning)
    }

    fn reason(self, what: &'static str) -> UpstreamReason {
        let Self { code, correlation_id, explanation, admin_consent, .. } = self;
        UpstreamReason { what, code, correlation_id, explanation, admin_consent: admin_consent.map(Box::new) }
    }
}

/// The GUID in `… Trace ID: … Correlation ID: 7d1b6f0a-… Timestamp: …`. The last one: what comes before is
/// a message that may quote anything.
fn correlation_id(description: &str) -> Option<String> {
    let (_, rest) = description.rsplit_once("Correlation ID: ")?;
    rest.get(..36).and_then(entra::guid)
}

/// The number in `AADSTS700082: The refresh token has expired …`.
fn aadsts(description: &str) -> Option<u32> {
    let (_, rest) = description.split_once("AADSTS")?;
    let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    rest[..end].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::super::Entra;
    use super::super::Kind;
    use super::super::Tenants;
    use super::*;

    const ID: &str = "7d1b6f0a-0000-4000-8000-0000000000aa";

    fn entra() -> Realm {
        let authority = "https://login.microsoftonline.com".parse().unwrap();
        let tenants = Tenants::One(ID.into());
        Realm::new(Kind::Entra(Entra { authority, tenants, guests: false, graph: None }), "c").unwrap()
    }

    fn oidc() -> Realm {
        Realm::new(Kind::Oidc { issuer: "https://idp.example".parse().unwrap() }, "c").unwrap()
    }

    fn of(status: u16, body: &str) -> UpstreamError {
        let status = StatusCode::from_u16(status).unwrap();
        of_token_request(&Answer { status, body: body.as_bytes().to_vec() }, &entra())
    }

    fn described(message: &str) -> String {
        format!("{message}\r\nTrace ID: {ID}\r\nCorrelation ID: {ID}\r\nTimestamp: 2026-11-23 05:45:00Z")
    }

    #[test]
    fn only_two_codes_end_a_session() {
        for code in ["invalid_grant", "interaction_required"] {
            let error = of(400, &format!(r#"{{"error":"{code}"}}"#));
            assert!(matches!(error, UpstreamError::Ended(_)), "{code}: {error:?}");
        }
        for code in [
            "invalid_client",
            "unauthorized_client",
            "invalid_scope",
            "invalid_request",
            "invalid_resource",
            "invalid_target",
            "login_required",
            "one_that_nobody_knows",
        ] {
            for status in [400, 401, 403] {
                let error = of(status, &format!(r#"{{"error":"{code}"}}"#));
                assert!(matches!(error, UpstreamError::Refused(_)), "{code}: {error:?}");
            }
        }
    }

    #[test]
    fn trouble_there_is_never_a_verdict() {
        let ended = r#"{"error":"invalid_grant"}"#;
        for (status, body) in [
            (500, ended),
            (503, ended),
            (429, ended),
            (408, ended),
            (302, ended),
            (400, r#"{"error":"temporarily_unavailable"}"#),
            (400, r#"{"error":"server_error"}"#),
            // Entra counts requests, and says it so (AADSTS50196).
            (400, r#"{"error":"invalid_grant","error_codes":[50196]}"#),
            (400, "<html>blocked</html>"),
            (400, r#"{"error":{"code":"invalid_grant"}}"#),
            (400, "[]"),
            (400, ""),
        ] {
            assert!(matches!(of(status, body), UpstreamError::Away(_)), "{status} {body}");
        }
    }

    #[test]
    fn the_number_comes_from_the_list_or_from_the_text() {
        let code = |body: &str| of(400, body).reason().code;
        assert_eq!(code(r#"{"error":"invalid_grant","error_codes":[70043,1]}"#), Some(70043));
        assert_eq!(
            code(r#"{"error":"invalid_grant","error_description":"AADSTS700082: The refresh token…"}"#),
            Some(700_082)
        );
        assert_eq!(
            code(r#"{"error":"invalid_grant","error_codes":["x"],"error_description":"AADSTS"}"#),
            None
        );
        assert_eq!(code(r#"{"error":"invalid_grant","error_codes":[99999999999]}"#), None);
        assert_eq!(code(r#"{"error":"invalid_grant","error_description":"AADSTS99999999999: no"}"#), None);
    }

    #[test]
    fn nothing_of_the_text_is_kept() {
        let body = r#"{"error":"invalid_client","error_description":"AADSTS7000215: secret s3cr3t",
            "correlation_id":"not-an-id s3cr3t","trace_id":"s3cr3t","error_uri":"https://s3cr3t.example"}"#;
        let error = of(401, body);
        assert!(!format!("{error} {error:?}").contains("s3cr3t"));
        assert_eq!(error.reason().correlation_id, None);
        let body = r#"{"error":"invalid_client","correlation_id":"7D1B6F0A-0000-4000-8000-0000000000aa"}"#;
        let id = of(401, body).reason().correlation_id.clone();
        assert_eq!(id.as_deref(), Some("7d1b6f0a-0000-4000-8000-0000000000aa"));
    }

    #[test]
    fn an_error_at_the_redirect_is_judged_by_its_number_then_by_its_name() {
        let kind = |error: &str, description: &str, realm: &Realm| {
            let error = of_sign_in(error, description, realm);
            let kind = match &error {
                UpstreamError::Declined(_) => "declined",
                UpstreamError::Denied(_) => "denied",
                UpstreamError::Ended(_) => "ended",
                UpstreamError::Refused(_) => "refused",
                UpstreamError::Away(_) => "away",
                UpstreamError::SomebodyElse(_)
                | UpstreamError::Guest(_)
                | UpstreamError::GuestUnknown(_)
                | UpstreamError::Invalid(_) => "no error of a sign-in",
            };
            (kind, error.reason().explanation.is_some())
        };
        for (error, number, expected) in [
            ("access_denied", "AADSTS65004: declined", ("declined", true)),
            ("consent_required", "AADSTS65004: declined", ("declined", true)),
            ("access_denied", "AADSTS90094: admin", ("denied", true)),
            ("access_denied", "AADSTS50105: not assigned", ("denied", true)),
            ("access_denied", "AADSTS1: unknown", ("denied", false)),
            ("access_denied", "", ("declined", false)),
            ("interaction_required", "AADSTS50076: MFA", ("ended", true)),
            ("invalid_client", "AADSTS7000222: expired", ("refused", true)),
            ("server_error", "AADSTS50196: loop", ("away", true)),
        ] {
            assert_eq!(kind(error, number, &entra()), expected, "{error} {number}");
        }
        for (error, expected) in [
            ("access_denied", "declined"),
            ("consent_required", "denied"),
            ("login_required", "ended"),
            ("interaction_required", "ended"),
            ("account_selection_required", "ended"),
            ("server_error", "away"),
            ("temporarily_unavailable", "away"),
            ("invalid_request", "refused"),
            ("unauthorized_client", "refused"),
            ("invalid_scope", "refused"),
            ("<b>", "refused"),
        ] {
            for realm in [entra(), oidc()] {
                assert_eq!(kind(error, "", &realm), (expected, false), "{error}");
            }
        }
        // What an Entra behind another provider says is about that provider's registration.
        assert_eq!(kind("invalid_client", "AADSTS7000222: expired", &oidc()), ("refused", false));
    }

    #[test]
    fn of_a_description_the_number_and_the_last_correlation_id_are_kept() {
        let kept = |description: &str| {
            let error = of_sign_in("access_denied", description, &entra());
            assert!(!format!("{error} {error:?}").contains("s3cr3t"), "{error:?}");
            (error.reason().code, error.reason().correlation_id.clone())
        };
        let id = Some(ID.to_owned());
        assert_eq!(kept(&described("AADSTS50105: s3cr3t")), (Some(50_105), id.clone()));
        let forged = "AADSTS50105: 'Correlation ID: 00000000-0000-4000-8000-000000000000' s3cr3t";
        assert_eq!(kept(&described(forged)), (Some(50_105), id.clone()));
        assert_eq!(
            kept(&described("s3cr3t").to_uppercase().replace("CORRELATION ID", "Correlation ID")).1,
            id
        );
        for none in [
            "AADSTS: s3cr3t Correlation ID: s3cr3t",
            "Correlation ID: ",
            "Correlation ID: 7d1b6f0a000040008000000000000000aas3cr3t",
            "Correlation ID: {7d1b6f0a-0000-4000-8000-0000000000}",
            "Correlation ID: éééééééééééééééééé s3cr3t",
            "Correlation ID: 7d1b6f0a-0000-4000-8000-0000000000aé s3cr3t",
            "",
        ] {
            assert_eq!(kept(none), (None, None), "{none}");
        }
    }
}
