//! The agent as a program: on this host, until a signal comes.

use tokio::signal::unix::{SignalKind, signal};

use crate::agent::{Agent, RunError, TOKEN_VARIABLE};
use crate::machine::Machine;
use crate::options::Run;

/// Runs until SIGTERM or SIGINT. The kernel is left as it is.
///
/// # Errors
/// If it cannot start, or the control plane refuses to let the host join.
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
    let agent = Agent::open(Machine::this()?, options, token)?;
    agent.run(shutdown).await
}
