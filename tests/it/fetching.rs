//! Documents are fetched from the web: over real sockets, from hosts with every fault.

mod addresses;
mod answers;
mod freshness;
mod requests;
mod time;
mod trust;

use std::sync::Arc;

use entrada::domain::time::Timestamp;
use entrada::ports::documents::ClientDocuments;
use entrada::ports::documents::Fetched;
use entrada::ports::documents::NotFetched;
use entrada::ports::documents::Validators;
use url::Url;

use crate::support::clock::MovedClock;
use crate::support::page::Page;
use crate::support::web::Web;

const HOST: &str = "client.example";
const DOCUMENT: &str = "https://client.example/oauth/metadata.json";
const TEXT: &str = r#"{"client_name":"Example"}"#;
/// Tue, 24 Nov 2026 12:00:00 GMT.
const NOW: Timestamp = Timestamp(1_795_521_600);

const NOT_GLOBAL: Result<Fetched, NotFetched> =
    Err(NotFetched::Away("its name leads to an address that is not global"));

/// A web with one document, and the adapter on it.
struct Fetching {
    web: Web,
    documents: Arc<dyn ClientDocuments>,
}

impl Fetching {
    async fn start() -> Self {
        let web = Web::start().await;
        web.serve(DOCUMENT, document());
        let documents = web.documents(MovedClock::at(NOW));
        Self { web, documents }
    }

    /// Of what nothing is known yet.
    async fn fetch(&self, url: &str) -> Result<Fetched, NotFetched> {
        self.fetch_knowing(url, &Validators::default()).await
    }

    async fn fetch_knowing(&self, url: &str, known: &Validators) -> Result<Fetched, NotFetched> {
        self.documents.fetch(&Url::parse(url).unwrap(), known).await
    }

    /// Fetches the document as the page that its host serves from now on.
    async fn answered(&self, page: Page) -> Result<Fetched, NotFetched> {
        self.web.serve(DOCUMENT, page);
        self.fetch(DOCUMENT).await
    }
}

fn document() -> Page {
    Page::json(TEXT)
}

fn text(fetched: Result<Fetched, NotFetched>) -> Result<String, NotFetched> {
    fetched.map(|fetched| fetched.text.expect("nothing was known"))
}

fn validators(etag: Option<&str>, last_modified: Option<&str>) -> Validators {
    Validators { etag: etag.map(str::to_owned), last_modified: last_modified.map(str::to_owned) }
}
