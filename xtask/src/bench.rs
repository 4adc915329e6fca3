//! `cargo xtask bench`: the figures of BENCHMARKS.md. Times are asserted here, never in a test.
//!
//! `--small` runs the same programs as the tests are built, on little: that they work, in a minute. Their figures say
//! nothing.

use crate::binaries::{self, Profile};
use crate::process::{Failed, Stream, cargo, program, read, run, succeeds};
use crate::tally::Tally;
use crate::test::conclude;
use crate::tools::{self, Tool};

/// How long a small one may take, in seconds: one that hangs must not hold up everybody.
const SMALL_WITHIN: &str = "300";

/// A program that measures.
struct Bench {
    /// What it is called on the command line.
    name: &'static str,
    /// What it measures.
    what: &'static str,
    /// Where it is: a package and an example in it.
    package: &'static str,
    example: &'static str,
    /// Whether it makes network namespaces.
    namespaces: bool,
    /// What it is told.
    arguments: &'static [&'static str],
    /// What it is told when only its working is of interest.
    small: &'static [&'static str],
}

/// All of them, in the order they run. To add one: write `examples/NAME.rs` in its package, and a row here.
const BENCHES: &[Bench] = &[
    Bench {
        name: "http",
        what: "creations, lists and memory over HTTP at three sizes",
        package: "portolan-control",
        example: "bench_http",
        namespaces: false,
        arguments: &[],
        small: &["--sizes", "200,1000", "--part", "200"],
    },
    Bench {
        name: "core",
        what: "the writer and the view without HTTP at three sizes",
        package: "portolan-control",
        example: "bench_core",
        namespaces: false,
        arguments: &[],
        small: &["--ports", "1000", "--more", "200", "--clients", "8"],
    },
    Bench {
        name: "delete",
        what: "how long others wait while a cluster goes with its pods, and for a refused delete",
        package: "portolan-control",
        example: "bench_delete",
        namespaces: false,
        arguments: &[],
        small: &["200"],
    },
    Bench {
        name: "agents",
        what: "ten thousand agents' streams: connecting, changes, coming back",
        package: "portolan-control",
        example: "agents",
        namespaces: false,
        arguments: &["10000", "100"],
        small: &["40", "3", "12"],
    },
    Bench {
        name: "restore",
        what: "the store put back to before all pods: agents claim, and come with empty disks, at three sizes",
        package: "portolan-control",
        example: "restore",
        namespaces: false,
        arguments: &[],
        small: &["4:12"],
    },
    Bench {
        name: "kernel",
        what: "from a commit to a real agent's kernel while others listen, at three sizes",
        package: "portolan-control",
        example: "commit_to_kernel",
        namespaces: true,
        arguments: &[],
        small: &["20", "80"],
    },
    Bench {
        name: "cni",
        what: "ADD and DEL through the real plugin",
        package: "portolan-agent",
        example: "cni_latency",
        namespaces: true,
        arguments: &[],
        small: &["4", "1,2"],
    },
    Bench {
        name: "rounds",
        what: "an agent's restart with 250 pods and 2,000 routes",
        package: "portolan-agent",
        example: "rounds",
        namespaces: true,
        arguments: &[],
        small: &["3", "20"],
    },
    Bench {
        name: "healing",
        what: "what others take away from a host is back",
        package: "portolan-agent",
        example: "healing",
        namespaces: true,
        arguments: &[],
        small: &["3", "20", "2"],
    },
    Bench {
        name: "idle",
        what: "memory and processor of an agent that only watches and probes",
        package: "portolan-agent",
        example: "idle",
        namespaces: true,
        arguments: &[],
        small: &["3", "20", "2", "4"],
    },
    Bench {
        name: "probes",
        what: "what a node's probes cost it in clusters of several sizes",
        package: "portolan-sim",
        example: "probes",
        namespaces: false,
        arguments: &[],
        small: &["5", "10"],
    },
    Bench {
        name: "route",
        what: "from a request to the route in another node's kernel",
        package: "portolan-lab",
        example: "commit_to_route",
        namespaces: true,
        arguments: &[],
        small: &["3"],
    },
    Bench {
        name: "cluster",
        what: "from creating a cluster to all its nodes being ready, and back; and the end of a lab, which may take 2 s",
        package: "portolan-lab",
        example: "cluster_ready",
        namespaces: true,
        arguments: &["10", "3,16", "2000"],
        small: &["1", "2"],
    },
];

/// Runs those named, or all, as they ship.
pub fn bench(names: &[String]) -> Result<(), Failed> {
    let chosen = chosen(names)?;
    binaries::release()?;
    for bench in chosen {
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

/// Runs those named, or all, on little; the last line counts them.
pub fn bench_small(names: &[String]) -> Result<(), Failed> {
    conclude(&small(names)?)
}

/// Runs those named, or all, on little. Each counts as a test.
pub fn small(names: &[String]) -> Result<Tally, Failed> {
    let chosen = chosen(names)?;
    tools::ensure(&[Tool::Iproute2]);
    binaries::dev_with_examples()?;
    let may = succeeds(program("unshare").args(["--net", "--mount", "true"]));
    let mut sum = Tally::default();
    for bench in chosen {
        eprintln!("\n{}: {}", bench.name, bench.what);
        if bench.namespaces && !may {
            let reason = "this user may not make network namespaces; root or CAP_SYS_ADMIN is needed";
            sum.skipped.push((bench.test(), reason.to_owned()));
            continue;
        }
        match bench.small() {
            Ok(()) => sum.passed += 1,
            Err(error) => {
                eprintln!("{}: {error}", bench.test());
                sum.add(Tally::broken());
            }
        }
    }
    Ok(sum)
}

impl Bench {
    /// What it is called as a test.
    fn test(&self) -> String {
        format!("the benchmark {}, on little", self.name)
    }

    /// Runs it on little. One that prints no figure has done nothing.
    fn small(&self) -> Result<(), Failed> {
        let mut command = program("timeout");
        command.arg(SMALL_WITHIN);
        command.arg(Profile::Dev.folder().join("examples").join(self.example));
        let mut figures = false;
        let succeeded = read(command.args(self.small), Stream::Out, |line| {
            figures |= line.bytes().any(|byte| byte.is_ascii_digit());
            eprintln!("{line}");
        })?;
        match (succeeded, figures) {
            (true, true) => Ok(()),
            (true, false) => Err(Failed::Other("it has shown no figure".to_owned())),
            (false, _) => Err(Failed::Other("it has failed".to_owned())),
        }
    }
}

/// Those named, or all.
fn chosen(names: &[String]) -> Result<Vec<&'static Bench>, Failed> {
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
    let named = |bench: &&Bench| names.is_empty() || names.iter().any(|name| name == bench.name);
    Ok(BENCHES.iter().filter(named).collect())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;

    use super::*;
    use crate::process::root;

    #[test]
    fn every_example_is_a_benchmark_that_is_run() {
        let packages = [
            "control", "agent", "cni", "lab", "core", "store", "sources", "wire", "sim",
        ];
        let folders = packages.map(|package| root().join("server").join(package).join("examples"));
        let files = folders.iter().filter_map(|folder| fs::read_dir(folder).ok()).flatten();
        let examples: BTreeSet<String> = files
            .filter_map(|file| {
                let path = file.unwrap().path();
                let source = path.extension().is_some_and(|end| end == "rs");
                source.then(|| path.file_stem().unwrap().to_string_lossy().into_owned())
            })
            .collect();
        assert_eq!(examples, BENCHES.iter().map(|bench| bench.example.to_owned()).collect());
    }
}
