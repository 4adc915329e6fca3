//! A year of certificates in minutes: control planes that are off for days, hosts that are off for weeks, and clocks that
//! leap. At its end every host is a node that reports, or was told in words why it is none and what lets it in again.
//!
//! The time of day leaps from day to day for everybody, as after a pause in which no timer ran; in between everybody runs
//! for a while. So a year has some hours of timers in it.

#![expect(clippy::unwrap_used, reason = "tests, and helpers of tests")]

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use portolan_core::model::NodeStatus;
use portolan_shared::ids::NodeId;
use portolan_sim::check;
use portolan_sim::dice::Dice;
use portolan_sim::network::Reach;
use portolan_sim::world::{Size, World};
use tokio::time::{Instant, sleep};
use tracing::field::{Field, Visit};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};

const SIZE: Size = Size {
    servers: 2,
    hosts: 5,
    steps: 0,
    node_range: "10.0.0.0/22",
    pod_ranges: ["10.1.0.0/21"; 3],
};
/// Seconds of a day.
const DAY: i64 = 24 * 3600;
/// How long everybody runs each day.
const RUNS: Duration = Duration::from_secs(20);
/// How long it may take until all are back.
const BACK_AFTER: Duration = Duration::from_secs(5 * 60);
/// How long a wrong time of a commit keeps certificates back.
const BELIEVED_AFTER: Duration = Duration::from_secs(3600);

/// What agents and control planes say in their logs, as warnings and errors.
#[derive(Clone, Default)]
struct Said(Arc<Mutex<Vec<String>>>);

impl Said {
    /// Whether a line since it was last asked has all of this.
    fn since_then(&self, words: &[&str]) -> bool {
        let lines = std::mem::take(&mut *self.0.lock());
        lines.iter().any(|line| words.iter().all(|word| line.contains(word)))
    }
}

impl<S: tracing::Subscriber> Layer<S> for Said {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        if *event.metadata().level() > tracing::Level::WARN {
            return;
        }
        struct Line(String);
        impl Visit for Line {
            fn record_debug(&mut self, _: &Field, value: &dyn fmt::Debug) {
                self.0 += &format!("{value:?} ");
            }
            fn record_str(&mut self, _: &Field, value: &str) {
                self.0 += value;
                self.0.push(' ');
            }
        }
        let mut line = Line(String::new());
        event.record(&mut line);
        self.0.lock().push(line.0);
    }
}

struct Year {
    world: World,
    said: Said,
    day: i64,
}

impl Year {
    async fn begin(said: Said) -> Self {
        let mut world = World::new(1, Dice::new(1), SIZE).await.unwrap();
        for host in 0..SIZE.hosts {
            world.give_token(host, None).await;
            world.hosts[host].start().unwrap();
        }
        Self { world, said, day: 0 }
    }

    /// Days pass for everybody.
    async fn days(&mut self, days: i64) {
        for _ in 0..days {
            self.leap_all(DAY);
            self.day += 1;
            sleep(RUNS).await;
            check::at_once(&mut self.world).await.unwrap();
        }
    }

    /// As many days pass at once: whatever runs has not noticed.
    async fn days_at_once(&mut self, days: i64) {
        self.leap_all(days * DAY);
        self.day += days;
        sleep(RUNS).await;
    }

    fn leap_all(&self, seconds: i64) {
        self.world.cloud.clock.leap(seconds);
        for host in &self.world.hosts {
            host.clock.leap(seconds);
        }
    }

    async fn servers_off(&mut self) {
        for number in 0..SIZE.servers {
            self.world.kill_server(number).await;
        }
    }

    fn servers_on(&mut self) {
        for number in 0..SIZE.servers {
            self.world.start_server(number);
        }
    }

    fn status(&self, host: usize) -> Option<Arc<NodeStatus>> {
        let id = self.world.hosts[host].node()?;
        let control = self.world.control()?;
        control.read(|view| view.node_status(id).cloned())
    }

    /// Why a host's node is not well.
    fn amiss(&self, host: usize) -> Option<String> {
        let Some(status) = self.status(host) else {
            return Some(format!("host {host} is no node"));
        };
        let well = status.online && status.awaited.is_none() && status.copied.is_none();
        (!well).then(|| format!("host {host}: {status:?}"))
    }

    /// Waits until these hosts are nodes that report. Nobody helps.
    async fn back(&mut self, hosts: &[usize]) {
        let by = Instant::now() + BACK_AFTER;
        loop {
            let amiss = hosts.iter().find_map(|host| self.amiss(*host));
            let Some(amiss) = amiss else { return };
            assert!(Instant::now() < by, "on day {}: {amiss}", self.day);
            sleep(Duration::from_secs(1)).await;
            check::at_once(&mut self.world).await.unwrap();
        }
    }

