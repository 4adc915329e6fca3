//! Files that are there whole or not at all, and stay after a power cut.

#![expect(
    clippy::disallowed_methods,
    reason = "the one place where the machine is asked for files"
)]

use std::any::Any;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Makes everything that was appended before it was asked for durable.
pub type Barrier = Box<dyn FnOnce() -> io::Result<()> + Send>;

/// A disk. All calls block for as long as it takes.
pub trait Files: Send + Sync + 'static {
    /// Reads a file; `None` if it is not there.
    ///
    /// # Errors
    /// If it is there and cannot be read.
    fn read(&self, path: &Path) -> io::Result<Option<Vec<u8>>>;

    /// The permissions of a file; `None` if it is not there.
    ///
    /// # Errors
    /// If they cannot be read.
    fn mode(&self, path: &Path) -> io::Result<Option<u32>>;

    /// Puts a file with this content in the place of what is at `path`, durably, all or nothing.
    /// `mode` is its permissions.
    ///
    /// # Errors
    /// If the disk does not take it; the file is then as it was.
    fn replace(&self, path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
        self.prepare(path, content, mode)?;
        self.finish(path)
    }

    /// Writes what [`Self::finish`] will put in the place of what is at `path`, instead of what was prepared before. A
    /// process that ends finds it ([`Self::prepared`]); after a power cut it may be gone or torn.
    ///
    /// # Errors
    /// If the disk does not take it; the file is then as it was.
    fn prepare(&self, path: &Path, content: &[u8], mode: u32) -> io::Result<()>;

    /// What was prepared for `path` and not finished; `None`: nothing.
    ///
    /// # Errors
    /// If it is there and cannot be read.
    fn prepared(&self, path: &Path) -> io::Result<Option<Vec<u8>>>;

    /// Makes what was prepared durable and puts it in the place of what is at `path`.
    ///
    /// # Errors
    /// If nothing was prepared, or the disk does not take it; the file is then as it was.
    fn finish(&self, path: &Path) -> io::Result<()>;

    /// Removes a file, and what was prepared for it. One that is not there is no error.
    ///
    /// # Errors
    /// If it is there and cannot be removed.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Makes a folder, with those above it, that only its owner may enter. One that is there is no
    /// error.
    ///
    /// # Errors
    /// If it cannot be made.
    fn make_folder(&self, path: &Path) -> io::Result<()>;

    /// Opens the log at `path`; an empty one is made if there is none.
    ///
    /// # Errors
    /// If it cannot be opened or made.
    fn open_log(&self, path: &Path) -> io::Result<Box<dyn AppendLog>>;

    /// Claims a path for this process, until the lock is dropped or the process ends; `None` if it is
    /// claimed already.
    ///
    /// # Errors
    /// If the file behind it cannot be made.
    fn lock(&self, path: &Path) -> io::Result<Option<FileLock>>;
}

