//! Optimised programs carry the console of `frontend/dist`, which need not have been built; others read it where it is,
//! whenever they are asked for it.

#![expect(clippy::disallowed_methods, reason = "cargo tells a build script by its environment")]

use std::env;
use std::path::Path;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if env::var("PROFILE").is_ok_and(|profile| profile == "release") {
        let frontend = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../frontend");
        let dist = frontend.join("dist");
        // Until it is there, wait for it to come.
        let watched = if dist.exists() { dist } else { frontend };
        println!("cargo::rerun-if-changed={}", watched.display());
    }
}
