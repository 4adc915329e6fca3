//! The node agent's program: see the library for what it does.

use std::error::Error;
use std::io::{IsTerminal as _, Write as _};
use std::process::ExitCode;

use clap::Parser as _;
use portolan_agent::check::{check, plan_drop_ins, remove_drop_ins, write_drop_ins};
use portolan_agent::options::{Action, Check, Cli, Run};
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
        Action::Run(options) => runs(options).map(|()| ExitCode::SUCCESS),
        Action::Rejoin(options) => run::rejoin(&options).map(|()| ExitCode::SUCCESS).map_err(Into::into),
        Action::Pause(options) => run::pause(&options).map(|()| ExitCode::SUCCESS).map_err(Into::into),
        Action::Resume(options) => run::resume(&options).map(|()| ExitCode::SUCCESS).map_err(Into::into),
        Action::Check(options) => checks(&options),
    };
    match outcome {
        Ok(code) => code,
        Err(error) => {
            tracing::error!("{}", error_chain(&*error));
            ExitCode::FAILURE
        }
    }
}

fn checks(options: &Check) -> Result<ExitCode, Box<dyn Error>> {
    let mut out = std::io::stdout().lock();
    let report = if options.write_drop_ins {
        let told = plan_drop_ins(options);
        if !options.json {
            write!(out, "{told}")?;
        }
        write_drop_ins(options, told)
    } else if options.remove_drop_ins {
        remove_drop_ins(options)
    } else {
        check(options)
    };
    if options.json {
        serde_json::to_writer_pretty(&mut out, &report)?;
        writeln!(out)?;
    } else {
        write!(out, "{report}")?;
    }
    Ok(ExitCode::from(report.exit_code()))
}

fn runs(options: Run) -> Result<(), Box<dyn Error>> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(BLOCKING_THREADS)
        .thread_stack_size(STACK)
        .build();
    Ok(runtime?.block_on(run::run(options))?)
}
