//! Named network namespaces: files under `/run/netns`, the same ones `ip netns` shows.

use std::fs::{self, File};
use std::io;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::thread;

use rustix::mount::{UnmountFlags, unmount};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// Where named namespaces live.
pub const DIRECTORY: &str = "/run/netns";

/// A network namespace that has a name. Holding this value holds nothing open.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Namespace(String);

impl Namespace {
    /// The namespace of that name, whether it exists or not.
    pub fn named(name: impl Into<String>) -> Self {
        Self(name.into())
    }

    /// The name, as `ip netns list` prints it.
    pub fn name(&self) -> &str {
        &self.0
    }

    /// The file that stands for it; what a container runtime calls `CNI_NETNS`.
    pub fn path(&self) -> PathBuf {
        Path::new(DIRECTORY).join(&self.0)
    }

    /// Opens the file, for `setns`.
    pub fn open(&self) -> io::Result<File> {
        File::open(self.path())
    }

    /// Does some work on a thread of its own that stands inside the namespace. Sockets made there stay in the namespace
    /// wherever they are used later. Children spawned there would die with that thread: spawn elsewhere.
    pub fn within<T: Send>(&self, work: impl FnOnce() -> T + Send) -> io::Result<T> {
        let file = self.open()?;
        thread::scope(|scope| {
            let inside = scope.spawn(move || {
                enter(&file)?;
                Ok(work())
            });
            inside.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// Kills whatever still runs inside and takes the name away. Fine when it is already gone.
    pub fn remove(&self) -> io::Result<()> {
        let path = self.path();
        match unmount(&path, UnmountFlags::DETACH) {
            Ok(()) | Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOENT) => {}
            Err(error) => return Err(error.into()),
        }
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// What identifies the namespace itself (device and inode), whatever its names.
    fn identity(&self) -> io::Result<(u64, u64)> {
        identity(&self.path())
    }
}

/// Moves the calling thread into the namespace. Async-signal-safe, so that a forked child may call it.
pub fn enter(file: impl AsFd) -> io::Result<()> {
    move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network)).map_err(io::Error::from)
}

/// All namespaces whose name begins with `prefix`, in order.
pub fn list(prefix: &str) -> io::Result<Vec<Namespace>> {
    let entries = match fs::read_dir(DIRECTORY) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let mut found: Vec<_> = names.filter(|name| name.starts_with(prefix)).map(Namespace).collect();
    found.sort();
    Ok(found)
}

/// Processes whose network is one of these namespaces.
pub fn processes_in(namespaces: &[Namespace]) -> io::Result<Vec<i32>> {
    let ours: Vec<_> = namespaces
        .iter()
        .filter_map(|namespace| namespace.identity().ok())
        .collect();
    if ours.is_empty() {
        return Ok(Vec::new());
    }
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")?.flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        if identity(&entry.path().join("ns/net")).is_ok_and(|identity| ours.contains(&identity)) {
            found.push(pid);
        }
    }
    Ok(found)
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    use std::os::unix::fs::MetadataExt;
    fs::metadata(path).map(|metadata| (metadata.dev(), metadata.ino()))
}
