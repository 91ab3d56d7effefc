//! Remembers every secret, and sees that none turns up where it does not belong.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::Mutex;

use serde_json::Value;
use tracing::subscriber::DefaultGuard;
use tracing_subscriber::fmt::MakeWriter;

/// What was logged on this thread.
#[derive(Clone, Default)]
pub struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    /// Captures everything from `debug` on, of every crate, until the guard is dropped.
    pub fn capture(&self) -> DefaultGuard {
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::DEBUG)
            .with_writer(self.clone())
            .with_ansi(false)
            .finish();
        tracing::subscriber::set_default(subscriber)
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// In no answer.
    Nowhere,
    /// In the answers of this endpoint.
    From(&'static str),
    /// In a header that sets a cookie.
    Cookie,
}

struct Secret {
    value: String,
    /// Where it may be.
    place: Place,
}

/// Every secret that was seen.
#[derive(Default)]
pub struct Vigil(Mutex<Vec<Secret>>);

impl Vigil {
    /// A secret that no answer may hold.
    pub fn never(&self, value: impl Into<String>) {
        self.add(value.into(), Place::Nowhere);
    }

    fn add(&self, value: String, place: Place) {
        let mut secrets = self.0.lock().unwrap();
        if value.len() >= 8 && !secrets.iter().any(|secret| secret.value == value) {
            secrets.push(Secret { value, place });
        }
    }

    /// Judges an answer of `endpoint`, then remembers what secrets it issued.
    pub fn watch(&self, endpoint: &'static str, head: &str, body: &str) {
        let is_cookie = |line: &&str| line.starts_with("set-cookie: ");
        let other: String =
            head.lines().filter(|line| !is_cookie(line)).map(|line| format!("{line}\n")).collect();
        for secret in self.0.lock().unwrap().iter().filter(|secret| secret.place != Place::From(endpoint)) {
            let head = if secret.place == Place::Cookie { &other } else { head };
            assert!(!head.contains(&secret.value), "{endpoint} answered with a secret in its header: {head}");
            assert!(!body.contains(&secret.value), "{endpoint} answered with a secret in its body: {body}");
        }
        let answer: Value = serde_json::from_str(body).unwrap_or_default();
        for member in ["access_token", "refresh_token", "client_secret"] {
            if let Some(value) = answer.get(member).and_then(Value::as_str) {
                self.add(value.to_owned(), Place::From(endpoint));
            }
        }
        for line in head.lines() {
            if let Some(cookie) = line.strip_prefix("set-cookie: ")
                && let Some((_, value)) = cookie.split(';').next().and_then(|pair| pair.split_once('='))
            {
                self.add(value.to_owned(), Place::Cookie);
            }
            // A redirect, or the page that opens an application.
            let to_client = line.strip_prefix("location: ").or_else(|| line.strip_prefix("refresh: "));
            if let Some((_, code)) = to_client.and_then(|url| url.split_once("code=edac_")) {
                let code = code.split('&').next().unwrap_or_default();
                self.add(format!("edac_{code}"), Place::From(endpoint));
            }
        }
    }

    /// Asserts that no secret lies in what is stored at `place`.
    pub fn not_in(&self, place: &str, stored: &str) {
        for secret in self.0.lock().unwrap().iter() {
            assert!(!stored.contains(&secret.value), "a secret lies in {place}: {}", secret.value);
        }
    }

    /// Asserts that no secret lies in the log or in the store's file.
    pub fn judge(&self, log: &str, store: &Path) {
        let stored = std::fs::read(store).unwrap_or_default();
        for secret in self.0.lock().unwrap().iter() {
            assert!(!log.contains(&secret.value), "a secret was logged: {}", secret.value);
            assert!(!contains(&stored, secret.value.as_bytes()), "a secret was stored: {}", secret.value);
        }
    }
}

pub fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}

#[test]
fn a_secret_in_the_wrong_answer_or_in_the_log_is_seen() {
    let seen = |judge: &dyn Fn(&Vigil)| {
        let vigil = Vigil::default();
        vigil.watch("/token", "", r#"{"refresh_token":"edr_0123456789"}"#);
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| judge(&vigil))).is_err()
    };
    assert!(!seen(&|vigil| vigil.watch("/token", "", r#"{"refresh_token":"edr_0123456789"}"#)));
    assert!(seen(&|vigil| vigil.watch("/authorize", "", "edr_0123456789")));
    assert!(seen(&|vigil| vigil.watch("/authorize", "location: /?t=edr_0123456789", "")));
    assert!(seen(&|vigil| vigil.judge("token edr_0123456789", Path::new("/nonexistent"))));
    let cookie = |vigil: &Vigil| vigil.watch("/authorize", "set-cookie: a=0123456789; Path=/", "");
    assert!(!seen(&|vigil| (cookie(vigil), vigil.watch("/consent", "set-cookie: a=0123456789", "")).1));
    assert!(seen(&|vigil| (cookie(vigil), vigil.watch("/consent", "location: /?a=0123456789", "")).1));
    assert!(seen(&|vigil| (cookie(vigil), vigil.watch("/consent", "", "0123456789")).1));
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), b"\0edr_0123456789\0").unwrap();
    assert!(seen(&|vigil| vigil.judge("", file.path())));
}
