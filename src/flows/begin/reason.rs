//! Why an authorization request is refused, and how that is said.

use crate::domain::allowed::Lacking;
use crate::flows::admit::NotAdmitted;
use crate::flows::refusal::Refusal;
use crate::flows::refusal::Row;
use crate::flows::refusal::row;
use crate::flows::refusal::row_of_registration;
use crate::protocol::error::ErrorCode;
use crate::protocol::parameters::Duplicated;

/// Why an authorization request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    ClientMissing,
    Client(NotAdmitted),
    RedirectMissing,
    RedirectTooLong,
    RedirectMalformed,
    RedirectNotRegistered,
    RedirectHostNotTrusted,
    Duplicated,
    StateTooLong,
    ResponseType,
    ChallengeMissing,
    ChallengeMethod,
    ChallengeMalformed,
    Resource,
    ResourceNeeded,
    Lacking(Lacking),
    ScopeNotPermitted,
    PromptNone,
    MaxAge,
}

impl Refusal for Reason {
    fn row(self) -> Row {
        use ErrorCode::InvalidRequest;
        use ErrorCode::InvalidTarget;
        match self {
            Self::ClientMissing => row(
                "client_missing",
                InvalidRequest,
                "The request has no client_id. Start again from your application.",
            ),
            Self::Client(why) => why.row(),
            Self::RedirectMissing => row(
                "redirect_missing",
                InvalidRequest,
                "The request has no redirect_uri, and the application registered more than one.",
            ),
            Self::RedirectTooLong => {
                row("redirect_too_long", InvalidRequest, "redirect_uri is longer than 512 characters.")
            }
            Self::RedirectMalformed => row(
                "redirect_malformed",
                InvalidRequest,
                "redirect_uri is not an https URI, an http URI on this computer, or a URI of a private-use scheme, in its plain form.",
            ),
            Self::RedirectNotRegistered => row_of_registration(
                "redirect_not_registered",
                InvalidRequest,
                "The application did not register this redirect_uri. Remove the registration that it has stored for this server, then connect again.",
            ),
            Self::RedirectHostNotTrusted => row(
                "redirect_host_not_trusted",
                InvalidRequest,
                "This server does not send sign-ins to the application's host. Send this page to whoever runs the server, who can add the host to the setting trust.hosts, or set trust.open to allow any.",
            ),
            Self::Duplicated => {
                row("parameter_duplicated", InvalidRequest, "A parameter is given more than once.")
            }
            Self::StateTooLong => {
                row("state_too_long", InvalidRequest, "state is longer than 1024 characters.")
            }
            Self::ResponseType => row(
                "response_type_unsupported",
                ErrorCode::UnsupportedResponseType,
                "response_type must be code, and response_mode query.",
            ),
            Self::ChallengeMissing => {
                row("challenge_missing", InvalidRequest, "code_challenge is required (PKCE, RFC 7636).")
            }
            Self::ChallengeMethod => {
                row("challenge_method", InvalidRequest, "code_challenge_method must be S256.")
            }
            Self::ChallengeMalformed => row(
                "challenge_malformed",
                InvalidRequest,
                "code_challenge must be the base64url of a SHA-256 hash: 43 characters.",
            ),
            Self::Resource => row(
                "resource_unknown",
                InvalidTarget,
                "resource names no MCP server here; it must be exactly the URL that the protected-resource metadata give.",
            ),
            Self::ResourceNeeded => row(
                "resource_needed",
                InvalidTarget,
                "There is more than one MCP server here and none is the default: send resource.",
            ),
            Self::Lacking(what) => what.row(),
            Self::ScopeNotPermitted => row(
                "scope_not_permitted",
                ErrorCode::InvalidScope,
                "The application may have none of the permissions of this MCP server. Whoever runs the server can change its scopes there.",
            ),
            Self::PromptNone => row(
                "prompt_none",
                ErrorCode::ConsentRequired,
                "Consent is asked for on every authorization: prompt=none cannot succeed.",
            ),
            Self::MaxAge => row("max_age", InvalidRequest, "max_age must be a number of seconds."),
        }
    }
}

impl From<Duplicated> for Reason {
    fn from(_: Duplicated) -> Self {
        Self::Duplicated
    }
}

impl From<NotAdmitted> for Reason {
    fn from(why: NotAdmitted) -> Self {
        Self::Client(why)
    }
}
