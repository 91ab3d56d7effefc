//! Clients that publish a document of themselves, and the web that they do it on.

use entrada::domain::event::Event;
use entrada::domain::event::EventName;
use serde_json::Value;
use serde_json::json;

use crate::support::browser::Browser;
use crate::support::client::Client;
use crate::support::entrada::Answer;
use crate::support::entrada::Entrada;
use crate::support::entrada::Setup;
use crate::support::page::Page;
use crate::support::web::Web;

/// At a host whose documents are fetched without a setting.
pub const ID: &str = "https://vscode.dev/oauth/client-metadata.json";
pub const REDIRECT_URI: &str = "http://127.0.0.1:33418/";

/// A document with other or more members; `null` removes one.
pub fn document(id: &str, more: &Value) -> Value {
    let mut document = json!({
        "client_id": id,
        "client_name": "Visual Studio Code",
        "redirect_uris": [REDIRECT_URI, "https://vscode.dev/redirect"],
        "token_endpoint_auth_method": "none",
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
    });
    let members = document.as_object_mut().unwrap();
    members.extend(more.as_object().unwrap().clone());
    members.retain(|_, value| !value.is_null());
    document
}

/// The client of a document.
pub fn client(id: &str) -> Client {
    Client { id: id.to_owned(), secret: None, redirect_uri: REDIRECT_URI.to_owned() }
}

/// Has an Entrada fetch from `web`.
pub fn fetching(web: &Web, setup: Setup) -> Setup {
    let web = web.clone();
    Setup { documents: Box::new(move |clock| web.documents(clock)), ..setup }
}

/// An Entrada, the web that it fetches from, and the document that lies there at [`ID`].
pub async fn start() -> (Entrada, Web) {
    start_with(Setup::default()).await
}

pub async fn start_with(setup: Setup) -> (Entrada, Web) {
    let web = Web::start().await;
    web.serve(ID, document(ID, &json!({})));
    (Entrada::with(fetching(&web, setup)).await, web)
}

/// What a browser is shown that comes for the client of `id`.
pub async fn asked(entrada: &Entrada, id: &str) -> Answer {
    Browser::default().open(entrada, &client(id).authorize(&[])).await
}

/// The reason on a page.
pub fn reason(page: &Answer) -> &str {
    let (_, rest) = page.body.split_once("needs the reason: <code>").unwrap_or_else(|| panic!("{page:?}"));
    rest.split('<').next().unwrap_or_default()
}

/// The last refusal of a document, and what the log calls the reason.
pub fn refusal(entrada: &Entrada) -> (Event, &'static str) {
    let event = entrada.events.last(EventName::DocumentRefused).expect("a document was refused");
    let reason = event.reason.expect("for a reason");
    (event, reason)
}

/// The page is there again, whatever was there before.
pub fn mend(web: &Web) {
    web.serve(ID, document(ID, &json!({})));
}

/// A page that says nothing of how long it holds.
pub fn page(id: &str, more: &Value) -> Page {
    Page::from(document(id, more))
}
