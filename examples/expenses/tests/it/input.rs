//! What a model may write, and what it is told.

use serde_json::json;

use crate::support::issuer::ALICE;
use crate::support::server::Server;
use crate::support::server::expense;

#[tokio::test]
async fn what_is_wrong_is_said_in_a_sentence_and_nothing_is_kept() {
    let server = Server::start().await;
    let client = server.client(ALICE).await;
    let long = "x".repeat(201);
    let values = |values: &[&str]| values.iter().map(|text| json!(text)).collect::<Vec<_>>();
    let cents = vec![json!(0), json!(-1), json!(100_000_000_000_i64), json!(i64::MIN)];
    let dates =
        values(&["2026-02-30", "2025-02-29", "01.03.2026", "2026-3-1", "today", "", "2026-03-01T10:00:00Z"]);
    let cases = [
        ("cents", cents, "The cents are a whole number from 1 to"),
        ("date", dates, "The date is a day of the calendar"),
        ("currency", values(&["EURO", "E", "€", "12A", ""]), "The currency is a code of three letters"),
        ("category", values(&["", "  ", "two\nlines", &long[..41]]), "The category is one line of 1 to 40"),
        ("note", values(&["", "bell\u{7}", &long]), "The note is one line of 1 to 200"),
    ];
    for (field, values, expected) in cases {
        for value in values {
            let mut arguments = expense("travel", 100);
            arguments[field] = value.clone();
            let said = client.call("add_expense", arguments).await.unwrap_err();
            assert!(said.starts_with(expected), "{field} {value}: {said}");
        }
    }
    assert_eq!(client.list().await["count"], 0);
}

#[tokio::test]
async fn an_amount_is_never_a_float() {
    let server = Server::start().await;
    let client = server.client(ALICE).await;
    for cents in [json!(12.5), json!("12.50"), json!(null)] {
        let mut arguments = expense("travel", 100);
        arguments["cents"] = cents;
        let said = client.call("add_expense", arguments).await.unwrap_err();
        assert!(said.contains("i64"), "{said}");
    }
    assert_eq!(client.list().await["count"], 0);
}

#[tokio::test]
async fn what_is_right_is_kept_in_one_form() {
    let server = Server::start().await;
    let client = server.client(ALICE).await;
    let written = json!({
        "date": "2024-02-29", "cents": 99_999_999_999_i64, "currency": "eur", "category": " Business Travel ",
        "note": "Zürich → שלום",
    });
    let kept = json!({
        "date": "2024-02-29", "cents": 99_999_999_999_i64, "currency": "EUR", "category": "business travel",
        "note": "Zürich → שלום", "client_id": "client-one",
    });
    assert_eq!(client.call("add_expense", written).await.unwrap(), kept);
    assert_eq!(client.list().await, json!({ "count": 1, "expenses": [kept] }));
}

#[tokio::test]
async fn lists_are_short_and_totals_keep_currencies_apart() {
    let server = Server::start().await;
    let client = server.client(ALICE).await;
    let all = [
        ("2026-03-02", 10, "EUR", "meals"),
        ("2026-02-28", 20, "EUR", "Meals"),
        ("2026-03-31", 700, "CHF", "meals"),
        ("2026-03-31", 9_999, "EUR", "travel"),
    ];
    for (date, cents, currency, category) in all {
        let arguments = json!({ "date": date, "cents": cents, "currency": currency, "category": category });
        client.call("add_expense", arguments).await.unwrap();
    }
    let total = |category: &str, currency: &str, cents: i64, count: u32| json!({ "category": category, "currency": currency, "cents": cents, "count": count });
    assert_eq!(
        client.call("total_by_category", json!({})).await.unwrap()["totals"],
        json!([
            total("meals", "CHF", 700, 1),
            total("meals", "EUR", 30, 2),
            total("travel", "EUR", 9_999, 1)
        ])
    );
    let listed = client.call("list_expenses", json!({ "limit": 3 })).await.unwrap();
    let cents: Vec<_> = listed["expenses"]
        .as_array()
        .unwrap()
        .iter()
        .map(|expense| expense["cents"].as_i64().unwrap())
        .collect();
    assert_eq!((&listed["count"], cents), (&json!(4), vec![9_999, 700, 10]));
}

#[tokio::test]
async fn the_tools_describe_themselves() {
    let server = Server::start().await;
    let tools = server.client(ALICE).await.0.list_all_tools().await.unwrap();
    let mut names: Vec<&str> = tools.iter().map(|tool| tool.name.as_ref()).collect();
    names.sort_unstable();
    assert_eq!(names, ["add_expense", "list_expenses", "total_by_category", "whoami"]);
    for tool in &tools {
        assert!(tool.description.is_some() && tool.output_schema.is_some(), "{}", tool.name);
        let reads = tool.annotations.as_ref().unwrap().read_only_hint == Some(true);
        assert_eq!(reads, tool.name != "add_expense");
        for (name, property) in tool.input_schema["properties"].as_object().unwrap() {
            assert!(property["description"].is_string(), "{} {name}", tool.name);
        }
    }
}
