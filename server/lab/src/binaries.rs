//! Where the other programs of Portolan are: beside this one, or where `PORTOLAN_BIN_DIR` says.

use std::env;
use std::path::{Path, PathBuf};

/// The environment variable that overrides where programs are looked for.
pub const VARIABLE: &str = "PORTOLAN_BIN_DIR";

/// The programs a lab runs.
#[derive(Debug, Clone)]
pub struct Binaries {
    /// `portolan`, the control plane.
    pub control: PathBuf,
    /// `portolan-agent`.
    pub agent: PathBuf,
    /// `portolan-cni`.
    pub cni: PathBuf,
    /// This program.
    pub lab: PathBuf,
}

/// A program that is not where it should be.
#[derive(Debug, thiserror::Error)]
#[error("{0} is missing; build it with `cargo xtask build`, or say where it is with {VARIABLE}")]
pub struct MissingBinary(PathBuf);

impl Binaries {
    /// Finds them, and checks that they are there.
    pub fn find() -> Result<Self, MissingBinary> {
        let lab = env::current_exe().map_err(|_| MissingBinary("the path of this program".into()))?;
        let beside = lab.parent().map_or_else(PathBuf::new, Path::to_path_buf);
        let dir = env::var_os(VARIABLE).map_or(beside, PathBuf::from);
        let find = |name: &str| {
            let path = dir.join(name);
            if path.is_file() {
                Ok(path)
            } else {
                Err(MissingBinary(path))
            }
        };
        Ok(Self {
            control: find("portolan")?,
            agent: find("portolan-agent")?,
            cni: find("portolan-cni")?,
            lab,
        })
    }
}
