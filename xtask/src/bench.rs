//! `cargo xtask bench`: the figures of BENCHMARKS.md. Times are asserted here, never in a test.

use crate::binaries;
use crate::process::{Failed, cargo, run};

/// A program that measures.
struct Bench {
    /// What it is called on the command line.
    name: &'static str,
    /// What it measures.
    what: &'static str,
    /// Where it is: a package and an example in it.
    package: &'static str,
    example: &'static str,
    /// What it is told.
    arguments: &'static [&'static str],
}

/// All of them, in the order they run. To add one: write `examples/NAME.rs` in its package, and a row here.
const BENCHES: &[Bench] = &[];

/// Runs those named, or all.
pub fn bench(names: &[String]) -> Result<(), Failed> {
    if let Some(unknown) = names
        .iter()
        .find(|name| !BENCHES.iter().any(|bench| bench.name == **name))
    {
        let known: Vec<_> = BENCHES
            .iter()
            .map(|bench| format!("{} ({})", bench.name, bench.what))
            .collect();
        return Err(Failed::Other(format!(
            "there is no benchmark {unknown}; there are: {}",
            known.join(", ")
        )));
    }
    binaries::release()?;
    for bench in BENCHES
        .iter()
        .filter(|bench| names.is_empty() || names.iter().any(|name| name == bench.name))
    {
        eprintln!("\n{}: {}", bench.name, bench.what);
        let mut command = cargo();
        command.args([
            "run",
            "--release",
            "--package",
            bench.package,
            "--example",
            bench.example,
            "--",
        ]);
        run(command.args(bench.arguments))?;
    }
    Ok(())
}
