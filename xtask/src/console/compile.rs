//! Compiles the console's crate to wasm, with rustup's target or with Debian's compiler.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::{Compiler, ConsoleError, Profile, at};

/// The wasm target's name, as compilers and folders spell it.
const TARGET: &str = "wasm32-unknown-unknown";

/// Leptos makes a type of its own of every view. Erased, they share code: smaller, and quicker to build.
const ERASE: &str = "--cfg erase_components";

/// What only a compiler that takes unstable flags can leave out: where in the source a panic was, and its words.
const LEAN: &str = "-Zlocation-detail=none -Zunstable-options -Cpanic=immediate-abort";

/// Keeps in the linked wasm what says which function needs which: it is cut into parts by that.
const RELOCATIONS: &str = "-Clink-arg=--emit-relocs";

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

/// Compiles the console's crate and says where the wasm is.
pub(super) fn compile(
    root: &Path,
    profile: Profile,
    compiler: Compiler,
    target_dir: &Path,
) -> Result<PathBuf, ConsoleError> {
    let sysroot = sysroot();
    let has_target = sysroot
        .as_ref()
        .is_some_and(|path| path.join("lib/rustlib").join(TARGET).exists());
    let has_debian =
        Path::new("/usr/bin/cargo").exists() && Path::new("/usr/lib/rustlib/src/rust/library/std").exists();
    let debian = match compiler {
        Compiler::Rustup => false,
        Compiler::Debian => true,
        Compiler::Auto => !has_target,
    };
    if debian && !has_debian {
        return Err(ConsoleError::NoCompiler(format!(
            "`rustup target add {TARGET}`, or on Debian `apt-get install rustc-web cargo-web rust-web-src`"
        )));
    }
    if !debian && !has_target {
        return Err(ConsoleError::NoCompiler(format!("`rustup target add {TARGET}`")));
    }

    let mut cargo = if debian {
        let mut cargo = Command::new("/usr/bin/cargo");
        let path = env::var_os("PATH").unwrap_or_default();
        let path = env::join_paths(std::iter::once(PathBuf::from("/usr/bin")).chain(env::split_paths(&path)));
        cargo.env("PATH", path.unwrap_or_else(|_| "/usr/bin".into()));
        cargo.env("RUSTC", "/usr/bin/rustc").env("RUSTC_BOOTSTRAP", "1");
        cargo.env("CARGO_UNSTABLE_BUILD_STD", "std,panic_abort");
        // Debian's compiler comes without a linker for wasm; rustup's has one.
        if let Some(linker) = sysroot.as_deref().and_then(linker) {
            cargo.env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", linker);
        }
        cargo
    } else {
        Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
    };
    // What the caller's cargo and rustup set for themselves would change the fingerprints here.
    for name in [
        "RUSTFLAGS",
        "CARGO_ENCODED_RUSTFLAGS",
        "RUSTC_WRAPPER",
        "CARGO_BUILD_TARGET",
    ] {
        cargo.env_remove(name);
    }
    let flags = match profile {
        Profile::Release if debian => format!("{ERASE} {LEAN}"),
        _ => ERASE.to_owned(),
    };
    cargo.env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS", flags);
    if debian && profile == Profile::Release {
        cargo.env("CARGO_UNSTABLE_BUILD_STD_FEATURES", "optimize_for_size");
    }
    if debian {
        for name in ["RUSTUP_TOOLCHAIN", "CARGO", "RUSTDOC"] {
            cargo.env_remove(name);
        }
    }
    cargo
        .current_dir(root)
        .args([
            "rustc",
            "--package",
            "portolan-console",
            "--bin",
            "portolan-console",
            "--target",
            TARGET,
            "--profile",
            profile.cargo(),
        ])
        .arg("--target-dir")
        .arg(target_dir)
        .args(["--", RELOCATIONS]);
    let program = if debian {
        "/usr/bin/cargo build (wasm)"
    } else {
        "cargo build (wasm)"
    };
    let status = cargo.status().map_err(at(Path::new(program)))?;
    if !status.success() {
        return Err(ConsoleError::Compile {
            program: program.to_owned(),
            code: status.code(),
        });
    }
    Ok(target_dir
        .join(TARGET)
        .join(profile.cargo())
        .join("portolan-console.wasm"))
}
