//! Building the programs: the console first, because the control plane carries it.

use std::path::PathBuf;

use crate::console::{self, Compiler};
use crate::process::{Failed, cargo, root, run, target_dir};
use crate::tools::{self, Tool};

/// How the programs are built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// With the tests: dependencies somewhat optimised.
    Dev,
    /// As they ship.
    Release,
}

impl Profile {
    /// Where cargo puts them.
    pub fn folder(self) -> PathBuf {
        target_dir().join(match self {
            Self::Dev => "debug",
            Self::Release => "release",
        })
    }
}

/// The packages as they are checked and tested: each set by itself, since what is built together shares features. The
/// console and this tool have dependencies of their own, which would make everybody's be built twice.
pub const SETS: [(&str, &[&str]); 3] = [
    (
        "server and shared",
        &["--workspace", "--exclude", "portolan-console", "--exclude", "xtask"],
    ),
    ("console", &["--package", "portolan-console"]),
    ("tooling", &["--package", "xtask"]),
];

/// The packages whose programs make up Portolan.
const PROGRAMS: [&str; 4] = ["portolan-control", "portolan-agent", "portolan-cni", "portolan-lab"];

/// Builds the console as it ships: shrunk where Node is there.
pub fn console(compiler: Compiler) -> Result<console::Report, Failed> {
    tools::require(&[Tool::Wasm(compiler)])?;
    if tools::ensure(&[Tool::Node]).is_empty() {
        tools::node_packages()?;
    }
    eprintln!("==> console (the first time takes some minutes)");
    let report = console::build(&root(), console::Profile::Release, compiler, None);
    let report = report.map_err(|error| Failed::Other(error.to_string()))?;
    eprintln!("{report}");
    Ok(report)
}

/// Builds the programs, as they ship.
pub fn release() -> Result<(), Failed> {
    let mut cargo = cargo();
    cargo.args(["build", "--release", "--bins"]);
    for package in PROGRAMS {
        cargo.args(["--package", package]);
    }
    run(&mut cargo)
}

/// Builds the programs as the tests use them: with the very features that the tests are built with, so that nothing is
/// built twice.
pub fn dev() -> Result<(), Failed> {
    run(cargo()
        .arg("build")
        .args(SETS[0].1)
        .args(["--bins", "--lib", "--tests"]))
}
