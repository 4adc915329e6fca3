//! Sources that a test or a simulation decides.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use crate::files::{LOG_MODE, beside};
use crate::{AppendLog, Barrier, Clock, FileLock, Files, Random, Stopwatch, Threads};

/// A clock that stands until it is set.
#[derive(Debug, Clone, Default)]
pub struct SetClock(Arc<Mutex<i64>>);

impl SetClock {
    /// A clock that stands at `now`, in microseconds since the epoch.
    pub fn at(now: i64) -> Self {
        Self(Arc::new(Mutex::new(now)))
    }

    /// Moves on.
    pub fn advance(&self, span: Duration) {
        *self.0.lock() += i64::try_from(span.as_micros()).unwrap_or(i64::MAX);
    }

    /// Is set back, as an administrator does.
    pub fn set_back(&self, span: Duration) {
        *self.0.lock() -= i64::try_from(span.as_micros()).unwrap_or(i64::MAX);
    }
}

impl Clock for SetClock {
    fn now(&self) -> i64 {
        *self.0.lock()
    }
}

impl Stopwatch for SetClock {
    fn elapsed(&self) -> Duration {
        Duration::from_micros(u64::try_from(*self.0.lock()).unwrap_or(0))
    }
}

/// Randomness of a seed (splitmix64): the same seed gives the same bytes. Not for secrets.
#[derive(Debug, Clone)]
pub struct SeededRandom(Arc<Mutex<u64>>);

impl SeededRandom {
    /// The bytes of this seed.
    pub fn new(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(seed)))
    }
}

