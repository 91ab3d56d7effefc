//! End to end, over real sockets: rmcp's client, the real program, a provider like Entra, rmcp's server.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use entrada::demo::idp::Endpoint;
use entrada::demo::idp::Person;
use serde_json::Value;
use serde_json::json;

use crate::support::entrada::TENANT;
use crate::support::entrada::parameter;
use crate::support::mcp;
use crate::support::mcp::Authorizing;
use crate::support::mcp::Held;
use crate::support::mcp::REDIRECT_URI;
use crate::support::program::Site;
use crate::support::tools::Arrived;
use crate::support::upload::Upload;
use crate::support::web_browser::WebBrowser;
use crate::support::web_browser::location;

#[tokio::test]
async fn a_client_that_knows_only_the_url_ends_with_the_callers_oid() {
    let site = Site::new().await;
    // As deployed by default.
    let _program = site.start_with(&site.settings().replace("ES256", "RS256")).await;
    let (public_url, mcp_url) = (site.public_url.clone(), site.mcp_url());

    let challenge = mcp::challenge(&site).await;
    assert_eq!(
        challenge,
        format!(
            "Bearer resource_metadata=\"{public_url}/.well-known/oauth-protected-resource/mcp\", \
             scope=\"mcp.read mcp.write\""
        )
    );
    assert!(site.tools.arrived().is_empty(), "nothing passes without a token");

    let client = Authorizing::begin(&site, mcp::request(&challenge)).await;
    let asked = client.asked();
    let steps: Vec<_> = asked.iter().map(|a| (a.method.as_str(), a.url.path(), a.status)).collect();
    assert_eq!(
        steps,
        [
            ("GET", "/.well-known/oauth-protected-resource/mcp", 200),
            ("GET", "/.well-known/oauth-authorization-server", 200),
            ("POST", "/register", 201),
        ]
    );
    assert_eq!(asked[0].json()["resource"], mcp_url.as_str());
    assert_eq!(asked[0].json()["authorization_servers"], json!([public_url]));
    assert_eq!(asked[1].json()["issuer"], public_url.as_str());
    assert_eq!(asked[1].json()["authorization_response_iss_parameter_supported"], true);
    let client_id = asked[2].json()["client_id"].as_str().unwrap().to_owned();
    assert!(client_id.starts_with("edc_"), "{client_id}");

    let authorize = client.authorize.clone();
    let sent = |name: &str| parameter(&authorize, name).unwrap_or_else(|| panic!("no {name}: {authorize}"));
    assert!(authorize.as_str().starts_with(&format!("{public_url}/authorize?")));
    assert_eq!(
        [sent("client_id"), sent("resource"), sent("code_challenge_method"), sent("redirect_uri")],
        [client_id.clone(), mcp_url.clone(), "S256".to_owned(), REDIRECT_URI.to_owned()]
    );

    let signed_in = client.signed_in(&site, 0).await;
    for words in ["Rusty", "Expenses", "Read your expenses", "Add expenses", "127.0.0.1"] {
        assert!(signed_in.consent.body.contains(words), "{words}: {}", signed_in.consent.body);
    }
    let back = signed_in.back;
    assert!(back.as_str().starts_with(&format!("{REDIRECT_URI}?code=edac_")), "{back}");
    assert_eq!(parameter(&back, "state"), Some(sent("state")));
    assert_eq!(parameter(&back, "iss"), Some(public_url.clone()));

    let client = client.finish(&back).await.unwrap();
    let redeemed = client.asked();
    assert_eq!(redeemed.len(), 1);
    assert_eq!(redeemed[0].parameter("grant_type").as_deref(), Some("authorization_code"));
    assert_eq!(redeemed[0].json()["scope"], "mcp.read mcp.write");
    let first = client.held().await;
    assert!(first.refresh.starts_with("edr_"));
    assert_eq!(first.client_id, client_id);
    let claims = claims(&first.access);
    let ada = &Person::three(TENANT)[0];
    assert_eq!((claims["iss"].as_str(), claims["aud"].as_str()), (Some(&*public_url), Some(&*mcp_url)));
    assert_eq!((claims["oid"].as_str(), claims["tid"].as_str()), (Some(&*ada.oid), Some(TENANT)));

    let session = client.connect().await;
    let tools = session.session.running.list_all_tools().await.unwrap();
    assert_eq!(tools.len(), 2, "{tools:?}");
    assert_eq!(session.call("whoami").await.unwrap(), ada.oid);
    let before = site.tools.arrived();
    let token_before = token_there(&before);
    assert_eq!(before.last().unwrap().claims.as_ref().unwrap()["aud"], site.tools.url.as_str());

    assert_eq!(upstream_refreshes(&site), 0);
    let second = client.refresh().await.unwrap();
    assert_eq!(upstream_refreshes(&site), 1, "refresh follows the identity provider");
    assert!(second.access != first.access && second.refresh != first.refresh);
    assert_eq!(second.client_id, first.client_id);
    assert_eq!(session.call("whoami").await.unwrap(), ada.oid);
    let after = site.tools.arrived();
    assert_ne!(token_there(&after), token_before, "each access token has its own downstream token");

    session.end().await;
    let all: Vec<_> = before.into_iter().chain(after).chain(site.tools.arrived()).collect();
    for method in ["POST", "GET", "DELETE"] {
        assert!(all.iter().any(|arrived| arrived.method == method), "no {method} passed the gateway");
    }
    nothing_of_the_client_arrived(&all, &[&first, &second]);
    let verifier = redeemed[0].parameter("code_verifier").unwrap();
    let clients_own = [
        client_id,
        sent("state"),
        sent("code_challenge"),
        verifier,
        REDIRECT_URI.to_owned(),
        mcp_url,
        parameter(&back, "code").unwrap(),
        first.access,
        first.refresh,
        second.access,
        second.refresh,
    ];
    nothing_of_the_client_went_upstream(&site, &clients_own);
}