    /// That within minutes a line is logged that has all of this.
    async fn hears(&self, words: &[&str]) {
        let by = Instant::now() + BACK_AFTER;
        while !self.said.since_then(words) {
            assert!(Instant::now() < by, "on day {} nobody says {words:?}", self.day);
            sleep(Duration::from_secs(1)).await;
        }
    }

    /// When the nodes of the hosts have joined: a token that is spent makes this later.
    fn joined(&self) -> Vec<(NodeId, Option<i64>)> {
        let control = self.world.control().unwrap();
        let of = |host: &portolan_sim::host::Host| {
            let id = host.node().unwrap();
            (id, control.read(|view| view.node(id).and_then(|node| node.joined_at)))
        };
        self.world.hosts.iter().map(of).collect()
    }
}

const ALL: [usize; 5] = [0, 1, 2, 3, 4];

/// The days of a year, and what happens on them.
async fn year(year: &mut Year) {
    year.back(&ALL).await;
    let joined = year.joined();
    year.days(20).await;
    year.back(&ALL).await;

    // The control plane is off for eight days while all hosts run on; and for as long, as a suspended machine.
    year.servers_off().await;
    year.days(8).await;
    year.servers_on();
    year.back(&ALL).await;
    year.servers_off().await;
    year.days_at_once(8).await;
    year.servers_on();
    year.back(&ALL).await;

    // Everything stands for a month: streams included, for all they know.
    year.days_at_once(31).await;
    year.back(&ALL).await;

    // One host is off for 30 days, one is asleep for ten.
    year.world.hosts[1].cut_power(0).await;
    year.world.network.set_reach(year.world.hosts[2].address, Reach::None);
    year.days(10).await;
    year.world.network.set_reach(year.world.hosts[2].address, Reach::Whole);
    year.back(&[0, 2, 3, 4]).await;
    year.days(20).await;
    year.world.hosts[1].start().unwrap();
    year.back(&ALL).await;

    // A host's clock leaps ahead by a year and back; another's is behind for days.
    year.world.hosts[0].clock.leap(365 * DAY);
    year.world.network.reset_host(year.world.hosts[0].address);
    year.hears(&["clock is", "past the end of the control plane's certificate"])
        .await;
    year.world.hosts[0].clock.leap(-365 * DAY);
    year.world.hosts[4].clock.leap(-5 * DAY);
    // Its agent begins anew: a TLS session that is resumed looks at no certificate.
    year.world.hosts[4].kill().await;
    year.world.hosts[4].start().unwrap();
    year.hears(&["clock is 5 days behind the control plane's certificate"])
        .await;
    year.world.hosts[4].clock.leap(5 * DAY);
    year.back(&ALL).await;
    assert_eq!(year.joined(), joined, "no token has let anybody in again");

    // One is off for 100 days: it hears why it is out, and what lets it in.
    year.world.hosts[3].cut_power(0).await;
    year.days(100).await;
    year.back(&[0, 1, 2, 4]).await;
    year.world.hosts[3].start().unwrap();
    year.hears(&["certificate of node node-3 ended at", "new join token for node-3"])
        .await;
    year.days(2).await;
    let node = year.world.hosts[3].node().unwrap();
    assert!(!year.status(3).unwrap().online);
    year.world.give_token(3, Some(node)).await;
    year.back(&ALL).await;
    assert_eq!(year.world.hosts[3].node(), Some(node), "it is the node it was");

    // The control plane's clock is three days behind: nothing is issued, it says so, and all are back once it is right.
    year.world.cloud.clock.leap(-3 * DAY);
    year.hears(&["clock says", "issues neither certificates nor join tokens"])
        .await;
    year.world.cloud.clock.leap(3 * DAY);
    year.back(&ALL).await;

    // It is a year ahead, and writes: afterwards its own commits are of the future, for an hour of running.
    year.world.cloud.clock.leap(365 * DAY);
    year.hears(&["clock is 365 days behind the control plane's certificate"])
        .await;
    year.world.cloud.clock.leap(-365 * DAY);
    sleep(BELIEVED_AFTER).await;
    year.days(1).await;
    year.back(&ALL).await;

    // A node is removed while its host is off for a month.
    year.world.hosts[2].cut_power(0).await;
    year.world.remove_node(2).await;
    year.days(30).await;
    year.world.hosts[2].start().unwrap();
    year.hears(&["this node was removed from its cluster", "new join token"])
        .await;
    year.world.give_token(2, None).await;
    year.back(&ALL).await;
    let rest = 365 - year.day;
    assert!(rest > 0, "{}", year.day);
    year.days(rest).await;
    year.back(&ALL).await;
    check::calm(&year.world).unwrap();
}

#[test]
fn in_a_year_of_pauses_and_leaps_everybody_comes_back_or_hears_what_lets_them_in() {
    let said = Said::default();
    let logs = tracing_subscriber::registry().with(said.clone());
    tracing::subscriber::with_default(logs, || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(async {
            let mut played = Year::begin(said).await;
            year(&mut played).await;
        });
    });
}
