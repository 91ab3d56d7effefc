use axum::http::StatusCode;
use axum::http::header;
use axum::response::IntoResponse;
use axum::response::Response;
use url::Url;

use super::Idp;
use super::face::Site;
use super::fault::Fault;
use super::fault::Report;
use super::form::Params;
use super::memory::Code;
use super::memory::Grant;
use super::page;
use super::sign_in::Freshness;
use super::sign_in::Request;
use super::sign_in::ReturnAddress;
use super::sign_in::SignIn;

const KNOWN: &[&str] = &[
    "client_id",
    "response_type",
    "redirect_uri",
    "scope",
    "response_mode",
    "state",
    "nonce",
    "code_challenge",
    "code_challenge_method",
    "prompt",
    "max_age",
    "login_hint",
    "domain_hint",
    "claims",
    // Known so that it gets the answer that Entra gives.
    "resource",
];

/// How long a sign-in page works, in seconds.
const SIGN_IN_LIFETIME: i64 = 15 * 60;
/// How long a code works at Entra, in seconds.
const CODE_LIFETIME: i64 = 10 * 60;
/// The length of an S256 challenge (RFC 7636 §4.2).
const CHALLENGE_LENGTH: usize = 43;

/// The authorization endpoint (RFC 6749 §3.1). A fault is shown on a page until it is known that the
/// redirect URI is the client's, and is redirected from then on.
pub(super) fn authorize(idp: &Idp, site: &Site, params: &Params) -> Response {
    let client = match return_address(idp, params) {
        Ok(client) => client,
        Err(fault) => return page::fault(idp, site, &fault),
    };
    match examine(params) {
        Ok(request) => begin(idp, site, client, request),
        Err(fault) => client.fault(idp, site, &fault),
    }
}

/// The authorization endpoint when the script has it refuse.
pub(super) fn refuse(idp: &Idp, site: &Site, params: &Params, fault: &Fault) -> Response {
    match return_address(idp, params) {
        Ok(client) => client.fault(idp, site, fault),
        Err(unverified) => page::fault(idp, site, &unverified),
    }
}

/// Where the sign-in page posts to: a person, or `cancel`.
pub(super) fn pick(idp: &Idp, site: &Site, params: &Params) -> Response {
    let sign_in = params
        .only(&["txn", "person", "cancel"])
        .and_then(|()| params.required("txn"))
        .and_then(|txn| idp.memory.take_sign_in(txn, idp.now()).ok_or_else(Fault::transaction))
        .and_then(|kept| if kept.site == *site { Ok(kept) } else { Err(Fault::transaction()) });
    let SignIn { request, client, .. } = match sign_in {
        Ok(sign_in) => sign_in,
        Err(fault) => return page::fault(idp, site, &fault),
    };
    if params.has("cancel") {
        return client.fault(idp, site, &Fault::declined());
    }
    match params.required("person").map(str::parse) {
        Ok(Ok(person)) => finish(idp, site, client, request, person),
        Ok(Err(_)) => client.fault(idp, site, &Fault::invalid("person")),
        Err(fault) => client.fault(idp, site, &fault),
    }
}

fn return_address(idp: &Idp, params: &Params) -> Result<ReturnAddress, Fault> {
    params.only(KNOWN)?;
    if params.required("client_id")? != idp.options.client_id {
        return Err(Fault::unknown_client());
    }
    let redirect_uri = params.required("redirect_uri")?;
    if !idp.options.redirect_uris.iter().any(|registered| registered == redirect_uri) {
        return Err(Fault::redirect_uri());
    }
    let url = Url::parse(redirect_uri).map_err(|_| Fault::redirect_uri())?;
    let state = params.get("state").map(str::to_owned);
    Ok(ReturnAddress { redirect_uri: redirect_uri.to_owned(), url, state })
}

fn examine(params: &Params) -> Result<Request, Fault> {
    if params.required("response_type")? != "code" {
        return Err(Fault::response_type());
    }
    if params.get("response_mode").is_some_and(|mode| mode != "query") {
        return Err(Fault::invalid("response_mode"));
    }
    if params.has("resource") {
        return Err(Fault::resource());
    }
    let scope = params.scope().ok_or_else(|| Fault::missing("scope"))?;
    let challenge = challenge(params)?;
    let prompt = params.get("prompt").unwrap_or_default();
    if !matches!(prompt, "" | "login" | "none" | "consent" | "select_account") {
        return Err(Fault::invalid("prompt"));
    }
    let max_age = match params.get("max_age").map(str::parse) {
        Some(Ok(seconds)) => Some(seconds),
        Some(Err(_)) => return Err(Fault::invalid("max_age")),
        None => None,
    };
    Ok(Request {
        scope,
        nonce: params.get("nonce").map(str::to_owned),
        challenge,
        freshness: Freshness { login: prompt == "login", max_age },
        silent: prompt == "none",
    })
}

/// Only S256. Entra takes a missing method for `plain`, which nobody should ask for.
fn challenge(params: &Params) -> Result<Option<String>, Fault> {
    let method = params.get("code_challenge_method");
    match params.get("code_challenge") {
        None if method.is_some() => Err(Fault::missing("code_challenge")),
        None => Ok(None),
        Some(_) if method != Some("S256") => Err(Fault::invalid("code_challenge_method")),
        Some(challenge) if challenge.len() != CHALLENGE_LENGTH => Err(Fault::challenge()),
        Some(challenge) => Ok(Some(challenge.to_owned())),
    }
}

fn begin(idp: &Idp, site: &Site, client: ReturnAddress, request: Request) -> Response {
    if let Some(person) = idp.options.script.pick() {
        return finish(idp, site, client, request, person);
    }
    if request.silent {
        return client.fault(idp, site, &Fault::login_required());
    }
    let now = idp.now();
    let expires_at = now.saturating_add(SIGN_IN_LIFETIME);
    let txn = idp.memory.keep_sign_in(SignIn { expires_at, site: site.clone(), request, client }, now);
    page::people(idp, site, &txn)
}

fn finish(idp: &Idp, site: &Site, client: ReturnAddress, request: Request, person: usize) -> Response {
    if !idp.options.people.get(person).is_some_and(|person| site.admits(person)) {
        return client.fault(idp, site, &Fault::not_in_tenant());
    }
    let now = idp.now();
    let auth_time = idp.memory.auth_time(person, request.freshness, now);
    let code = Code {
        grant: Grant { face: site.face, person, scope: request.scope, auth_time },
        redirect_uri: client.redirect_uri.clone(),
        nonce: request.nonce,
        challenge: request.challenge,
        expires_at: now.saturating_add(CODE_LIFETIME),
        spent: false,
    };
    let code = idp.memory.issue_code(code, now);
    client.redirect(&[("code", &code)])
}

impl ReturnAddress {
    fn fault(&self, idp: &Idp, site: &Site, fault: &Fault) -> Response {
        let description = Report::new(fault, site, idp.now()).description();
        self.redirect(&[("error", &fault.error), ("error_description", &description)])
    }

    /// 303, because the answer to a form that was posted must be fetched with GET.
    fn redirect(&self, answer: &[(&str, &str)]) -> Response {
        let mut url = self.url.clone();
        url.query_pairs_mut()
            .extend_pairs(answer)
            .extend_pairs(self.state.iter().map(|state| ("state", state)));
        let headers = [(header::LOCATION, url.as_str()), (header::CACHE_CONTROL, "no-store")];
        (StatusCode::SEE_OTHER, headers).into_response()
    }
}
