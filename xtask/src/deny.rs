//! `cargo deny`: the packages of the lock file held to deny.toml, each kind of check counted as a test.

use std::path::PathBuf;

use crate::process::{Failed, cargo, program, run, succeeds, target_dir};
use crate::tally::Tally;

/// What is installed where there is none.
const TOOL: &str = "cargo-deny@0.20.2";

/// What needs nothing but the packages.
const CHECKS: [&str; 3] = ["licenses", "bans", "sources"];
/// What needs the database of advisories, which is fetched first.
const ADVISORIES: &str = "advisories";

/// Runs all checks; that of advisories is left out where their database cannot be had.
pub fn deny() -> Result<Tally, Failed> {
    let tool = tool()?;
    let mut sum = Tally::default();
    let mut checks = CHECKS.to_vec();
    if succeeds(program(&tool).args(["fetch", "db"])) {
        checks.push(ADVISORIES);
    } else {
        let reason = "their database cannot be had without the network";
        sum.skipped.push((ADVISORIES.into(), reason.into()));
    }
    for check in checks {
        match run(program(&tool).args(["--locked", "check", check])) {
            Ok(()) => sum.passed += 1,
            Err(Failed::Ended(..)) => sum.failed += 1,
            Err(error) => return Err(error),
        }
    }
    Ok(sum)
}

/// The tool: the one that is installed, else one of our own under the target folder, which is made now if it is not there.
fn tool() -> Result<PathBuf, Failed> {
    let theirs = PathBuf::from("cargo-deny");
    if succeeds(program(&theirs).arg("--version")) {
        return Ok(theirs);
    }
    let folder = target_dir().join("tools");
    let ours = folder.join("bin/cargo-deny");
    if !ours.exists() {
        eprintln!(
            "missing: cargo-deny, to check the packages that Portolan is made of; into {}",
            folder.display()
        );
        run(cargo().args(["install", "--locked", TOOL, "--root"]).arg(&folder))?;
    }
    Ok(ours)
}
