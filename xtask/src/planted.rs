//! Faults that the simulation must find: each is put into a copy of the sources, and seeds are played until one breaks.

use std::fs;
use std::path::{Path, PathBuf};

use crate::process::{Failed, Stream, cargo, program, read, root, run, target_dir};
use crate::tally::Tally;

/// Where the faults are, from the root.
const CATALOGUE: &str = "server/sim/planted.txt";

/// How many seeds may be played until one finds a fault.
const SEEDS: &str = "1000";

/// What the copy leaves out: what is built or installed.
const LEFT_OUT: [&str; 4] = ["target", "node_modules", ".git", "dist"];

/// A fault.
#[derive(Debug, PartialEq, Eq)]
struct Fault<'a> {
    /// What is wrong with it in.
    name: &'a str,
    /// The file, from the root.
    file: &'a str,
    /// What is there once.
    old: &'a str,
    /// What takes its place.
    new: &'a str,
}

/// The faults of a catalogue: `== name`, `-- file`, then what is there after `<<<` and what takes its place after `>>>`.
fn faults(catalogue: &str) -> Option<Vec<Fault<'_>>> {
    let entries = catalogue.split("\n== ").skip(1);
    entries
        .map(|entry| {
            let (name, rest) = entry.split_once("\n-- ")?;
            let (file, rest) = rest.split_once("\n<<<\n")?;
            let (old, new) = rest.split_once(">>>\n")?;
            Some(Fault {
                name,
                file,
                old: old.trim_end_matches('\n'),
                new: new.trim_end_matches('\n'),
            })
        })
        .collect()
}

/// Puts each fault in by itself and says which seed finds it.
pub fn planted() -> Result<Tally, Failed> {
    let (copy, builds) = (
        target_dir().join("planted/sources"),
        target_dir().join("planted/target"),
    );
    let catalogue = text(&root().join(CATALOGUE))?;
    let faults = faults(&catalogue).ok_or_else(|| Failed::Other(format!("{CATALOGUE} cannot be read")))?;
    let mut tally = Tally::default();
    for fault in &faults {
        put_sources(&copy)?;
        let file = copy.join(fault.file);
        let before = text(&file)?;
        if before.matches(fault.old).count() != 1 {
            eprintln!("{}: {} does not hold it once", fault.name, fault.file);
            tally.failed += 1;
            continue;
        }
        let after = before.replacen(fault.old, fault.new, 1);
        fs::write(&file, after).map_err(|error| Failed::Other(format!("{}: {error}", file.display())))?;
        let mut build = cargo();
        build.current_dir(&copy).env("CARGO_TARGET_DIR", &builds);
        // Nobody debugs it, and each fault is a build.
        build.env("CARGO_PROFILE_DEV_DEBUG", "0");
        if let Err(failed) = run(build.args(["build", "--quiet", "--package", "portolan-sim"])) {
            eprintln!("{}: {failed}", fault.name);
            tally.failed += 1;
            continue;
        }
        let mut sim = program(builds.join("debug/portolan-sim"));
        let mut said = String::new();
        let held = read(
            sim.args(["--count", SEEDS, "--threads", "2", "--first"]),
            Stream::Out,
            |line| {
                if line.starts_with("seed ") {
                    line.clone_into(&mut said);
                }
            },
        )?;
        if held {
            eprintln!("{}: NOT found by {SEEDS} seeds", fault.name);
            tally.failed += 1;
        } else {
            eprintln!("{}: {said}", fault.name);
            tally.passed += 1;
        }
    }
    Ok(tally)
}

fn text(path: &Path) -> Result<String, Failed> {
    fs::read_to_string(path).map_err(|error| Failed::Other(format!("{}: {error}", path.display())))
}

/// Copies the sources; what is the same already is left alone, so that it is not built again.
fn put_sources(to: &Path) -> Result<(), Failed> {
    copy(&root(), to).map_err(|error| Failed::Other(format!("{}: {error}", to.display())))
}

fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(to)? {
        let entry = entry?;
        if !from.join(entry.file_name()).exists() {
            match entry.file_type()?.is_dir() {
                true => fs::remove_dir_all(entry.path())?,
                false => fs::remove_file(entry.path())?,
            }
        }
    }
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let name = entry.file_name();
        if LEFT_OUT.iter().any(|left| name == *left) {
            continue;
        }
        let (path, target): (PathBuf, PathBuf) = (entry.path(), to.join(&name));
        if entry.file_type()?.is_dir() {
            copy(&path, &target)?;
        } else {
            let content = fs::read(&path)?;
            if fs::read(&target).ok().as_ref() != Some(&content) {
                fs::write(&target, content)?;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_of_the_catalogue_can_be_put_in() {
        let catalogue = text(&root().join(CATALOGUE)).unwrap();
        let faults = faults(&catalogue).unwrap();
        assert!(faults.len() > 20);
        for fault in faults {
            let there = text(&root().join(fault.file)).unwrap().matches(fault.old).count();
            assert_eq!(there, 1, "{}", fault.name);
        }
    }
}
