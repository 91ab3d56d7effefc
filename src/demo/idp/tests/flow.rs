use super::*;

#[tokio::test]
async fn a_person_signs_in_by_the_page_and_the_id_token_says_so() {
    let bench = Bench::entra(NoScript).await;
    let page = bench.authorize(&[]).await;
    assert_eq!(page.status, 200);
    assert!(page.body.contains("Development identity provider. This is not Microsoft."));
    assert!(page.headers["content-security-policy"].to_str().unwrap().starts_with("default-src 'none'"));
    assert!(!page.body.contains("<script"));
    let forms = forms(&page.body);
    assert_eq!(forms.len(), 4, "three people and cancel");

    let (action, fields) = &forms[2];
    let fields: Vec<_> = fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let back = bench.post(action, &fields).await.back();
    assert_eq!(back.get("state"), "st&te =+%ü");

    let tokens = bench.exchange(back.get("code"), &[]).await;
    assert_eq!(tokens.status, 200, "{}", tokens.body);
    assert_eq!(tokens.headers["cache-control"], "no-store");
    assert_eq!(tokens.json()["token_type"], "Bearer");
    assert_eq!(tokens.json()["expires_in"], 3600);

    let claims = bench.claims(&tokens).await;
    let zoe = &Person::three(TENANT)[2];
    for (name, value) in [
        ("ver", "2.0"),
        ("nonce", "n-1"),
        ("oid", &zoe.oid),
        ("tid", TENANT),
        ("name", "Zoë Ångström"),
        ("preferred_username", "zoe@contoso.example"),
    ] {
        assert_eq!(claims[name], value);
    }
    for (name, value) in [("iat", START), ("nbf", START), ("auth_time", START), ("exp", START + 3600)] {
        assert_eq!(claims[name], value);
    }
    assert_ne!(claims["sub"], claims["oid"]);
    assert!(!claims.contains_key("roles") && !claims.contains_key("groups"), "left out when empty");

    let again = bench.post(action, &fields).await;
    assert_eq!(again.page_error(), (400, 90_014), "a page works once");
}

#[tokio::test]
async fn cancel_goes_back_with_access_denied() {
    let bench = Bench::entra(NoScript).await;
    let page = bench.authorize(&[]).await;
    let (action, fields) = &forms(&page.body)[3];
    let fields: Vec<_> = fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let back = bench.post(action, &fields).await.back();
    assert_eq!(back.error(), ("access_denied", 65_004));
    assert_eq!(back.get("state"), "st&te =+%ü");
}

#[tokio::test]
async fn a_page_is_bound_to_its_site_and_its_time() {
    let bench = Bench::entra(NoScript).await;
    let txn = |page: &Answer| forms(&page.body)[0].1[0].1.clone();

    let page = bench.authorize(&[]).await;
    let oidc = format!("{}/oidc/pick", bench.idp.authority());
    let elsewhere = bench.post(&oidc, &[("txn", &txn(&page)), ("person", "0")]).await;
    assert_eq!(elsewhere.status, 400);

    let page = bench.authorize(&[]).await;
    bench.advance(15 * 60);
    let late = bench.post(&format!("{}/pick", bench.oauth), &[("txn", &txn(&page)), ("person", "0")]).await;
    assert_eq!(late.page_error(), (400, 90_014));
}

#[tokio::test]
async fn entra_refreshes_with_a_new_token_every_time_and_keeps_the_old_one() {
    let bench = Bench::entra(ada()).await;
    let first = bench.sign_in().await;
    bench.advance(600);
    let second = bench.refresh(&first.text("refresh_token"), &[]).await;
    let third = bench.refresh(&first.text("refresh_token"), &[("scope", "openid")]).await;
    assert_eq!((second.status, third.status), (200, 200));
    assert_ne!(second.text("refresh_token"), first.text("refresh_token"));
    assert_ne!(third.text("refresh_token"), second.text("refresh_token"));
    assert_eq!(third.text("scope"), "openid");

    let claims = bench.claims(&second).await;
    assert!(!claims.contains_key("nonce"));
    assert_eq!((claims["iat"].as_i64(), claims["auth_time"].as_i64()), (Some(START + 600), Some(START)));
    assert_eq!(claims["roles"], serde_json::json!(["Tools.Admin", "Tools.Read"]));

    let wider = bench.refresh(&first.text("refresh_token"), &[("scope", "openid Mail.Read")]).await;
    assert_eq!(wider.error(), (400, "invalid_grant".into(), 65_001));
    let unknown = bench.refresh("never-issued", &[]).await;
    assert_eq!(unknown.error(), (400, "invalid_grant".into(), 700_082));
}

