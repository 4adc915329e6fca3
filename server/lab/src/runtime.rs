//! Who owns what a lab made, and how it is taken away again whatever happened to the owner.
//!
//! A lab holds an exclusive `flock` on `ROOT/ID/lock` for as long as it lives, and so does its janitor (which shares the
//! open file). A lab whose lock can be had is dead: whoever gets the lock may clear it away.

use std::env;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};
use rustix::process::{Pid, Signal, kill_process};

use crate::names::LabId;
use crate::netns;
use crate::wait::until;

/// Where labs of this machine are written down: `/run/portolan-lab`, or a folder of the user's own who may not write
/// there (and so has a control plane without hosts).
pub fn root() -> PathBuf {
    let shared = Path::new("/run/portolan-lab");
    let user = rustix::process::geteuid();
    if user.is_root() {
        shared.to_owned()
    } else {
        env::temp_dir().join(format!("portolan-lab-{}", user.as_raw()))
    }
}

/// How long a new lab waits for the janitor of a dead one of the same name.
const CLAIM_WITHIN: Duration = Duration::from_secs(5);

/// Why a lab could not be begun or cleared away.
#[derive(Debug, thiserror::Error)]
pub enum RuntimeError {
    /// Another one of that name is alive.
    #[error("a lab named {0} is running already; choose another --name")]
    Taken(LabId),
    /// The file system refused.
    #[error("{path}: {source}")]
    Io {
        /// What was touched.
        path: PathBuf,
        /// The refusal.
        source: io::Error,
    },
}

/// A lab's claim on its name. Dropping it clears nothing: see [`Runtime::clear`].
#[derive(Debug)]
pub struct Runtime {
    id: LabId,
    dir: PathBuf,
    lock: File,
}

impl Runtime {
    /// Claims a name, clearing away what a dead lab of that name left.
    pub fn claim(root: &Path, id: LabId) -> Result<Self, RuntimeError> {
        let dir = root.join(id.to_string());
        let at = |source| RuntimeError::Io {
            path: dir.clone(),
            source,
        };
        let lock = until(CLAIM_WITHIN, || {
            fs::create_dir_all(&dir).map_err(at)?;
            try_lock(&dir).map_err(at)
        })?;
        let Some(lock) = lock else {
            return Err(RuntimeError::Taken(id));
        };
        let runtime = Self { id, dir, lock };
        // Namespaces may stand there without a lock if the directory alone was removed.
        clear_namespaces(&runtime.id).map_err(|source| runtime.at(source))?;
        Ok(runtime)
    }

    /// Takes over a claim from the file that holds its lock: what a janitor does.
    pub fn inherit(root: &Path, id: LabId, lock: File) -> Self {
        let dir = root.join(id.to_string());
        Self { id, dir, lock }
    }

    /// The lab's name.
    pub fn id(&self) -> &LabId {
        &self.id
    }

    /// The lock, to be handed to the janitor.
    pub fn lock(&self) -> &File {
        &self.lock
    }

    /// The lab's own directory in `/run`; short, so that sockets fit in it.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Kills what runs in the lab's namespaces, removes them, and forgets the lab.
    pub fn clear(&self) -> Result<(), RuntimeError> {
        clear_namespaces(&self.id).map_err(|source| self.at(source))?;
        match fs::remove_dir_all(&self.dir) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => Err(self.at(source)),
            _ => Ok(()),
        }
    }

    fn at(&self, source: io::Error) -> RuntimeError {
        RuntimeError::Io {
            path: self.dir.clone(),
            source,
        }
    }
}

/// What became of labs whose owner and janitor are dead.
#[derive(Debug, Default)]
pub struct Swept {
    /// Those that were cleared away.
    pub cleared: Vec<LabId>,
    /// Why others could not be. They keep no other lab from starting.
    pub stuck: Vec<(LabId, RuntimeError)>,
}

/// Clears away all labs whose owner and janitor are dead.
///
/// # Errors
/// If the labs cannot be listed.
pub fn sweep(root: &Path) -> Result<Swept, RuntimeError> {
    sweep_by(root, Runtime::clear)
}

