#!/usr/bin/env bash
# Tasks that wait for one `tokio::sync::watch` value wake in an order that tokio draws anew, also in a runtime of one thread
# whose clock is paused: a simulation that draws all of its own chances from a seed does not play the same again.
#
# Seen: tokio 1.54.1, Rust 1.95. Receivers wait in one of eight lists that the runtime's generator picks, and the lists are
# woken one after the other. The generator can be seeded (`Builder::rng_seed`), with `--cfg tokio_unstable` alone; then the
# order is the same each time. The documentation names `select!` as what the seed is for, and not this.
#
# Output seen, of 200 runtimes each:
#   without a seed: several orders
#   with a seed: one order
#
# Needs cargo. Fails if this changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
mkdir src
cat > Cargo.toml <<'TOML'
[package]
name = "wakes"
version = "0.0.0"
edition = "2021"

[dependencies]
tokio = { version = "=1.54.1", default-features = false, features = ["rt", "sync", "time", "test-util"] }

[lints.rust]
unexpected_cfgs = { level = "warn", check-cfg = ["cfg(tokio_unstable)"] }
TOML
cat > src/main.rs <<'RUST'
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// In which order four tasks wake that wait for one value.
fn order() -> Vec<usize> {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_time().start_paused(true);
    #[cfg(tokio_unstable)]
    runtime.rng_seed(tokio::runtime::RngSeed::from_bytes(b"seed"));
    let woken = Arc::new(Mutex::new(Vec::new()));
    runtime.build().unwrap().block_on(async {
        let (sender, receiver) = tokio::sync::watch::channel(0);
        let waiting: Vec<_> = (0..4)
            .map(|number| {
                let (mut receiver, woken) = (receiver.clone(), woken.clone());
                tokio::spawn(async move {
                    receiver.changed().await.unwrap();
                    woken.lock().unwrap().push(number);
                })
            })
            .collect();
        // The clock leaps once all wait.
        tokio::time::sleep(Duration::from_secs(1)).await;
        sender.send(1).unwrap();
        for task in waiting {
            task.await.unwrap();
        }
    });
    let woken = woken.lock().unwrap().clone();
    woken
}

fn main() {
    let orders: BTreeSet<Vec<usize>> = (0..200).map(|_| order()).collect();
    println!("{}", if orders.len() > 1 { "several orders" } else { "one order" });
}
RUST
without=$(RUSTFLAGS="" cargo run --quiet)
with=$(RUSTFLAGS="--cfg tokio_unstable" cargo run --quiet)
echo "without a seed: $without"
echo "with a seed: $with"
[ "$without" = "several orders" ] && [ "$with" = "one order" ]
