//! The body of a call, of which the gateway reads what is asked, and the server behind it reads it again: an input is
//! such a body. Whichever reader the server has, what it is asked is what the gateway judged.

use std::sync::LazyLock;

use entrada::domain::tools::ToolPattern;
use entrada::domain::tools::ToolScopes;
use entrada::protocol::jsonrpc::Message;
use entrada::protocol::jsonrpc::messages;
use entrada::protocol::scope::Scopes;
use serde_json::Value;

use super::Verdict;

/// The method of a message, and what it is about.
type Asked = (Option<String>, Option<String>);

/// How a reader takes a text.
type Hearing = fn(&str) -> String;

/// Readers by how they take a name and a value: as they stand; without regard to ASCII's case, or to anybody's; and in C,
/// where a text ends at a NUL.
const READERS: [(Hearing, Hearing); 4] = [
    (str::to_owned, str::to_owned),
    (str::to_ascii_lowercase, str::to_owned),
    (folded, str::to_owned),
    (|name| ended(name).to_ascii_lowercase(), ended),
];

/// Why serde_json's own values cannot hold what is passed over here: a number beyond a double, half of a surrogate pair,
/// deep nesting. None of it changes what is asked.
const NOT_HELD: [&str; 4] =
    ["number out of range", "surrogate", "unexpected end of hex escape", "recursion limit"];

static RULES: LazyLock<ToolScopes> = LazyLock::new(|| {
    let rule = |pattern, scopes| (ToolPattern::new(pattern), Scopes::parse(scopes));
    ToolScopes(vec![rule("*", "a"), rule("delete_*", "b")])
});

pub fn run(data: &[u8]) -> Verdict {
    let Ok(messages) = messages(data) else { return Verdict::Refused };
    let text = str::from_utf8(data).expect("JSON is UTF-8");
    assert!(messages.len() <= 1_000, "{} messages", messages.len());
    let judged: Vec<Asked> = messages.iter().map(|m| (m.method.clone(), m.name.clone())).collect();
    let deletes = messages.iter().filter_map(Message::tool).any(|tool| RULES.needed(tool).contains("b"));

    match serde_json::from_slice::<Value>(data) {
        Ok(Value::Array(list)) => assert_eq!(list.iter().map(value_asks).collect::<Vec<_>>(), judged),
        Ok(message) => assert_eq!([value_asks(&message)], *judged),
        Err(error) => assert!(NOT_HELD.iter().any(|why| error.to_string().contains(why)), "{error}"),
    }
    for (name, value) in READERS {
        for last in [false, true] {
            let asked = Reader { name, value, last }.asked(text);
            assert_eq!(asked, judged, "to a reader that takes the last of two: {last}");
            assert!(deletes || !asked.iter().any(is_deletion), "{asked:?} was let through");
        }
    }
    is_refused_otherwise(text);
    Verdict::Accepted
}

fn is_deletion((method, name): &Asked) -> bool {
    method.as_deref() == Some("tools/call") && name.as_deref().is_some_and(|name| name.starts_with("delete_"))
}

fn value_asks(message: &Value) -> Asked {
    assert!(message.is_object(), "{message} is no message");
    let text = |value: &Value| value.as_str().expect("it is a text").to_owned();
    let method = message.get("method").map(text);
    let name = message.get("params").and_then(|params| params.get(about(method.as_deref()))).map(text);
    (method, name)
}

/// The parameter that says what a method is about.
fn about(method: Option<&str>) -> &'static str {
    if method == Some("resources/read") { "uri" } else { "name" }
}

