//! The desired state on disk: a node that reboots while the control plane is away comes back with
//! its network.
//!
//! One file, replaced whole: 8 bytes that say what it is, SHA-256 of the rest, the store's id, the runs of its writers (how
//! many in 4 bytes, then of each 16 bytes and its first revision in 8), a snapshot message. Numbers are big endian. In
//! version 1 there are no runs. A file that is torn or of another version counts as none: a snapshot follows from the
//! control plane, and until then nothing is deleted.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use portolan_sources::Files;
use portolan_wire::agent::{Snapshot, Span};
use prost::Message as _;
use sha2::{Digest as _, Sha256};

use super::{Id, State};

/// What the file begins with; the digit is the version.
const MAGIC: &[u8; 8] = b"PTLDES2\n";

/// The same of the version before.
const MAGIC_1: &[u8; 8] = b"PTLDES1\n";

/// Permissions of the file.
const MODE: u32 = 0o600;

/// The file that the desired state is kept in.
#[derive(Clone)]
pub struct DesiredFile {
    files: Arc<dyn Files>,
    path: PathBuf,
}

impl DesiredFile {
    /// The file in a state directory; it need not be there.
    pub fn new(files: Arc<dyn Files>, state_dir: &Path) -> Self {
        Self {
            files,
            path: state_dir.join("desired.bin"),
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes the state, durably.
    ///
    /// # Errors
    /// If the disk does not take it; the file is then as it was.
    pub fn save(&self, state: &State) -> io::Result<()> {
        self.prepare(state)?;
        self.finish()
    }

    /// Writes the state, so that an agent that ends at once finds it when it starts again, but not after a power cut:
    /// costs no wait for the disk.
    ///
    /// # Errors
    /// As [`Self::save`].
    pub fn prepare(&self, state: &State) -> io::Result<()> {
        self.files.prepare(&self.path, &encode(state), MODE)
    }

    /// Makes what was prepared durable.
    ///
    /// # Errors
    /// As [`Self::save`].
    pub fn finish(&self) -> io::Result<()> {
        self.files.finish(&self.path)
    }

    /// Reads the state; `None` if there is none, or none that can be trusted.
    ///
    /// # Errors
    /// If there is a file and it cannot be read.
    pub fn load(&self) -> io::Result<Option<State>> {
        // What was prepared is the newest; torn, it is as if it were not there.
        if let Some(state) = self.files.prepared(&self.path)?.as_deref().and_then(decode) {
            if let Err(error) = self.finish() {
                tracing::warn!(path = %self.path.display(), %error, "cannot make the desired state durable");
            }
            return Ok(Some(state));
        }
        let Some(content) = self.files.read(&self.path)? else {
            return Ok(None);
        };
        let state = decode(&content);
        if state.is_none() {
            tracing::warn!(path = %self.path.display(), "the desired state on disk is damaged; asking for a snapshot");
        }
        Ok(state)
    }

    /// Removes the file: what one node was to be is nothing to another.
    ///
    /// # Errors
    /// If it is there and cannot be removed.
    pub fn remove(&self) -> io::Result<()> {
        self.files.remove(&self.path)
    }
}

fn encode(state: &State) -> Vec<u8> {
    let snapshot = state.to_snapshot();
    let mut body = Vec::with_capacity(20 + 24 * state.history.len() + snapshot.encoded_len());
    body.extend_from_slice(&state.store);
    body.extend(u32::try_from(state.history.len()).unwrap_or(u32::MAX).to_be_bytes());
    for span in &state.history {
        body.extend_from_slice(&span.incarnation);
        body.extend(span.first.to_be_bytes());
    }
    snapshot.encode(&mut body).expect("a vector grows as needed");
    [&MAGIC[..], &Sha256::digest(&body), &body].concat()
}

fn decode(content: &[u8]) -> Option<State> {
    let (magic, content) = content.split_first_chunk::<8>()?;
    let (sum, body) = content.split_first_chunk::<32>()?;
    if Sha256::digest(body)[..] != sum[..] {
        return None;
    }
    let (store, mut rest) = body.split_first_chunk::<16>()?;
    let store: Id = *store;
    let mut history = Vec::new();
    match magic {
        MAGIC => {
            let (count, mut spans) = rest.split_first_chunk::<4>()?;
            for _ in 0..u32::from_be_bytes(*count) {
                let (incarnation, after) = spans.split_first_chunk::<16>()?;
                let (first, after) = after.split_first_chunk::<8>()?;
                history.push(Span {
                    incarnation: incarnation.to_vec(),
                    first: u64::from_be_bytes(*first),
                });
                spans = after;
            }
            rest = spans;
        }
        MAGIC_1 => {}
        _ => return None,
    }
    State::of_snapshot(store, history, Snapshot::decode(rest).ok()?).ok()
}
