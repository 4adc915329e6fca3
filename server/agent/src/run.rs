//! The agent as a program: on this host, until a signal comes.

use std::io;
use std::path::Path;
use std::sync::Arc;

use tokio::signal::unix::{SignalKind, signal};

use crate::agent::{Agent, RunError, TOKEN_VARIABLE, forget};
use crate::machine::{Machine, MachineError, Sources};
use crate::options::{Pause, Rejoin, Resume, Run};
use crate::pause::{PauseFile, Paused};

/// Runs until SIGTERM or SIGINT. The kernel is left as it is.
///
/// # Errors
/// If it cannot start, or the host has no token to join with.
pub async fn run(options: Run) -> Result<(), RunError> {
    let mut terminate = signal(SignalKind::terminate()).map_err(RunError::Signals)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(RunError::Signals)?;
    let shutdown = async {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    #[expect(
        clippy::disallowed_methods,
        reason = "the program starts here and reads its environment"
    )]
    let token = std::env::var(TOKEN_VARIABLE).ok();
    let agent = Agent::open(Machine::this(&options.probe_netns)?, options, token)?;
    agent.run(shutdown).await
}

/// Pauses healing by the agent of a state directory.
///
/// # Errors
/// If the disk does not do it.
pub fn pause(options: &Pause) -> Result<(), RunError> {
    let sources = Sources::system().map_err(MachineError::Thread)?;
    let file = PauseFile::new(Arc::clone(&sources.files), &options.state_dir);
    let asked = Paused {
        by: options.by.clone(),
        since: sources.clock.now(),
    };
    let paused = file
        .pause(asked)
        .map_err(|source| state_error(&options.state_dir, source))?;
    tracing::info!("healing {}; portolan-agent resume ends that", paused.sentence());
    Ok(())
}

/// Ends a pause.
///
/// # Errors
/// If the disk does not do it.
pub fn resume(options: &Resume) -> Result<(), RunError> {
    let sources = Sources::system().map_err(MachineError::Thread)?;
    let file = PauseFile::new(sources.files, &options.state_dir);
    file.resume()
        .map_err(|source| state_error(&options.state_dir, source))?;
    tracing::info!("healing goes on");
    Ok(())
}

fn state_error(state_dir: &Path, source: io::Error) -> RunError {
    RunError::State {
        path: state_dir.to_owned(),
        source,
    }
}

/// Forgets who this host was.
///
/// # Errors
/// If an agent uses the state directory, or the disk does not do it.
pub fn rejoin(options: &Rejoin) -> Result<(), RunError> {
    forget(
        &Sources::system().map_err(MachineError::Thread)?.files,
        &options.state_dir,
    )?;
    tracing::info!("this host is no node any more; start the agent with a join token");
    Ok(())
}
