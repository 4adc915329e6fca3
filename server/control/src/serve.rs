//! `portolan serve`: everything put together, from the store to an orderly end.

use std::io::Write;
use std::net::SocketAddr;
use std::sync::Arc;

use portolan_core::model::Micros;
use portolan_shared::refusal::Refusal;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::api::metrics::Metrics;
use crate::api::v1::events::Streams;
use crate::api::{Api, router};
use crate::control::{Control, OpenError, OpenOptions};
use crate::http;
use crate::identity::password::{Cost, Passwords};
use crate::identity::seed::{ADMIN, Seeded, seed};
use crate::machine::Sources;
use crate::nodes::{self, EndpointError};
use crate::options::Serve;

/// Log-ins that may wait for their turn.
const LOGINS_WAITING: usize = 256;

/// Why it does not serve.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The store.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// Project and user `admin` could not be made.
    #[error("the first start failed: {0}")]
    Seed(Refusal),
    /// Options that do not go together.
    #[error("{0}")]
    Options(String),
    /// The agent endpoint.
    #[error("the agent endpoint")]
    Agents(#[from] EndpointError),
    /// The address for clients.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address, as given.
        address: SocketAddr,
        /// The operating system's error.
        source: std::io::Error,
    },
    /// The operating system refuses something that is always there.
    #[error("the operating system")]
    System(#[from] std::io::Error),
    /// The writer panicked.
    #[error("the writer has failed, see the log; nothing can be written any more")]
    Writer,
    /// A part of the server panicked.
    #[error("a part of the server failed")]
    Part(#[from] tokio::task::JoinError),
}

/// Serves until SIGTERM or SIGINT.
///
/// # Errors
/// Why it does not start, or did not end in order.
pub fn run(options: Serve, sources: &Sources) -> Result<(), ServeError> {
    raise_descriptor_limit();
    let mut open = OpenOptions::new(options.database.clone(), sources.clone());
    open.quotas = options.quotas.quotas();
    open.retention.audit = Micros::from(options.audit_days) * 24 * 3_600_000_000;
    let control = Control::open(open)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(serve(options, control, sources))
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

async fn serve(options: Serve, control: Control, sources: &Sources) -> Result<(), ServeError> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let at_once = (sources.cores / 2).max(1);
    let (random, workers) = (Arc::clone(&sources.random), sources.workers.clone());
    let passwords = Passwords::new(Cost::OWASP, at_once, LOGINS_WAITING, random, workers);
    match seed(&control, &passwords, options.admin_password.as_deref())
        .await
        .map_err(ServeError::Seed)?
    {
        Seeded::Random(password) => {
            eprintln!("portolan: first start. Log in as {ADMIN} with the password {password} (shown only now).");
        }
        Seeded::Given => tracing::info!("first start: project and user {ADMIN} are made"),
        Seeded::Before => {}
    }
    let endpoint = match &options.agent_listen {
        None => None,
        Some(listen) => {
            let advertise = options.agent_advertise(listen).map_err(ServeError::Options)?;
            let options = nodes::Options {
                listen: listen.clone(),
                advertise,
                ca_key: options.ca_key(),
                first: options.first_project.clone(),
            };
            Some(nodes::Endpoint::open(control.clone(), &options, sources)?)
        }
    };
    let failed = |source| ServeError::Listen {
        address: options.listen,
        source,
    };
    let listener = sources.net.listen(options.listen).map_err(failed)?;
    let address = listener.address()?;
    let (end, ending) = watch::channel(false);
    let api = Arc::new(Api {
        control: control.clone(),
        passwords,
        tokens: endpoint.as_ref().map(nodes::Endpoint::tokens),
        lab: options.node_provider.is_some(),
        public_url: options.public_url,
        metrics: Metrics::default(),
        streams: Streams::default(),
        ending: ending.clone(),
        stopwatch: Arc::clone(&sources.stopwatch),
        workers: sources.workers.clone(),
    });
    let http = tokio::spawn(http::serve(listener, router(api), ending.clone()));
    let agents = endpoint.map(|endpoint| {
        let mut ending = ending.clone();
        tokio::spawn(endpoint.serve(async move {
            let _ = ending.wait_for(|ending| *ending).await;
        }))
    });
    writeln!(std::io::stdout(), "listening on http://{address}")?;

    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
        // End as a whole, so that the service manager starts it again: half a control plane helps nobody.
        () = control.ended() => return Err(ServeError::Writer),
    }
    tracing::info!("ending");
    end.send_replace(true);
    http.await?;
    if let Some(agents) = agents {
        agents.await??;
    }
    control.close().await;
    Ok(())
}
