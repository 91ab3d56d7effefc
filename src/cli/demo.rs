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
    /// Where sign-ins and expenses are kept from one start to the next.
    #[arg(long, value_name = "DIR", default_value = "data/demo")]
    data_dir: PathBuf,
    /// End after the walk: with 0 if every step succeeded, else with 1.
    #[arg(long)]
    check: bool,
    /// Open no browser.
    #[arg(long)]
    no_browser: bool,
}

/// Where the walking client would listen; its browser is this program too.
const REDIRECT_URI: &str = "http://127.0.0.1:33418/callback";

pub async fn execute(options: Options) -> Result<(), Failure> {
    let mut ended = pin!(end_signal()?);
    let site = Site::new(options.port, &options.data_dir).await?;
    let route = Route {
        mcp_url: site.mcp_url.clone(),
        redirect_uri: REDIRECT_URI.to_owned(),
        client_name: "Entrada demo",
        person: site.people[0].clone(),
        button: "0".to_owned(),
    };
    println!(
        "Entrada, with an identity provider that is not Microsoft and an MCP server, on this machine only.\n"
    );
    let (end, told_to_end) = oneshot::channel::<()>();
    let mut serving = pin!(site.serve_until(async { told_to_end.await.unwrap_or_default() }));
    let mut count = 0;
    let mut tell = |step: Step| {
        count += 1;
        println!("{count:>3}  {}\n       {}\n     → {}", step.title, step.sent, step.came);
    };
    let walked = tokio::select! {
        served = &mut serving => return served,
        walked = walk(&route, &mut tell) => Some(walked),
        () = &mut ended => None,
    };
    match walked {
        Some(Ok(())) if !options.check => {
            invite(&route.mcp_url);
            log::start(false);
            tokio::select! {
                served = &mut serving => return served,
                () = &mut ended => {}
            }
        }
        Some(Err(failed)) => {
            drop(end);
            serving.await?;
            return Err(Failure::Running(format!("The walk ends here. {failed}.")));
        }
        _ => {}
    }
    drop(end);
    serving.await
}

fn invite(mcp_url: &str) {
    println!("\nNow yours: {mcp_url}");
    for invitation in invitations(mcp_url) {
        println!("\n  {}", invitation.client);
        for (what, text) in invitation.ways {
            println!("    {what}:\n      {text}");
        }
    }
    println!("\nReady. Ctrl-C ends it.");
}
