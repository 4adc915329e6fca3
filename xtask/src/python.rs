//! Programs written in Python: each in a place of its own under the target folder, at the very versions its list names.

use std::fs;
use std::path::PathBuf;

use crate::process::{Failed, program, root, run, succeeds, target_dir};
use crate::tools::{self, Tool};

/// A program, and the list of what it needs: `xtask/NAME.txt`.
#[derive(Debug, Clone, Copy)]
pub struct Package {
    /// Of its list and its place.
    name: &'static str,
    /// What is started.
    program: &'static str,
    /// What it is and what for.
    why: &'static str,
}

/// Tries an API by its description.
pub const SCHEMATHESIS: Package = Package {
    name: "schemathesis",
    program: "schemathesis",
    why: "Schemathesis, to try the API by its description",
};

/// The client that customers have.
pub const OPENSTACK: Package = Package {
    name: "openstackclient",
    program: "openstack",
    why: "python-openstackclient, to run what the console shows as code",
};

impl Package {
    fn list(&self) -> PathBuf {
        root().join("xtask").join(self.name).with_extension("txt")
    }

    /// Where it is started from; installed first, if it was not since its list changed. If that cannot be: why.
    pub fn ensure(&self) -> Result<PathBuf, String> {
        if !tools::ensure(&[Tool::Python]).is_empty() {
            return Err("there is no Python with venv".to_owned());
        }
        let missing = |error| format!("missing: {}: {error}", self.why);
        self.installed().map_err(missing)
    }

    fn installed(&self) -> Result<PathBuf, Failed> {
        let other = |error: std::io::Error| Failed::Other(error.to_string());
        let folder = target_dir().join(self.name);
        let (tool, mark) = (folder.join("bin").join(self.program), folder.join("installed.txt"));
        let list = fs::read(self.list()).map_err(other)?;
        if tool.exists() && fs::read(&mark).is_ok_and(|known| known == list) {
            return Ok(tool);
        }
        eprintln!("missing: {}; into {}", self.why, folder.display());
        run(program("python3").args(["-m", "venv", "--clear"]).arg(&folder))?;
        let mut pip = program(folder.join("bin/pip"));
        pip.args(["install", "--quiet", "--disable-pip-version-check", "--requirement"]);
        run(pip.arg(self.list()))?;
        fs::write(mark, list).map_err(other)?;
        Ok(tool)
    }
}

/// Whether Python can make places for what it installs.
pub fn present() -> bool {
    succeeds(program("python3").args(["-c", "import venv, ensurepip"]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_name_one_version_of_everything_and_no_host() {
        for package in [SCHEMATHESIS, OPENSTACK] {
            let list = fs::read_to_string(package.list()).unwrap();
            let lines: Vec<&str> = list.lines().filter(|line| !line.starts_with('#')).collect();
            assert!(!lines.is_empty(), "{}", package.name);
            for line in lines {
                let (name, version) = line.split_once("==").unwrap_or_else(|| panic!("{line} is not pinned"));
                let plain = |text: &str| text.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
                assert!(plain(name) && plain(version), "{line}");
            }
        }
    }
}
