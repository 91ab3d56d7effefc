//! The tools. Each takes the [`Caller`] of its request, and asks for the scope that it needs.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use rmcp::Json;
use rmcp::ServerHandler;
use rmcp::handler::server::wrapper::Parameters;
use rmcp::schemars;
use rmcp::schemars::JsonSchema;
use rmcp::tool;
use rmcp::tool_handler;
use rmcp::tool_router;
use serde::Deserialize;
use serde::Serialize;

use crate::caller::Caller;
use crate::caller::Claims;
use crate::expense::Expense;
use crate::expense::NewExpense;
use crate::ledger::Ledger;

const READ: &str = "mcp.read";
const WRITE: &str = "mcp.write";
const LISTED: usize = 20;
const MOST_LISTED: usize = 200;

#[derive(Clone)]
pub(crate) struct Tools {
    ledger: Arc<dyn Ledger>,
}

#[derive(Deserialize, JsonSchema)]
struct Limit {
    /// How many at most: 20 unless said, 200 at most.
    limit: Option<usize>,
}

#[derive(Serialize, JsonSchema)]
struct Listing {
    /// How many there are, listed or not.
    count: usize,
    /// The latest first.
    expenses: Vec<Expense>,
}

#[derive(Serialize, JsonSchema)]
struct Totals {
    totals: Vec<Total>,
}

#[derive(Serialize, JsonSchema)]
struct Total {
    category: String,
    currency: String,
    /// In hundredths of the currency.
    cents: u64,
    count: usize,
}

/// An `Err` reaches the model as a failed call that says why.
#[tool_router]
impl Tools {
    pub(crate) fn new(ledger: Arc<dyn Ledger>) -> Self {
        Self { ledger }
    }

    /// Tells who is signed in, and through which client.
    #[tool(annotations(title = "Who am I?", read_only_hint = true, open_world_hint = false))]
    async fn whoami(&self, caller: Caller) -> Result<Json<Claims>, String> {
        caller.require(READ)?;
        Ok(Json(caller.claims().clone()))
    }

    /// Records an expense of the signed-in user.
    #[tool(annotations(title = "Add an expense", destructive_hint = false, open_world_hint = false))]
    async fn add_expense(
        &self,
        caller: Caller,
        Parameters(new): Parameters<NewExpense>,
    ) -> Result<Json<Expense>, String> {
        caller.require(WRITE)?;
        let expense = new.judged(&caller.claims().client_id)?;
        self.ledger.add(&caller, expense.clone()).await.map_err(away)?;
        Ok(Json(expense))
    }

    /// Lists expenses of the signed-in user, the latest first.
    #[tool(annotations(title = "List expenses", read_only_hint = true, open_world_hint = false))]
    async fn list_expenses(
        &self,
        caller: Caller,
        Parameters(Limit { limit }): Parameters<Limit>,
    ) -> Result<Json<Listing>, String> {
        caller.require(READ)?;
        let mut expenses = self.ledger.all(&caller).await.map_err(away)?;
        let count = expenses.len();
        expenses.reverse();
        expenses.sort_by_key(|expense| Reverse(expense.date));
        expenses.truncate(limit.unwrap_or(LISTED).min(MOST_LISTED));
        Ok(Json(Listing { count, expenses }))
    }

    /// Adds up all expenses of the signed-in user by category and currency.
    #[tool(annotations(title = "Total by category", read_only_hint = true, open_world_hint = false))]
    async fn total_by_category(&self, caller: Caller) -> Result<Json<Totals>, String> {
        caller.require(READ)?;
        let mut sums: BTreeMap<(String, String), (u64, usize)> = BTreeMap::new();
        for expense in self.ledger.all(&caller).await.map_err(away)? {
            let (cents, count) = sums.entry((expense.category, expense.currency)).or_default();
            *cents += expense.cents;
            *count += 1;
        }
        let total = |((category, currency), (cents, count))| Total { category, currency, cents, count };
        Ok(Json(Totals { totals: sums.into_iter().map(total).collect() }))
    }
}

#[tool_handler(
    name = "expenses",
    instructions = "Expenses of the signed-in user. Nobody sees anybody else's. Ask before adding one."
)]
impl ServerHandler for Tools {}

/// The cause is for the log.
fn away(error: io::Error) -> String {
    tracing::error!(%error, "the ledger failed");
    "The ledger cannot be reached just now. Try again later.".to_owned()
}
