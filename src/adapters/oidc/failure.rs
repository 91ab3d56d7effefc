use http::StatusCode;
use serde_json::Value;
use uuid::Uuid;

use crate::ports::idp::UpstreamError;
use crate::ports::idp::UpstreamReason;

use super::http_client::Answer;

pub(super) fn away(what: &'static str) -> UpstreamError {
    UpstreamError::Away(because(what))
}

pub(super) fn invalid(what: &'static str) -> UpstreamError {
    UpstreamError::Invalid(because(what))
}

pub(super) fn refused(what: &'static str) -> UpstreamError {
    UpstreamError::Refused(because(what))
}

pub(super) fn somebody_else(what: &'static str) -> UpstreamError {
    UpstreamError::SomebodyElse(because(what))
}

fn because(what: &'static str) -> UpstreamReason {
    UpstreamReason { what, ..UpstreamReason::default() }
}

/// What an answer with an error status means for a document that everybody may read.
pub(super) fn of_document(answer: &Answer, what: &'static str) -> UpstreamError {
    UpstreamError::Away(Said::read(&answer.body).reason(what))
}

/// What an error answer of the token endpoint means (RFC 6749 §5.2).
///
/// `Ended` costs a person their session, so it is for the two codes alone that say so.
pub(super) fn of_token_request(answer: &Answer) -> UpstreamError {
    let said = Said::read(&answer.body);
    let busy = [StatusCode::TOO_MANY_REQUESTS, StatusCode::REQUEST_TIMEOUT].contains(&answer.status);
    if busy || !answer.status.is_client_error() {
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
        "" => UpstreamError::Away(said.reason("the token endpoint gave an answer that is no OAuth error")),
        code => {
            let what = refusal(code);
            UpstreamError::Refused(said.reason(what))
        }
    }
}

fn refusal(code: &str) -> &'static str {
    match code {
        "invalid_client" => "it does not accept our credential",
        "unauthorized_client" => "our registration may not do this",
        "invalid_scope" => "it does not know a scope that we ask for",
        "invalid_request" => "it finds our request malformed",
        "invalid_resource" | "invalid_target" => "the scopes we ask for belong to no resource that it knows",
        "unsupported_grant_type" => "our registration may not use this grant",
        "consent_required" => "nobody has consented to the scopes that we ask for",
        _ => "the token endpoint refuses the request",
    }
}

/// What can be kept of an error answer. Its text cannot: it quotes the request.
struct Said {
    /// Only ever compared; empty when there is none.
    error: String,
    code: Option<u32>,
    correlation_id: Option<String>,
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
        }
    }

    fn reason(self, what: &'static str) -> UpstreamReason {
        UpstreamReason { what, code: self.code, correlation_id: self.correlation_id }
    }
}

/// The number in `AADSTS700082: The refresh token has expired …`.
fn aadsts(description: &str) -> Option<u32> {
    let (_, rest) = description.split_once("AADSTS")?;
    let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    rest[..end].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(status: u16, body: &str) -> UpstreamError {
        of_token_request(&Answer {
            status: StatusCode::from_u16(status).unwrap(),
            body: body.as_bytes().to_vec(),
        })
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
            "consent_required",
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
}
