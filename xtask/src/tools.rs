//! What the machine must have: what is missing and why, and how it gets there.

use std::io::{IsTerminal, Write};
use std::path::PathBuf;

use crate::console::Compiler;
use crate::process::{Failed, in_ci, program, root, run, succeeds};
use crate::python;

/// Something that is needed and may be missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tool {
    /// A compiler for wasm.
    Wasm(Compiler),
    /// Node and npm.
    Node,
    /// `ip`.
    Iproute2,
    /// `nft`.
    Nftables,
    /// A Chromium or Chrome.
    Chromium,
    /// PostgreSQL's server programs.
    Postgres,
    /// Python that can make places for what it installs.
    Python,
    /// `curl`.
    Curl,
    /// Daemons that configure networks.
    Neighbours,
}

/// The daemons, and what starts them.
const NEIGHBOURS: [&str; 9] = [
    "NetworkManager",
    "ufw",
    "firewalld",
    "dockerd",
    "iptables",
    "bird",
    "vtysh",
    "dbus-daemon",
    "udevadm",
];

/// The standard library's sources, as rustup names them: the console is compiled with a library of its own.
const SOURCES: &str = "rust-src";
/// Where browsers are looked for.
const BROWSERS: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];

impl Tool {
    /// Whether it is there.
    pub fn present(self) -> bool {
        match self {
            Self::Wasm(compiler) => compiler.found().is_some(),
            Self::Node => on_path("node").is_some() && on_path("npm").is_some(),
            Self::Iproute2 => on_path("ip").is_some(),
            Self::Nftables => on_path("nft").is_some(),
            Self::Chromium => browser().is_some(),
            Self::Postgres => on_path("postgres").is_some() || postgres().is_some(),
            Self::Python => python::present(),
            Self::Curl => on_path("curl").is_some(),
            Self::Neighbours => NEIGHBOURS.iter().all(|name| on_path(name).is_some()),
        }
    }

    /// What it is and what for.
    pub fn why(self) -> &'static str {
        match self {
            Self::Wasm(_) => "the standard library's sources, to compile the console to WebAssembly",
            Self::Node => "Node.js and npm, to shrink the console and to drive browser tests",
            Self::Iproute2 => "`ip` (iproute2), for the lab's networks",
            Self::Nftables => "`nft` (nftables), to look at the packet filter and to take out of it",
            Self::Chromium => "Chromium, for the browser tests",
            Self::Postgres => "PostgreSQL's programs, for the tests of the store on PostgreSQL",
            Self::Python => "Python with venv, for the tests that use programs written in it",
            Self::Curl => "curl, to run what the console shows as code",
            Self::Neighbours => "networkd, NetworkManager, ufw, firewalld, Docker, BIRD and FRR, to run beside agents",
        }
    }

    /// Debian's packages for it.
    fn packages(self) -> &'static [&'static str] {
        match self {
            Self::Wasm(_) => &["rustc-web", "cargo-web", "rust-web-src"],
            Self::Node => &["nodejs", "npm"],
            Self::Iproute2 => &["iproute2"],
            Self::Nftables => &["nftables"],
            Self::Chromium => &["chromium"],
            Self::Postgres => &["postgresql"],
            Self::Python => &["python3", "python3-venv"],
            Self::Curl => &["curl"],
            Self::Neighbours => &[
                "systemd",
                "udev",
                "dbus",
                "network-manager",
                "ufw",
                "firewalld",
                "docker.io",
                "iptables",
                "bird2",
                "frr",
            ],
        }
    }

    /// What a person could type, where we cannot install it.
    fn advice(self) -> String {
        let apt = format!(
            "on Debian or Ubuntu: sudo apt-get install {}",
            self.packages().join(" ")
        );
        match self {
            Self::Wasm(_) => format!("rustup component add {SOURCES}; or {apt}"),
            _ => apt,
        }
    }

    /// Tries to get it without Debian's help.
    fn obtain(self) -> bool {
        let rustup = matches!(self, Self::Wasm(Compiler::Auto | Compiler::Rustup)) && on_path("rustup").is_some();
        rustup && run(program("rustup").args(["component", "add", SOURCES])).is_ok() && self.present()
    }
}