#[tokio::test]
async fn the_plain_face_rotates_refresh_tokens_and_refuses_the_old_one() {
    let bench = Bench::oidc(ada()).await;
    assert_eq!(bench.idp.issuer_oidc(), bench.discovery().await["issuer"]);
    assert_eq!(bench.discovery().await["code_challenge_methods_supported"], serde_json::json!(["S256"]));

    let first = bench.exchange(&bench.code(&[]).await, &[("scope", "")]).await;
    let claims = bench.claims(&first).await;
    assert!(!claims.contains_key("oid") && !claims.contains_key("tid"));
    let second = bench.refresh(&first.text("refresh_token"), &[("scope", "")]).await;
    assert_eq!(bench.claims(&second).await["sub"], claims["sub"]);

    let old = bench.refresh(&first.text("refresh_token"), &[]).await;
    assert_eq!((old.status, old.text("error").as_str()), (400, "invalid_grant"));
    assert!(!old.body.contains("AADSTS"));
    let wider = bench.refresh(&second.text("refresh_token"), &[("scope", "openid more")]).await;
    assert_eq!(wider.text("error"), "invalid_scope");
    let current = bench.refresh(&second.text("refresh_token"), &[]).await;
    assert_eq!(current.status, 200, "a refused request spends nothing");
}

#[tokio::test]
async fn racing_refreshes_on_the_plain_face_have_one_winner() {
    let bench = Bench::oidc(ada()).await;
    let token = bench.sign_in().await.text("refresh_token");
    let racers = futures_util::future::join_all((0..8).map(|_| bench.refresh(&token, &[]))).await;
    assert_eq!(racers.iter().filter(|answer| answer.status == 200).count(), 1);
}

#[tokio::test]
async fn the_faces_do_not_honour_what_the_other_issued() {
    let mut bench = Bench::entra(ada()).await;
    let (code, tokens) = (bench.code(&[]).await, bench.sign_in().await);
    bench.oauth = bench.idp.issuer_oidc();
    assert_eq!(bench.exchange(&code, &[]).await.text("error"), "invalid_grant");
    assert_eq!(bench.refresh(&tokens.text("refresh_token"), &[]).await.text("error"), "invalid_grant");
}

#[tokio::test]
async fn tokens_are_issued_only_for_the_scopes_that_ask_for_them() {
    let bench = Bench::entra(ada()).await;
    let plain = [("scope", "openid")];
    let tokens = bench.exchange(&bench.code(&plain).await, &plain).await;
    assert!(tokens.json().get("refresh_token").is_none());
    let plain = [("scope", "User.Read")];
    let tokens = bench.exchange(&bench.code(&plain).await, &plain).await;
    assert_eq!(tokens.status, 200);
    assert!(tokens.json().get("id_token").is_none());
}

#[tokio::test]
async fn auth_time_is_the_sessions_unless_the_request_wants_it_fresher() {
    let bench = Bench::entra(ada()).await;
    let mut seen = Vec::new();
    for (seconds, changes) in [
        (0, ("prompt", "")),
        (100, ("prompt", "none")),
        (100, ("max_age", "200")),
        (1, ("max_age", "200")),
        (50, ("prompt", "login")),
        (5, ("prompt", "select_account")),
    ] {
        bench.advance(seconds);
        let tokens = bench.exchange(&bench.code(&[changes]).await, &[]).await;
        seen.push(bench.claims(&tokens).await["auth_time"].as_i64().unwrap() - START);
    }
    assert_eq!(seen, [0, 0, 0, 201, 251, 251]);
}

