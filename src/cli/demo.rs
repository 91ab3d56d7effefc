//! `entrada demo`: everything on this machine, walked through once, and then kept.

use std::path::PathBuf;
use std::pin::pin;

use clap::Args;
use tokio::sync::oneshot;

use crate::app::exit::Failure;
use crate::app::serve::end_signal;
use crate::cli::log;
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
    /// Where sign-ins and expenses are kept from one start to the next [default: data/demo/PORT].
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
    let mut ended = pin!(end_signal()?);
    println!("Entrada demo: all on this machine, with made-up people. Nothing here is Microsoft.\n");
    let site = Site::new(options.port, options.data_dir.as_deref()).await?;
    let (mcp_url, client_url) = (site.mcp_url.clone(), site.client_url.clone());
    let route = Route {
        mcp_url: mcp_url.clone(),
        redirect_uri: format!("{client_url}/callback"),
        person: site.people[0].clone(),
        button: "0".to_owned(),
    };
    let (end, told_to_end) = oneshot::channel::<()>();
    let mut serving = pin!(site.serve_until(async { told_to_end.await.unwrap_or_default() }));
    let mut count = 0;
    let mut tell = |step: Step| {
        count += 1;
        println!("{count:>2}. {}\n    {}\n    → {}", step.title, step.sent, step.came);
    };
    let walked = tokio::select! {
        served = &mut serving => return served,
        walked = walk(&route, &mut tell) => walked,
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
        println!("\nReady. Ctrl-C ends it. Whoever signs in is told of below.");
        // The client's own library calls the 401 that begins every sign-in an error.
        log::start(false, "warn,entrada=info,rmcp=off");
        tokio::select! {
            served = &mut serving => return served,
            () = &mut ended => {}
        }
    }
    drop(end);
    serving.await?;
    walked.map_err(|failed| Failure::Running(format!("The walk ended at a step that failed. {failed}.")))
}

fn invite(mcp_url: &str, client_url: &str) {
    println!("\nNow you. In a browser on this machine: {client_url}/");
    println!("In your own client: {mcp_url}");
    for invitation in invitations(mcp_url) {
        println!("\n  {}", invitation.client);
        for (what, text) in invitation.ways {
            println!("    {what}:\n      {text}");
        }
    }
}

fn open_browser(client_url: &str) {
    if let Err(error) = open::that_detached(format!("{client_url}/")) {
        println!("\nNo browser could be opened here ({error}). Open {client_url}/ in one on this machine.");
    }
}
