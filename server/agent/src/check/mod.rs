//! What on this host will hurt once an agent runs on it, asked before it joins.
//!
//! Looking (`look.rs`) is apart from deciding (`judge.rs`), and changes nothing. Said is only what was seen to hurt: most of
//! what other programs do is put back by the agent within milliseconds, and is no finding.
//!
//! On request it tells other programs to leave the agent's things alone ([`DropIns`]): by files of its own in their folders.
//! It runs none of them.

mod config;
mod drop_ins;
mod facts;
mod judge;
mod look;
mod programs;
#[cfg(test)]
mod tests;
mod write;

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use serde::Serialize;

pub use drop_ins::{DropIn, DropIns};
pub use write::Became;

use crate::options::Check;

/// Something that will hurt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Which it is; never changed.
    pub code: &'static str,
    /// What is so on this host.
    pub what: String,
    /// Why that hurts.
    pub why: String,
    /// What may be done about it now.
    pub now: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { code, what, why, now } = self;
        write!(f, "{code}: {what}. Why it hurts: {why}. What now: {now}.")
    }
}

/// All that is said of a host.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// What will hurt.
    pub findings: Vec<Finding>,
    /// What could not be looked at, each with the reason.
    pub unseen: Vec<String>,
    /// What became of each file for other programs, by path, if that was asked for.
    pub files: BTreeMap<String, Became>,
    /// Commands that somebody is to run now, so that other programs heed them.
    pub run: Vec<String>,
}

impl Report {
    /// The exit code: 0 if nothing hurts, 1 if something will or a file is not as it was asked for, 2 if that is not known
    /// of all.
    pub fn exit_code(&self) -> u8 {
        let hurts = !self.findings.is_empty() || !self.files.values().all(Became::is_well);
        match (hurts, self.unseen.is_empty()) {
            (true, _) => 1,
            (false, false) => 2,
            (false, true) => 0,
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (path, became) in &self.files {
            match became {
                Became::Written => writeln!(f, "{path}: written.")?,
                Became::WasThere => writeln!(f, "{path}: was there already.")?,
                Became::Removed => writeln!(f, "{path}: removed.")?,
                Became::NotOurs => writeln!(f, "{path}: another's file is there, which was left alone.")?,
                Became::Failed(reason) => writeln!(f, "{path}: {reason}.")?,
            }
        }
        for command in &self.run {
            writeln!(f, "run: {command}")?;
        }
        for finding in &self.findings {
            writeln!(f, "{finding}")?;
        }
        for unseen in &self.unseen {
            writeln!(f, "Could not look at {unseen}.")?;
        }
        match self.exit_code() {
            0 => writeln!(f, "Nothing on this host will hurt."),
            _ => Ok(()),
        }
    }
}

/// Looks at this host.
pub fn check(options: &Check) -> Report {
    if !rustix::process::geteuid().is_root() {
        let words = "this host as the agent does, which runs as root: run this as root as well";
        return Report {
            unseen: vec![words.to_owned()],
            ..Report::default()
        };
    }
    let facts = look::look(options);
    Report {
        findings: judge::judge(&facts),
        unseen: facts.unseen,
        ..Report::default()
    }
}

/// What the programs on this host are to be told, so that they leave the agent's things alone.
pub fn plan_drop_ins(options: &Check) -> DropIns {
    drop_ins::drop_ins(&look::look(options))
}

/// Writes the files, and looks at this host with them.
pub fn write_drop_ins(options: &Check, told: DropIns) -> Report {
    let write = |file: &DropIn| (file.path.clone(), write::write(Path::new("/"), file));
    let files = told.files.iter().map(write).collect();
    Report {
        files,
        run: told.run,
        ..check(options)
    }
}

/// Takes all files of ours away, and looks at this host without them.
pub fn remove_drop_ins(options: &Check) -> Report {
    Report {
        files: write::remove(Path::new("/")).into_iter().collect(),
        ..check(options)
    }
}
