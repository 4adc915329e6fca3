//! `cargo xtask qualify`: the long runs that `ci` has no time for. Each part takes at most 90 minutes.

use crate::binaries;
use crate::deny::deny;
use crate::planted::planted;
use crate::process::{Failed, Stream, cargo, program, read, run, target_dir};
use crate::schemathesis::{Effort, schemathesis};
use crate::tally::Tally;
use crate::test::{conclude, libtest};
use crate::tools::{self, Tool};

/// A long run.
struct Part {
    /// What it is called on the command line.
    name: &'static str,
    /// What it shows.
    what: &'static str,
    /// How it is run.
    how: How,
}

/// How a part is run.
enum How {
    /// A package's tests, told by their environment to be thorough.
    Tests {
        /// The package.
        package: &'static str,
        /// Which of its tests, as arguments of cargo; none: all that are run by default.
        which: &'static [&'static str],
        /// What they need besides the programs.
        needs: &'static [Tool],
        /// What makes them thorough.
        environment: &'static [(&'static str, &'static str)],
    },
    /// A runner of ours, with the programs as they ship.
    Runner(fn() -> Result<Tally, Failed>),
    /// One that needs no programs, or builds its own.
    Check(fn() -> Result<Tally, Failed>),
}

/// All of them.
const PARTS: &[Part] = &[
    Part {
        name: "lab",
        what: "the lab with many hosts and pods",
        how: How::Tests {
            package: "portolan-lab",
            which: &[],
            needs: &[],
            environment: &[("PORTOLAN_THOROUGH", "1")],
        },
    },
    Part {
        name: "neighbours",
        what: "networkd, NetworkManager, ufw, firewalld, Docker, BIRD and FRR beside an agent",
        how: How::Tests {
            package: "portolan-lab",
            which: &["--test", "neighbours"],
            needs: &[Tool::Neighbours],
            environment: &[("RUST_TEST_THREADS", "1")],
        },
    },
    Part {
        name: "api",
        what: "the API tried by its description, for an hour",
        how: How::Runner(|| schemathesis(Effort::Long)),
    },
    Part {
        name: "simulation",
        what: "the simulation: 100,000 seeds of two control planes and five agents, 200 of three and three hundred",
        how: How::Check(simulation),
    },
    Part {
        name: "planted",
        what: "the simulation finds each fault of its catalogue",
        how: How::Check(planted),
    },
    Part {
        name: "model",
        what: "epochs, leases and claims in all orders of what may happen to two control planes, three nodes, four blocks",
        how: How::Check(model),
    },
    Part {
        name: "dependencies",
        what: "the packages of the lock file: licences, versions, sources, advisories",
        how: How::Check(deny),
    },
];

impl How {
    fn run(&self) -> Result<Tally, Failed> {
        match self {
            Self::Tests {
                package,
                which,
                needs,
                environment,
            } => {
                tools::require(needs)?;
                let mut command = cargo();
                command.args(["test", "--no-fail-fast", "--release", "--package", package]);
                command.args(*which).envs(environment.iter().copied());
                libtest(&mut command)
            }
            Self::Runner(runner) | Self::Check(runner) => runner(),
        }
    }
}

/// Plays many seeds; broken off, it goes on where it was.
fn simulation() -> Result<Tally, Failed> {
    let folder = target_dir().join("simulation");
    std::fs::create_dir_all(&folder).map_err(|error| Failed::Other(format!("{}: {error}", folder.display())))?;
    run(cargo().args(["build", "--release", "--package", "portolan-sim"]))?;
    let mut tally = Tally::default();
    for (size, count) in [("small", 100_000), ("large", 200)] {
        let mut sim = program(target_dir().join("release/portolan-sim"));
        sim.args(["--size", size, "--count", &count.to_string(), "--resume"])
            .arg(folder.join(size));
        let held = read(&mut sim, Stream::Out, |line| eprintln!("{line}"))?;
        tally.passed += if held { count } else { 0 };
        tally.failed += u64::from(!held);
    }
    Ok(tally)
}

/// Looks at all orders of the worlds of the full size.
fn model() -> Result<Tally, Failed> {
    run(cargo().args(["build", "--release", "--package", "portolan-model"]))?;
    let mut model = program(target_dir().join("release/portolan-model"));
    let held = read(&mut model, Stream::Out, |line| eprintln!("{line}"))?;
    Ok(Tally {
        passed: u64::from(held),
        failed: u64::from(!held),
        ..Tally::default()
    })
}

/// Runs those named, or all.
pub fn qualify(names: &[String]) -> Result<(), Failed> {
    if let Some(unknown) = names.iter().find(|name| !PARTS.iter().any(|part| part.name == **name)) {
        let known: Vec<_> = PARTS
            .iter()
            .map(|part| format!("{} ({})", part.name, part.what))
            .collect();
        return Err(Failed::Other(format!(
            "there is no part {unknown}; there are: {}",
            known.join(", ")
        )));
    }
    let named = |part: &&Part| names.is_empty() || names.iter().any(|name| name == part.name);
    let parts: Vec<_> = PARTS.iter().filter(named).collect();
    if parts.iter().any(|part| !matches!(part.how, How::Check(_))) {
        binaries::release()?;
    }
    for part in parts {
        eprintln!("\n{}: {}", part.name, part.what);
        conclude(&part.how.run()?)?;
    }
    Ok(())
}