#[tokio::test]
async fn all_tenants_at_once_have_a_template_for_an_issuer() {
    let mut people = Person::three(TENANT);
    people.extend(Person::three(OTHER_TENANT));
    let script = Play { pick: Some(4), ..Play::default() };
    let bench = Bench::with(script, people).await.at("organizations");
    let template = format!("{}/{{tenantid}}/v2.0", bench.idp.authority());
    assert_eq!(bench.discovery().await["issuer"], template);
    let keys = bench.get(&format!("{}/discovery/v2.0/keys", bench.site)).await.json();
    assert_eq!(keys["keys"][0]["issuer"], template);

    let tokens = bench.sign_in().await;
    let bench = bench.at(OTHER_TENANT);
    let claims = bench.claims(&tokens).await;
    assert_eq!(claims["tid"], OTHER_TENANT);
    assert_eq!(bench.refresh(&tokens.text("refresh_token"), &[]).await.status, 200);

    let bench = bench.at(TENANT);
    assert_eq!(bench.idp.issuer_entra(), bench.discovery().await["issuer"]);
    assert_eq!(bench.authorize(&[]).await.back().error(), ("access_denied", 50_020));
    let unknown = bench.at("7e7a0000-0000-4000-8000-000000000000");
    assert_eq!(unknown.authorize(&[]).await.page_error(), (400, 90_002));
}

#[tokio::test]
async fn everything_asked_and_issued_can_be_inspected() {
    let bench = Bench::entra(ada()).await;
    let code = bench.code(&[]).await;
    let tokens = bench.exchange(&code, &[]).await;
    let issued = ["access_token", "refresh_token", "id_token"].map(|name| tokens.text(name));
    assert_eq!(bench.idp.secrets()[0], code);
    assert_eq!(bench.idp.secrets()[1..], issued);

    bench.get(&format!("{}/nowhere?x=1", bench.idp.authority())).await;
    let seen = bench.idp.requests();
    let endpoints: Vec<_> = seen.iter().map(|request| request.endpoint).collect();
    assert_eq!(endpoints, [Endpoint::Authorize, Endpoint::Token, Endpoint::Unknown]);
    assert_eq!(seen[0].param("nonce"), Some("n-1"));
    assert_eq!(seen[1].param("code"), Some(code.as_str()));
    assert_eq!(seen[1].header("content-type"), Some("application/x-www-form-urlencoded"));
    assert_eq!((seen[2].path.as_str(), seen[2].param("x")), ("/nowhere", Some("1")));
    assert!(!format!("{seen:?}").contains(&code), "values are not printable");
}

#[tokio::test]
async fn it_stops_and_it_starts_on_loopback_only() {
    let bench = Bench::entra(ada()).await;
    let url = format!("{}/v2.0/.well-known/openid-configuration", bench.site);
    assert_eq!(bench.get(&url).await.status, 200);
    let Bench { idp, http, .. } = bench;
    idp.stop().await;
    assert!(http.get(&url).send().await.is_err());

    let people = Person::three(TENANT);
    let options = Options {
        tenant: TENANT.to_owned(),
        client_id: CLIENT.to_owned(),
        client_secret: SECRET.into(),
        redirect_uris: Vec::new(),
        people,
        now: Arc::new(|| START),
        script: Arc::new(NoScript),
    };
    let everywhere = TcpListener::bind("0.0.0.0:0").await.unwrap();
    assert!(DevIdp::start(everywhere, options).await.is_err());
}

type Form = (String, Vec<(String, String)>);

/// The forms of a page: where each goes and its hidden fields.
fn forms(page: &str) -> Vec<Form> {
    let form = |html: &str| {
        let field = |part: &str| (between(part, "name=\"", "\""), between(part, "value=\"", "\""));
        let fields = html.split("<input ").skip(1).map(field).collect();
        (between(html, "action=\"", "\""), fields)
    };
    page.split("<form ").skip(1).map(form).collect()
}

fn between(text: &str, start: &str, end: &str) -> String {
    let (_, rest) = text.split_once(start).unwrap();
    rest.split_once(end).unwrap().0.to_owned()
}
