//! The project's own tooling: `cargo xtask up | test | bench | ...`.
//!
//! It runs other programs and reads what they say; what Portolan does is elsewhere. Start at [`Verb`].
#![expect(
    clippy::disallowed_methods,
    reason = "a tool runs real programs in real time and reads its environment"
)]
#![allow(clippy::print_stdout, reason = "a command-line tool speaks on stdout")]
#![allow(
    unreachable_pub,
    reason = "a program has no outside: `pub` says what other rooms may use"
)]

mod bench;
mod binaries;
mod ci;
mod console;
mod deny;
mod notices;
mod planted;
mod process;
mod python;
mod qualify;
mod schemathesis;
mod tally;
mod test;
#[cfg(test)]
mod tidy;
mod tools;
mod up;

use std::net::SocketAddr;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Portolan's tooling.
#[derive(Parser)]
#[command(name = "cargo xtask")]
struct Cli {
    /// Which compiler makes wasm: rustup's (the default), or Debian's rustc-web where there is no other.
    #[arg(long, global = true, env = "WASM_COMPILER", value_enum, default_value_t)]
    wasm_compiler: console::Compiler,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Build everything and start it: control plane, console, and a lab with three hosts and six pods.
    ///
    /// Installs what is missing where it can, and says what and why. Prints who can log in: demo, support, admin. Clusters
    /// created with nodes from the lab get their hosts by themselves. Ctrl-C ends it and leaves nothing behind.
    Up {
        /// Where console and API listen.
        #[arg(long, default_value = "127.0.0.1:8080")]
        listen: SocketAddr,
    },
    /// Build the console and the programs as they ship, into target/release.
    Build,
    /// Run all fast tests: unit, API, namespaces, browser. The last line counts them all.
    Test,
    /// Measure what BENCHMARKS.md shows.
    Bench {
        /// Which; all by default.
        names: Vec<String>,
        /// On little, as the tests are built: that they work. Their figures say nothing.
        #[arg(long)]
        small: bool,
    },
    /// Build the console alone, into frontend/dist.
    Console {
        /// Small and compressed, as it ships.
        #[arg(long)]
        release: bool,
    },
    /// Write THIRD-PARTY.md: what others wrote of what ships, and under which licences.
    Notices,
    /// What every change must pass: format, lints, documentation, the console's size, tests.
    Ci,
    /// The long runs.
    Qualify {
        /// Which; all by default.
        names: Vec<String>,
    },
}

fn main() -> ExitCode {
    let Cli { wasm_compiler, verb } = Cli::parse();
    let done = match verb {
        Verb::Up { listen } => up::up(wasm_compiler, listen),
        Verb::Build => binaries::ship(wasm_compiler),
        Verb::Test => test::test(wasm_compiler, None),
        Verb::Bench { names, small: true } => bench::bench_small(&names),
        Verb::Bench { names, small: false } => bench::bench(&names),
        Verb::Console { release } => console(wasm_compiler, release),
        Verb::Notices => notices::notices(),
        Verb::Ci => ci::ci(wasm_compiler),
        Verb::Qualify { names } => qualify::qualify(&names),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(process::Failed::Said) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("xtask: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Builds the console alone.
fn console(compiler: console::Compiler, release: bool) -> Result<(), process::Failed> {
    let profile = if release {
        console::Profile::Release
    } else {
        console::Profile::Dev
    };
    let report = console::build(&process::root(), profile, compiler, None);
    let report = report.map_err(|error| process::Failed::Other(error.to_string()))?;
    eprintln!("{report}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_sound() {
        super::Cli::command().debug_assert();
    }
}
