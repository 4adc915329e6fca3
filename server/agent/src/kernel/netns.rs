//! Network namespaces: opening a pod's, and doing something inside one without ever leaving a
//! thread in the wrong place.

#![expect(
    clippy::disallowed_methods,
    reason = "a namespace is a file of the kernel, and is entered by a thread"
)]

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::path::Path;
use std::thread;

use rustix::thread::LinkNameSpaceType;

use super::Socket;

/// `NSFS_MAGIC` (`linux/magic.h`): the file system of namespace files.
const NSFS_MAGIC: u64 = 0x6e73_6673;

/// Stack of a thread that only changes namespace and opens something, in bytes.
const SMALL_STACK: usize = 128 << 10;

/// Why a path gives no pod namespace.
#[derive(Debug, thiserror::Error)]
pub enum NamespaceError {
    /// There is nothing at the path any more.
    #[error("there is no network namespace at {path}")]
    Gone {
        /// The path, as the runtime gave it.
        path: String,
    },
    /// The path leads to something else.
    #[error("{path} is not a network namespace")]
    NotANamespace {
        /// The path, as the runtime gave it.
        path: String,
    },
    /// The path leads to the namespace the agent itself is in.
    #[error("{path} is the host's own network namespace: a pod on the host's network needs no interface")]
    IsHost {
        /// The path, as the runtime gave it.
        path: String,
    },
    /// It is there and cannot be opened or entered.
    #[error("the network namespace {path} cannot be used")]
    Unusable {
        /// The path, as the runtime gave it.
        path: String,
        /// The error of opening or entering it.
        #[source]
        source: io::Error,
    },
}

/// An open network namespace. While it is open the kernel keeps it alive.
#[derive(Debug)]
pub struct PodNamespace {
    file: File,
    inode: u64,
    path: String,
}

impl PodNamespace {
    /// Opens what the container runtime calls a network namespace: a bind mount or a `/proc` link.
    pub fn open(path: &Path) -> Result<Self, NamespaceError> {
        let shown = || path.display().to_string();
        let file = File::open(path).map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => NamespaceError::Gone { path: shown() },
            _ => NamespaceError::Unusable { path: shown(), source },
        })?;
        let unusable = |source| NamespaceError::Unusable { path: shown(), source };
        // After a namespace's removal its mount point stays for a moment as a plain file.
        let system = rustix::fs::fstatfs(&file).map_err(|e| unusable(e.into()))?;
        if system.f_type as u64 != NSFS_MAGIC {
            return Err(NamespaceError::NotANamespace { path: shown() });
        }
        let inode = rustix::fs::fstat(&file).map_err(|e| unusable(e.into()))?.st_ino;
        Ok(Self {
            file,
            inode,
            path: shown(),
        })
    }

    /// The kernel's number of the namespace: the same while it lives, whatever path leads to it.
    pub fn inode(&self) -> u64 {
        self.inode
    }

    /// The open file, for `IFLA_NET_NS_FD`.
    pub(super) fn file(&self) -> &File {
        &self.file
    }

    /// As it was given.
    pub(super) fn path(&self) -> &str {
        &self.path
    }

    /// A routing socket inside.
    pub fn socket(&self) -> Result<Socket, NamespaceError> {
        let opened = inside(&self.file, Socket::open).and_then(|socket| socket);
        opened.map_err(|source| NamespaceError::Unusable {
            path: self.path.clone(),
            source,
        })
    }
}

/// Runs `work` on a thread of its own inside `namespace`. The thread ends with the work, so nobody can forget to switch
/// its namespace back.
pub(super) fn inside<T: Send>(namespace: impl AsFd + Sync, work: impl FnOnce() -> T + Send) -> io::Result<T> {
    thread::scope(|scope| {
        let enter = || {
            rustix::thread::move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))?;
            Ok(work())
        };
        let thread = thread::Builder::new()
            .name("netns".into())
            .stack_size(SMALL_STACK)
            .spawn_scoped(scope, enter)?;
        thread
            .join()
            .unwrap_or_else(|_| Err(io::Error::other("the thread in the namespace panicked")))
    })
}

/// The network namespace that is the host's: where the agent was started, or one it was told.
#[derive(Debug)]
pub(super) struct Home {
    /// Absent: the calling thread's own.
    file: Option<File>,
    inode: u64,
}

impl Home {
    /// The namespace of the calling thread, which must be that of every thread that will use it.
    pub(super) fn here() -> io::Result<Self> {
        let inode = rustix::fs::stat("/proc/thread-self/ns/net")?.st_ino;
        Ok(Self { file: None, inode })
    }

    /// Another one, by a namespace file.
    pub(super) fn at(namespace: PodNamespace) -> Self {
        Self {
            inode: namespace.inode,
            file: Some(namespace.file),
        }
    }

    /// The kernel's number of the namespace.
    pub(super) fn inode(&self) -> u64 {
        self.inode
    }

    /// Runs `work` in the host's namespace.
    pub(super) fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> io::Result<T> {
        match &self.file {
            None => Ok(work()),
            Some(file) => inside(file, work),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_namespace_is_named() {
        let gone = PodNamespace::open(Path::new("/nowhere/at/all")).unwrap_err();
        assert_eq!(gone.to_string(), "there is no network namespace at /nowhere/at/all");
        let file = tempfile::NamedTempFile::new().unwrap();
        assert!(matches!(
            PodNamespace::open(file.path()),
            Err(NamespaceError::NotANamespace { .. })
        ));
    }

    #[test]
    fn home_is_where_the_thread_is() {
        let home = Home::here().unwrap();
        let same = PodNamespace::open(Path::new("/proc/thread-self/ns/net")).unwrap();
        assert_eq!(home.inode(), same.inode());
        assert_eq!(home.run(|| 7).unwrap(), 7);
    }
}
