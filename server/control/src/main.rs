//! `portolan`: the control plane.

use std::process::ExitCode;

use clap::Parser;
use portolan_control::machine::Sources;
use portolan_control::options::{ADMIN_PASSWORD, Command, Options};
use portolan_control::serve;
use portolan_wire::error_chain;
use tracing_subscriber::EnvFilter;

fn main() -> ExitCode {
    let options = Options::parse();
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .init();
    let Command::Serve(mut options) = options.command;
    #[expect(
        clippy::disallowed_methods,
        reason = "the program's main function reads its environment"
    )]
    let password = std::env::var(ADMIN_PASSWORD).ok();
    options.admin_password = password;
    match serve::run(*options, &Sources::system()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("portolan: {}", error_chain(&error));
            ExitCode::FAILURE
        }
    }
}
