//! What the user is asked: who would get what, and who vouches for that.

use url::Position;

use crate::domain::client::Client;
use crate::domain::client::Voucher;
use crate::domain::event::Event;
use crate::domain::event::EventName;
use crate::domain::keys::Purpose;
use crate::domain::login::Login;
use crate::domain::seal::Sealed;
use crate::flows::AuthServer;
use crate::protocol::redirect_uri::Receiver;

/// A request that waits for the user's decision.
pub struct Begun {
    /// The login, for the consent form.
    pub login: Sealed<Login>,
    pub consent: Consent,
}

/// What the user is asked.
#[derive(Clone, Debug)]
pub struct Consent {
    /// What the client is called.
    pub client_name: String,
    pub called_so_by: CalledSoBy,
    /// Who will receive the code.
    pub redirect_host: String,
    pub redirect_path: String,
    /// Whether that is a program on the machine of whoever reads this.
    pub this_machine: bool,
    pub resource_name: String,
    pub resource: String,
    /// Each scope with its meaning in words.
    pub scopes: Vec<(String, String)>,
}

/// Who says that the client is what it is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CalledSoBy {
    Operator,
    /// The host that publishes its metadata document, at this path.
    Document {
        host: String,
        path: String,
    },
    /// Nobody has verified it.
    Itself,
}

impl AuthServer {
    /// Seals a login into what the user is asked.
    pub(in crate::flows) fn ask(&self, client: &Client, login: Login) -> Begun {
        self.record(EventName::ConsentShown, consent_event(client, &login));
        let consent = self.consent_for(client, &login);
        Begun { login: Sealed::compact(&self.keys(), Purpose::Login, self.random(), &login), consent }
    }

    fn consent_for(&self, client: &Client, login: &Login) -> Consent {
        let resource = self.policy().resources.by_identifier(&login.resource);
        let redirect = login.redirect_uri.uri();
        let meaning = |scope: &str| {
            let scopes = resource.map(|resource| resource.scopes.as_slice()).unwrap_or_default();
            scopes.iter().find(|(name, _)| name == scope).map(|(_, words)| words.clone()).unwrap_or_default()
        };
        Consent {
            client_name: client.shown_name().to_owned(),
            called_so_by: match client.voucher() {
                Voucher::Operator => CalledSoBy::Operator,
                Voucher::Document(address) => {
                    let url = address.url();
                    let path = url[Position::BeforePath..].to_owned();
                    CalledSoBy::Document { host: address.host().to_owned(), path }
                }
                Voucher::Nobody => CalledSoBy::Itself,
            },
            redirect_host: match (redirect.receiver(), redirect.port()) {
                // An application does other things at other addresses of its scheme.
                (Receiver::PrivateUse, _) => redirect.to_string(),
                (Receiver::Web, Some(port)) => format!("{}:{port}", redirect.host()),
                (Receiver::Web | Receiver::Loopback, _) => redirect.host(),
            },
            redirect_path: redirect.target(),
            this_machine: redirect.is_on_this_machine(),
            resource_name: resource.map(|resource| resource.name.clone()).unwrap_or_default(),
            resource: login.resource.clone(),
            scopes: login.scopes.iter().map(|scope| (scope.to_owned(), meaning(scope))).collect(),
        }
    }
}

/// What is recorded of a client's login, by ids.
pub(in crate::flows) fn consent_event(client: &Client, login: &Login) -> Event {
    Event {
        client: Some(login.client_id.digest()),
        document: client.document().map(str::to_owned),
        redirect_host: Some(login.redirect_uri.uri().host()),
        resource: Some(login.resource.clone()),
        scope: Some(login.scopes.to_string()),
        ..Event::default()
    }
}
