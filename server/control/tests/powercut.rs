//! Power cuts under SQLite: what was acknowledged is there afterwards, whatever the disk forgot.
#![expect(clippy::disallowed_methods, reason = "a test reads its environment")]
#![expect(clippy::unwrap_used, reason = "tests, and helpers of tests")]

mod common;
#[path = "powercut/vfs.rs"]
#[expect(unreachable_pub, reason = "a module of this test alone")]
#[expect(unsafe_code, reason = "SQLite asks a file system by C functions and pointers")]
mod vfs;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex};

use common::{Kit, new_port, options, port, sqlite, user};
use portolan_control::control::{Control, OpenError};
use portolan_core::command::{Command, Delete};
use portolan_core::view::PortScope;
use portolan_shared::ids::{NetworkId, ProjectId};
use portolan_store::{SqliteOptions, SqliteStore, Store};
use vfs::Disk;

/// How many cuts of each kind.
fn rounds() -> u64 {
    let rounds = std::env::var("PORTOLAN_ROUNDS")
        .ok()
        .and_then(|rounds| rounds.parse::<u64>().ok());
    rounds.map_or(8, |rounds| rounds.div_ceil(5))
}

/// A small generator, so that a failing round can be had again (Steele, Lea and Flood: SplitMix64).
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

fn open(folder: &Path, synchronous: &'static str, checkpoint_pages: i32) -> Result<Control, OpenError> {
    let path = folder.join("p.db");
    let store = move || {
        let options = SqliteOptions {
            vfs: Some(vfs::NAME.to_owned()),
            synchronous,
            checkpoint_pages,
            ..sqlite(path, [1; 16])
        };
        Ok(Box::new(SqliteStore::open(options)?) as Box<dyn Store>)
    };
    Control::over(store, options("given"))
}

/// What clients do while the power goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Load {
    /// Single creations; cut right after the first acknowledgement.
    First,
    /// Creations of 50 at once.
    Bulk,
    /// As many deletions as creations.
    Delete,
    /// Creations while the log is copied into the file all the time.
    Checkpoint,
}

/// What clients were told.
#[derive(Default)]
struct Told {
    put: BTreeMap<String, String>,
    deleted: BTreeSet<String>,
    /// Asked for and not answered.
    unsure: BTreeSet<String>,
}

async fn client(control: Control, project: ProjectId, network: NetworkId, load: Load, told: Arc<Mutex<Told>>) {
    let mut mine = Vec::new();
    loop {
        let count = if load == Load::Bulk { 50 } else { 1 };
        let new = (0..count).map(|_| new_port(project, network)).collect();
        let Ok(made) = control.write(user(project, Command::CreatePorts(new))).await else {
            return;
        };
        for object in &made.objects {
            let port = port(object);
            told.lock()
                .unwrap()
                .put
                .insert(port.id.to_string(), port.fixed_ips[0].address.to_string());
            mine.push(port.id);
        }
        if load == Load::Delete {
            let id = mine.swap_remove(0);
            told.lock().unwrap().unsure.insert(id.to_string());
            let Ok(_) = control.write(user(project, Command::Delete(Delete::Port(id)))).await else {
                return;
            };
            told.lock().unwrap().deleted.insert(id.to_string());
        }
    }
}

/// One round: load, cut, restart; says what of the acknowledged is lost.
async fn round(folder: &Path, synchronous: &'static str, load: Load, seed: u64) -> Vec<String> {
    let mut dice = Dice(seed);
    let disk = Disk::new(folder);
    let pages = if load == Load::Checkpoint { 8 } else { 2_000 };
    let control = open(folder, synchronous, pages).unwrap();
    let known = control.read(|view| view.networks(None).next().map(|n| (n.meta.project, n.id)));
    let (project, network) = match known {
        Some(known) => known,
        None => {
            let kit = Kit::over(control.clone()).await;
            let network = kit.network().await;
            kit.subnet(network, "10.0.0.0/16").await;
            (kit.project, network)
        }
    };
    let told = Arc::new(Mutex::new(Told::default()));
    if load != Load::First {
        disk.cut_after(20 + dice.roll() % 400);
    }
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..8 {
        tasks.spawn(client(control.clone(), project, network, load, Arc::clone(&told)));
    }
    if load == Load::First {
        common::eventually("a first acknowledgement", || !told.lock().unwrap().put.is_empty()).await;
        disk.cut();
    }
    tasks.join_all().await;
    assert!(disk.is_cut() && (synchronous == "OFF" || disk.syncs() > 0));
    control.close().await;
    disk.after_the_cut(|| dice.roll().is_multiple_of(2));

    let control = match open(folder, synchronous, pages) {
        Ok(control) => control,
        Err(error) => return vec![format!("everything: {error}")],
    };
    let stored: BTreeMap<String, String> = control.read(|view| {
        view.ports(PortScope::All, None)
            .map(|p| (p.id.to_string(), p.fixed_ips[0].address.to_string()))
            .collect()
    });
    control.close().await;
    let told = told.lock().unwrap();
    let mut lost: Vec<String> = told
        .put
        .iter()
        .filter(|(id, address)| stored.get(*id) != Some(address) && !told.unsure.contains(*id))
        .map(|(id, address)| format!("{id} {address}"))
        .collect();
    lost.extend(
        told.deleted
            .iter()
            .filter(|id| stored.contains_key(*id))
            .map(|id| format!("deletion of {id}")),
    );
    if synchronous != "OFF" {
        let addresses: BTreeSet<_> = stored.values().collect();
        assert_eq!(addresses.len(), stored.len(), "{load:?} {seed}: an address twice");
        let db = rusqlite::Connection::open(folder.join("p.db")).unwrap();
        let fine: String = db.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
        assert_eq!(fine, "ok", "{load:?} {seed}");
    }
    lost
}

async fn survives(load: Load) {
    for seed in 0..rounds() {
        // A disk of its own for every third, else the one that has had a cut already.
        let folder = tempfile::tempdir().unwrap();
        for again in 0..3 {
            let lost = round(folder.path(), "FULL", load, seed * 3 + again).await;
            assert!(lost.is_empty(), "{load:?}, seed {seed}: lost {lost:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn right_after_the_first_acknowledgement() {
    survives(Load::First).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn in_bulk() {
    survives(Load::Bulk).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn in_deletes() {
    survives(Load::Delete).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn in_checkpoints() {
    survives(Load::Checkpoint).await;
}

/// Shows that the disk bites: without syncs, acknowledged writes are lost.
#[tokio::test(flavor = "multi_thread")]
async fn without_syncs_writes_are_lost() {
    for seed in 0..20 {
        let folder = tempfile::tempdir().unwrap();
        if !round(folder.path(), "OFF", Load::Bulk, seed).await.is_empty() {
            return;
        }
    }
    panic!("twenty cuts without a sync lost nothing: the disk does not forget");
}