/// What has more before or after it than a reader may pass over, has less, or is of another encoding.
fn is_refused_otherwise(text: &str) {
    let whole = text.trim_end();
    let mut others: Vec<Vec<u8>> = vec![whole[..whole.len() - 1].into()];
    for beside in ["\0", "\u{feff}", "\u{a0}", "\u{c}", "{}", "[]", "null", "x", ",", "[", "]", "}", "//"] {
        others.extend([format!("{beside}{text}").into(), format!("{text}{beside}").into()]);
    }
    for mark in ["", "\u{feff}"] {
        let units = || mark.encode_utf16().chain(text.encode_utf16());
        let chars = || mark.chars().chain(text.chars());
        others.push(units().flat_map(u16::to_le_bytes).collect());
        others.push(units().flat_map(u16::to_be_bytes).collect());
        others.push(chars().flat_map(|c| u32::from(c).to_le_bytes()).collect());
        others.push(chars().flat_map(|c| u32::from(c).to_be_bytes()).collect());
    }
    for other in others {
        assert!(messages(&other).is_err(), "{} is read as well", other.escape_ascii());
    }
}

/// A reader of JSON that knows where a value ends, and otherwise believes what it is sent.
struct Reader {
    name: Hearing,
    value: Hearing,
    /// Of two members of one name the last counts, or the first.
    last: bool,
}

impl Reader {
    fn asked(&self, body: &str) -> Vec<Asked> {
        let body = body.trim();
        let all = if body.starts_with('[') { parts(body) } else { vec![body] };
        all.into_iter().map(|message| self.asks(message)).collect()
    }

    fn asks(&self, message: &str) -> Asked {
        let method = self.member(message, "method").map(|value| self.text(value));
        let params = self.member(message, "params").filter(|params| params.starts_with('{'));
        let name = params.and_then(|params| self.member(params, about(method.as_deref())));
        let name = name.map(|value| self.text(value));
        (method, name)
    }

    fn member<'a>(&self, object: &'a str, wanted: &str) -> Option<&'a str> {
        let parts = parts(object);
        let mut found = parts.chunks_exact(2).filter(|member| (self.name)(&unescaped(member[0])) == wanted);
        let member = if self.last { found.next_back() } else { found.next() };
        member.map(|member| member[1])
    }

    /// What is no text stands for itself, and is equal to none.
    fn text(&self, value: &str) -> String {
        if value.starts_with('"') { (self.value)(&unescaped(value)) } else { format!("not a text: {value}") }
    }
}

/// The elements of a list, or by turns the names and values of an object.
fn parts(container: &str) -> Vec<&str> {
    let within = container[1..container.len() - 1].trim();
    if within.is_empty() {
        return Vec::new();
    }
    let (mut depth, mut quoted, mut escaped) = (0, false, false);
    let separates = |c: char| {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => quoted = !quoted,
            _ if quoted => {}
            '{' | '[' => depth += 1,
            '}' | ']' => depth -= 1,
            _ => {}
        }
        !quoted && depth == 0 && matches!(c, ',' | ':')
    };
    within.split(separates).map(str::trim).collect()
}

/// A text without its quotation marks; half of a surrogate pair is U+FFFD.
fn unescaped(quoted: &str) -> String {
    let mut units: Vec<u16> = Vec::new();
    let mut chars = quoted[1..quoted.len() - 1].chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            units.extend_from_slice(c.encode_utf16(&mut [0; 2]));
            continue;
        }
        units.push(match chars.next().unwrap() {
            'u' => u16::from_str_radix(&chars.by_ref().take(4).collect::<String>(), 16).unwrap(),
            'b' => 8,
            't' => 9,
            'n' => 10,
            'f' => 12,
            'r' => 13,
            same => u16::try_from(u32::from(same)).unwrap(),
        });
    }
    String::from_utf16_lossy(&units)
}

/// Without regard to case, in every way that some language has: `ſ` is an `s`, the Kelvin sign a `k`, and `İ` and `ı` are
/// an `i` (Java, for which a `char` has one counterpart).
fn folded(text: &str) -> String {
    let dotted = text.chars().map(|c| if c == 'İ' { 'i' } else { c });
    dotted.flat_map(char::to_uppercase).flat_map(char::to_lowercase).collect()
}

fn ended(text: &str) -> String {
    text.split('\0').next().unwrap_or_default().to_owned()
}
