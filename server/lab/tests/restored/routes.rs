//! Whether routes of ours are taken out of a kernel: by what it tells, so that nothing depends on how busy the machine is.

use std::fs::{self, File};
use std::process::{Child, Command, Stdio};

use portolan_lab::ip;
use portolan_lab::netns::Namespace;
use tempfile::NamedTempFile;

use crate::demo::becomes;

/// What the kernel of a host tells of its routes, from [`Watched::begin`] on.
pub(super) struct Watched {
    host: Namespace,
    told: NamedTempFile,
    listener: Child,
    marks: u8,
}

impl Watched {
    /// Begins to listen.
    pub(super) fn begin(host: &str) -> Self {
        let told = NamedTempFile::new().unwrap();
        let out = File::options().append(true).open(told.path()).unwrap();
        let mut command = Command::new("ip");
        command
            .args(["-n", host, "monitor", "route"])
            .stdout(out)
            .stdin(Stdio::null());
        let mut watched = Self {
            host: Namespace::named(host),
            told,
            listener: command.spawn().unwrap(),
            marks: 0,
        };
        watched.hears();
        watched
    }

    /// Makes something be told, until it was: all before it has been by then.
    fn hears(&mut self) {
        self.marks += 1;
        let mark = format!("192.0.2.{}", self.marks);
        becomes("routes are listened for", || {
            let lines = ["add", "del"].map(|verb| format!("route {verb} blackhole {mark}"));
            ip::batch(Some(&self.host), &lines).unwrap();
            fs::read_to_string(self.told.path()).unwrap().contains(&mark)
        });
    }

    /// The lines about routes of ours that were taken out.
    pub(super) fn taken_out(mut self) -> Vec<String> {
        self.hears();
        let told = fs::read_to_string(self.told.path()).unwrap();
        let ours = |line: &&str| line.starts_with("Deleted") && line.contains("proto 157");
        told.lines().filter(ours).map(str::to_owned).collect()
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        let _ = self.listener.kill();
        let _ = self.listener.wait();
    }
}
