//! `/authorize`: the consent page, or why not.

use axum::extract::State;
use axum::response::Response;

use crate::domain::client::ClientId;
use crate::domain::login::Browser;
use crate::flows::begin::Refused;
use crate::flows::begin::Shown;
use crate::flows::refusal::Refusal;
use crate::flows::refusal::RefusedClient;
use crate::flows::refusal::RefusedFor;
use crate::http::Shared;
use crate::http::answer::found;
use crate::http::answer::refused_with_remedies;
use crate::http::cookies::Cookies;
use crate::http::extract::Query;
use crate::http::extract::RequestId;
use crate::http::extract::WantsJson;
use crate::http::page::Pages;
use crate::protocol::parameters::Parameters;

pub async fn authorize(
    State(Shared { auth, pages }): State<Shared>,
    cookies: Cookies,
    WantsJson(wants_json): WantsJson,
    request_id: RequestId,
    Query(request): Query,
) -> Response {
    let browser = cookies.browser().map_or_else(|| auth.new_browser(), str::to_owned);
    match auth.begin(&request, Browser::of(&browser)).await {
        Ok(begun) => {
            let mut response = pages.consent(begun, false);
            cookies.keep_browser(&mut response, &browser);
            response
        }
        Err(refused) => refusal(&pages, &request, refused, wants_json, request_id),
    }
}

fn refusal(
    pages: &Pages,
    request: &Parameters,
    refused: Refused,
    wants_json: bool,
    RequestId(request_id): RequestId,
) -> Response {
    let Refused { reason, shown, client_name, document_host, redirect_host } = refused;
    let client = request.first("client_id").map(|id| ClientId::named(id.to_owned()).digest());
    let refused = RefusedClient { client, redirect_host: redirect_host.clone(), ..RefusedClient::default() };
    let about: Vec<_> = [
        ("Application", client_name),
        ("Described by", document_host),
        ("Host", redirect_host),
        ("Request ID", Some(request_id)),
    ]
    .into_iter()
    .filter_map(|(label, value)| value.map(|value| (label, value)))
    .collect();
    let mut response = match shown {
        Shown::Redirect(location) => found(&location),
        Shown::PageWithLink(_) | Shown::Page if wants_json => refused_with_remedies(reason),
        Shown::PageWithLink(back) => pages.refusal_about(reason, Some(&back), &about),
        Shown::Page => pages.refusal_about(reason, None, &about),
    };
    response.extensions_mut().insert(RefusedFor(reason.row().name));
    response.extensions_mut().insert(refused);
    response
}
