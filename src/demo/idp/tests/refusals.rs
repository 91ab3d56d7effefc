use base64::engine::general_purpose::STANDARD;

use super::*;

#[tokio::test]
async fn resource_is_refused_on_every_leg() {
    let bench = Bench::entra(ada()).await;
    let resource = [("resource", "https://mcp.example/mcp")];
    assert_eq!(bench.authorize(&resource).await.back().error(), ("invalid_target", 9_010_010));
    let expected = (400, "invalid_target".to_owned(), 9_010_010);
    let tokens = bench.sign_in().await;
    assert_eq!(bench.exchange(&bench.code(&[]).await, &resource).await.error(), expected);
    assert_eq!(bench.refresh(&tokens.text("refresh_token"), &resource).await.error(), expected);
}

#[tokio::test]
async fn scope_is_required_on_every_leg() {
    let bench = Bench::entra(ada()).await;
    let tokens = bench.sign_in().await;
    let expected = (400, "invalid_request".to_owned(), 900_144);
    for missing in [("scope", ""), ("scope", " ")] {
        assert_eq!(bench.authorize(&[missing]).await.back().error(), ("invalid_request", 900_144));
        assert_eq!(bench.exchange(&bench.code(&[]).await, &[missing]).await.error(), expected);
        assert_eq!(bench.refresh(&tokens.text("refresh_token"), &[missing]).await.error(), expected);
    }
    assert!(bench.exchange("any", &[("scope", "")]).await.text("error_description").contains("'scope'"));
}

#[tokio::test]
async fn a_code_works_once_for_ten_minutes_with_its_verifier_and_its_redirect_uri() {
    let bench = Bench::entra(ada()).await;
    let refused = |answer: Answer| {
        let (status, error, code) = answer.error();
        assert_eq!((status, error.as_str()), (400, "invalid_grant"));
        code
    };

    let code = bench.code(&[]).await;
    assert_eq!(bench.exchange(&code, &[]).await.status, 200);
    assert_eq!(refused(bench.exchange(&code, &[]).await), 54_005);

    let code = bench.code(&[]).await;
    bench.advance(600);
    assert_eq!(refused(bench.exchange(&code, &[]).await), 70_008);
    let code = bench.code(&[]).await;
    bench.advance(599);
    assert_eq!(bench.exchange(&code, &[]).await.status, 200);

    let other = [("redirect_uri", "https://door.example/other")];
    assert_eq!(refused(bench.exchange(&bench.code(&[]).await, &other).await), 500_112);
    assert_eq!(refused(bench.exchange("never-issued", &[]).await), 70_000);

    for verifier in ["", "another-verifier-of-at-least-forty-three-characters"] {
        let code = bench.code(&[]).await;
        assert_eq!(refused(bench.exchange(&code, &[("code_verifier", verifier)]).await), 501_481);
        assert_eq!(refused(bench.exchange(&code, &[]).await), 54_005, "a wrong guess spends the code");
    }
    let without = [("code_challenge", ""), ("code_challenge_method", "")];
    assert_eq!(refused(bench.exchange(&bench.code(&without).await, &[]).await), 501_481);
    assert_eq!(bench.exchange(&bench.code(&without).await, &[("code_verifier", "")]).await.status, 200);
}

#[tokio::test]
async fn the_client_proves_itself_in_one_way() {
    let script = Play { assertion: Some("a.good.assertion"), ..ada() };
    let bench = Bench::entra(script).await;
    let token = bench.sign_in().await.text("refresh_token");
    let jwt_bearer = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
    let invalid_client = |code| (401, "invalid_client".to_owned(), code);

    let missing = bench.refresh(&token, &[("client_secret", "")]).await;
    assert_eq!(missing.error(), invalid_client(7_000_218));
    assert!(missing.headers["www-authenticate"].to_str().unwrap().starts_with("Basic "));
    let wrong = bench.refresh(&token, &[("client_secret", "wrong")]).await;
    assert_eq!(wrong.error(), invalid_client(7_000_215));
    let stranger = bench.refresh(&token, &[("client_id", "someone-else")]).await;
    assert_eq!(stranger.error(), (400, "unauthorized_client".into(), 700_016));

    let assertion =
        |value| [("client_secret", ""), ("client_assertion_type", jwt_bearer), ("client_assertion", value)];
    assert_eq!(bench.refresh(&token, &assertion("a.good.assertion")).await.status, 200);
    let refused = bench.refresh(&token, &assertion("another.one")).await;
    assert_eq!(refused.error(), invalid_client(50_027), "it is no JWT");
    let both = bench.refresh(&token, &assertion("a.good.assertion")[1..]).await;
    assert_eq!(both.error(), (400, "invalid_request".into(), 90_100));
}

