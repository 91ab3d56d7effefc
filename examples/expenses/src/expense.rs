//! An expense: what a model may write, and what is kept of it.

use chrono::NaiveDate;
use rmcp::schemars;
use rmcp::schemars::JsonSchema;
use serde::Deserialize;
use serde::Serialize;

/// A billion of the currency, less one hundredth.
const MAX_CENTS: i64 = 99_999_999_999;
const MAX_CATEGORY: usize = 40;
const MAX_NOTE: usize = 200;

/// An expense that nobody has judged yet. The types are wide, so that what is wrong is said in our words.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct NewExpense {
    /// Day of the expense, as YYYY-MM-DD.
    pub date: String,
    /// Amount in hundredths of the currency, a positive whole number: 1250 for 12.50 euros.
    pub cents: i64,
    /// Currency code of three letters (ISO 4217), such as EUR.
    pub currency: String,
    /// One word or two, such as travel. Case does not matter.
    pub category: String,
    /// What it was for.
    pub note: Option<String>,
}

/// An expense as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Expense {
    pub date: NaiveDate,
    /// In hundredths of the currency, for floats round. Positive, and below 10^11.
    pub cents: u64,
    pub currency: String,
    pub category: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// The MCP client that added it.
    pub client_id: String,
}

impl NewExpense {
    /// The expense, or what is wrong with it in a sentence.
    pub fn judged(self, client_id: &str) -> Result<Expense, String> {
        let date = NaiveDate::parse_from_str(&self.date, "%Y-%m-%d").ok().filter(|_| self.date.len() == 10);
        let cents = u64::try_from(self.cents).ok().filter(|_| (1..=MAX_CENTS).contains(&self.cents));
        let currency = self.currency.trim().to_ascii_uppercase();
        if currency.len() != 3 || !currency.bytes().all(|byte| byte.is_ascii_uppercase()) {
            return Err("The currency is a code of three letters, such as EUR.".to_owned());
        }
        Ok(Expense {
            date: date.ok_or("The date is a day of the calendar, written as YYYY-MM-DD.")?,
            cents: cents.ok_or("The cents are a whole number from 1 to 99999999999.")?,
            currency,
            category: line("category", &self.category, MAX_CATEGORY)?.to_lowercase(),
            note: self.note.map(|note| line("note", &note, MAX_NOTE)).transpose()?,
            client_id: client_id.to_owned(),
        })
    }
}

fn line(name: &str, text: &str, max: usize) -> Result<String, String> {
    let text = text.trim();
    if text.is_empty() || text.chars().count() > max || text.chars().any(char::is_control) {
        return Err(format!("The {name} is one line of 1 to {max} characters."));
    }
    Ok(text.to_owned())
}