/// Makes sure that these are there; installs what is missing where that can be done. Says what is still missing.
pub fn ensure(tools: &[Tool]) -> Vec<Tool> {
    let mut missing: Vec<Tool> = tools.iter().copied().filter(|tool| !tool.present()).collect();
    for tool in &missing {
        eprintln!("missing: {}", tool.why());
    }
    missing.retain(|tool| !tool.obtain());
    let packages: Vec<&str> = missing.iter().flat_map(|tool| tool.packages()).copied().collect();
    if !packages.is_empty() && may_install(&packages) {
        if let Err(error) = install(&packages) {
            eprintln!("{error}");
        }
        missing.retain(|tool| !tool.present());
    }
    for tool in &missing {
        eprintln!("still missing: {} ({})", tool.why(), tool.advice());
    }
    missing
}

/// The same, for what one cannot do without.
pub fn require(tools: &[Tool]) -> Result<(), Failed> {
    let missing: Vec<_> = ensure(tools).iter().map(|tool| tool.why()).collect();
    if missing.is_empty() {
        Ok(())
    } else {
        Err(Failed::Other(format!("missing: {}", missing.join("; "))))
    }
}

/// Whether this is Debian itself, which alone has its compiler for wasm; package lists may not have been fetched yet.
pub fn on_debian() -> bool {
    std::fs::read_to_string("/etc/os-release").is_ok_and(|text| text.lines().any(|line| line == "ID=debian"))
}

/// The browser for tests.
pub fn browser() -> Option<PathBuf> {
    BROWSERS.iter().find_map(|name| on_path(name))
}

/// The folder of PostgreSQL's server programs, which Debian keeps off the path.
fn postgres() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").ok()?;
    versions
        .flatten()
        .map(|version| version.path().join("bin"))
        .find(|bin| bin.join("initdb").exists())
}

fn on_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    // Root's tools are off an ordinary user's path.
    let folders = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]);
    folders.map(|folder| folder.join(name)).find(|file| file.is_file())
}

fn may_install(packages: &[&str]) -> bool {
    if on_path("apt-get").is_none() || !succeeds(program("sh").args(["-c", "test \"$(id -u)\" = 0"])) {
        return false;
    }
    if in_ci() || !std::io::stdin().is_terminal() {
        return true;
    }
    eprint!("install {} with apt-get? [Y/n] ", packages.join(" "));
    let _ = std::io::stderr().flush();
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer).is_ok() && !answer.trim_start().to_ascii_lowercase().starts_with('n')
}

fn install(packages: &[&str]) -> Result<(), Failed> {
    let apt = || {
        let mut command = program("apt-get");
        command.env("DEBIAN_FRONTEND", "noninteractive");
        command
    };
    // A fresh machine has no package lists yet, and stale ones name versions that are too old: Debian's first compiler for
    // wasm was. Where they cannot be had, those that are there must do.
    if let Err(error) = run(apt().arg("update")) {
        eprintln!("{error}");
    }
    run(apt().args(["install", "-y", "--no-install-recommends"]).args(packages))
}

/// Installs what e2e's lock file names, if that was not done since the lock file changed.
pub fn node_packages() -> Result<(), Failed> {
    let folder = root().join("e2e");
    let changed = |path: PathBuf| path.metadata().and_then(|metadata| metadata.modified()).ok();
    let locked = changed(folder.join("package-lock.json"));
    let installed = changed(folder.join("node_modules/.package-lock.json"));
    if installed.is_some() && installed >= locked {
        return Ok(());
    }
    let mut npm = program("npm");
    npm.current_dir(&folder)
        .args(["ci", "--no-audit", "--no-fund"])
        .env("PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD", "1");
    run(&mut npm)
}
