//! The lab as a provider of nodes: it follows the control plane, and makes and takes away hosts so that clusters which
//! take their nodes from the lab have them. What to do is decided by [`crate::plan`]; here it is done, one step at a
//! time, so that whoever asks the lab something in between is answered.

use std::collections::BTreeMap;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::hosts::Hosts;
use super::{LabError, at};
use crate::api::nodes::Admin;
use crate::plan::{Cluster, HostKey, Known, Node, Pause, Step, Verb, back_off, next_due, plan};
use crate::records::{Record, Records};
use crate::watch::Watch;

/// How long between two looks at what is wanted, at least: a busy cluster changes all the time.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// How long after a look that failed.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// What is known of one host.
#[derive(Debug)]
struct Entry {
    record: Record,
    stands: bool,
    pause: Option<Pause>,
    failures: u32,
    trouble: Option<String>,
}

impl Entry {
    fn new(record: Record) -> Self {
        Self {
            record,
            stands: false,
            pause: None,
            failures: 0,
            trouble: None,
        }
    }

    /// Whether its agent can go on as that node. One that has lost what it joined with, as one that does not last may have,
    /// needs a new token: the old one is spent.
    fn has_joined_as(&self, node: &Node, keeps_identity: bool) -> bool {
        node.joined() && self.record.node == Some(node.id) && self.failures == 0 && keeps_identity
    }
}

/// The lab's part that makes nodes.
#[derive(Debug)]
pub(super) struct Provider {
    admin: Admin,
    watch: Watch,
    records: Records,
    book: BTreeMap<HostKey, Entry>,
    /// What is wanted; nothing before the first look, so that nothing is taken away for not being known.
    clusters: Option<Vec<Cluster>>,
    begun: Instant,
    /// When the next look is due.
    look: Option<Duration>,
    looked: Duration,
    /// What the last look failed with.
    blind: Option<String>,
    tell: fn(&str),
}

impl Provider {
    /// Begins to follow the control plane. `disks` is where hosts are written down.
    pub(super) fn start(admin: Admin, disks: PathBuf, tell: fn(&str)) -> Result<Self, LabError> {
        let records = Records::new(disks.clone());
        let kept = records.all().map_err(at(disks.display().to_string()))?;
        let watch = Watch::start(admin.clone()).map_err(at("follow the control plane"))?;
        Ok(Self {
            admin,
            watch,
            records,
            book: kept
                .into_iter()
                .map(|(key, record)| (key, Entry::new(record)))
                .collect(),
            clusters: None,
            begun: Instant::now(),
            look: None,
            looked: Duration::ZERO,
            blind: None,
            tell,
        })
    }

