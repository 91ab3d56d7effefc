//! As much of a JSON-RPC 2.0 message as tells what is asked of an MCP server.
//!
//! What is read here is read again by the server, perhaps by other rules. So whatever two readers could take for
//! two different requests is refused: a member that is there twice, one that differs from ours in its case alone, a
//! name that ends early for readers in C, and bytes that are no UTF-8.

use std::borrow::Cow;
use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde::Deserializer;
use serde::de::DeserializeSeed;
use serde::de::Error;
use serde::de::IgnoredAny;
use serde::de::MapAccess;
use serde::de::SeqAccess;
use serde::de::Visitor;

/// One message of a body.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Message {
    /// Absent in a response.
    pub method: Option<String>,
    /// What it is about, where a header says so too: the name of a tool or a prompt, the URI of a resource.
    pub name: Option<String>,
}

impl Message {
    /// Whether `Mcp-Name` has to be its name.
    #[must_use]
    pub fn is_named(&self) -> bool {
        self.method.as_deref().is_some_and(|method| NAMED.contains(&method))
    }

    /// The tool that it calls.
    #[must_use]
    pub fn tool(&self) -> Option<&str> {
        // A call that names none is an error, which is for the server to tell.
        let calls = self.method.as_deref() == Some("tools/call");
        calls.then(|| self.name.as_deref().unwrap_or_default())
    }
}

/// The methods whose `Mcp-Name` is looked at: it repeats a member that is read here.
const NAMED: [&str; 3] = ["tools/call", "prompts/get", "resources/read"];

/// No batch is longer.
const BATCH: usize = 1_000;

/// Text that is no JSON-RPC message, or could be read as more than one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unreadable;

/// The messages of a body: one, or a batch (JSON-RPC 2.0 §6; MCP 2025-03-26 has them).
pub fn messages(body: &[u8]) -> Result<Vec<Message>, Unreadable> {
    // Of what it passes over, serde_json does not ask that it is UTF-8 (RFC 8259 §8.1). In an overlong form, a lenient
    // decoder finds quotation marks.
    let text = str::from_utf8(body).map_err(|_| Unreadable)?;
    let Body(messages) = serde_json::from_str(text).map_err(|_| Unreadable)?;
    Ok(messages)
}

/// The value of `Mcp-Name` as it is meant: what no header can hold is in base64 (MCP 2026-07-28, Streamable HTTP).
#[must_use]
pub fn header_value(text: &str) -> Option<Cow<'_, str>> {
    let Some(encoded) = text.strip_prefix("=?base64?").and_then(|rest| rest.strip_suffix("?=")) else {
        return Some(text.into());
    };
    let bytes = STANDARD.decode(encoded).ok()?;
    String::from_utf8(bytes).ok().map(Cow::from)
}

struct Body(Vec<Message>);

impl<'de> Deserialize<'de> for Body {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneOrMany;
        impl<'de> Visitor<'de> for OneOrMany {
            type Value = Body;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON-RPC message or a list of them")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Body, A::Error> {
                Ok(Body(vec![Envelope.visit_map(map)?]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Body, A::Error> {
                let mut messages = Vec::new();
                while let Some(message) = list.next_element_seed(Envelope)? {
                    if messages.len() == BATCH {
                        return Err(A::Error::custom("the batch is too long"));
                    }
                    messages.push(message);
                }
                Ok(Body(messages))
            }
        }
        deserializer.deserialize_any(OneOrMany)
    }
}

/// Reads one message.
struct Envelope;

impl<'de> DeserializeSeed<'de> for Envelope {
    type Value = Message;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Message, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Envelope {
    type Value = Message;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON-RPC message")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Message, A::Error> {
        let (mut method, mut params) = (None, None);
        while let Some(key) = map.next_key::<Cow<'_, str>>()? {
            match known(&key, &["method", "params"])? {
                Some("method") => once(&mut method, text(&mut map)?)?,
                Some(_) => once(&mut params, map.next_value()?)?,
                None => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        let Params { name, uri } = params.unwrap_or_default();
        let name = if method.as_deref() == Some("resources/read") { uri } else { name };
        Ok(Message { method, name })
    }
}

#[derive(Default)]
struct Params {
    name: Option<String>,
    uri: Option<String>,
}

impl<'de> Deserialize<'de> for Params {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ByName;
        impl<'de> Visitor<'de> for ByName {
            type Value = Params;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("parameters by name")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Params, A::Error> {
                let mut params = Params::default();
                while let Some(key) = map.next_key::<Cow<'_, str>>()? {
                    match known(&key, &["name", "uri"])? {
                        Some("name") => once(&mut params.name, text(&mut map)?)?,
                        Some(_) => once(&mut params.uri, text(&mut map)?)?,
                        None => {
                            map.next_value::<IgnoredAny>()?;
                        }
                    }
                }
                Ok(params)
            }

            fn visit_unit<E: Error>(self) -> Result<Params, E> {
                Ok(Params::default())
            }
        }
        deserializer.deserialize_any(ByName)
    }
}

/// A value that is compared. For readers in C a text ends at a NUL: `delete\u0000x` is `delete` to them.
fn text<'de, A: MapAccess<'de>>(map: &mut A) -> Result<String, A::Error> {
    let text: String = map.next_value()?;
    match text.contains('\0') {
        true => Err(A::Error::custom("a name has a NUL in it")),
        false => Ok(text),
    }
}

