//! From what an operator says to the app registration in Entra ID.

use std::sync::Arc;
use std::time::Duration;

use url::Url;

use crate::adapters::azure_credential;
use crate::adapters::azure_credential::Source;
use crate::adapters::entra_registration::ApplyError;
use crate::adapters::entra_registration::Change;
use crate::adapters::entra_registration::Registration;
use crate::adapters::entra_registration::Settings;
use crate::adapters::entra_registration::SignIn;
use crate::adapters::entra_registration::Wanted;
use crate::adapters::system::SystemClock;
use crate::app::exit::Failure;
use crate::ports::clock::Clock;

/// How long one request may take, with all that is tried again. The directory shows what was made after seconds, and after
/// a minute when it is busy.
const PATIENCE: Duration = Duration::from_mins(2);

/// Who asks Microsoft Graph.
#[derive(Clone, Debug)]
pub enum Asker {
    /// Whoever is signed in to the Azure CLI, else to the Azure Developer CLI.
    DeveloperTools,
    AzureCli,
    AzureDeveloperCli,
    /// The machine's identity, or the user-assigned one with this client id.
    ManagedIdentity {
        client_id: Option<String>,
    },
}

/// What is to be there, and where.
#[derive(Clone, Debug)]
pub struct Order {
    pub wanted: Wanted,
    /// The tenant of the registration, a GUID.
    pub tenant: String,
    pub authority: Url,
    /// The origin of Microsoft Graph, where it is not that of the authority's cloud.
    pub graph: Option<Url>,
    pub asker: Asker,
}

/// What differs from the order. Writes nothing. Tells first what of the registration to look at.
pub async fn differences(order: &Order, look_at: impl FnMut(&str)) -> Result<Vec<Change>, Failure> {
    let (registration, steps) = Registration::look(settings(order), &order.wanted).await.map_err(failure)?;
    registration.notices().iter().map(String::as_str).for_each(look_at);
    Ok(steps.into_iter().flat_map(|step| step.changes).collect())
}

/// Makes the registration what it is ordered to be, and tells first what of it to look at, and then of each change when it
/// is done. Returns the client id.
pub async fn apply(
    order: &Order,
    look_at: impl FnMut(&str),
    mut done: impl FnMut(&Change) -> Result<(), Failure>,
) -> Result<String, Failure> {
    let (mut registration, steps) =
        Registration::look(settings(order), &order.wanted).await.map_err(failure)?;
    registration.notices().iter().map(String::as_str).for_each(look_at);
    let was_there = registration.client_id().is_some();
    for (nth, step) in steps.iter().enumerate() {
        let carried_out = registration.carry_out(step).await;
        let untouched = nth == 0 && registration.client_id().is_some() == was_there;
        carried_out.map_err(|error| if untouched { failure(error) } else { halfway(error) })?;
        step.changes.iter().try_for_each(&mut done)?;
    }
    let client_id = registration.client_id().map(str::to_owned);
    client_id.ok_or_else(|| Failure::Running("The registration has no client id.".to_owned()))
}

fn settings(order: &Order) -> Settings {
    let sign_in = match &order.asker {
        Asker::DeveloperTools => SignIn::DeveloperTools,
        Asker::AzureCli => SignIn::AzureCli,
        Asker::AzureDeveloperCli => SignIn::AzureDeveloperCli,
        Asker::ManagedIdentity { client_id } => {
            let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
            let source = Source::ManagedIdentity { client_id: client_id.clone() };
            SignIn::Identity(azure_credential::credential(source, clock))
        }
    };
    let Order { tenant, authority, graph, .. } = order.clone();
    Settings { tenant, authority, graph, sign_in, patience: PATIENCE }
}

/// How the program ends without the registration.
fn failure(error: ApplyError) -> Failure {
    let text = error.to_string();
    match error {
        ApplyError::Away(_) => Failure::Running(text),
        ApplyError::Wrong(_) => Failure::Usage(text),
    }
}

/// The same, after something was written.
fn halfway(error: ApplyError) -> Failure {
    let goes_on = "What was done so far stays. The same command goes on from there.";
    match failure(error) {
        Failure::Running(text) => Failure::Running(format!("{text}\n{goes_on}")),
        Failure::Usage(text) => Failure::Usage(format!("{text}\n{goes_on}")),
        other => other,
    }
}