    /// What there is to poll for.
    pub(super) fn bell(&self) -> BorrowedFd<'_> {
        self.watch.as_fd()
    }

    /// How long there is nothing to do, if nobody rings.
    pub(super) fn idle(&self) -> Option<Duration> {
        let now = self.begun.elapsed();
        let due = [self.look, next_due(&self.known(), now)].into_iter().flatten().min();
        due.map(|due| due.saturating_sub(now))
    }

    /// Whether a cluster has all its nodes, and they are ready.
    pub(super) fn ready(&self, cluster: &str) -> bool {
        let clusters = self.clusters.iter().flatten();
        clusters
            .into_iter()
            .any(|one| one.id.to_string() == cluster && one.ready())
    }

    /// What does not work just now, for a person.
    pub(super) fn troubles(&self) -> Vec<String> {
        let hosts = self.book.iter().filter_map(|(key, entry)| {
            let trouble = entry.trouble.as_ref()?;
            Some(format!("{}: {trouble}", self.called(key)))
        });
        self.blind.iter().cloned().chain(hosts).collect()
    }

    /// Where a host finds its join token.
    pub(super) fn token(&self, key: &HostKey) -> PathBuf {
        self.records.token(key)
    }

    /// Looks, if there is a reason to, and does the next thing there is to do. Whether there was one.
    pub(super) fn turn(&mut self, hosts: &mut Hosts) -> bool {
        for (key, error) in hosts.ended() {
            if let Some(entry) = self.book.get_mut(&key) {
                entry.stands = false;
            }
            self.failed(&key, Verb::Make, &error.to_string());
        }
        if self.watch.rung() {
            let soon = self.begun.elapsed().max(self.looked + LOOK_EVERY);
            self.look = Some(self.look.map_or(soon, |due| due.min(soon)));
        }
        let now = self.begun.elapsed();
        if self.look.is_some_and(|due| due <= now) {
            self.look();
        }
        let steps = plan(self.clusters.as_deref().unwrap_or_default(), &self.known(), now);
        let Some(step) = steps.into_iter().next().filter(|_| self.clusters.is_some()) else {
            return false;
        };
        self.perform(&step, hosts);
        true
    }

    fn known(&self) -> BTreeMap<HostKey, Known> {
        let known = |entry: &Entry| Known {
            node: entry.record.node,
            stands: entry.stands,
            pause: entry.pause,
        };
        self.book
            .iter()
            .map(|(key, entry)| (key.clone(), known(entry)))
            .collect()
    }

    /// Reads what is wanted.
    fn look(&mut self) {
        self.looked = self.begun.elapsed();
        self.look = None;
        match self.admin.clusters() {
            Ok(clusters) => {
                for cluster in &clusters {
                    for node in cluster.nodes.iter().filter(|node| node.ready()) {
                        let key = HostKey {
                            cluster: cluster.id,
                            name: node.name.clone(),
                        };
                        if let Some(entry) = self.book.get_mut(&key).filter(|entry| entry.stands) {
                            (entry.failures, entry.trouble) = (0, None);
                        }
                    }
                }
                self.clusters = Some(clusters);
                self.blind = None;
            }
            Err(error) => {
                let trouble = error.to_string();
                if self.blind.as_ref() != Some(&trouble) {
                    (self.tell)(&format!("cannot see what hosts are wanted: {trouble}"));
                }
                self.blind = Some(trouble);
                self.look = Some(self.looked + LOOK_AGAIN);
            }
        }
    }

    fn perform(&mut self, step: &Step, hosts: &mut Hosts) {
        let key = step.host();
        let done = match step.verb() {
            Verb::Make => self.make(key, hosts),
            Verb::Remove => self.remove(key, hosts),
        };
        if let Err(error) = done {
            self.failed(key, step.verb(), &error.to_string());
            // Perhaps because what is wanted has changed.
            self.look = Some(self.begun.elapsed());
        }
    }

    /// Makes whatever a host lacks: its node first, then namespace, links and agent.
    fn make(&mut self, key: &HostKey, hosts: &mut Hosts) -> Result<(), LabError> {
        let clusters = self.clusters.iter().flatten();
        let Some(cluster) = clusters.into_iter().find(|cluster| cluster.id == key.cluster).cloned() else {
            return Ok(());
        };
        let asked = Record {
            key: new_key(),
            node: None,
        };
        let entry = self.book.entry(key.clone()).or_insert_with(|| Entry::new(asked));
        let keeps_identity = self.records.has_joined(key);
        let joined = cluster
            .node(&key.name)
            .filter(|node| entry.has_joined_as(node, keeps_identity));
        let node = match joined {
            Some(node) => node.clone(),
            None => match self.ask_for_node(&cluster, key)? {
                Some(node) => node,
                None => return Ok(()),
            },
        };
        let index = hosts.plug(&cluster, &node, self.records.folder(key))?;
        hosts.start_agent(index, &self.records.token(key))?;
        if let Some(entry) = self.book.get_mut(key) {
            (entry.stands, entry.pause) = (true, None);
        }
        (self.tell)(&format!("{} at {}", self.called(key), node.address));
        Ok(())
    }

    /// The node of a host and a token to join as it, both on the host's disk before anything else is done. Nothing when
    /// the name turns out to be somebody else's.
    fn ask_for_node(&mut self, cluster: &Cluster, key: &HostKey) -> Result<Option<Node>, LabError> {
        let Some(entry) = self.book.get_mut(key) else {
            return Ok(None);
        };
        let disk = self.records.folder(key).display().to_string();
        self.records.keep(key, &entry.record).map_err(at(&disk))?;
        let made = self.admin.make_node(cluster, &key.name, &entry.record.key);
        let (node, token) = match made {
            Err(refused) if entry.record.node.is_none() && refused.code() == Some("node.name_taken") => {
                self.forget(key)?;
                self.look = Some(self.begun.elapsed());
                return Ok(None);
            }
            Err(refused) => {
                if entry.record.node.is_none() && refused.status().is_some_and(|status| status < 500) {
                    // Whatever was made with the old key is gone.
                    entry.record.key = new_key();
                }
                return Err(refused.into());
            }
            Ok(made) => made,
        };
        entry.record.node = Some(node.id);
        self.records.keep(key, &entry.record).map_err(at(&disk))?;
        self.records.keep_token(key, &token).map_err(at(&disk))?;
        // So that the next plan knows of it without another look.
        let clusters = self.clusters.iter_mut().flatten();
        if let Some(cluster) = clusters.into_iter().find(|one| one.id == cluster.id) {
            cluster.nodes.retain(|other| other.name != node.name);
            cluster.nodes.push(node.clone());
        }
        Ok(Some(node))
    }

    fn remove(&mut self, key: &HostKey, hosts: &mut Hosts) -> Result<(), LabError> {
        let index = hosts.find(key);
        let called = index.map_or_else(|| self.called(key), |index| hosts.all[index].called());
        if let Some(index) = index {
            hosts.unplug(index)?;
        }
        self.forget(key)?;
        (self.tell)(&format!("{called} is gone"));
        Ok(())
    }

    fn forget(&mut self, key: &HostKey) -> Result<(), LabError> {
        let forgotten = self.records.forget(key);
        forgotten.map_err(at(self.records.folder(key).display().to_string()))?;
        self.book.remove(key);
        Ok(())
    }

    /// A step or an agent failed: said, and left alone for a while.
    fn failed(&mut self, key: &HostKey, verb: Verb, trouble: &str) {
        let called = self.called(key);
        let Some(entry) = self.book.get_mut(key) else { return };
        entry.failures = entry.failures.saturating_add(1);
        let wait = back_off(entry.failures);
        entry.pause = Some(Pause {
            verb,
            until: self.begun.elapsed() + wait,
        });
        (self.tell)(&format!(
            "{called}: {trouble}; trying again in {:.1} s",
            wait.as_secs_f32()
        ));
        entry.trouble = Some(trouble.to_owned());
    }

    /// A host, for a person.
    fn called(&self, key: &HostKey) -> String {
        let clusters = self.clusters.iter().flatten();
        let cluster = clusters.into_iter().find(|cluster| cluster.id == key.cluster);
        let cluster = cluster.map_or_else(|| key.cluster.to_string(), |cluster| cluster.name.clone());
        format!("host {} of {cluster}", key.name)
    }
}

/// An idempotency key that was never used.
fn new_key() -> String {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    format!(
        "lab-{:x}-{:x}",
        std::process::id(),
        since.unwrap_or_default().as_nanos()
    )
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use portolan_shared::ids::NodeId;
    use portolan_shared::v1::NodeState;

    use super::*;

    #[test]
    fn a_host_goes_on_as_its_node_only_with_what_it_joined_with() {
        let node = |state| Node {
            id: NodeId::from_bytes([1; 16]),
            name: "node-1".into(),
            address: Ipv4Addr::LOCALHOST.into(),
            state,
        };
        let entry = |node| Entry::new(Record { key: new_key(), node });
        let (ready, ours) = (node(NodeState::Ready), entry(Some(NodeId::from_bytes([1; 16]))));
        assert!(ours.has_joined_as(&ready, true));
        assert!(!ours.has_joined_as(&ready, false), "its disk is empty");
        assert!(!ours.has_joined_as(&node(NodeState::Expected), true));
        assert!(!entry(Some(NodeId::from_bytes([2; 16]))).has_joined_as(&ready, true));
        let fails = Entry { failures: 1, ..ours };
        assert!(!fails.has_joined_as(&ready, true), "perhaps for want of it");
    }
}
