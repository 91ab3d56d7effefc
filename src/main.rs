//! The `entrada` program. Everything is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    entrada::cli::run()
}
