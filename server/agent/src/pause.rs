//! That healing is paused: a file in the state directory, so that a restart does not end it. Who is told to pause writes it,
//! and an agent that runs looks for it each second.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use portolan_shared::time::Time;
use portolan_sources::{Files, Workers};
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep_until};

/// How often a running agent looks.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Permissions of the file.
const MODE: u32 = 0o600;

/// Who has paused healing, and when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Paused {
    /// A name for people.
    pub by: String,
    /// By the host's clock: microseconds since the epoch, UTC.
    pub since: i64,
}

impl Paused {
    /// In words, to go on from "healing".
    pub fn sentence(&self) -> String {
        format!("is paused by {} since {}", self.by, Time(self.since))
    }
}

/// The file.
#[derive(Clone)]
pub struct PauseFile {
    files: Arc<dyn Files>,
    path: PathBuf,
}

impl PauseFile {
    /// The file in a state directory; it need not be there.
    pub fn new(files: Arc<dyn Files>, state_dir: &Path) -> Self {
        Self {
            files,
            path: state_dir.join("paused.json"),
        }
    }

    /// Who has paused healing; `None`: nobody has.
    ///
    /// # Errors
    /// If the disk does not say it, or the file is damaged.
    pub fn read(&self) -> io::Result<Option<Paused>> {
        let text = self.files.read(&self.path)?;
        Ok(text.as_deref().map(serde_json::from_slice).transpose()?)
    }

    /// Pauses healing. Who has done so before stays.
    ///
    /// # Errors
    /// If the disk does not take it.
    pub fn pause(&self, paused: Paused) -> io::Result<Paused> {
        // A damaged file is written anew.
        if let Ok(Some(before)) = self.read() {
            return Ok(before);
        }
        let text = serde_json::to_vec(&paused)?;
        self.files.replace(&self.path, &text, MODE)?;
        Ok(paused)
    }

    /// Ends it.
    ///
    /// # Errors
    /// If the disk does not take it.
    pub fn resume(&self) -> io::Result<()> {
        self.files.remove(&self.path)
    }

    /// Waits until it is otherwise than `known`, for as long as it can be read. `due` is when to look next.
    pub(crate) async fn changed(&self, known: &Option<Paused>, workers: &Workers, due: &mut Instant) {
        loop {
            sleep_until(*due).await;
            *due = Instant::now() + LOOK_EVERY;
            let file = self.clone();
            if let Ok(Ok(now)) = workers.run(move || file.read()).await
                && now != *known
            {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use portolan_sources::testing::{MemoryFiles, OnTheSpot};

    use super::*;

    fn file() -> (PauseFile, MemoryFiles) {
        let files = MemoryFiles::default();
        files.make_folder(Path::new("/state")).unwrap();
        (PauseFile::new(Arc::new(files.clone()), Path::new("/state")), files)
    }

    fn by(name: &str) -> Paused {
        Paused {
            by: name.to_owned(),
            since: 1_800_000_000_000_000,
        }
    }

    #[test]
    fn who_has_paused_it_first_stays_until_it_is_resumed() {
        let (file, _) = file();
        assert_eq!(file.read().unwrap(), None);
        assert_eq!(file.pause(by("anna")).unwrap(), by("anna"));
        assert_eq!(file.pause(by("boris")).unwrap(), by("anna"));
        assert_eq!(file.read().unwrap(), Some(by("anna")));
        assert_eq!(by("anna").sentence(), "is paused by anna since 2027-01-15T08:00:00Z");
        file.resume().unwrap();
        assert_eq!(file.read().unwrap(), None);
        file.resume().unwrap();
    }

    #[test]
    fn a_damaged_file_is_an_error_and_is_written_anew() {
        let (file, files) = file();
        files.replace(Path::new("/state/paused.json"), b"{", MODE).unwrap();
        assert!(file.read().is_err());
        assert_eq!(file.pause(by("anna")).unwrap(), by("anna"));
        assert_eq!(file.read().unwrap(), Some(by("anna")));
    }

    #[tokio::test(start_paused = true)]
    async fn a_change_is_seen() {
        let (file, _) = file();
        let workers = Workers::new(OnTheSpot);
        let paused = async {
            tokio::time::sleep(LOOK_EVERY * 5 / 2).await;
            file.pause(by("anna")).unwrap();
        };
        let mut due = Instant::now();
        tokio::join!(file.changed(&None, &workers, &mut due), paused);
        file.resume().unwrap();
        file.changed(&Some(by("anna")), &workers, &mut due).await;
    }
}
