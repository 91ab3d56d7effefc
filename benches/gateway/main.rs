//! What `run` measures, and what it measures by: each in a process of its own.

#![allow(clippy::unwrap_used, reason = "a bench that cannot go on has failed")]
#![expect(clippy::disallowed_methods, reason = "time is what is measured")]
#![expect(clippy::print_stdout, reason = "it tells `run`")]

mod client;
mod proxy;
#[path = "../server/mod.rs"]
mod server;
mod upstream;

use std::io::stderr;
use std::process::ExitCode;

use mimalloc::MiMalloc;
use tokio::runtime::Builder;
use tracing_subscriber::EnvFilter;

/// That of the program.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    // As the program logs by default, but for the key of a server that is gone in a minute.
    let chosen = EnvFilter::new("warn,entrada=info,entrada::adapters::root_key_file=warn");
    tracing_subscriber::fmt().with_env_filter(chosen).with_writer(stderr).json().with_span_list(false).init();
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    match arguments.as_slice() {
        ["upstream"] => runtime.block_on(upstream::serve(false)),
        ["upstream", "http2"] => runtime.block_on(upstream::serve(true)),
        ["gateway", upstream] => runtime.block_on(proxy::gateway(upstream, false)),
        ["gateway", upstream, "http2"] => runtime.block_on(proxy::gateway(upstream, true)),
        ["plain", upstream] => runtime.block_on(proxy::plain(upstream)),
        ["verify", seconds] => runtime.block_on(proxy::verify(seconds.parse().unwrap())),
        ["delays", gateway, upstream, token, count] => {
            runtime.block_on(client::delays([gateway, upstream], token, count.parse().unwrap()));
        }
        ["idle", address, token, count] => {
            runtime.block_on(client::idle(address, token, count.parse().unwrap()));
        }
        // A plain `cargo bench` runs every bench.
        [] => println!("benches/gateway/run measures the gateway."),
        _ => return ExitCode::FAILURE,
    }
    ExitCode::SUCCESS
}
