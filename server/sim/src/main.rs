//! `portolan-sim`: plays seeds, and says which broke.

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use clap::{Parser, ValueEnum};
use parking_lot::Mutex;
use portolan_sim::run::{self, LARGE, SMALL, seeds};
use tracing_subscriber::EnvFilter;
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
    /// How large the world is.
    #[arg(long, value_enum, default_value_t = World::Small)]
    size: World,
    /// How many at once.
    #[arg(long, default_value_t = 2)]
    threads: usize,
    /// Stops at the first seed that breaks.
    #[arg(long)]
    first: bool,
    /// A file that says where to go on, if it is there. All before that held.
    #[arg(long)]
    resume: Option<PathBuf>,
    /// Logs what happens, as the environment variable `RUST_LOG` says.
    #[arg(long)]
    log: bool,
}

/// Sizes of worlds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum World {
    /// Two control planes and five hosts.
    Small,
    /// Three control planes and three hundred hosts.
    Large,
}

/// The time within a run.
struct OwnTime;

impl FormatTime for OwnTime {
    fn format_time(&self, w: &mut Writer<'_>) -> std::fmt::Result {
        write!(w, "{:>8} ms", run::elapsed().as_millis())
    }
}

/// How far it got: all seeds before the first that is missing held.
struct Progress {
    file: Option<PathBuf>,
    next: u64,
    beyond: Vec<u64>,
}

impl Progress {
    #[expect(clippy::disallowed_methods, reason = "a program of its own")]
    fn held(&mut self, number: u64) {
        self.beyond.push(number);
        while let Some(at) = self.beyond.iter().position(|beyond| *beyond == self.next) {
            self.beyond.swap_remove(at);
            self.next += 1;
        }
        if let Some(file) = &self.file {
            // Lost progress is played again.
            let _ = fs::write(file, self.next.to_string());
        }
    }
}

#[expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a program of its own, which measures"
)]
fn main() -> ExitCode {
    let cli = Cli::parse();
    if cli.log {
        tracing_subscriber::fmt()
            .with_env_filter(EnvFilter::from_default_env())
            .with_timer(OwnTime)
            .with_ansi(false)
            .init();
    }
    let kept = cli.resume.as_ref().and_then(|file| fs::read_to_string(file).ok());
    let from = kept.and_then(|text| text.parse().ok()).unwrap_or(cli.from);
    let end = cli.from + cli.count;
    let progress = Mutex::new(Progress {
        file: cli.resume,
        next: from,
        beyond: Vec::new(),
    });
    let size = match cli.size {
        World::Small => SMALL,
        World::Large => LARGE,
    };
    let (begun, played, broken) = (Instant::now(), AtomicU64::new(0), AtomicU64::new(0));
    seeds(from..end, size, cli.threads, &|number, came| {
        played.fetch_add(1, Ordering::SeqCst);
        match came {
            Ok(done) => {
                tracing::info!(number, ?done, "held");
                progress.lock().held(number);
                true
            }
            Err(wrong) => {
                broken.fetch_add(1, Ordering::SeqCst);
                println!("{}\nseed {number} broke: {}", wrong.story.join("\n"), wrong.what);
                !cli.first
            }
        }
    });
    let (played, broken) = (played.into_inner(), broken.into_inner());
    let rate = played as f64 / begun.elapsed().as_secs_f64();
    println!("{played} seeds played, {broken} broke, {rate:.1} a second");
    if broken == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
