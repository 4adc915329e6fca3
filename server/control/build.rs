//! Optimised programs carry the console of `frontend/dist`, which need not have been built; others read it where it is,
//! whenever they are asked for it.

#![expect(clippy::disallowed_methods, reason = "cargo tells a build script by its environment")]

use std::env;
use std::io;
use std::path::Path;

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-changed=build.rs");
    // A path with `..` in it is not found again by who reads it, if there was nothing when this was built.
    let frontend = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../frontend")
        .canonicalize()?;
    let dist = frontend.join("dist");
    println!("cargo::rustc-env=PORTOLAN_CONSOLE={}", dist.display());
    if env::var("PROFILE").is_ok_and(|profile| profile == "release") {
        // Until it is there, wait for it to come.
        let watched = if dist.exists() { dist } else { frontend };
        println!("cargo::rerun-if-changed={}", watched.display());
    }
    Ok(())
}
