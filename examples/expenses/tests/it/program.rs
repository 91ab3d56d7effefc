//! The program, as an operator meets it.

use std::process::Command;
use std::process::Output;

use tempfile::TempDir;

fn run(variables: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_expenses"));
    command.env_clear().envs(variables.iter().copied()).output().unwrap()
}

#[test]
fn what_is_missing_is_said_in_words() {
    for variables in [&[][..], &[("EXPENSES_ISSUER", "http://localhost:8000"), ("EXPENSES_AUDIENCE", "")][..]]
    {
        let output = run(variables);
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success());
        assert!(said.contains("EXPENSES_ISSUER and EXPENSES_AUDIENCE must be set."), "{said}");
        assert!(said.contains("EXPENSES_DATA"), "the usage follows: {said}");
    }
}

#[test]
fn a_directory_or_an_address_that_cannot_be_used_is_named() {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("file");
    std::fs::write(&file, "").unwrap();
    let both =
        [("EXPENSES_ISSUER", "http://localhost:8000"), ("EXPENSES_AUDIENCE", "http://127.0.0.1:9000/mcp")];
    let output = run(&[&both[..], &[("EXPENSES_DATA", file.to_str().unwrap())]].concat());
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && said.contains("EXPENSES_DATA: "), "{said}");

    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let data = directory.path().join("data");
    let more = [("EXPENSES_DATA", data.to_str().unwrap()), ("EXPENSES_LISTEN", address.as_str())];
    let output = run(&[&both[..], &more].concat());
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success());
    assert!(said.contains(&format!("EXPENSES_LISTEN: cannot listen on {address}")), "{said}");
}

/// What the program says about these variables, beside those that it always needs, before it ends.
fn refused(variables: &[(&str, &str)]) -> String {
    let both =
        [("EXPENSES_ISSUER", "http://localhost:8000"), ("EXPENSES_AUDIENCE", "http://127.0.0.1:9000/mcp")];
    let output = run(&[&both[..], variables].concat());
    assert!(!output.status.success());
    String::from_utf8(output.stderr).unwrap()
}

const ENDPOINT: (&str, &str) = ("EXPENSES_COSMOS_ENDPOINT", "https://example.documents.azure.com/");

#[test]
fn expenses_are_kept_in_one_place() {
    let said = refused(&[ENDPOINT, ("EXPENSES_DATA", "data")]);
    assert!(said.contains("EXPENSES_DATA and EXPENSES_COSMOS_ENDPOINT are both set."), "{said}");
}

#[cfg(feature = "cosmos")]
#[test]
fn what_is_missing_or_wrong_about_cosmos_db_is_named() {
    let database = ("EXPENSES_COSMOS_DATABASE", "expenses");
    let container = ("EXPENSES_COSMOS_CONTAINER", "expenses");
    for variables in [&[ENDPOINT, database][..], &[ENDPOINT, container], &[ENDPOINT]] {
        let said = refused(variables);
        let expected = "EXPENSES_COSMOS_DATABASE and EXPENSES_COSMOS_CONTAINER must be set too.";
        assert!(said.contains(expected), "{said}");
    }
    let clear = ("EXPENSES_COSMOS_ENDPOINT", "http://example.documents.azure.com/");
    let said = refused(&[clear, database, container]);
    assert!(said.contains("EXPENSES_COSMOS_ENDPOINT: It has to begin with https://"), "{said}");
}

#[cfg(not(feature = "cosmos"))]
#[test]
fn without_cosmos_db_its_endpoint_is_refused_in_words() {
    let said = refused(&[ENDPOINT]);
    assert!(said.contains("this program was built without Cosmos DB"), "{said}");
}
