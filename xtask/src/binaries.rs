//! Building the console and the programs, side by side: much of either leaves one of two cores idle.

use std::fs;
use std::path::PathBuf;
use std::thread;

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

/// What came of a console: too large is told and built all the same, only the tests hold it to its size.
pub type Console = Result<console::Report, Failed>;

/// Builds the console as it ships, shrunk where Node is there, while `programs` builds what it builds; only they are seen
/// at work. Says what came of both.
pub fn beside_console<T>(
    compiler: Compiler,
    programs: impl FnOnce() -> Result<T, Failed>,
) -> Result<(Console, Result<T, Failed>), Failed> {
    tools::require(&[Tool::Wasm(compiler)])?;
    if tools::ensure(&[Tool::Node]).is_empty() {
        tools::node_packages()?;
    }
    eprintln!("==> the console is compiled beside it, without a word (about 5 minutes the first time)");
    Ok(thread::scope(|scope| {
        let console = scope.spawn(|| console::build(&root(), console::Profile::Release, compiler, None));
        let built = programs();
        if !console.is_finished() {
            eprintln!("==> waiting for the console");
        }
        let console = match console.join() {
            Ok(Err(console::ConsoleError::TooLarge(report))) => Ok(*report),
            Ok(console) => console.map_err(|error| Failed::Other(error.to_string())),
            Err(_) => Err(Failed::Other("building the console panicked".into())),
        };
        if let Ok(report) = &console {
            eprintln!("{report}");
        }
        (console, built)
    }))
}

/// Builds the console and the programs as they ship. The control plane carries the console and so comes last.
pub fn ship(compiler: Compiler) -> Result<(), Failed> {
    let (console, others) = beside_console(compiler, || {
        let mut others = cargo();
        others.args(["build", "--release", "--package", "portolan-store"]);
        others.args(["--package", "portolan-agent", "--package", "portolan-lab"]);
        run(&mut others)
    })?;
    console.and(others)?;
    release()
}

/// Builds the programs as they ship, with whatever console there is.
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

/// Builds the programs as one works with them, to be tried and tested: quick to build, not quick.
pub fn dev() -> Result<(), Failed> {
    run(cargo().arg("build").args(SETS[0].1).arg("--bins"))
}

/// The same with all examples, with the very features that the tests have.
pub fn dev_with_examples() -> Result<(), Failed> {
    run(cargo().arg("build").args(SETS[0].1).args(["--bins", "--examples"]))
}

/// The same with all tests and examples, so that nothing is built twice.
pub fn dev_with_tests() -> Result<(), Failed> {
    run(cargo()
        .arg("build")
        .args(SETS[0].1)
        .args(["--bins", "--lib", "--tests", "--examples"]))
}