#[tokio::test]
async fn each_person_is_themselves_until_their_grant_is_revoked() {
    let site = Site::new().await;
    let program = site.start().await;
    let people = Person::three(TENANT);
    let (ada, ben) = (mcp::sign_in(&site, 0).await, mcp::sign_in(&site, 1).await);
    let (adas, bens) = (ada.connect().await, ben.connect().await);
    // Interleaved, so that whatever is remembered between requests belongs to the other.
    for _ in 0..2 {
        assert_eq!(adas.call("whoami").await.unwrap(), people[0].oid);
        assert_eq!(bens.call("whoami").await.unwrap(), people[1].oid);
    }
    let (ada_holds, ben_holds) = (ada.held().await, ben.held().await);
    assert_eq!(ada_holds.client_id, ben_holds.client_id, "one public client, two people");
    let sid = claims(&ada_holds.access)["sid"].as_str().unwrap().to_owned();
    assert_ne!(claims(&ben_holds.access)["sid"], sid.as_str());

    let revoked = site.grant(&["revoke", &sid]).await;
    assert_eq!(revoked.code, Some(0), "{revoked:?}");
    site.tools.arrived();
    let error = adas.call("whoami").await.expect_err("the grant has ended");
    assert!(error.is_authorization_required(), "{error:?}");
    let challenge = error.auth_challenge().unwrap_or_default();
    for part in ["error=\"invalid_token\"", "revoked", "resource_metadata="] {
        assert!(challenge.contains(part), "{challenge}");
    }
    assert!(site.tools.arrived().is_empty(), "it ended at the gateway");
    program.logged("reason", "token_revoked").await;
    assert!(ada.refresh().await.is_err());

    assert_eq!(bens.call("whoami").await.unwrap(), people[1].oid);
    ben.refresh().await.unwrap();
    assert_eq!(bens.call("whoami").await.unwrap(), people[1].oid);
}

#[tokio::test]
async fn what_the_server_says_reaches_the_client_before_the_answer_ends() {
    let site = Site::new().await;
    let _program = site.start().await;
    let client = mcp::sign_in(&site, 0).await;
    let session = client.connect().await;
    let heard = async {
        assert_eq!(session.progress().await, 1.0);
        // Only now may the server say more: what came first came through an open answer.
        site.tools.go_on();
    };
    let (answer, ()) = tokio::join!(session.call("count"), heard);
    assert_eq!(answer.unwrap(), "two");
}

#[tokio::test]
async fn an_upload_reaches_the_server_while_it_is_being_sent() {
    let site = Site::new().await;
    let _program = site.start().await;
    let held = mcp::sign_in(&site, 0).await.held().await;
    let upload = Upload::begin(&site, &held.access);
    for piece in ["first", "second"] {
        upload.send(piece);
        assert_eq!(site.tools.piece().await, piece);
        assert!(!upload.is_answered());
    }
    assert_eq!(upload.end().await, (200, "2 pieces".to_owned()));
    nothing_of_the_client_arrived(&site.tools.arrived(), &[&held]);
}

