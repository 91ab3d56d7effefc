//! `entrada demo`: everything on this machine, walked through once, and then kept.

use std::path::PathBuf;
use std::pin::pin;

use clap::Args;
use tokio::sync::oneshot;

use crate::app::exit::Failure;
use crate::app::serve::Signals;
use crate::cli::log;
use crate::cli::say;
use crate::demo::invitation::Way;
use crate::demo::invitation::invitations;
use crate::demo::site::Site;
use crate::demo::walk::Route;
use crate::demo::walk::Step;
use crate::demo::walk::walk;

/// Where, and for how long.
#[derive(Debug, Args)]
pub struct Options {
    /// The port of http://localhost that clients connect to; 0 takes any that is free.
    #[arg(long, value_name = "PORT", default_value_t = 8000)]
    port: u16,
    /// Where the store, its key and the expenses are kept from one start to the next [default:
    /// data/demo/PORT; with port 0 a temporary directory]. Some minutes after a start clients have to sign
    /// in again: the made-up identity provider has forgotten them.
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// End after the walk: with 0 if every step succeeded, else with 1.
    #[arg(long)]
    check: bool,
    /// Do not open a browser.
    #[arg(long)]
    no_browser: bool,
}

/// Walks, and serves until SIGINT or SIGTERM.
pub async fn execute(options: Options) -> Result<(), Failure> {
    let mut signals = Signals::catch()?;
    let mut ended = pin!(signals.next());
    let log_the_rest = log::start_later();
    tell("Entrada demo: all on this machine, with made-up people. Nothing here is Microsoft.\n");
    let site = Site::new(options.port, options.data_dir.as_deref()).await?;
    let (mcp_url, client_url) = (site.mcp_url.clone(), site.client_url.clone());
    let route = Route {
        mcp_url: mcp_url.clone(),
        redirect_uri: format!("{client_url}/callback"),
        people: site.people.clone(),
        person: 0,
    };
    let (end, told_to_end) = oneshot::channel::<()>();
    let mut serving = pin!(site.serve_until(async { told_to_end.await.unwrap_or_default() }));
    let mut count = 0;
    let mut each = |step: Step| {
        count += 1;
        tell(&format!("{count:>2}. {}\n    {}\n    → {}", step.title, step.sent, step.came));
    };
    let walked = tokio::select! {
        served = &mut serving => return served,
        walked = walk(&route, &mut each) => walked,
        () = &mut ended => {
            drop(end);
            return serving.await;
        }
    };
    if walked.is_ok() && !options.check {
        invite(&mcp_url, &client_url);
        if !options.no_browser {
            open_browser(&client_url);
        }
        log_the_rest();
        tell("\nReady. Ctrl-C ends it. Whoever signs in is told of below.");
        tokio::select! {
            served = &mut serving => return served,
            () = &mut ended => {}
        }
    }
    drop(end);
    serving.await?;
    walked.map_err(|failed| {
        Failure::Running(format!(
            "The walk ended at a step that failed. {failed}. RUST_LOG=info shows what the server says of it."
        ))
    })
}

fn invite(mcp_url: &str, client_url: &str) {
    tell(&format!("\nNow you. In a browser on this machine: {client_url}/\nIn your own client: {mcp_url}"));
    for invitation in invitations(mcp_url) {
        tell(&format!("\n  {}", invitation.client));
        for way in invitation.ways {
            match way {
                Way::Open(link) => tell(&format!("    open\n      {link}")),
                Way::Paste { into, text } => tell(&format!("    paste into {into}\n      {text}")),
                Way::Run { command, also } => tell(&format!("    run{also}\n      {command}")),
            }
        }
    }
}

fn open_browser(client_url: &str) {
    // What the opener says of itself ("other error", a wait status) helps nobody.
    if open::that_detached(format!("{client_url}/")).is_err() {
        tell(&format!("\nNo browser could be opened here. Open {client_url}/ in one on this machine."));
    }
}

/// Prints a line. If nobody reads, the demo goes on: how the walk ended is told by the exit code too.
fn tell(line: &str) {
    let _ = say(line);
}
