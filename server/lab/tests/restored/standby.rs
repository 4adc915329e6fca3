//! PostgreSQL: a standby that had lost the stream is promoted, and a dump is put back, while agents and pods run on real
//! kernels.

use std::collections::BTreeSet;
use std::process::Command;
use std::thread;

use portolan_lab::api::ApiError;
use portolan_lab::children::Running;
use portolan_lab::protocol::{Report, Request};
use portolan_shared::v1::{List, NodeRow, NodeState};
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::common::{IN_TIME, Lab, ask_from, beside, free_address, may_run};
use crate::demo::{Demo, PODS, addresses_in, becomes};
use crate::guest::Guest;
use crate::postgres::Postgres;
use crate::routes::Watched;
use crate::traffic::Traffic;
use crate::{MANY, addresses};

/// A lab on PostgreSQL: what is restored, and what must come of it.
struct Story {
    lab: Lab,
    demo: Demo,
}

impl Story {
    /// Two hosts with a pod each.
    fn begin(database: &str) -> Self {
        let lab = Lab::raise(&["--hosts", "2", "--pods", "2", "--database", database]);
        let demo = Demo::of(&lab.report);
        Self { lab, demo }
    }

    fn pod(&self, host: &str, name: &str) -> Report {
        self.lab.ask(&Request::PodAdd {
            cluster: None,
            host: host.into(),
            name: name.into(),
        })
    }

    /// What the database is to forget: pods, more than a block has addresses for, and a third node with one more.
    fn goes_on(&self) -> (Report, Guest) {
        let mut report = self.lab.ask(&Request::Status);
        for n in 0..MANY {
            report = self.pod("node-2", &format!("more-{n}"));
        }
        let guest = Guest::join(&self.lab, &self.demo, "node-3", 8);
        becomes("every pod has its port", || {
            self.demo.pods() == Some(all_addresses(&report, &guest))
        });
        becomes("all nodes are ready", || self.states() == [NodeState::Ready; 3]);
        (report, guest)
    }

    /// The states of all nodes, by name.
    fn states(&self) -> Vec<NodeState> {
        let mut nodes = self.demo.nodes().unwrap_or_default();
        nodes.sort_by(|a, b| a.name.cmp(&b.name));
        nodes.iter().map(|node| node.state).collect()
    }

    /// Goes on, has the database forget that by `lose`, and holds the control plane to finding all of it again.
    fn is_found_again(&self, lose: impl FnOnce(&BTreeSet<String>)) {
        let (report, guest) = self.goes_on();
        let before = all_addresses(&report, &guest);
        let pod = |name: &str| report.pods.iter().find(|pod| pod.name == name).unwrap();
        // The first block's pods, the second's, the unknown node's; and from there.
        let last = format!("more-{}", MANY - 1);
        let (first, early, late) = (pod("web-1"), pod("more-0"), pod(&last));
        let ways = [
            (first.namespace.as_str(), early.echo),
            (&first.namespace, late.echo),
            (&first.namespace, guest.echo()),
            (guest.pod.name(), first.echo),
        ];
        let hosts = report.hosts.iter().map(|host| host.namespace.as_str());
        let watched: Vec<Watched> = hosts.chain([guest.host.name()]).map(Watched::begin).collect();
        let traffic = ways.map(|(from, to)| Traffic::begin(from, to));

        lose(&before);
        becomes("every pod of the nodes that are known has its port again", || {
            self.demo.pods() == Some(addresses(&report))
        });
        becomes("the unknown node is found, the others are ready", || {
            self.states() == [NodeState::Ready, NodeState::Ready, NodeState::Found]
        });
        let lost_to = self.one_epoch(&guest);

        // What comes now gets what nobody has: of blocks that were taken back, and of a new one.
        self.pod("node-1", "after-1");
        let report = self.pod("node-2", "after-2");
        let fourth = Guest::join(&self.lab, &self.demo, "node-4", 9);
        let mut after = all_addresses(&report, &guest);
        assert!(
            after.insert(fourth.address.to_string()),
            "{} is given twice",
            fourth.address
        );
        assert_eq!(after.len(), before.len() + 3);
        self.admits(&guest);
        becomes("all have ports", || self.demo.pods().as_ref() == Some(&after));
        self.passes(lost_to);

        // Each is seen with its own address, by whoever it asks.
        for to in [early, late] {
            assert_eq!(ask_from(&first.namespace, to.echo), (first.address, to.name.clone()));
            assert_eq!(ask_from(guest.pod.name(), to.echo), (guest.address, to.name.clone()));
        }
        assert_eq!(guest.asked_from(&first.namespace), first.address);
        assert_eq!(guest.asked_from(fourth.pod.name()), fourth.address);
        for ((from, to), traffic) in ways.iter().zip(&traffic) {
            assert!(traffic.connects(), "from {from} to {to}");
            println!("{from} to {to}: at most {:?} without an answer", traffic.longest());
        }
        for host in watched {
            assert_eq!(host.taken_out(), [""; 0], "routes of pods");
        }
    }

