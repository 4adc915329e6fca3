//! `cargo xtask qualify`: the long runs that `ci` has no time for. Each part takes at most 90 minutes.

use crate::binaries;
use crate::process::{Failed, cargo, run};

/// A long run: a test binary told by its environment to be thorough.
struct Part {
    /// What it is called on the command line.
    name: &'static str,
    /// What it shows.
    what: &'static str,
    /// The package.
    package: &'static str,
    /// Which of its tests: what their names must contain.
    filter: &'static str,
    /// What makes them thorough.
    environment: &'static [(&'static str, &'static str)],
}

/// All of them.
const PARTS: &[Part] = &[Part {
    name: "lab",
    what: "the lab with many hosts and pods",
    package: "portolan-lab",
    filter: "",
    environment: &[("PORTOLAN_THOROUGH", "1")],
}];

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
    binaries::release()?;
    for part in PARTS
        .iter()
        .filter(|part| names.is_empty() || names.iter().any(|name| name == part.name))
    {
        eprintln!("\n{}: {}", part.name, part.what);
        let mut command = cargo();
        command.args([
            "test",
            "--release",
            "--package",
            part.package,
            "--",
            part.filter,
            "--nocapture",
        ]);
        run(command.envs(part.environment.iter().copied()))?;
    }
    Ok(())
}
