//! Compiles the console's crate to wasm, and the standard library with it from its sources: built for size and without
//! the words of panics, which no ready-made one is.
//!
//! One recipe for two compilers: rustup's (with its component `rust-src`), else Debian's `rustc-web`. The recipe needs
//! unstable options; `RUSTC_BOOTSTRAP` makes a stable compiler take them, and `rust-toolchain.toml` names that compiler.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::{Compiler, ConsoleError, Profile, at};

/// The wasm target's name, as compilers and folders spell it.
const TARGET: &str = "wasm32-unknown-unknown";

/// Leptos makes a type of its own of every view. Erased, they share code: smaller, and quicker to build.
const ERASE: &str = "--cfg erase_components";

/// What only a compiler that takes unstable flags can leave out: where in the source a panic was, its words, and what
/// only debugging prints.
const LEAN: &str = "-Zlocation-detail=none -Zfmt-debug=none -Zunstable-options -Cpanic=immediate-abort";

/// Keeps in the linked wasm what says which function needs which: it is cut into parts by that.
const RELOCATIONS: &str = "-Clink-arg=--emit-relocs";

/// Where a toolchain keeps the standard library's sources, below its root.
const SOURCES: &str = "lib/rustlib/src/rust/library/std";

/// Where the running toolchain keeps its libraries.
fn sysroot() -> Option<PathBuf> {
    let output = Command::new(env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()))
        .args(["--print", "sysroot"])
        .stderr(Stdio::null())
        .output()
        .ok()
        .filter(|output| output.status.success())?;
    Some(PathBuf::from(String::from_utf8(output.stdout).ok()?.trim()))
}

/// rustup's linker for wasm, whatever host it was installed for.
fn linker(sysroot: &Path) -> Option<PathBuf> {
    let hosts = fs::read_dir(sysroot.join("lib/rustlib")).ok()?;
    hosts
        .flatten()
        .map(|host| host.path().join("bin/rust-lld"))
        .find(|path| path.exists())
}

/// The oldest version of Rust that compiles this, as the manifests say: major and minor.
fn needed() -> (u32, u32) {
    numbers(env!("CARGO_PKG_RUST_VERSION")).unwrap_or_default()
}

/// The version of a compiler: major and minor.
fn version_of(rustc: &Path) -> Option<(u32, u32)> {
    let output = Command::new(rustc).arg("--version").output().ok()?;
    numbers(str::from_utf8(&output.stdout).ok()?.strip_prefix("rustc ")?)
}

/// The first two numbers of a version.
fn numbers(version: &str) -> Option<(u32, u32)> {
    let mut parts = version.split(['.', ' ']);
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

impl Compiler {
    /// The compiler to use: the one asked for, else the running toolchain if it can, else Debian's. `None` if it is not
    /// there, too old, or without the standard library's sources.
    pub fn found(self) -> Option<Self> {
        let rustup = || sysroot().is_some_and(|root| root.join(SOURCES).exists());
        let debian = || {
            let there = Path::new("/usr/bin/cargo").exists() && Path::new("/usr").join(SOURCES).exists();
            there && version_of(Path::new("/usr/bin/rustc")).is_some_and(|version| version >= needed())
        };
        match self {
            Self::Auto if rustup() => Some(Self::Rustup),
            Self::Auto => debian().then_some(Self::Debian),
            Self::Rustup => rustup().then_some(self),
            Self::Debian => debian().then_some(self),
        }
    }

    /// Its cargo, told which compiler it drives.
    fn cargo(self) -> Command {
        // What the caller's cargo and rustup set for themselves would change the fingerprints here.
        let foreign = [
            "RUSTFLAGS",
            "CARGO_ENCODED_RUSTFLAGS",
            "RUSTC_WRAPPER",
            "CARGO_BUILD_TARGET",
        ];
        let mut cargo = match self {
            Self::Debian => {
                let mut cargo = Command::new("/usr/bin/cargo");
                let path = env::var_os("PATH").unwrap_or_default();
                let path = env::join_paths(std::iter::once(PathBuf::from("/usr/bin")).chain(env::split_paths(&path)));
                cargo.env("PATH", path.unwrap_or_else(|_| "/usr/bin".into()));
                cargo.env("RUSTC", "/usr/bin/rustc");
                // Debian's compiler comes without a linker for wasm; rustup's has one.
                if let Some(linker) = sysroot().as_deref().and_then(linker) {
                    cargo.env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", linker);
                }
                for name in ["RUSTUP_TOOLCHAIN", "CARGO", "RUSTDOC"] {
                    cargo.env_remove(name);
                }
                cargo
            }
            Self::Auto | Self::Rustup => Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into())),
        };
        for name in foreign {
            cargo.env_remove(name);
        }
        cargo
    }
}

