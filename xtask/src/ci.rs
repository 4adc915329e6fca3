//! `cargo xtask ci`: what every change must pass.

use crate::binaries::{self, SETS};
use crate::console::{self, Compiler};
use crate::process::{Failed, cargo, root, run, target_dir};
use crate::tally::Tally;
use crate::test;
use crate::tools::{self, Tool};

/// Form, lints, documentation, then all fast tests (whose console build holds the console to its size).
pub fn ci(compiler: Compiler) -> Result<(), Failed> {
    run(cargo().args(["fmt", "--all", "--check"]))?;
    let (console, checked) = binaries::beside_console(compiler, || {
        for (_, packages) in SETS {
            run(cargo()
                .arg("clippy")
                .args(packages)
                .args(["--all-targets", "--", "-D", "warnings"]))?;
            run(cargo()
                .arg("doc")
                .args(packages)
                .arg("--no-deps")
                .env("RUSTDOCFLAGS", "-D warnings"))?;
        }
        Ok(())
    })?;
    console.map(drop).and(checked)?;
    test::test(compiler, Some(("the console by Debian's compiler", fallback)))
}

/// The other way to the console, as far as the compiler: for a machine whose rustup can fetch nothing.
fn fallback() -> Result<Tally, Failed> {
    if !tools::on_debian() {
        eprintln!("==> this is not Debian, so its compiler for the console is not tried");
        return Ok(Tally::default());
    }
    tools::require(&[Tool::Wasm(Compiler::Debian)])?;
    console::tried(&root(), Compiler::Debian, &target_dir().join("wasm-debian"))
        .map_err(|error| Failed::Other(error.to_string()))?;
    Ok(Tally {
        passed: 1,
        ..Tally::default()
    })
}
