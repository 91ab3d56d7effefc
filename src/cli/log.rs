//! Where log lines go: standard error, as text or as JSON.

use std::io::IsTerminal;
use std::io::stderr;
use std::str::FromStr;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::Directive;
use tracing_subscriber::fmt;

/// What is logged unless `RUST_LOG` says otherwise: everything of ours from `info` on, and warnings of the
/// libraries.
pub const DEFAULT: &str = "warn,entrada=info";

/// Begins to log. `RUST_LOG` chooses what, and else `default`. Neither can silence the audit trail.
pub fn start(json: bool, default: &str) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default));
    let filter =
        filter.add_directive(Directive::from_str("audit=info").expect("a constant directive parses"));
    let lines = fmt().with_env_filter(filter).with_writer(stderr);
    if json {
        lines.json().flatten_event(true).with_span_list(false).init();
    } else {
        lines.with_ansi(stderr().is_terminal()).init();
    }
}