fn sweep_by(root: &Path, clear: impl Fn(&Runtime) -> Result<(), RuntimeError>) -> Result<Swept, RuntimeError> {
    let entries = match fs::read_dir(root) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Swept::default()),
        entries => entries.map_err(|source| RuntimeError::Io {
            path: root.to_owned(),
            source,
        })?,
    };
    let mut swept = Swept::default();
    for entry in entries.flatten() {
        let Some(id) = entry.file_name().to_str().and_then(|name| name.parse::<LabId>().ok()) else {
            continue;
        };
        if let Ok(Some(lock)) = try_lock(&entry.path()) {
            match clear(&Runtime::inherit(root, id.clone(), lock)) {
                Ok(()) => swept.cleared.push(id),
                Err(error) => swept.stuck.push((id, error)),
            }
        }
    }
    Ok(swept)
}

/// The lock of a lab's directory, if nobody holds it. Nothing also when the directory was removed meanwhile: a lock on a
/// file that no longer has its name excludes nobody.
fn try_lock(dir: &Path) -> io::Result<Option<File>> {
    let path = dir.join("lock");
    let file = match OpenOptions::new().create(true).truncate(false).write(true).open(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file?,
    };
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Err(rustix::io::Errno::WOULDBLOCK) => return Ok(None),
        other => other?,
    }
    let named = fs::metadata(&path).is_ok_and(|named| file.metadata().is_ok_and(|ours| ours.ino() == named.ino()));
    Ok(named.then_some(file))
}

fn clear_namespaces(id: &LabId) -> io::Result<()> {
    let namespaces = netns::list(&id.prefix())?;
    // Something may be forking while we look; a few rounds end it, and what is left dies with its links.
    for _ in 0..10 {
        let running = netns::processes_in(&namespaces)?;
        if running.is_empty() {
            break;
        }
        for pid in running.into_iter().filter_map(Pid::from_raw) {
            // Gone already is what we want.
            let _ = kill_process(pid, Signal::KILL);
        }
    }
    namespaces.iter().try_for_each(netns::Namespace::remove)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> LabId {
        text.parse().unwrap()
    }

    #[test]
    fn a_name_is_claimed_once_and_a_dead_owners_is_swept() {
        let root = tempfile::tempdir().unwrap();
        let alive = Runtime::claim(root.path(), id("unit1")).unwrap();
        drop(Runtime::claim(root.path(), id("unit2")).unwrap());
        assert_eq!(sweep(root.path()).unwrap().cleared, [id("unit2")]);
        assert!(alive.dir().exists() && !root.path().join("unit2").exists());
        assert!(try_lock(alive.dir()).unwrap().is_none());
        alive.clear().unwrap();
        assert!(sweep(root.path()).unwrap().cleared.is_empty());
    }

    #[test]
    fn one_dead_lab_that_cannot_be_cleared_keeps_no_other_from_being() {
        let root = tempfile::tempdir().unwrap();
        for name in ["unit3", "unit4", "unit5"] {
            drop(Runtime::claim(root.path(), id(name)).unwrap());
        }
        let clear = |lab: &Runtime| match lab.dir().ends_with("unit4") {
            true => Err(lab.at(io::Error::other("its mount is busy"))),
            false => lab.clear(),
        };
        let mut swept = sweep_by(root.path(), clear).unwrap();
        swept.cleared.sort_unstable_by_key(ToString::to_string);
        assert_eq!(swept.cleared, [id("unit3"), id("unit5")]);
        let [(stuck, error)] = &swept.stuck[..] else {
            panic!("{swept:?}")
        };
        assert_eq!(stuck, &id("unit4"));
        assert!(error.to_string().contains("unit4"), "{error}");
    }

    #[test]
    fn a_lock_on_a_removed_directory_is_no_claim() {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("gone");
        assert!(try_lock(&dir).unwrap().is_none());
        fs::create_dir(&dir).unwrap();
        let held = try_lock(&dir).unwrap().unwrap();
        fs::remove_dir_all(&dir).unwrap();
        fs::create_dir(&dir).unwrap();
        let second = try_lock(&dir).unwrap();
        assert!(second.is_some(), "a new directory is a new lock");
        drop(held);
    }
}