/// Compiles the console's crate and says where the wasm is.
pub(super) fn compile(
    root: &Path,
    profile: Profile,
    compiler: Compiler,
    target_dir: &Path,
) -> Result<PathBuf, ConsoleError> {
    let mut cargo = recipe(
        root,
        "rustc",
        profile.cargo(),
        profile == Profile::Release,
        compiler,
        target_dir,
    )?;
    ended(cargo.args(["--", RELOCATIONS]))?;
    Ok(target_dir
        .join(TARGET)
        .join(profile.cargo())
        .join("portolan-console.wasm"))
}

/// Checks the console's crate, and the library under it, with all flags of a release: to know that a compiler takes them.
/// It makes no code, which would take three times as long.
pub fn tried(root: &Path, compiler: Compiler, target_dir: &Path) -> Result<(), ConsoleError> {
    ended(&mut recipe(
        root,
        "check",
        Profile::Dev.cargo(),
        true,
        compiler,
        target_dir,
    )?)
}

/// The one recipe: a cargo profile, and with `lean` a library for size, without the words of panics.
fn recipe(
    root: &Path,
    what: &str,
    profile: &str,
    lean: bool,
    compiler: Compiler,
    target_dir: &Path,
) -> Result<Command, ConsoleError> {
    let Some(compiler) = compiler.found() else {
        return Err(ConsoleError::NoCompiler(
            "`rustup component add rust-src`, or on Debian `apt-get install rustc-web cargo-web rust-web-src`".into(),
        ));
    };
    let mut cargo = compiler.cargo();
    cargo
        .env("RUSTC_BOOTSTRAP", "1")
        .env("CARGO_UNSTABLE_BUILD_STD", "std,panic_abort");
    let flags = if lean {
        cargo.env("CARGO_UNSTABLE_BUILD_STD_FEATURES", "optimize_for_size");
        format!("{ERASE} {LEAN}")
    } else {
        ERASE.to_owned()
    };
    cargo.env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS", flags);
    cargo
        .current_dir(root)
        .args([
            what,
            "--quiet",
            "--package",
            "portolan-console",
            "--bin",
            "portolan-console",
            "--target",
            TARGET,
            "--profile",
            profile,
        ])
        .arg("--target-dir")
        .arg(target_dir);
    Ok(cargo)
}

fn ended(cargo: &mut Command) -> Result<(), ConsoleError> {
    let program = "cargo build (wasm)";
    let status = cargo.status().map_err(at(Path::new(program)))?;
    if !status.success() {
        return Err(ConsoleError::Compile {
            program: program.to_owned(),
            code: status.code(),
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_compiler_is_compared_by_numbers_and_not_by_letters() {
        assert_eq!(numbers("1.96.0 (abc 2026-05-01)"), Some((1, 96)));
        assert!(numbers("1.100") > numbers("1.95"));
        assert_eq!(numbers("1.95"), Some((1, 95)));
        assert_eq!(numbers("nightly"), None);
        assert!(needed() > (1, 0));
    }
}