    /// One epoch has begun, and tells what was found. Returns the newest revision that was lost.
    fn one_epoch(&self, guest: &Guest) -> u64 {
        let epochs: Value = self.demo.read("admin", "/portolan/v1/epochs").unwrap();
        let [epoch] = &epochs["items"].as_array().unwrap()[..] else {
            panic!("{epochs}")
        };
        println!("{}", epoch["reason"]["sentence"]);
        assert_eq!(epoch["nodes_found"], json!([guest.node]));
        assert_eq!(epoch["nodes_waiting"], json!(["node-3"]));
        // The second of node-2, and the unknown node's first.
        assert_eq!(epoch["blocks_found"], 2);
        assert_eq!(epoch["disputes"], json!([]));
        let (fork, lost_to) = (epoch["put_back_to"].as_u64(), epoch["lost_to"].as_u64().unwrap());
        assert!(fork < Some(lost_to), "{epoch}");
        let audit: Value = self
            .demo
            .read("admin", "/portolan/v1/support/audit?kind=epoch")
            .unwrap();
        let entries = audit["items"].as_array().unwrap();
        let objects = entries.iter().flat_map(|entry| entry["objects"].as_array().unwrap());
        let begun = |object: &&Value| object["kind"] == "epoch" && object["op"] == "create";
        assert_eq!(objects.filter(begun).count(), 1, "{audit}");
        lost_to
    }

    /// An administrator lets the unknown node in again.
    fn admits(&self, guest: &Guest) {
        let path = format!("{}/nodes/{}/admit", self.demo.cluster(), guest.node);
        let token = self.demo.log_in("admin").unwrap();
        self.demo.api.act(&path, &token).unwrap();
        becomes("it is a node again", || self.states() == [NodeState::Ready; 4]);
    }

    /// Writes until the new history has gone past the lost one.
    fn passes(&self, lost_to: u64) {
        let token = self.demo.log_in("demo").unwrap();
        let nodes = format!("{}/nodes", self.demo.cluster());
        becomes("the new history has gone past the lost one", || {
            let wanted = json!({ "network": { "name": "more" } });
            let made: Value = self.demo.api.write("/v2.0/networks", &token, &wanted).unwrap();
            let network = made["network"]["id"].as_str().unwrap();
            self.demo
                .api
                .delete(&format!("/v2.0/networks/{network}"), &token)
                .unwrap();
            let now: List<NodeRow> = self.demo.api.read(&nodes, &token).unwrap();
            now.revision > lost_to
        });
    }

    /// The control plane ends, something is done to its database, and it starts again.
    fn control_again(&self, work: impl FnOnce()) {
        self.lab.ask(&Request::ControlKill);
        work();
        self.lab.ask(&Request::ControlStart);
    }
}

