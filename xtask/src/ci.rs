//! `cargo xtask ci`: what every change must pass.

use crate::binaries::{self, SETS};
use crate::console::Compiler;
use crate::process::{Failed, cargo, run};
use crate::test;

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
    test::test(compiler)
}
