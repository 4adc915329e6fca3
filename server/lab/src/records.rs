//! What the lab writes down of each host it makes, so that one started later knows its own hosts again: a folder
//! `CLUSTER/NAME` with a line about the node, beside it whatever the host's agent keeps on its disk.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use portolan_shared::ids::NodeId;
use serde::{Deserialize, Serialize};

use crate::plan::HostKey;

/// The file about the host.
const FILE: &str = "host.json";
/// The join token, for the agent to read.
const TOKEN: &str = "join.token";

/// What an agent keeps of its join, below its host's folder.
const IDENTITY: &str = "identity/node.json";

/// What is written down of a host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The idempotency key its node is asked for with: however often that is, it is one node.
    pub key: String,
    /// The node that was made for it, once that is known.
    pub node: Option<NodeId>,
}

/// The disks of the lab's hosts.
#[derive(Debug, Clone)]
pub struct Records(PathBuf);

impl Records {
    /// Those under this folder.
    pub fn new(folder: PathBuf) -> Self {
        Self(folder)
    }

    /// A host's folder.
    pub fn folder(&self, host: &HostKey) -> PathBuf {
        self.0.join(host.cluster.to_string()).join(&host.name)
    }

    /// Where a host finds its join token.
    pub fn token(&self, host: &HostKey) -> PathBuf {
        self.folder(host).join(TOKEN)
    }

    /// Everything that is written down. What cannot be read as a host's is none.
    pub fn all(&self) -> io::Result<BTreeMap<HostKey, Record>> {
        let mut all = BTreeMap::new();
        for (cluster, folder) in entries(&self.0)? {
            let Ok(cluster) = cluster.parse() else { continue };
            for (name, folder) in entries(&folder)? {
                let Ok(text) = fs::read(folder.join(FILE)) else {
                    continue;
                };
                if let Ok(record) = serde_json::from_slice(&text) {
                    all.insert(HostKey { cluster, name }, record);
                }
            }
        }
        Ok(all)
    }

    /// Whether a host's agent has joined, and still has what it joined with.
    pub fn has_joined(&self, host: &HostKey) -> bool {
        self.folder(host).join(IDENTITY).is_file()
    }

    /// Writes a host down, whole or not at all.
    pub fn keep(&self, host: &HostKey, record: &Record) -> io::Result<()> {
        let folder = self.folder(host);
        private_dir(&folder)?;
        let new = folder.join("host.new");
        fs::write(&new, serde_json::to_vec(record)?)?;
        fs::rename(new, folder.join(FILE))
    }

    /// Gives a host its join token.
    pub fn keep_token(&self, host: &HostKey, token: &str) -> io::Result<()> {
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600);
        options.open(self.token(host))?.write_all(token.as_bytes())
    }

    /// Takes a host's disk away. Fine when there is none.
    pub fn forget(&self, host: &HostKey) -> io::Result<()> {
        match fs::remove_dir_all(self.folder(host)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        // The cluster's folder goes with its last host.
        let _ = fs::remove_dir(self.0.join(host.cluster.to_string()));
        Ok(())
    }
}

/// Makes a folder that only this user can look into.
pub fn private_dir(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Names and paths in a folder; nothing if it is not there.
fn entries(folder: &Path) -> io::Result<Vec<(String, PathBuf)>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(Vec::new());
        }
        entries => entries?,
    };
    let named = entries.flatten();
    Ok(named
        .filter_map(|entry| Some((entry.file_name().into_string().ok()?, entry.path())))
        .collect())
}

#[cfg(test)]
mod tests {
    use portolan_shared::ids::ClusterId;

    use super::*;

    fn key(name: &str) -> HostKey {
        HostKey {
            cluster: ClusterId::from_bytes([7; 16]),
            name: name.into(),
        }
    }

    #[test]
    fn what_was_written_down_is_known_again_until_it_is_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        let records = Records::new(dir.path().join("hosts"));
        assert!(records.all().unwrap().is_empty());
        let asked = Record {
            key: "k1".into(),
            node: None,
        };
        let made = Record {
            key: "k2".into(),
            node: Some(NodeId::from_bytes([9; 16])),
        };
        records.keep(&key("node-1"), &asked).unwrap();
        records.keep(&key("node-2"), &asked).unwrap();
        records.keep(&key("node-2"), &made).unwrap();
        records.keep_token(&key("node-1"), "secret").unwrap();
        let expected = BTreeMap::from([(key("node-1"), asked), (key("node-2"), made)]);
        assert_eq!(records.all().unwrap(), expected);
        assert!(!records.has_joined(&key("node-1")));
        private_dir(&records.folder(&key("node-1")).join("identity")).unwrap();
        fs::write(records.folder(&key("node-1")).join(IDENTITY), "{}").unwrap();
        assert!(records.has_joined(&key("node-1")));

        records.forget(&key("node-1")).unwrap();
        records.forget(&key("node-1")).unwrap();
        assert_eq!(records.all().unwrap().len(), 1);
        records.forget(&key("node-2")).unwrap();
        assert_eq!(fs::read_dir(dir.path().join("hosts")).unwrap().count(), 0);
    }

    #[test]
    fn a_folder_without_a_whole_record_is_no_host() {
        let dir = tempfile::tempdir().unwrap();
        let records = Records::new(dir.path().to_owned());
        for name in ["node-1", "node-2"] {
            private_dir(&records.folder(&key(name))).unwrap();
        }
        fs::write(records.folder(&key("node-2")).join(FILE), "{\"key\":").unwrap();
        private_dir(&dir.path().join("no-cluster/node-1")).unwrap();
        assert!(records.all().unwrap().is_empty());
    }
}
