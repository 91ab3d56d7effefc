//! File and environment into one `Config`.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::Path;
use std::path::PathBuf;

use config::Environment;
use config::Map;
use config::Source;
use config::Value;
use config::ValueKind;

use super::Config;
use super::Documents;
use super::LogFormat;
use super::Registration;
use super::SigningAlg;
use super::Tokens;
use super::Trust;
use super::brand;
use super::clients;
use super::document;
use super::environment;
use super::environment::Variables;
use super::file;
use super::keys;
use super::problems::Problems;
use super::resources;
use super::store;
use super::syntax;
use super::upstream;
use super::values::Values;
use crate::domain::limits::Limits;

/// Reads the configuration from the file, if one is named, and from `env`, the pairs of the environment,
/// which win over the file. An empty variable counts as unset; an empty list is written `[]`.
///
/// # Errors
/// Every problem there is, each in words that show no value.
pub fn load(
    file: Option<&Path>,
    env: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<Config, Problems> {
    let mut problems = Problems::default();
    let variables = environment::read(env, &mut problems);
    let document = match file {
        Some(path) => document::read(path, &mut problems),
        None => Some(Map::new()),
    };
    let Some(document) = document else { return Err(problems) };
    let table = layered(document, variables);
    let name = file.map(|path| path.display().to_string());
    let config = assemble(&mut Values::new(&table, name.as_deref(), &mut problems));
    config.filter(|_| problems.is_empty()).ok_or(problems)
}

/// The file's values as a source of the `config` crate.
#[derive(Debug, Clone)]
struct Document(Map<String, Value>);

impl Source for Document {
    fn clone_into_box(&self) -> Box<dyn Source + Send + Sync> {
        Box::new(self.clone())
    }

    fn collect(&self) -> Result<Map<String, Value>, config::ConfigError> {
        Ok(self.0.clone())
    }
}

/// The environment over the file. `config` keeps the case and the order of keys and never splits those
/// inside a section; its own conversions are not used, because their errors show values.
fn layered(document: Map<String, Value>, variables: Variables) -> Map<String, Value> {
    let environment = Environment::with_prefix("ENTRADA").prefix_separator("_").separator("__");
    let mut builder = config::Config::builder()
        .add_source(Document(document))
        .add_source(environment.source(Some(variables.texts)));
    for key in variables.broken {
        builder = builder.set_override(key, ValueKind::Nil).expect("keys of the table are paths");
    }
    let layered = builder.build().and_then(|config| config.cache.into_table());
    layered.expect("two tables in memory always make one")
}

fn assemble(values: &mut Values<'_>) -> Option<Config> {
    let public_url = values.text("public_url", syntax::origin);
    let listen = listen(values);
    let hosts = values.list("hosts", syntax::host_header);
    let data_dir = values.text("data_dir", |path| Ok(PathBuf::from(path)));
    let stop_delay = values.duration("stop_delay");
    let upstream = upstream::read(values);
    let store = store::read(values);
    let keys = keys::read(values, data_dir.as_deref());
    let trust = trust(values);
    let registration = registration(values);
    let documents = documents(values);
    let tokens = tokens(values);
    let limits = limits(values);
    let access = tokens.as_ref().map(|tokens| tokens.access);
    let idp = upstream.as_ref().map(|upstream| &upstream.idp);
    let resources = resources::read(values, public_url.as_deref(), access, idp);
    let clients = clients::read(values, resources.as_deref());
    let brand = brand::read(values);
    let log_format = values.one_of("log.format", &[("text", LogFormat::Text), ("json", LogFormat::Json)]);
    let metrics = metrics(values, listen.as_deref());
    Some(Config {
        public_url: public_url?,
        listen: listen?,
        hosts: hosts?,
        data_dir: data_dir?,
        stop_delay: stop_delay?,
        keys: keys?,
        upstream: upstream?,
        store: store?,
        trust: trust?,
        registration: registration?,
        documents: documents?,
        clients: clients?,
        tokens: tokens?,
        limits: limits?,
        resources: resources?,
        brand: brand?,
        log_format: log_format?,
        metrics,
    })
}

fn listen(values: &mut Values<'_>) -> Option<Vec<SocketAddr>> {
    let listen = values.list("listen", syntax::listener)?;
    if listen.is_empty() {
        return values
            .problem("listen", "This is empty. Name an address at least, such as \"127.0.0.1:8000\".");
    }
    Some(listen)
}

fn metrics(values: &mut Values<'_>, listen: Option<&[SocketAddr]>) -> Option<SocketAddr> {
    let metrics = values.text("metrics.listen", syntax::listener)?;
    // Port 0 is a different one each time.
    if metrics.port() != 0 && listen.is_some_and(|listen| listen.contains(&metrics)) {
        return values.problem("metrics.listen", "This address is among those of listen. Write another.");
    }
    Some(metrics)
}

fn trust(values: &mut Values<'_>) -> Option<Trust> {
    let hosts = values.list("trust.hosts", syntax::host_or_part);
    let open = values.flag("trust.open");
    let vendor_schemes = values.flag("trust.vendor_schemes");
    Some(Trust { hosts: hosts?, open: open?, vendor_schemes: vendor_schemes? })
}

fn registration(values: &mut Values<'_>) -> Option<Registration> {
    let enabled = values.flag("dcr.enabled");
    let secret_hosts = values.list("dcr.secret_hosts", syntax::host);
    Some(Registration { enabled: enabled?, secret_hosts: secret_hosts? })
}

fn documents(values: &mut Values<'_>) -> Option<Documents> {
    let enabled = values.flag("cimd.enabled");
    let ca = file::certificates(values, "cimd.ca_file");
    Some(Documents { enabled: enabled?, ca: ca? })
}

fn tokens(values: &mut Values<'_>) -> Option<Tokens> {
    let signing_alg =
        values.one_of("tokens.signing_alg", &[("RS256", SigningAlg::RS256), ("ES256", SigningAlg::ES256)]);
    let access = values.duration("tokens.access");
    let refresh_idle = values.duration("tokens.refresh_idle");
    let refresh_max = values.duration("tokens.refresh_max");
    let code = values.duration("tokens.code");
    let login = values.duration("tokens.login");
    let grace = values.duration("tokens.grace");
    let recheck = values.duration("tokens.recheck");
    if let (Some(idle), Some(max)) = (refresh_idle, refresh_max)
        && idle > max
    {
        let (key, sentence) = if values.is_set("tokens.refresh_max") {
            ("tokens.refresh_max", "This is shorter than tokens.refresh_idle. Write no less than that.")
        } else {
            ("tokens.refresh_idle", "This is longer than tokens.refresh_max. Write a longer one there too.")
        };
        values.problem::<()>(key, sentence);
    }
    Some(Tokens {
        signing_alg: signing_alg?,
        access: access?,
        refresh_idle: refresh_idle?,
        refresh_max: refresh_max?,
        code: code?,
        login: login?,
        grace: grace?,
        recheck: recheck?,
    })
}

fn limits(values: &mut Values<'_>) -> Option<Limits> {
    let per_address = values.rate("limits.per_address");
    let per_user = values.rate("limits.per_user");
    let open_per_user = values.count("limits.open_per_user");
    let per_client = values.rate("limits.per_client");
    let proxies = values.count("limits.proxies");
    Some(Limits {
        per_address: per_address?,
        per_user: per_user?,
        open_per_user: open_per_user?,
        per_client: per_client?,
        proxies: proxies?,
    })
}
