use super::*;

const ID: &str = "https://app.example/client.json";

fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// An assertion with this payload; nobody asks for its signature here.
fn assertion(payload: &str) -> String {
    format!("{}.{}.c2ln", encode(r#"{"alg":"ES256"}"#), encode(payload))
}

fn of(iss: &str, sub: &str) -> String {
    assertion(&format!(r#"{{"iss":"{iss}","sub":"{sub}"}}"#))
}

fn form(pairs: &[(&str, &str)]) -> Parameters {
    Parameters::parse(form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish().as_bytes())
}

fn basic_header(id: &str, secret: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{id}:{secret}")))
}

/// The client id and the proof, or why there are none.
fn read(authorization: Option<&str>, pairs: &[(&str, &str)]) -> Result<(String, Proof), NotPresented> {
    PresentedClient::read(authorization, &form(pairs)).map(|presented| (presented.client_id, presented.proof))
}

fn asserted(pairs: &[(&str, &str)]) -> Result<(String, Proof), NotPresented> {
    read(None, &[&[("client_assertion_type", JWT_BEARER)], pairs].concat())
}

#[test]
fn a_client_is_presented_in_one_way() {
    let header = basic_header("id", "secret");
    let jws = of(ID, ID);
    let secret = || Proof::Secret("secret".to_owned());
    assert_eq!(read(None, &[("client_id", "id")]), Ok(("id".to_owned(), Proof::None)));
    assert_eq!(
        read(None, &[("client_id", "id"), ("client_secret", "secret")]),
        Ok(("id".to_owned(), secret()))
    );
    assert_eq!(read(Some(&header), &[]), Ok(("id".to_owned(), secret())));
    assert_eq!(read(Some(&header), &[("client_id", "id")]), Ok(("id".to_owned(), secret())));
    assert_eq!(read(Some(&basic_header("id", "")), &[]), Ok(("id".to_owned(), Proof::None)));
    let by_assertion = || Ok((ID.to_owned(), Proof::Assertion(jws.clone())));
    assert_eq!(asserted(&[("client_assertion", &jws)]), by_assertion());
    assert_eq!(asserted(&[("client_assertion", &jws), ("client_id", ID)]), by_assertion());
    assert_eq!(read(None, &[("client_secret", "secret")]), Err(NotPresented::Missing));
    assert_eq!(read(None, &[]), Err(NotPresented::Missing));
    assert_eq!(read(Some("Bearer x"), &[("client_id", "id")]), Err(NotPresented::Malformed));
}

#[test]
fn two_ways_at_once_or_two_ids_are_ambiguous() {
    let header = basic_header(ID, "secret");
    let jws = of(ID, ID);
    let asserting = [("client_assertion_type", JWT_BEARER), ("client_assertion", &jws)];
    let secret = ("client_secret", "secret");
    let header = Some(header.as_str());
    for (authorization, pairs) in [
        (header, vec![secret]),
        (header, vec![("client_id", "another")]),
        (header, asserting.to_vec()),
        (header, vec![asserting[0]]),
        (header, vec![asserting[1]]),
        (Some("Bearer x"), asserting.to_vec()),
        (Some("Basic ?"), asserting.to_vec()),
        (None, [&asserting[..], &[secret]].concat()),
        (None, vec![asserting[0], secret, ("client_id", ID)]),
        (None, vec![asserting[1], secret, ("client_id", ID)]),
        (None, [&asserting[..], &[("client_id", "another")]].concat()),
        (None, [&asserting[..], &[("client_id", &format!("{ID}/"))]].concat()),
        (None, [&asserting[..], &asserting[..1]].concat()),
        (None, [&asserting[..], &asserting[1..]].concat()),
        (None, [&asserting[..], &[("client_id", ID), ("client_id", ID)]].concat()),
    ] {
        assert_eq!(read(authorization, &pairs), Err(NotPresented::Ambiguous), "{authorization:?} {pairs:?}");
    }
}

#[test]
fn an_assertion_stands_once_in_any_request() {
    for name in ["client_assertion", "client_assertion_type"] {
        assert_eq!(form(&[(name, "x")]).each_once(), Ok(()));
        assert!(form(&[(name, "x"), (name, "x")]).each_once().is_err(), "{name}");
    }
}

#[test]
fn an_assertion_and_its_type_stand_together() {
    let jws = of(ID, ID);
    let named = ("client_id", ID);
    for pairs in [
        vec![("client_assertion", jws.as_str())],
        vec![("client_assertion", &jws), named],
        vec![("client_assertion_type", JWT_BEARER), named],
        vec![("client_assertion_type", JWT_BEARER), ("client_assertion", ""), named],
        vec![("client_assertion_type", ""), ("client_assertion", &jws), named],
        vec![
            ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:saml2-bearer"),
            ("client_assertion", &jws),
            named,
        ],
        vec![("client_assertion_type", &JWT_BEARER.to_uppercase()), ("client_assertion", &jws), named],
        vec![("client_assertion_type", "jwt-bearer"), ("client_assertion", &jws), named],
    ] {
        assert_eq!(read(None, &pairs), Err(NotPresented::AssertionType), "{pairs:?}");
    }
}

#[test]
fn an_id_that_is_left_out_is_the_subjects_if_the_assertion_names_one() {
    let longest = "\u{e9}".repeat(MAX_ID_CHARS);
    let presented = asserted(&[("client_assertion", &of(&longest, &longest))]);
    assert_eq!(presented.map(|(id, _)| id), Ok(longest.clone()));
    let good = of(ID, ID);
    let longer = format!("{longest}x");
    for jws in [
        "x".to_owned(),
        "..".to_owned(),
        good[..good.rfind('.').unwrap()].to_owned(),
        format!("{good}.x"),
        format!("{good}.x.y"),
        good.replace("eyJpc3", "e?Jpc3"),
        of(ID, "another"),
        of("", ""),
        of(&longer, &longer),
        assertion(&format!(r#"{{"iss":"{ID}"}}"#)),
        assertion(&format!(r#"{{"sub":"{ID}"}}"#)),
        assertion(&format!(r#"{{"iss":"{ID}","sub":"{ID}","sub":"{ID}"}}"#)),
        assertion(&format!(r#"{{"iss":["{ID}"],"sub":["{ID}"]}}"#)),
        assertion(r#"{"iss":1,"sub":1}"#),
        assertion(r#"{"iss":null,"sub":null}"#),
        assertion(&format!(r#"["{ID}","{ID}"]"#)),
        assertion(&format!(r#"[{{"iss":"{ID}","sub":"{ID}"}}]"#)),
        assertion("null"),
        assertion(""),
        assertion(&format!(r#"{{"iss":"{ID}","sub":"{ID}","x":"{}"}}"#, "x".repeat(MAX_ASSERTION_LENGTH))),
    ] {
        assert_eq!(asserted(&[("client_assertion", &jws)]), Err(NotPresented::Malformed), "{jws}");
        // Where the form names the client, its keys are asked and refuse it, if it has three parts at all.
        let presented = asserted(&[("client_assertion", &jws), ("client_id", "id")]);
        let wanted = match Assertion::split(&jws) {
            Some(_) => Ok(("id".to_owned(), Proof::Assertion(jws))),
            None => Err(NotPresented::Malformed),
        };
        assert_eq!(presented, wanted);
    }
}

#[test]
fn a_method_is_read_where_it_is_served_and_private_key_jwt_cannot_be_registered() {
    let all = [
        ("none", AuthMethod::None),
        ("client_secret_basic", AuthMethod::ClientSecretBasic),
        ("client_secret_post", AuthMethod::ClientSecretPost),
        ("private_key_jwt", AuthMethod::PrivateKeyJwt),
    ];
    for (name, method) in all {
        assert_eq!(AuthMethod::parse(name, &[method]), Some(method));
        assert_eq!(AuthMethod::parse(name, &[]), None);
        assert_eq!(serde_json::to_value(method).unwrap(), name);
        let registered = AuthMethod::parse(name, &AuthMethod::REGISTRABLE);
        assert_eq!(registered, Some(method).filter(|method| *method != AuthMethod::PrivateKeyJwt), "{name}");
    }
    for name in ["", "None", "client_secret_jwt", "tls_client_auth", "PRIVATE_KEY_JWT"] {
        assert_eq!(AuthMethod::parse(name, &all.map(|(_, method)| method)), None, "{name}");
    }
}

#[test]
fn what_is_presented_is_not_shown() {
    let presented = PresentedClient { client_id: ID.to_owned(), proof: Proof::Assertion(of(ID, ID)) };
    assert_eq!(format!("{presented:?} {:?}", presented.proof), "PresentedClient(redacted) Proof(redacted)");
}
