//! Puts files for other programs where they look for them, and takes them away. A file that is not ours is left alone.

#![expect(
    clippy::disallowed_methods,
    reason = "what is under /etc are others' files, which they must be able to read: ours are only for their owner"
)]

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::Path;

use portolan_sources::{Files as _, SystemFiles};
use serde::Serialize;

use super::drop_ins::{DropIn, FIXED, MARK, NETWORKS};

/// What became of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Became {
    /// It is written.
    Written,
    /// It was there already, as it is to be.
    WasThere,
    /// There is another file in its place, which was left alone.
    NotOurs,
    /// It is taken away.
    Removed,
    /// The disk does not do it.
    Failed(String),
}

impl Became {
    /// Whether it is as it was asked for.
    pub fn is_well(&self) -> bool {
        !matches!(self, Self::NotOurs | Self::Failed(_))
    }
}

/// Permissions of files and folders that others read.
const FILE_MODE: u32 = 0o644;
const FOLDER_MODE: u32 = 0o755;

/// Writes a file, unless another's is there.
pub(super) fn write(root: &Path, file: &DropIn) -> Became {
    let path = within(root, &file.path);
    match SystemFiles.read(&path) {
        Ok(Some(there)) if there == file.text.as_bytes() => return Became::WasThere,
        Ok(Some(there)) if !is_ours(&there) => return Became::NotOurs,
        Ok(_) => {}
        Err(error) => return Became::Failed(error.to_string()),
    }
    let put = || -> io::Result<()> {
        if let Some(folder) = path.parent() {
            fs::DirBuilder::new().recursive(true).mode(FOLDER_MODE).create(folder)?;
        }
        SystemFiles.replace(&path, file.text.as_bytes(), FILE_MODE)?;
        // Whatever the umask is.
        fs::set_permissions(&path, fs::Permissions::from_mode(FILE_MODE))
    };
    match put() {
        Ok(()) => Became::Written,
        Err(error) => Became::Failed(error.to_string()),
    }
}

/// Takes all files of ours away; what became of each that is there.
pub(super) fn remove(root: &Path) -> Vec<(String, Became)> {
    let listed = fs::read_dir(within(root, NETWORKS)).into_iter().flatten().flatten();
    let over = listed.filter_map(|entry| {
        let name = entry.file_name().into_string().ok()?;
        let file = name.strip_suffix(".d")?;
        Some(super::drop_ins::over_network(file))
    });
    let paths = FIXED.iter().map(|path| (*path).to_owned()).chain(over);
    paths
        .filter_map(|path| {
            let at = within(root, &path);
            let became = match SystemFiles.read(&at) {
                Ok(Some(there)) if is_ours(&there) => match SystemFiles.remove(&at) {
                    Ok(()) => Became::Removed,
                    Err(error) => Became::Failed(error.to_string()),
                },
                Ok(_) => return None,
                Err(error) => Became::Failed(error.to_string()),
            };
            Some((path, became))
        })
        .collect()
}

fn is_ours(text: &[u8]) -> bool {
    String::from_utf8_lossy(text).contains(MARK)
}

fn within(root: &Path, path: &str) -> std::path::PathBuf {
    root.join(path.trim_start_matches('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> DropIn {
        DropIn {
            path: "/etc/systemd/network/10-it.network.d/90-portolan.conf".to_owned(),
            text: format!("# {MARK}\n{text}"),
        }
    }

    #[test]
    fn a_file_is_written_once_and_taken_away_again() {
        let root = tempfile::tempdir().unwrap();
        let path = within(root.path(), &file("").path);
        assert_eq!(write(root.path(), &file("a")), Became::Written);
        assert_eq!(write(root.path(), &file("a")), Became::WasThere);
        assert_eq!(write(root.path(), &file("b")), Became::Written);
        assert_eq!(fs::read_to_string(&path).unwrap(), file("b").text);
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&path), mode(path.parent().unwrap())), (FILE_MODE, FOLDER_MODE));
        assert_eq!(remove(root.path()), [(file("").path, Became::Removed)]);
        assert!(!path.exists());
        assert_eq!(remove(root.path()), []);
    }

    #[test]
    fn anothers_file_is_left_alone() {
        let root = tempfile::tempdir().unwrap();
        let path = within(root.path(), &file("").path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, "mine\n").unwrap();
        assert_eq!(write(root.path(), &file("a")), Became::NotOurs);
        assert_eq!(remove(root.path()), []);
        assert_eq!(fs::read_to_string(&path).unwrap(), "mine\n");
    }
}
