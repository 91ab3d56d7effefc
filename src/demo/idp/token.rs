use axum::http::HeaderMap;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Map;
use serde_json::Value;
use serde_json::json;
use sha2::Digest;
use sha2::Sha256;

use super::Idp;
use super::client;
use super::face::Face;
use super::face::Site;
use super::fault::Fault;
use super::form::Params;
use super::graph;
use super::keys;
use super::memory::Grant;
use super::script::GrantKind;
use super::script::IdToken;
use super::script::Signature;

const KNOWN: &[&str] = &[
    "grant_type",
    "client_id",
    "client_secret",
    "client_assertion",
    "client_assertion_type",
    "client_info",
    "code",
    "redirect_uri",
    "code_verifier",
    "refresh_token",
    "scope",
    // Known so that it gets the answer that Entra gives.
    "resource",
];

/// How long access and ID tokens live, in seconds.
const TOKEN_LIFETIME: i64 = 60 * 60;

/// What a grant was exchanged for, before tokens are made of it.
struct Redeemed {
    kind: GrantKind,
    grant: Grant,
    /// The scope of the tokens, which is the grant's or less.
    scope: Vec<String>,
    nonce: Option<String>,
}

/// The token endpoint (RFC 6749 §3.2).
pub(super) fn token(
    idp: &Idp,
    site: &Site,
    headers: &HeaderMap,
    params: &Params,
) -> Result<Map<String, Value>, Fault> {
    params.only(KNOWN)?;
    let grant_type = params.required("grant_type")?;
    client::authenticate(idp, site, headers, params)?;
    if params.has("resource") {
        return Err(Fault::resource());
    }
    if site.face == Face::Entra && params.scope().is_none() {
        return Err(Fault::missing("scope"));
    }
    let redeemed = match grant_type {
        "authorization_code" => redeem_code(idp, site, params)?,
        "refresh_token" => redeem_refresh_token(idp, site, params)?,
        _ => return Err(Fault::grant_type()),
    };
    Ok(answer(idp, site, redeemed))
}

fn redeem_code(idp: &Idp, site: &Site, params: &Params) -> Result<Redeemed, Fault> {
    let code = params.required("code")?;
    let redirect_uri = params.required("redirect_uri")?;
    let code = idp.memory.spend_code(code, site.face, idp.now())?;
    if code.redirect_uri != redirect_uri {
        return Err(Fault::redeemed_elsewhere());
    }
    // A verifier without a challenge is refused too: it shows that the challenge was taken away.
    let presented = params.get("code_verifier").map(s256);
    if presented != code.challenge {
        return Err(Fault::verifier());
    }
    let scope = narrow(idp, site.face, &code.grant, params)?;
    Ok(Redeemed { kind: GrantKind::Code, grant: code.grant, scope, nonce: code.nonce })
}

fn redeem_refresh_token(idp: &Idp, site: &Site, params: &Params) -> Result<Redeemed, Fault> {
    let presented = params.required("refresh_token")?;
    let grant = idp.memory.refresh_token(presented, site.face).ok_or_else(Fault::unknown_refresh_token)?;
    let scope = narrow(idp, site.face, &grant, params)?;
    // Entra leaves the old refresh token valid.
    if site.face == Face::Oidc && !idp.memory.retire_refresh_token(presented) {
        return Err(Fault::unknown_refresh_token());
    }
    // No nonce: nothing asked for this ID token (OpenID Connect Core §12.2).
    Ok(Redeemed { kind: GrantKind::Refresh, grant, scope, nonce: None })
}

/// The scope asked for, which must lie within the grant's (RFC 6749 §6). All of it when none is asked for.
///
/// A refresh token of Entra is good for every resource that somebody has consented to, and an access token for one.
fn narrow(idp: &Idp, face: Face, grant: &Grant, params: &Params) -> Result<Vec<String>, Fault> {
    let Some(asked) = params.scope() else {
        return Ok(grant.scope.clone());
    };
    let of_graph = |part: &String| face == Face::Entra && graph::is_scope(idp, part);
    let of_resource = |part: &String| part.contains("://") && !of_graph(part);
    if asked.iter().any(of_graph) && asked.iter().any(of_resource) {
        return Err(Fault::several_resources());
    }
    let consented = |part: &String| grant.scope.contains(part) || graph::is_consented(idp, part);
    if asked.iter().all(consented) { Ok(asked) } else { Err(Fault::not_consented(face)) }
}

/// The challenge of a verifier (RFC 7636 §4.6).
fn s256(verifier: &str) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(verifier))
}

/// A successful answer (RFC 6749 §5.1).
fn answer(idp: &Idp, site: &Site, redeemed: Redeemed) -> Map<String, Value> {
    let mut response = Map::new();
    let mut put = |name: &str, value: Value| {
        response.insert(name.to_owned(), value);
    };
    let has = |name: &str| redeemed.scope.iter().any(|part| part == name);

    put("token_type", "Bearer".into());
    put("scope", redeemed.scope.join(" ").into());
    put("expires_in", TOKEN_LIFETIME.into());
    if site.face == Face::Entra {
        put("ext_expires_in", TOKEN_LIFETIME.into());
    }
    let of_token = Grant { scope: redeemed.scope.clone(), ..redeemed.grant.clone() };
    put("access_token", idp.memory.issue_access_token(of_token).into());
    if redeemed.kind == GrantKind::Refresh || has("offline_access") {
        put("refresh_token", idp.memory.issue_refresh_token(redeemed.grant.clone()).into());
    }
    if has("openid")
        && let Some(id_token) = id_token(idp, site, &redeemed)
    {
        put("id_token", id_token.into());
    }
    idp.options.script.token_response(redeemed.kind, &mut response);
    response
}

/// The ID token (OpenID Connect Core §2), after the script has had its say. None if the person is gone.
fn id_token(idp: &Idp, site: &Site, redeemed: &Redeemed) -> Option<String> {
    let person = idp.options.people.get(redeemed.grant.person)?;
    let now = idp.now();
    let mut claims = site.claims(person, &idp.options.client_id);
    let mut put = |name: &str, value: Value| {
        claims.insert(name.to_owned(), value);
    };
    put("iat", now.into());
    put("nbf", now.into());
    put("exp", now.saturating_add(TOKEN_LIFETIME).into());
    put("auth_time", redeemed.grant.auth_time.into());
    if let Some(nonce) = &redeemed.nonce {
        put("nonce", nonce.as_str().into());
    }
    let mut header = Map::new();
    header.insert("typ".to_owned(), json!("JWT"));
    header.insert("alg".to_owned(), json!("RS256"));
    header.insert("kid".to_owned(), keys::kid(idp.memory.key_generation()).into());

    let mut token = IdToken { header, claims, signature: Signature::Own };
    idp.options.script.id_token(redeemed.kind, &mut token);
    let id_token = keys::sign(&token);
    idp.memory.issued(&id_token);
    Some(id_token)
}