fn once<T, E: Error>(place: &mut Option<T>, value: T) -> Result<(), E> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(E::custom("a member is there twice")),
    }
}

/// Which of `names` a key is. Readers in other languages pass over the case of letters (Go's by Unicode's folding, so
/// that `ſ` is an `s` and the Kelvin sign a `k`; Java's take `İ` and `ı` for an `i`), or end a key at a NUL: what only
/// they would take for one of ours is refused.
fn known<'n, E: Error>(key: &str, names: &[&'n str]) -> Result<Option<&'n str>, E> {
    if let Some(&name) = names.iter().find(|&&name| name == key) {
        return Ok(Some(name));
    }
    let folded = |c: char| match c {
        'ſ' => 's',
        'İ' | 'ı' => 'i',
        other => other,
    };
    // Merged without care in JavaScript, its members become those of what it stands in.
    if key == "__proto__" {
        return Err(E::custom("a member could bring others"));
    }
    let ended = key.chars().take_while(|c| *c != '\0');
    let alike = ended.map(folded).flat_map(char::to_lowercase).collect::<String>();
    match names.contains(&alike.as_str()) {
        true => Err(E::custom("a member could be taken for one of ours")),
        false => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &str) -> Result<Vec<Message>, Unreadable> {
        messages(body.as_bytes())
    }

    fn some(method: &str, name: Option<&str>) -> Message {
        Message { method: Some(method.to_owned()), name: name.map(str::to_owned) }
    }

    #[test]
    fn one_message_and_many_are_read_as_far_as_they_tell_what_is_asked() {
        let call = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"add","arguments":{"name":"x"}}}"#;
        assert_eq!(read(call), Ok(vec![some("tools/call", Some("add"))]));
        let batch =
            format!(r#"[{call}, {{"method":"ping","params":null}}, {{"id":1,"result":{{"method":"x"}}}}]"#);
        assert_eq!(
            read(&batch),
            Ok(vec![some("tools/call", Some("add")), some("ping", None), Message::default()])
        );
        let resource = r#"{"params":{"name":"n","uri":"file:///a"},"method":"resources/read"}"#;
        assert_eq!(read(resource), Ok(vec![some("resources/read", Some("file:///a"))]));
        let escaped = r#"{"m\u0065thod":"tools\/call","params":{"n\u0061me":"\u0061dd"}}"#;
        assert_eq!(read(escaped), Ok(vec![some("tools/call", Some("add"))]));
        let nameless = messages(br#"{"method":"tools/call"}"#).unwrap();
        assert_eq!(nameless[0].tool(), Some(""));
        assert_eq!(messages(br#"{"method":"tools/list"}"#).unwrap()[0].tool(), None);
    }

    #[test]
    fn what_two_readers_could_take_for_two_requests_is_refused() {
        for body in [
            r#"{"method":"tools/list","method":"tools/call"}"#,
            r#"{"method":"tools/list","m\u0065thod":"tools/call"}"#,
            r#"{"method":"tools/call","Method":"tools/list"}"#,
            r#"{"METHOD":"tools/call"}"#,
            r#"{"method":"tools/call","params":{"name":"a"},"paramſ":{"name":"b"}}"#,
            r#"{"method":"tools/call","params":{"name":"a","name":"b"}}"#,
            r#"{"method":"tools/call","params":{"name":"a","Name":"b"}}"#,
            r#"{"method":"tools/call","params":{"name":"a"},"params":{"name":"b"}}"#,
            r#"{"method":"resources/read","params":{"uri":"a:b","urİ":"c:d"}}"#,
            r#"{"method":"resources/read","params":{"urı":"c:d"}}"#,
            r#"{"method\u0000":"tools/call"}"#,
            r#"{"METHOD\u0000x":"tools/call"}"#,
            r#"{"method":"tools/call\u0000"}"#,
            r#"{"method":"tools/call","params":{"name":"delete\u0000x"}}"#,
            r#"{"method":"resources/read","params":{"uri":"a:b\u0000x"}}"#,
            r#"{"method":"tools/call","params":["a"]}"#,
            r#"{"method":"tools/call","params":{"name":["a"]}}"#,
            r#"{"method":["tools/call"]}"#,
            r#"{"method":"ping","__proto__":{"method":"tools/call"}}"#,
            r#"{"method":"tools/call","params":{"__proto__":{"name":"a"}}}"#,
            r#"{"method":"ping"} {"method":"tools/call"}"#,
            r#"[[{"method":"tools/call"}]]"#,
            r#""tools/call""#,
            "\u{feff}{}",
            "{\"method\":\"tools/call\",}",
            "",
        ] {
            assert_eq!(read(body), Err(Unreadable), "{body}");
        }
        assert_eq!(messages(b"{\"method\":\"\xff\"}"), Err(Unreadable));
        let overlong = b"{\"x\":\"\xc0\xa2,\xc0\xa2method\xc0\xa2:\xc0\xa2tools/call\",\"method\":\"ping\"}";
        assert_eq!(messages(overlong), Err(Unreadable));
    }

    #[test]
    fn what_a_header_cannot_hold_is_in_base64() {
        assert_eq!(header_value("add").as_deref(), Some("add"));
        assert_eq!(header_value("=?base64?w7xiZXI=?=").as_deref(), Some("über"));
        for bad in ["=?base64?%?=", "=?base64?/w==?="] {
            assert_eq!(header_value(bad), None, "{bad}");
        }
    }
}
