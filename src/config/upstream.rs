//! The identity provider, and by what it knows Entrada.

use std::path::PathBuf;

use secrecy::SecretString;
use url::Url;

use super::Idp;
use super::Proof;
use super::Tenants;
use super::Upstream;
use super::syntax;
use super::values::Values;

/// The settings of Entra alone, but for the one that is required there.
const OF_ENTRA: [&str; 6] = [
    "upstream.tenant",
    "upstream.allowed_tenants",
    "upstream.guests",
    "upstream.authority",
    "upstream.credential",
    "upstream.graph",
];

type Read<T> = fn(&mut Values<'_>) -> Option<T>;

pub(super) fn read(values: &mut Values<'_>) -> Option<Upstream> {
    let kind = values.one_of("upstream.kind", &[("entra", entra as Read<Idp>), ("oidc", oidc)]);
    let idp = kind.and_then(|read| read(values));
    let client_id = values.text("upstream.client_id", syntax::credential);
    let proof = proof(values);
    let scopes = values.list("upstream.scopes", syntax::scope);
    Some(Upstream { idp: idp?, client_id: client_id?, proof: proof?, scopes: scopes? })
}

fn entra(values: &mut Values<'_>) -> Option<Idp> {
    values.refuse("upstream.issuer", "upstream.kind", "oidc");
    values.require("upstream.tenant");
    let tenants = tenants(values);
    let guests = values.one_of("upstream.guests", &[("deny", false), ("allow", true)]);
    let authority = values.text("upstream.authority", syntax::origin);
    let graph = graph(values);
    Some(Idp::Entra { tenants: tenants?, guests: guests?, authority: authority?, graph: graph? })
}

fn tenants(values: &mut Values<'_>) -> Option<Tenants> {
    const LIST: &str = "upstream.allowed_tenants";
    match values.text("upstream.tenant", syntax::tenant_or_organizations)? {
        Some(tenant) => {
            values.refuse(LIST, "upstream.tenant", "organizations");
            Some(Tenants::One(tenant))
        }
        None => {
            values.require(LIST);
            let tenants = values.list(LIST, syntax::tenant)?;
            if tenants.is_empty() {
                let sentence =
                    "This is empty, and anybody of any organization could sign in. Name the tenants by GUID.";
                return values.problem(LIST, sentence);
            }
            Some(Tenants::Several(tenants))
        }
    }
}

/// The inner `None` is the Graph of the cloud that the authority is of.
fn graph(values: &mut Values<'_>) -> Option<Option<Url>> {
    let given = values.is_set("upstream.graph");
    let read = |text: &str| {
        let origin = syntax::origin(text)?;
        Url::parse(&origin).map_err(|_| "This is not a URL. Write an origin.".to_owned())
    };
    let graph = values.text("upstream.graph", read);
    (graph.is_some() || !given).then_some(graph)
}

fn oidc(values: &mut Values<'_>) -> Option<Idp> {
    for key in OF_ENTRA {
        values.refuse(key, "upstream.kind", "entra");
    }
    values.require("upstream.issuer");
    let issuer = values.text("upstream.issuer", syntax::issuer);
    Some(Idp::Oidc { issuer: issuer? })
}

/// What belongs to one kind of proof alone.
const PROOFS: [(&str, &str); 3] = [
    ("upstream.client_secret", "secret"),
    ("upstream.managed_identity", "managed-identity"),
    ("upstream.certificate_file", "certificate"),
];

fn proof(values: &mut Values<'_>) -> Option<Proof> {
    let words: &[(&str, (&str, Read<Proof>))] = &[
        ("secret", ("secret", secret)),
        ("managed-identity", ("managed-identity", managed_identity)),
        ("workload-identity", ("workload-identity", |_| Some(Proof::WorkloadIdentity))),
        ("certificate", ("certificate", certificate)),
    ];
    let (word, read) = values.one_of("upstream.credential", words)?;
    for (key, of) in PROOFS {
        match of == word {
            true => values.require(key),
            false => values.refuse(key, "upstream.credential", of),
        }
    }
    read(values)
}

fn secret(values: &mut Values<'_>) -> Option<Proof> {
    let read = |secret: &str| syntax::credential(secret).map(SecretString::from);
    values.text("upstream.client_secret", read).map(Proof::Secret)
}

fn managed_identity(values: &mut Values<'_>) -> Option<Proof> {
    let client_id = values.text("upstream.managed_identity", syntax::client_id_of_identity)?;
    Some(Proof::ManagedIdentity { client_id })
}

fn certificate(values: &mut Values<'_>) -> Option<Proof> {
    let file = values.text("upstream.certificate_file", |path| Ok(PathBuf::from(path)))?;
    Some(Proof::Certificate { file })
}
