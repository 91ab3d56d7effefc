use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::body::Bytes;
use axum::body::to_bytes;
use axum::extract::Request;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::HeaderName;
use axum::http::HeaderValue;
use axum::http::Method;
use axum::http::StatusCode;
use axum::http::header;
use axum::http::request::Parts;
use axum::response::IntoResponse;
use axum::response::Response;
use serde_json::Value;

use super::Idp;
use super::authorize;
use super::face::Face;
use super::face::Site;
use super::fault::Fault;
use super::fault::Report;
use super::form::Params;
use super::graph;
use super::page;
use super::script::Endpoint;
use super::script::Reply;
use super::script::Seen;
use super::token;

/// The longest body that is read, in bytes.
const BODY_LIMIT: usize = 64 * 1024;

/// Every request goes this way: read, recorded, shown to the script, answered, shown to the script again.
pub(super) async fn serve(State(idp): State<Arc<Idp>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let (site, endpoint) = Site::route(&idp.authority, parts.uri.path());
    let body = to_bytes(body, BODY_LIMIT).await.map_err(|_| Fault::body());
    let form = body.as_ref().ok().filter(|_| is_form(&parts.headers)).map(Bytes::as_ref).unwrap_or_default();
    let params = Params::parse(parts.uri.query(), form);
    idp.memory.record(seen(endpoint, &parts, &params));

    let script = &idp.options.script;
    if let Some(reply) = script.before(endpoint, params.as_slice()).await {
        return scripted(&idp, &site, endpoint, &params, reply);
    }
    let response = body
        .and_then(|body| answer(&idp, &site, endpoint, &parts, &params, &body))
        .unwrap_or_else(|fault| refusal(&idp, &site, endpoint, &fault));
    match script.after(endpoint, params.as_slice()).await {
        Some(reply) => scripted(&idp, &site, endpoint, &params, reply),
        None => response,
    }
}

fn answer(
    idp: &Idp,
    site: &Site,
    endpoint: Endpoint,
    parts: &Parts,
    params: &Params,
    body: &[u8],
) -> Result<Response, Fault> {
    if endpoint == Endpoint::Unknown {
        return Err(Fault::unknown_path());
    }
    if site.face == Face::Entra && !site.is_every_tenant() && !idp.has_tenant(&site.segment) {
        return Err(Fault::unknown_tenant());
    }
    match (endpoint, &parts.method) {
        (Endpoint::Discovery, &Method::GET) => Ok(Json(site.discovery()).into_response()),
        (Endpoint::Keys, &Method::GET) => Ok(Json(site.key_set(idp.memory.key_generation())).into_response()),
        (Endpoint::Authorize, &Method::GET | &Method::POST) => Ok(authorize::authorize(idp, site, params)),
        (Endpoint::Pick, &Method::POST) => Ok(authorize::pick(idp, site, params)),
        (Endpoint::MemberObjects, &Method::POST) => Ok(graph::member_objects(idp, &parts.headers, body)),
        // A query ends up in logs (RFC 6749 §3.2).
        (Endpoint::Token, &Method::POST) if parts.uri.query().is_some() => Err(Fault::invalid("query")),
        (Endpoint::Token, &Method::POST) => {
            let response = token::token(idp, site, &parts.headers, params)?;
            Ok(([(header::CACHE_CONTROL, "no-store")], Json(response)).into_response())
        }
        _ => Err(Fault::method()),
    }
}

/// A fault as the endpoint shows it: a page where people look, JSON elsewhere (RFC 6749 §5.2).
fn refusal(idp: &Idp, site: &Site, endpoint: Endpoint, fault: &Fault) -> Response {
    if matches!(endpoint, Endpoint::Authorize | Endpoint::Pick) {
        return page::fault(idp, site, fault);
    }
    let body: Value = Report::new(fault, site, idp.now()).json();
    let mut response = (fault.status, [(header::CACHE_CONTROL, "no-store")], Json(body)).into_response();
    if fault.status == StatusCode::UNAUTHORIZED {
        let challenge = HeaderValue::from_static("Basic realm=\"Development identity provider\"");
        response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
    }
    response
}

fn scripted(idp: &Idp, site: &Site, endpoint: Endpoint, params: &Params, reply: Reply) -> Response {
    match reply {
        Reply::Http { status, headers, body } => {
            let mut response = Response::new(Body::from(body));
            *response.status_mut() = status_or_500(status);
            for (name, value) in headers {
                if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
                    response.headers_mut().append(name, value);
                }
            }
            response
        }
        Reply::Error { status, error, aadsts, description } => {
            let fault = Fault {
                status: status_or_500(status),
                error: error.into(),
                code: aadsts,
                message: description.into(),
            };
            refusal(idp, site, endpoint, &fault)
        }
        Reply::Redirect { error, aadsts, description } => {
            let fault = Fault {
                status: StatusCode::BAD_REQUEST,
                error: error.into(),
                code: aadsts,
                message: description.into(),
            };
            match endpoint {
                Endpoint::Authorize => authorize::refuse(idp, site, params, &fault),
                _ => refusal(idp, site, endpoint, &fault),
            }
        }
    }
}

fn status_or_500(status: u16) -> StatusCode {
    StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

fn is_form(headers: &HeaderMap) -> bool {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media_type = value.split(';').next().unwrap_or_default().trim();
    media_type.eq_ignore_ascii_case("application/x-www-form-urlencoded")
}

fn seen(endpoint: Endpoint, parts: &Parts, params: &Params) -> Seen {
    let headers = parts
        .headers
        .iter()
        .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()));
    Seen {
        endpoint,
        method: parts.method.to_string(),
        path: parts.uri.path().to_owned(),
        params: params.as_slice().to_vec(),
        headers: headers.collect(),
    }
}
