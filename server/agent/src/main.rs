//! The node agent's program: see the library for what it does.

use std::error::Error;
use std::io::IsTerminal as _;
use std::process::ExitCode;

use clap::Parser as _;
use portolan_agent::options::{Action, Cli, Run};
use portolan_agent::run;
use portolan_wire::error_chain;
use tracing_subscriber::EnvFilter;

/// What is logged unless `RUST_LOG` says otherwise.
const LOG: &str = "info";

/// Threads for what blocks: rounds, CNI calls. More would only wait for the kernel's locks.
const BLOCKING_THREADS: usize = 8;

/// Stack of those, in bytes.
const STACK: usize = 512 << 10;

fn main() -> ExitCode {
    let action = Cli::parse().command;
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(LOG));
    let ansi = std::io::stderr().is_terminal();
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(ansi)
        .init();
    let outcome = match action {
        Action::Run(options) => runs(options),
        Action::Rejoin(options) => run::rejoin(&options).map_err(Into::into),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{}", error_chain(&*error));
            ExitCode::FAILURE
        }
    }
}

fn runs(options: Run) -> Result<(), Box<dyn Error>> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(BLOCKING_THREADS)
        .thread_stack_size(STACK)
        .build();
    Ok(runtime?.block_on(run::run(options))?)
}
