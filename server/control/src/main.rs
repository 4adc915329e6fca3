//! `portolan`: the control plane.

use std::error::Error;
use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use portolan_control::api::metrics::Metrics;
use portolan_control::api::{Api, router};
use portolan_control::command::{Actor, Command};
use portolan_control::control::{Control, OpenOptions};
use portolan_control::http;
use portolan_control::identity::login::request;
use portolan_control::identity::password::{Cost, Passwords};
use portolan_control::identity::seed::{ADMIN, Seeded, seed};
use portolan_control::nodes;
use portolan_control::options::{self, Options, Serve};
use portolan_control::sources::SystemRandom;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tracing_subscriber::EnvFilter;

/// How often expired sessions and keys are forgotten.
const EXPIRE_EVERY: Duration = Duration::from_secs(60);
/// Log-ins that may wait for their turn.
const LOGINS_WAITING: usize = 256;

fn main() -> ExitCode {
    let options = Options::parse();
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .init();
    let options::Command::Serve(serve) = options.command;
    match run(*serve) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let mut text = error.to_string();
            let mut cause = error.source();
            while let Some(error) = cause {
                text.push_str(&format!(": {error}"));
                cause = error.source();
            }
            eprintln!("portolan: {text}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: Serve) -> Result<(), Box<dyn Error>> {
    raise_descriptor_limit();
    let mut open = OpenOptions::new(options.database.clone());
    open.quotas = options.quotas.quotas();
    let control = Control::open(open)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(serve(options, control))
}

/// Ten thousand streams need as many descriptors; the soft limit is often 1,024.
fn raise_descriptor_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::warn!(%error, "cannot raise the limit of open files");
    }
}

async fn serve(options: Serve, control: Control) -> Result<(), Box<dyn Error>> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let passwords = Passwords::new(Cost::OWASP, cores, LOGINS_WAITING, Arc::new(SystemRandom::default()));
    match seed(&control, &passwords, options.admin_password.as_deref()).await? {
        Seeded::Random(password) => {
            eprintln!("portolan: first start. Log in as {ADMIN} with the password {password} (shown only now).");
        }
        Seeded::Given => tracing::info!("first start: project and user {ADMIN} are made"),
        Seeded::Before => {}
    }
    let endpoint = match &options.agent_listen {
        None => None,
        Some(listen) => {
            let advertise = options.agent_advertise(listen)?;
            let options = nodes::Options {
                listen: listen.clone(),
                advertise,
                ca_key: options.ca_key(),
            };
            Some(nodes::Endpoint::open(control.clone(), &options)?)
        }
    };
    let listener = TcpListener::bind(options.listen)
        .await
        .map_err(|error| format!("cannot listen on {}: {error}", options.listen))?;
    let address = listener.local_addr()?;
    let (end, ending) = watch::channel(false);
    let api = Arc::new(Api {
        control: control.clone(),
        passwords,
        tokens: endpoint.as_ref().map(nodes::Endpoint::tokens),
        public_url: options.public_url,
        metrics: Metrics::default(),
        ending: ending.clone(),
    });
    let http = tokio::spawn(http::serve(listener, router(api), ending.clone()));
    let agents = endpoint.map(|endpoint| {
        let mut ending = ending.clone();
        tokio::spawn(async move {
            let ended = async move {
                let _ = ending.wait_for(|ending| *ending).await;
            };
            endpoint.serve(ended).await
        })
    });
    let expiry = tokio::spawn(expire(control.clone(), ending));
    writeln!(std::io::stdout(), "listening on http://{address}")?;

    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!("ending");
    end.send_replace(true);
    http.await?;
    if let Some(agents) = agents {
        agents.await??;
    }
    expiry.await?;
    control.close().await;
    Ok(())
}

/// Forgets sessions, tokens and idempotency keys whose time is over.
async fn expire(control: Control, mut ending: watch::Receiver<bool>) {
    loop {
        tokio::select! {
            _ = ending.wait_for(|ending| *ending) => return,
            () = tokio::time::sleep(EXPIRE_EVERY) => {}
        }
        if let Err(error) = control.write(request(Actor::System, Command::Expire)).await {
            tracing::warn!(%error, "cannot forget what has expired");
        }
    }
}
