//! Where log lines go: standard error, as text or as JSON.

use std::io::IsTerminal;
use std::io::stderr;
use std::str::FromStr;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::Directive;
use tracing_subscriber::fmt;

/// What is logged unless `RUST_LOG` says otherwise: everything of ours from `info` on, and warnings of the
/// libraries.
const DEFAULT: &str = "warn,entrada=info";

/// Begins to log. `RUST_LOG` chooses what. It cannot silence the audit trail.
pub fn start(json: bool) {
    let lines = fmt().with_env_filter(filter(DEFAULT)).with_writer(stderr);
    if json {
        lines.json().flatten_event(true).with_span_list(false).init();
    } else {
        lines.with_ansi(stderr().is_terminal()).init();
    }
}

/// Begins to log warnings alone; what is returned begins the rest. With `RUST_LOG`, all begins at once.
#[cfg(feature = "demo")]
pub fn start_later() -> impl FnOnce() {
    // The demo's client is a library that calls the 401 before every sign-in an error. That loopback is
    // plain http goes without saying.
    let first = match std::env::var_os("RUST_LOG") {
        Some(_) => filter(DEFAULT),
        None => EnvFilter::new("warn,rmcp=off,entrada::app::serve=error"),
    };
    let lines = fmt().with_writer(stderr).with_ansi(stderr().is_terminal());
    let lines = lines.with_env_filter(first).with_filter_reloading();
    let filtering = lines.reload_handle();
    lines.init();
    move || {
        // An error means that there is no subscriber any more, and so no line either.
        let _ = filtering.reload(filter("warn,rmcp=off,entrada=info"));
    }
}

fn filter(default: &str) -> EnvFilter {
    let chosen = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default));
    chosen.add_directive(Directive::from_str("audit=info").expect("a constant directive parses"))
}
