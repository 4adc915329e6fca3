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
const BENCHES: &[Bench] = &[
    Bench {
        name: "http",
        what: "creations, lists and memory over HTTP at three sizes",
        package: "portolan-control",
        example: "bench_http",
        arguments: &[],
    },
    Bench {
        name: "core",
        what: "the writer and the view without HTTP at three sizes",
        package: "portolan-control",
        example: "bench_core",
        arguments: &[],
    },
    Bench {
        name: "delete",
        what: "how long others wait while a cluster goes with its pods, and for a refused delete",
        package: "portolan-control",
        example: "bench_delete",
        arguments: &[],
    },
    Bench {
        name: "agents",
        what: "ten thousand agents' streams: connecting, changes, coming back",
        package: "portolan-control",
        example: "agents",
        arguments: &["10000", "100"],
    },
    Bench {
        name: "cni",
        what: "ADD and DEL through the real plugin",
        package: "portolan-agent",
        example: "cni_latency",
        arguments: &[],
    },
    Bench {
        name: "rounds",
        what: "an agent's restart with 250 pods and 2,000 routes",
        package: "portolan-agent",
        example: "rounds",
        arguments: &[],
    },
    Bench {
        name: "route",
        what: "from a request to the route in another node's kernel",
        package: "portolan-lab",
        example: "commit_to_route",
        arguments: &[],
    },
    Bench {
        name: "cluster",
        what: "from creating a cluster to all its nodes being ready, and back",
        package: "portolan-lab",
        example: "cluster_ready",
        arguments: &[],
    },
];

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