/// A claimed path; dropping it lets it go.
pub struct FileLock(#[expect(dead_code, reason = "held, never read")] Box<dyn Any + Send + Sync>);

impl FileLock {
    /// A lock that is let go when `held` is dropped.
    pub fn new(held: impl Any + Send + Sync) -> Self {
        Self(Box::new(held))
    }
}

/// A file that is only added to, or replaced whole.
pub trait AppendLog: Send {
    /// Everything there is.
    ///
    /// # Errors
    /// If it cannot be read.
    fn read(&mut self) -> io::Result<Vec<u8>>;

    /// Adds to the end; durable only after a [`AppendLog::barrier`] made later has run.
    ///
    /// # Errors
    /// If the disk does not take it; a part of it may be there then.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// Puts `bytes` in the place of everything, durably, all or nothing.
    ///
    /// # Errors
    /// If the disk does not take it; the log is then as it was.
    fn replace(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// What makes all that was appended so far durable; to be run without holding anything.
    fn barrier(&mut self) -> Barrier;
}

/// The machine's disk.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemFiles;

impl Files for SystemFiles {
    fn read(&self, path: &Path) -> io::Result<Option<Vec<u8>>> {
        if_there(std::fs::read(path))
    }

    fn mode(&self, path: &Path) -> io::Result<Option<u32>> {
        let metadata = if_there(std::fs::metadata(path))?;
        Ok(metadata.map(|metadata| metadata.permissions().mode() & 0o7777))
    }

    fn prepare(&self, path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
        let fresh = beside(path);
        // A leftover may have been made with another mode.
        if_there(std::fs::remove_file(&fresh))?;
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(mode)
            .open(&fresh)?;
        file.write_all(content)
    }

    fn prepared(&self, path: &Path) -> io::Result<Option<Vec<u8>>> {
        self.read(&beside(path))
    }

    fn finish(&self, path: &Path) -> io::Result<()> {
        let fresh = beside(path);
        File::open(&fresh)?.sync_all()?;
        std::fs::rename(&fresh, path)?;
        sync_folder_of(path)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        if_there(std::fs::remove_file(beside(path)))?;
        if_there(std::fs::remove_file(path)).map(drop)
    }

    fn make_folder(&self, path: &Path) -> io::Result<()> {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
    }

    fn open_log(&self, path: &Path) -> io::Result<Box<dyn AppendLog>> {
        let file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .mode(LOG_MODE)
            .open(path)?;
        sync_folder_of(path)?;
        Ok(Box::new(LogFile {
            path: path.to_owned(),
            file: Arc::new(file),
        }))
    }

    fn lock(&self, path: &Path) -> io::Result<Option<FileLock>> {
        let file = OpenOptions::new().write(true).create(true).truncate(false).open(path)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(FileLock::new(file))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }
}

/// Where what shall take the place of a file is prepared.
pub(crate) fn beside(path: &Path) -> PathBuf {
    path.with_extension("new")
}

/// What is not there is no error.
fn if_there<T>(found: io::Result<T>) -> io::Result<Option<T>> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Permissions of a log: only its owner reads it.
pub(crate) const LOG_MODE: u32 = 0o600;

/// A new or renamed file is there after a power cut only once its folder is synced.
fn sync_folder_of(path: &Path) -> io::Result<()> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    File::open(parent.unwrap_or(Path::new(".")))?.sync_all()
}

/// A log in a file.
struct LogFile {
    path: PathBuf,
    file: Arc<File>,
}

impl AppendLog for LogFile {
    fn read(&mut self) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        File::open(&self.path)?.read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        (&*self.file).write_all(bytes)
    }

    fn replace(&mut self, bytes: &[u8]) -> io::Result<()> {
        SystemFiles.replace(&self.path, bytes, LOG_MODE)?;
        self.file = Arc::new(OpenOptions::new().append(true).open(&self.path)?);
        Ok(())
    }

    fn barrier(&mut self) -> Barrier {
        let file = Arc::clone(&self.file);
        Box::new(move || file.sync_data())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::MemoryFiles;

    /// What every disk does.
    fn conforms(files: &dyn Files, home: &Path) {
        let path = home.join("key.pem");
        assert_eq!(files.read(&path).unwrap(), None);
        assert_eq!(files.mode(&path).unwrap(), None);
        files.remove(&path).unwrap();
        files.replace(&path, b"one", 0o644).unwrap();
        files.replace(&path, b"two", 0o600).unwrap();
        assert_eq!(files.mode(&path).unwrap(), Some(0o600));
        assert_eq!(files.read(&path).unwrap().as_deref(), Some(&b"two"[..]));
        assert_eq!(files.prepared(&path).unwrap(), None);
        assert!(files.finish(&path).is_err());
        files.prepare(&path, b"thr", 0o600).unwrap();
        files.prepare(&path, b"three", 0o600).unwrap();
        assert_eq!(files.read(&path).unwrap().as_deref(), Some(&b"two"[..]));
        assert_eq!(files.prepared(&path).unwrap().as_deref(), Some(&b"three"[..]));
        files.finish(&path).unwrap();
        assert_eq!(files.read(&path).unwrap().as_deref(), Some(&b"three"[..]));
        files.prepare(&path, b"four", 0o600).unwrap();
        files.remove(&path).unwrap();
        assert_eq!(files.read(&path).unwrap(), None);
        assert_eq!(files.prepared(&path).unwrap(), None);

        let folder = home.join("deep/folder");
        files.make_folder(&folder).unwrap();
        files.make_folder(&folder).unwrap();
        let path = folder.join("pods.log");
        let mut log = files.open_log(&path).unwrap();
        assert_eq!(files.mode(&path).unwrap(), Some(LOG_MODE));
        log.append(b"one").unwrap();
        log.barrier()().unwrap();
        log.replace(b"two").unwrap();
        log.append(b"three").unwrap();
        log.barrier()().unwrap();
        drop(log);
        assert_eq!(files.open_log(&path).unwrap().read().unwrap(), b"twothree");

        let path = home.join("lock");
        let held = files.lock(&path).unwrap();
        assert!(held.is_some());
        assert!(files.lock(&path).unwrap().is_none());
        drop(held);
        assert!(files.lock(&path).unwrap().is_some());
    }

    #[test]
    fn the_machines_disk_and_the_one_in_memory_do_the_same() {
        let home = tempfile::tempdir().unwrap();
        conforms(&SystemFiles, home.path());
        let home = Path::new("/home");
        let files = MemoryFiles::default();
        files.make_folder(home).unwrap();
        conforms(&files, home);
    }

    #[test]
    fn a_file_is_replaced_whole_with_its_mode() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("key.pem");
        std::fs::write(path.with_extension("new"), "a leftover").unwrap();
        SystemFiles.replace(&path, b"one", 0o600).unwrap();
        assert_eq!(SystemFiles.mode(&path).unwrap(), Some(0o600));
        assert!(!path.with_extension("new").exists());
    }
}
