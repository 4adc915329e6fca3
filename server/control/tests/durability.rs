//! Killed at any moment: nothing that was acknowledged is lost, no address is given twice, and it is
//! ready again.
//!
//! The process that is killed is this test executable run again, as `serve_until_killed`; it writes
//! every acknowledgement to a pipe that the test holds, so that what was acknowledged outlives it.
#![expect(
    clippy::disallowed_methods,
    reason = "a test runs in real time and reads its environment"
)]
#![expect(clippy::unwrap_used, reason = "tests, and helpers of tests")]

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command as Process, Stdio};
use std::time::{Duration, Instant};

use common::{Kit, new_port, options, port, user};
use portolan_control::control::Control;
use portolan_core::command::{Command, Delete};
use portolan_core::view::PortScope;

/// Names the database to the process that is killed.
const DATABASE: &str = "PORTOLAN_TEST_DATABASE";
/// Tasks that write at once.
const CLIENTS: usize = 16;

/// How many times it is killed.
fn rounds() -> usize {
    std::env::var("PORTOLAN_ROUNDS")
        .ok()
        .and_then(|rounds| rounds.parse().ok())
        .unwrap_or(20)
}

#[test]
fn nothing_acknowledged_is_lost_by_kill_9() {
    let folder = tempfile::tempdir().unwrap();
    let database = format!("sqlite:{}", folder.path().join("p.db").display());
    let mut alive: BTreeMap<String, String> = BTreeMap::new();
    let mut slowest = Duration::ZERO;
    for round in 0..rounds() {
        let mut child = serve(&database);
        let (mut lines, mut seen) = (BufReader::new(child.stdout.take().unwrap()).lines(), 0);
        // Ends at different moments: right after the first acknowledgement, and later and later.
        let enough = if round % 5 == 0 { 1 } else { 40 * (round % 7 + 1) };
        let mut acknowledged = Vec::new();
        for line in &mut lines {
            let line = line.unwrap();
            acknowledged.push(line);
            seen += 1;
            if seen >= enough {
                break;
            }
        }
        child.kill().unwrap();
        // What was acknowledged before the kill is still in the pipe.
        acknowledged.extend(lines.map_while(Result::ok));
        child.wait().unwrap();
        let mut unsure = Vec::new();
        for line in acknowledged {
            match line.split(' ').collect::<Vec<_>>()[..] {
                ["put", id, address] => {
                    let other = alive.insert(id.to_owned(), address.to_owned());
                    assert_eq!(other, None, "an id came twice");
                }
                // Said before it is asked for: from then on it may be there or not.
                ["deleting", id] => unsure.extend(alive.remove(id)),
                // The line that the kill cut in two.
                _ => {}
            }
        }

        let start = Instant::now();
        let control = Control::open(options(&database)).unwrap();
        slowest = slowest.max(start.elapsed());
        let stored: BTreeMap<String, String> = control.read(|view| {
            view.ports(PortScope::All, None)
                .map(|p| (p.id.to_string(), p.fixed_ips[0].address.to_string()))
                .collect()
        });
        for (id, address) in &alive {
            assert_eq!(
                stored.get(id),
                Some(address),
                "round {round}: port {id} was acknowledged"
            );
        }
        let addresses: BTreeSet<_> = stored.values().collect();
        assert_eq!(addresses.len(), stored.len(), "round {round}: an address twice");
        // What was written and not acknowledged any more counts from now on.
        alive = stored;
        tokio::runtime::Runtime::new().unwrap().block_on(control.close());
        check_file(folder.path());
    }
    println!(
        "{} ports after {} kills, ready within {slowest:?}",
        alive.len(),
        rounds()
    );
}

/// SQLite finds nothing wrong, and the change table has no gap.
fn check_file(folder: &std::path::Path) {
    let db = rusqlite::Connection::open(folder.join("p.db")).unwrap();
    let fine: String = db.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(fine, "ok");
    let (head, revisions): (i64, i64) = db
        .query_row(
            "SELECT revision, (SELECT COUNT(DISTINCT position >> 20) FROM changes) FROM head",
            [],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .unwrap();
    assert_eq!(head, revisions, "no gap in the change table");
}

fn serve(database: &str) -> Child {
    Process::new(std::env::current_exe().unwrap())
        .args(["serve_until_killed", "--exact", "--nocapture"])
        .env(DATABASE, database)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// The process that is killed. As a test of its own it does nothing.
#[test]
fn serve_until_killed() {
    let Ok(database) = std::env::var(DATABASE) else { return };
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let control = Control::open(options(&database)).unwrap();
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
        let mut tasks = tokio::task::JoinSet::new();
        for client in 0..CLIENTS {
            let control = control.clone();
            tasks.spawn(async move {
                let mut mine = Vec::new();
                for n in 0.. {
                    let count = if client == 0 { 20 } else { 1 };
                    let new = (0..count).map(|_| new_port(project, network)).collect();
                    let made = control.write(user(project, Command::CreatePorts(new))).await.unwrap();
                    for object in &made.objects {
                        let port = port(object);
                        say(&format!("put {} {}", port.id, port.fixed_ips[0].address));
                        mine.push(port.id);
                    }
                    if n % 3 == 2 {
                        let id = mine.swap_remove(0);
                        say(&format!("deleting {id}"));
                        control
                            .write(user(project, Command::Delete(Delete::Port(id))))
                            .await
                            .unwrap();
                    }
                }
            });
        }
        tasks.join_all().await;
    });
}

/// One write, so that a line is whole or not there.
fn say(line: &str) {
    std::io::stdout().write_all(format!("{line}\n").as_bytes()).unwrap();
}