impl Random for SeededRandom {
    fn fill(&self, bytes: &mut [u8]) {
        let mut state = self.0.lock();
        for chunk in bytes.chunks_mut(8) {
            *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut word = *state;
            word = (word ^ word >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            word = (word ^ word >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
            chunk.copy_from_slice(&(word ^ word >> 31).to_le_bytes()[..chunk.len()]);
        }
    }
}

/// Does work on the spot that others would do on a thread.
#[derive(Debug, Clone, Copy, Default)]
pub struct OnTheSpot;

impl Threads for OnTheSpot {
    fn start(&self, _name: &str, work: Box<dyn FnOnce() + Send>) -> io::Result<()> {
        work();
        Ok(())
    }
}

#[cfg(feature = "async")]
impl crate::Blocking for OnTheSpot {
    fn start(&self, work: Box<dyn FnOnce() + Send>) {
        work();
    }
}

/// A disk in memory that keeps only what was synced when its power is cut, and perhaps more. Clones
/// are the same disk.
#[derive(Debug, Clone, Default)]
pub struct MemoryFiles(Arc<Mutex<Platter>>);

#[derive(Debug, Default)]
struct Platter {
    folders: BTreeSet<PathBuf>,
    files: BTreeMap<PathBuf, Content>,
    locks: BTreeSet<PathBuf>,
    fail_syncs: usize,
    fail_appends: usize,
    fail_replaces: usize,
}

#[derive(Debug, Default)]
struct Content {
    bytes: Vec<u8>,
    mode: u32,
    /// How many of the bytes are durable.
    synced: usize,
    /// Counts replacements and power cuts: a barrier of before says nothing of what is there now.
    generation: usize,
}

impl MemoryFiles {
    /// The power goes: of what was not synced in each log, `extra` bytes had arrived by chance, the
    /// last of them wrong. Nothing is locked any more.
    pub fn cut_power(&self, extra: usize) {
        let mut platter = self.0.lock();
        platter.locks.clear();
        for content in platter.files.values_mut() {
            let keep = content.bytes.len().min(content.synced + extra);
            content.bytes.truncate(keep);
            if keep > content.synced
                && let Some(last) = content.bytes.last_mut()
            {
                *last ^= 0x55;
            }
            content.synced = keep;
            content.generation += 1;
        }
    }

    /// Another disk with the same files, as they are now.
    pub fn copy(&self) -> Self {
        let platter = self.0.lock();
        let files = platter.files.iter().map(|(path, content)| {
            let same = Content {
                bytes: content.bytes.clone(),
                mode: content.mode,
                synced: content.bytes.len(),
                generation: 0,
            };
            (path.clone(), same)
        });
        let copy = Platter {
            folders: platter.folders.clone(),
            files: files.collect(),
            ..Platter::default()
        };
        Self(Arc::new(Mutex::new(copy)))
    }

    /// The next so many barriers fail.
    pub fn fail_syncs(&self, times: usize) {
        self.0.lock().fail_syncs = times;
    }

    /// The next so many appends fail, each after half of its bytes.
    pub fn fail_appends(&self, times: usize) {
        self.0.lock().fail_appends = times;
    }

    /// The next so many replacements fail and change nothing.
    pub fn fail_replaces(&self, times: usize) {
        self.0.lock().fail_replaces = times;
    }
}

impl Platter {
    fn put(&mut self, path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
        if self.fail_replaces > 0 {
            self.fail_replaces -= 1;
            return Err(io::ErrorKind::StorageFull.into());
        }
        if !path.parent().is_some_and(|folder| self.folders.contains(folder)) {
            return Err(io::ErrorKind::NotFound.into());
        }
        self.settle(path, bytes, mode);
        Ok(())
    }

    fn settle(&mut self, path: &Path, bytes: &[u8], mode: u32) {
        let content = self.files.entry(path.to_owned()).or_default();
        content.bytes = bytes.to_vec();
        content.mode = mode;
        content.synced = bytes.len();
        content.generation += 1;
    }

    fn content(&mut self, path: &Path) -> io::Result<&mut Content> {
        self.files.get_mut(path).ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

impl Files for MemoryFiles {
    fn read(&self, path: &Path) -> io::Result<Option<Vec<u8>>> {
        Ok(self.0.lock().files.get(path).map(|content| content.bytes.clone()))
    }

    fn mode(&self, path: &Path) -> io::Result<Option<u32>> {
        Ok(self.0.lock().files.get(path).map(|content| content.mode))
    }

    fn prepare(&self, path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
        let (mut platter, fresh) = (self.0.lock(), beside(path));
        platter.put(&fresh, content, mode)?;
        platter.content(&fresh)?.synced = 0;
        Ok(())
    }

    fn prepared(&self, path: &Path) -> io::Result<Option<Vec<u8>>> {
        self.read(&beside(path))
    }

    fn finish(&self, path: &Path) -> io::Result<()> {
        let mut platter = self.0.lock();
        let fresh = platter.files.remove(&beside(path)).ok_or(io::ErrorKind::NotFound)?;
        platter.settle(path, &fresh.bytes, fresh.mode);
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut platter = self.0.lock();
        platter.files.remove(&beside(path));
        platter.files.remove(path);
        Ok(())
    }

    fn make_folder(&self, path: &Path) -> io::Result<()> {
        let mut platter = self.0.lock();
        platter.folders.extend(path.ancestors().map(Path::to_owned));
        Ok(())
    }

    fn open_log(&self, path: &Path) -> io::Result<Box<dyn AppendLog>> {
        let mut platter = self.0.lock();
        if !platter.files.contains_key(path) {
            platter.put(path, b"", LOG_MODE)?;
        }
        Ok(Box::new(MemoryLog {
            files: self.clone(),
            path: path.to_owned(),
        }))
    }

    fn lock(&self, path: &Path) -> io::Result<Option<FileLock>> {
        struct Held(MemoryFiles, PathBuf);
        impl Drop for Held {
            fn drop(&mut self) {
                self.0.0.lock().locks.remove(&self.1);
            }
        }
        let claimed = self.0.lock().locks.insert(path.to_owned());
        Ok(claimed.then(|| FileLock::new(Held(self.clone(), path.to_owned()))))
    }
}

struct MemoryLog {
    files: MemoryFiles,
    path: PathBuf,
}

impl AppendLog for MemoryLog {
    fn read(&mut self) -> io::Result<Vec<u8>> {
        Ok(self.files.0.lock().content(&self.path)?.bytes.clone())
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut platter = self.files.0.lock();
        let fails = platter.fail_appends > 0;
        platter.fail_appends = platter.fail_appends.saturating_sub(1);
        let taken = if fails { &bytes[..bytes.len() / 2] } else { bytes };
        platter.content(&self.path)?.bytes.extend_from_slice(taken);
        if fails {
            return Err(io::ErrorKind::StorageFull.into());
        }
        Ok(())
    }

    fn replace(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.files.0.lock().put(&self.path, bytes, LOG_MODE)
    }

    fn barrier(&mut self) -> Barrier {
        let (files, path) = (self.files.clone(), self.path.clone());
        let asked = files
            .0
            .lock()
            .content(&path)
            .map(|content| (content.bytes.len(), content.generation));
        Box::new(move || {
            let (upto, generation) = asked?;
            let mut platter = files.0.lock();
            if platter.fail_syncs > 0 {
                platter.fail_syncs -= 1;
                return Err(io::ErrorKind::Other.into());
            }
            let content = platter.content(&path)?;
            if content.generation == generation {
                content.synced = content.synced.max(upto);
            }
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_power_cut_takes_what_was_not_synced() {
        let files = MemoryFiles::default();
        files.make_folder(Path::new("/state")).unwrap();
        let mut log = files.open_log(Path::new("/state/pods.log")).unwrap();
        log.append(b"kept").unwrap();
        let barrier = log.barrier();
        log.append(b"lost").unwrap();
        barrier().unwrap();
        files.cut_power(0);
        assert_eq!(log.read().unwrap(), b"kept");
        log.append(b"torn").unwrap();
        files.cut_power(2);
        assert_eq!(log.read().unwrap(), [&b"kept"[..], &[b't', b'o' ^ 0x55]].concat());
    }

    #[test]
    fn a_seed_gives_the_same_bytes_again() {
        let bytes = |seed| {
            let mut bytes = [0; 13];
            SeededRandom::new(seed).fill(&mut bytes);
            bytes
        };
        assert_eq!(bytes(1), bytes(1));
        assert_ne!(bytes(1), bytes(2));
    }
}