/// rmcp asks for all that there is, unless told to begin with what it is asked for. Then it gives its host the challenge
/// of a call that needs more, and the host asks.
#[tokio::test]
async fn a_client_that_is_refused_a_tool_gets_it_by_the_challenge_that_it_is_given() {
    let site = Site::new().await;
    let rules = "default_scopes = [\"mcp.read\"]\ntools = { \"*\" = \"mcp.read\", \"count\" = \"mcp.write\" }\n\n[log]";
    let program = site.start_with(&site.settings().replace("[log]", rules)).await;
    let challenge = mcp::challenge(&site).await;
    let all = Authorizing::begin(&site, mcp::request(&challenge)).await;
    assert_eq!(parameter(&all.authorize, "scope").as_deref(), Some("mcp.read mcp.write"), "its default");
    let beginning = mcp::request(&challenge).with_initial_scope_selection();
    let beginning = Authorizing::begin(&site, beginning).await;
    assert_eq!(parameter(&beginning.authorize, "scope").as_deref(), Some("mcp.read"));
    let back = beginning.signed_in(&site, 0).await.back;
    let reader = beginning.finish(&back).await.unwrap().connect().await;
    reader.call("whoami").await.unwrap();
    let error = reader.call("count").await.expect_err("it needs mcp.write");
    let challenge = error.auth_challenge().unwrap_or_default().to_owned();
    for part in ["error=\"insufficient_scope\"", "scope=\"mcp.read mcp.write\""] {
        assert!(challenge.contains(part), "{challenge}");
    }
    program.logged("reason", "insufficient_scope").await;
    reader.call("whoami").await.expect("the session goes on");

    let asking = mcp::request(&challenge).with_initial_scope_selection();
    let asking = Authorizing::begin(&site, asking).await;
    assert_eq!(parameter(&asking.authorize, "scope").as_deref(), Some("mcp.read mcp.write"));
    let signed_in = asking.signed_in(&site, 0).await;
    for words in ["Read your expenses", "Add expenses"] {
        assert!(signed_in.consent.body.contains(words), "{words}: {}", signed_in.consent.body);
    }
    let writer = asking.finish(&signed_in.back).await.unwrap().connect().await;
    site.tools.go_on();
    assert_eq!(writer.call("count").await.unwrap(), "two");
}

#[tokio::test]
async fn who_declines_goes_back_with_an_error_and_can_begin_again() {
    let site = Site::new().await;
    let program = site.start().await;
    let challenge = mcp::challenge(&site).await;
    let client = Authorizing::begin(&site, mcp::request(&challenge)).await;
    let mut browser = WebBrowser::new(&site);
    let page = browser.get(client.authorize.as_str()).await;
    let back = location(&browser.decide(&page, "deny").await);
    assert_eq!(parameter(&back, "error").as_deref(), Some("access_denied"), "{back}");
    assert_eq!(parameter(&back, "state"), parameter(&client.authorize, "state"));
    assert!(client.finish(&back).await.is_err());
    program.logged("event", "consent.denied").await;
    assert!(site.idp.requests().iter().all(|seen| seen.endpoint != Endpoint::Authorize));

    let again = Authorizing::begin(&site, mcp::request(&challenge)).await;
    let back = browser.sign_in(again.authorize.as_str()).await.back;
    assert!(again.finish(&back).await.is_ok());
    assert_eq!(browser.cookie_names().len(), 2, "which browser it is, and what it declined");
}

/// The claims of a token, unverified.
fn claims(token: &str) -> Value {
    let payload = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
}

/// The token of the last request that arrived.
fn token_there(arrived: &[Arrived]) -> String {
    arrived.last().unwrap().headers["authorization"].to_str().unwrap().to_owned()
}

fn upstream_refreshes(site: &Site) -> usize {
    let requests = site.idp.requests();
    requests.iter().filter(|seen| seen.param("grant_type") == Some("refresh_token")).count()
}

/// The server behind the gateway saw verified tokens, none of them the client's, and no cookie.
fn nothing_of_the_client_arrived(arrived: &[Arrived], held: &[&Held]) {
    assert!(!arrived.is_empty());
    for request in arrived {
        assert!(request.claims.is_some(), "a token did not verify: {}", request.target);
        assert!(!request.headers.contains_key("cookie"), "{:?}", request.headers);
        let seen = format!("{} {:?}", request.target, request.headers);
        for held in held {
            assert!(!seen.contains(&held.access) && !seen.contains(&held.refresh), "the client's token");
        }
    }
}

/// The identity provider saw Entrada's own request and nothing that a stranger sent.
fn nothing_of_the_client_went_upstream(site: &Site, clients_own: &[String]) {
    let requests = site.idp.requests();
    for endpoint in [Endpoint::Authorize, Endpoint::Token] {
        assert!(requests.iter().any(|seen| seen.endpoint == endpoint));
    }
    for seen in &requests {
        assert_eq!(seen.param("resource"), None);
        let text = format!("{} {:?} {:?}", seen.path, seen.params, seen.headers);
        for own in clients_own {
            assert!(!text.contains(own.as_str()), "{own} went upstream: {text}");
        }
    }
}