fn all_addresses(report: &Report, guest: &Guest) -> BTreeSet<String> {
    let mut all = addresses(report);
    assert_eq!(all.len(), report.pods.len());
    assert!(
        all.insert(guest.address.to_string()),
        "{} is given twice",
        guest.address
    );
    all
}

/// A primary and a standby that has all of it so far and gets nothing more, with the story that goes on.
fn cut_off() -> Option<(Postgres, Postgres, String, Story)> {
    if !may_run() {
        return None;
    }
    let primary = Postgres::start()?;
    let standby = primary.standby();
    let database = Postgres::urls(&[&primary, &standby], &primary.database());
    let story = Story::begin(&database);
    primary.is_followed_by(&standby);
    standby.cut_off();
    Some((primary, standby, database, story))
}

/// Another replica of the control plane, without agents.
struct Replica {
    program: Running,
    demo: Demo,
}

impl Replica {
    fn start(story: &Story, database: &str) -> Self {
        let address = free_address();
        let mut command = Command::new(beside("portolan"));
        command.args(["serve", "--listen", &address.to_string(), "--database", database]);
        let log = story.lab.state.path().join("logs/replica.log");
        let mut program = Running::start("the replica", command, None, log).unwrap();
        let demo = Demo::at(address, &story.lab.report);
        becomes("the replica serves", || {
            program.alive().unwrap();
            demo.api.healthy()
        });
        Self { program, demo }
    }
}

impl Drop for Replica {
    fn drop(&mut self) {
        self.program.signal(Signal::KILL);
        self.program.finish(std::time::Instant::now() + IN_TIME);
    }
}

#[test]
fn what_a_promoted_standby_lacks_is_found_again_without_a_restart() {
    let Some((primary, standby, database, story)) = cut_off() else {
        return;
    };
    let replica = Replica::start(&story, &database);
    let of_before = replica.demo.log_in("demo").unwrap();
    story.is_found_again(|before| {
        let seen: Value = replica.demo.api.read(PODS, &of_before).unwrap();
        assert_eq!(addresses_in(&seen), *before, "it knows all that is lost");
        replica.program.signal(Signal::STOP);
        primary.kill();
        standby.promote();
    });

    // It stood still meanwhile. What waits for it is answered first, by what it knows.
    let (api, token) = (&replica.demo.api, of_before.as_str());
    let (listed, written) = thread::scope(|scope| {
        let listed = scope.spawn(|| api.read::<Value>(PODS, token));
        let wanted = json!({ "network": { "name": "ghost" } });
        let written = scope.spawn(move || api.write::<Value>("/v2.0/networks", token, &wanted));
        replica.program.signal(Signal::CONT);
        (listed.join().unwrap(), written.join().unwrap())
    });
    for answer in [listed, written] {
        // The session ended with the epoch, or the store is not there yet.
        let refused = answer.as_ref().err().and_then(ApiError::status);
        assert!(refused == Some(401) || refused == Some(503), "{answer:?}");
    }
    becomes("both list the same", || replica.demo.pods() == story.demo.pods());
    for demo in [&replica.demo, &story.demo] {
        let named: Value = demo.read("demo", "/v2.0/networks?name=ghost").unwrap();
        assert_eq!(named["networks"], json!([]));
    }
}

#[test]
fn what_a_promoted_standby_lacks_is_found_again_after_a_restart() {
    let Some((primary, standby, _, story)) = cut_off() else {
        return;
    };
    story.is_found_again(|_| {
        story.control_again(|| {
            primary.kill();
            standby.promote();
        });
    });
}

#[test]
fn what_a_dump_lacks_is_found_again_after_it_is_put_back() {
    if !may_run() {
        return;
    }
    let Some(postgres) = Postgres::start() else { return };
    let database = postgres.database();
    let story = Story::begin(&database);
    let dump = postgres.dump(&database);
    story.is_found_again(|_| {
        story.control_again(|| {
            postgres.take_away(&database);
            postgres.make(&database);
            postgres.fill(&database, &dump);
        });
    });
}
