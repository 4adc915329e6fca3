//! `portolan-sim`: plays seeds, and says which broke.

use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Instant;

use clap::Parser;
use portolan_sim::run::{self, SMALL, seed};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::FormatTime;

/// Plays seeds of whole control planes and agents.
#[derive(Debug, Parser)]
struct Cli {
    /// The first seed.
    #[arg(long, default_value_t = 1)]
    from: u64,
    /// How many.
    #[arg(long, default_value_t = 1)]
    count: u64,
    /// How many at once.
    #[arg(long, default_value_t = 2)]
    threads: usize,
    /// Says what happens, and what the programs log.
    #[arg(long)]
    log: bool,
}

/// The time within a run.
struct OwnTime;

impl FormatTime for OwnTime {
    fn format_time(&self, w: &mut Writer<'_>) -> std::fmt::Result {
        write!(w, "{:>8} ms", run::elapsed().as_millis())
    }
}

#[expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a program of its own, which measures and runs seeds side by side"
)]
fn main() -> ExitCode {
    let cli = Cli::parse();
    if cli.log {
        let filter = tracing_subscriber::EnvFilter::from_default_env();
        tracing_subscriber::fmt()
            .with_env_filter(filter)
            .with_timer(OwnTime)
            .with_ansi(false)
            .init();
    }
    let begun = Instant::now();
    let (next, broken) = (AtomicU64::new(cli.from), AtomicU64::new(0));
    let end = cli.from + cli.count;
    thread::scope(|scope| {
        for _ in 0..cli.threads {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::SeqCst);
                    if number >= end {
                        return;
                    }
                    match seed(number, SMALL) {
                        Ok(done) => println!("{number}: {done:?}"),
                        Err(wrong) => {
                            broken.fetch_add(1, Ordering::SeqCst);
                            println!("{}\n{number}: BROKEN: {}", wrong.story.join("\n"), wrong.what);
                        }
                    }
                }
            });
        }
    });
    let (seconds, broken) = (begun.elapsed().as_secs_f64(), broken.into_inner());
    println!(
        "{} seeds, {broken} broken, {:.1} a second",
        cli.count,
        cli.count as f64 / seconds
    );
    if broken == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