#[tokio::test]
async fn basic_credentials_are_form_encoded_first() {
    let bench = Bench::entra(ada()).await;
    let token = bench.sign_in().await.text("refresh_token");
    let encode = |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let refresh = [("grant_type", "refresh_token"), ("refresh_token", &token), ("scope", SCOPE)];

    let mut seen = Vec::new();
    for credentials in [
        format!("{CLIENT}:{}", encode(SECRET)),
        format!("{CLIENT}:{SECRET}"),
        format!("{CLIENT}:{}&x=1", encode(SECRET)),
        format!("{CLIENT}:wrong"),
        format!("someone-else:{}", encode(SECRET)),
        CLIENT.to_owned(),
    ] {
        let header = format!("Basic {}", STANDARD.encode(credentials));
        let request = bench.form(&format!("{}/token", bench.oauth), &refresh).header("authorization", header);
        seen.push(bench.send(request).await.status);
    }
    assert_eq!(seen, [200, 401, 401, 401, 400, 401]);

    let header = format!("Basic {}", STANDARD.encode(format!("{CLIENT}:{}", encode(SECRET))));
    let twice = changed(&refresh, &[("client_secret", SECRET)]);
    let twice = bench.form(&format!("{}/token", bench.oauth), &twice).header("authorization", header);
    assert_eq!(bench.send(twice).await.error(), (400, "invalid_request".into(), 90_100));
}

#[tokio::test]
async fn an_unverified_client_gets_a_page_and_never_a_redirect() {
    let bench = Bench::entra(ada()).await;
    for (change, code) in [
        (("redirect_uri", "https://door.example/auth/callback"), 50_011),
        (("redirect_uri", "javascript:alert(1)"), 50_011),
        (("redirect_uri", ""), 900_144),
        (("client_id", "<script>"), 700_016),
        (("client_id", ""), 900_144),
        (("utm_source", "x"), 90_100),
    ] {
        let answer = bench.authorize(&[change]).await;
        assert_eq!(answer.page_error(), (400, code), "{change:?}");
        assert!(!answer.body.contains("<script>"));
    }
    let twice = format!("{}/authorize?client_id={CLIENT}&client_id={CLIENT}", bench.oauth);
    assert_eq!(bench.get(&twice).await.page_error(), (400, 9_000_411));
}

#[tokio::test]
async fn a_verified_client_hears_what_is_wrong() {
    let bench = Bench::entra(NoScript).await;
    for (change, error) in [
        (("response_type", "token"), ("unsupported_response_type", 700_054)),
        (("response_mode", "fragment"), ("invalid_request", 90_100)),
        (("code_challenge_method", "plain"), ("invalid_request", 90_100)),
        (("code_challenge_method", ""), ("invalid_request", 90_100)),
        (("code_challenge", "short"), ("invalid_request", 501_491)),
        (("prompt", "sudo"), ("invalid_request", 90_100)),
        (("max_age", "-1"), ("invalid_request", 90_100)),
        (("prompt", "none"), ("login_required", 50_058)),
    ] {
        let back = bench.authorize(&[change]).await.back();
        assert_eq!(back.error(), error, "{change:?}");
        assert_eq!(back.get("state"), "st&te =+%ü");
    }
}

#[tokio::test]
async fn bad_requests_get_an_answer_and_nothing_breaks() {
    let bench = Bench::entra(ada()).await;
    let token = format!("{}/token", bench.oauth);
    let good = [("grant_type", "refresh_token"), ("client_id", CLIENT), ("client_secret", SECRET)];

    let unknown = bench.post(&token, &changed(&good, &[("audience", "x")])).await;
    assert_eq!(unknown.error(), (400, "invalid_request".into(), 90_100));
    let repeated = bench.post(&token, &[good[0], good[0]]).await;
    assert_eq!(repeated.error(), (400, "invalid_request".into(), 9_000_411));
    let grant = bench.post(&token, &changed(&good, &[("grant_type", "password"), ("scope", "x")])).await;
    assert_eq!(grant.error(), (400, "unsupported_grant_type".into(), 70_003));
    let query = bench.post(&format!("{token}?scope=x"), &good).await;
    assert_eq!(query.error(), (400, "invalid_request".into(), 90_100));
    let not_a_form = bench.send(bench.http.post(&token).body("grant_type=refresh_token")).await;
    assert!(not_a_form.text("error_description").contains("'grant_type'"), "its body is not read");
    assert_eq!(bench.get(&token).await.error(), (405, "invalid_request".into(), 900_561));

    let broken = bench.http.post(&token).header("content-type", "application/x-www-form-urlencoded");
    let broken = bench.send(broken.body(&b"%ff=%zz&&=\xff\x00"[..])).await;
    assert_eq!(broken.error(), (400, "invalid_request".into(), 90_100));

    let limit = 64 * 1024 - "state=".len();
    assert_eq!(bench.post(&token, &[("state", &"x".repeat(limit))]).await.status, 400);
    assert_eq!(bench.post(&token, &[("state", &"x".repeat(limit + 1))]).await.status, 413);

    let authority = bench.idp.authority();
    for (path, status) in [
        ("/", 404),
        ("//oauth2/v2.0/token", 400),
        ("/%00%ff/oauth2/v2.0/authorize?%ff=%zz&&=", 400),
        ("/oidc/authorize?client_id", 400),
        ("/oidc/pick", 405),
        ("/oidc/jwks", 200),
    ] {
        let answer = bench.get(&format!("{authority}{path}")).await;
        assert_eq!(answer.status, status, "{path}");
    }
}
