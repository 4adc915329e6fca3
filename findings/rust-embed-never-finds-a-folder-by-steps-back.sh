#!/usr/bin/env bash
# A program that embeds a folder with rust-embed, whose path has `..` in it, never finds that folder's files if the folder was
# not there when the program was built, although unoptimised programs read files where they are, whenever they are asked.
#
# Seen: rust-embed 8.13.0 with `interpolate-folder-path`, Rust 1.95. With `allow_missing` the macro keeps the path as it is
# written where it cannot be resolved. When a file is asked for, its resolved path is held against that text, and no resolved
# path begins with one that has `..` in it: the file counts as outside of the folder. So who builds the server before the
# pages has none, until something else makes it be built again. A path without `..` is well.
#
# Output seen:
#   built before the folder is there: by src/../made not found, by made found
#   built again: by src/../made found, by made found
#
# Needs cargo. Fails if this changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
mkdir src
cat > Cargo.toml <<'TOML'
[package]
name = "page"
version = "0.0.0"
edition = "2021"

[dependencies]
rust-embed = { version = "=8.13.0", features = ["interpolate-folder-path"] }
TOML
cat > src/main.rs <<'RUST'
use rust_embed::RustEmbed;

#[derive(RustEmbed)]
#[folder = "$CARGO_MANIFEST_DIR/src/../made"]
#[allow_missing = true]
struct Back;

#[derive(RustEmbed)]
#[folder = "$CARGO_MANIFEST_DIR/made"]
#[allow_missing = true]
struct Straight;

fn main() {
    let found = |there: bool| if there { "found" } else { "not found" };
    let (back, straight) = (Back::get("page").is_some(), Straight::get("page").is_some());
    println!("by src/../made {}, by made {}", found(back), found(straight));
}
RUST
cargo build --quiet
mkdir made
echo "a page" > made/page
before=$(target/debug/page)
touch src/main.rs
cargo build --quiet
after=$(target/debug/page)
echo "built before the folder is there: $before"
echo "built again: $after"
[ "$before" = "by src/../made not found, by made found" ] && [ "$after" = "by src/../made found, by made found" ]
