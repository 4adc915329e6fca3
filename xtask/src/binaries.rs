//! Building the programs: the console first, because the control plane carries it.

use std::fs;
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

/// The packages whose programs make up Portolan, but for the plugin.
pub const PROGRAMS: [&str; 3] = ["portolan-control", "portolan-agent", "portolan-lab"];
/// The plugin's package and program: it runs in whatever a container runtime has around it, so it brings its libraries.
pub const PLUGIN: &str = "portolan-cni";

/// Builds the console as it ships: shrunk where Node is there. One that is too large is told and built all the same:
/// only the tests hold it to its size.
pub fn console(compiler: Compiler) -> Result<console::Report, Failed> {
    tools::require(&[Tool::Wasm(compiler)])?;
    if tools::ensure(&[Tool::Node]).is_empty() {
        tools::node_packages()?;
    }
    eprintln!("==> console (the first time takes some minutes)");
    let report = match console::build(&root(), console::Profile::Release, compiler, None) {
        Err(console::ConsoleError::TooLarge(report)) => {
            eprintln!("the console is over its budget");
            *report
        }
        built => built.map_err(|error| Failed::Other(error.to_string()))?,
    };
    eprintln!("{report}");
    Ok(report)
}

/// Builds the programs, as they ship.
pub fn release() -> Result<(), Failed> {
    let mut programs = cargo();
    programs.args(["build", "--release", "--bins"]);
    for package in PROGRAMS {
        programs.args(["--package", package]);
    }
    run(&mut programs)?;

    let host = host()?;
    let mut plugin = cargo();
    // Naming the target keeps the flags from build scripts and procedural macros, which cannot be static.
    plugin.args(["build", "--release", "--bins", "--package", PLUGIN, "--target", &host]);
    run(plugin.env("RUSTFLAGS", "-C target-feature=+crt-static"))?;
    let (from, to) = (
        target_dir().join(&host).join("release").join(PLUGIN),
        Profile::Release.folder().join(PLUGIN),
    );
    // By way of a new name: a plugin that runs just now must not be written to.
    let new = to.with_extension("new");
    let moved = fs::copy(&from, &new).and_then(|_| fs::rename(&new, &to));
    moved.map_err(|error| Failed::Other(format!("{}: {error}", to.display())))
}

/// This machine, as the compiler calls it.
fn host() -> Result<String, Failed> {
    let asked = cargo()
        .arg("-vV")
        .output()
        .map_err(|error| Failed::Start("cargo -vV".into(), error))?;
    let said = String::from_utf8_lossy(&asked.stdout);
    let host = said.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned)
        .ok_or_else(|| Failed::Other("cargo does not say what this machine is".into()))
}

/// Builds the programs as the tests use them: with the very features that the tests are built with, so that nothing is
/// built twice.
pub fn dev() -> Result<(), Failed> {
    run(cargo()
        .arg("build")
        .args(SETS[0].1)
        .args(["--bins", "--lib", "--tests"]))
}
