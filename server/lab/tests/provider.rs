//! Clusters that take their nodes from the lab: hosts come and go with their nodes, whatever happens in between.

#![expect(
    clippy::disallowed_methods,
    reason = "a test runs in real time and reads its environment"
)]
#![expect(clippy::unwrap_used, reason = "a test may")]

mod common;

use std::collections::BTreeSet;
use std::fs;
use std::io::Read;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Instant;

use common::{IN_TIME, Lab, all_reach_all, beside, free_address, may_run};
use portolan_lab::api::Api;
use portolan_lab::children::Running;
use portolan_lab::netns::{self, Namespace};
use portolan_lab::protocol::{Host, Report, Request};
use portolan_lab::topology::{ENDPOINT, ENDPOINT_PORT};
use portolan_lab::wait::until;
use portolan_shared::ids::ClusterId;
use portolan_shared::v1::{ClusterRow, ClusterState, List, NodeRow, NodeState, One};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tempfile::TempDir;

/// Waits until it is so.
fn becomes(what: &str, mut look: impl FnMut() -> bool) {
    let seen = until(IN_TIME, || Ok::<_, ()>(look().then_some(())));
    assert_eq!(seen, Ok(Some(())), "it never is so that {what}");
}

/// Somebody who is logged in.
struct User {
    api: Api,
    token: String,
    project: String,
    /// Whether it sees all projects'.
    everywhere: bool,
}

impl User {
    fn of(lab: &Lab, name: &str) -> Self {
        let at = lab.report.url.strip_prefix("http://").unwrap().parse().unwrap();
        Self::at(at, name)
    }

    fn at(address: SocketAddr, name: &str) -> Self {
        let api = Api::new(address);
        let token = api.log_in(name, &format!("{name}-portolan"), name).unwrap();
        let found: Value = api.read("/v3/auth/projects", &token).unwrap();
        let projects = found["projects"].as_array().unwrap();
        let own = projects.iter().find(|project| project["name"] == name).unwrap();
        Self {
            project: own["id"].as_str().unwrap().to_owned(),
            everywhere: name == "admin",
            api,
            token,
        }
    }

    fn network(&self, name: &str, cidr: &str) -> (String, String) {
        let wanted = json!({ "network": { "name": name, "internet_access": true, "mtu": 1400 } });
        let made: Value = self.api.write("/v2.0/networks", &self.token, &wanted).unwrap();
        let network = made["network"]["id"].as_str().unwrap().to_owned();
        let wanted = json!({ "subnet": { "network_id": network, "cidr": cidr, "ip_version": 4 } });
        let made: Value = self.api.write("/v2.0/subnets", &self.token, &wanted).unwrap();
        (network, made["subnet"]["id"].as_str().unwrap().to_owned())
    }

    fn clusters(&self) -> String {
        format!("/portolan/v1/projects/{}/clusters", self.project)
    }

    /// A cluster with nodes from the lab, in that network or a private one.
    fn create(&self, name: &str, nodes: u32, place: Option<&(String, String)>) -> ClusterId {
        let mut wanted = json!({ "name": name, "nodes_from": "lab", "nodes": nodes });
        if let Some((network, subnet)) = place {
            wanted["network"] = json!(network);
            wanted["node_subnet"] = json!(subnet);
        }
        let made: One<ClusterRow> = self.api.write(&self.clusters(), &self.token, &wanted).unwrap();
        made.item.id
    }

    fn delete(&self, cluster: ClusterId) {
        self.api
            .delete(&format!("{}/{cluster}", self.clusters()), &self.token)
            .unwrap();
    }

    fn nodes(&self, cluster: ClusterId) -> Vec<NodeRow> {
        let path = format!("{}/{cluster}/nodes", self.clusters());
        let list: List<NodeRow> = self.api.read(&path, &self.token).unwrap();
        list.items
    }

    fn remove(&self, cluster: ClusterId, name: &str) {
        let nodes = self.nodes(cluster);
        let id = nodes.iter().find(|node| node.name == name).unwrap().id;
        let path = format!("{}/{cluster}/nodes/{id}", self.clusters());
        self.api.delete(&path, &self.token).unwrap();
    }

    /// Whether the cluster is ready: all its nodes joined, and their ports active.
    fn ready(&self, cluster: ClusterId, nodes: usize) -> bool {
        let shown: One<ClusterRow> = self
            .api
            .read(&format!("{}/{cluster}", self.clusters()), &self.token)
            .unwrap();
        let rows = self.nodes(cluster);
        shown.item.state == ClusterState::Ready
            && rows.len() == nodes
            && rows.iter().all(|row| {
                let port: Value = self
                    .api
                    .read(&format!("/v2.0/ports/{}", row.port), &self.token)
                    .unwrap();
                row.state == NodeState::Ready && port["port"]["status"] == "ACTIVE"
            })
    }

    /// Everything there is, as this user sees it.
    fn sees(&self) -> BTreeSet<String> {
        let clusters = match self.everywhere {
            true => "/portolan/v1/clusters".to_owned(),
            false => self.clusters(),
        };
        let lists = ["/v2.0/networks", "/v2.0/subnets", "/v2.0/ports", &clusters];
        let ids = lists.iter().flat_map(|list| {
            let shown: Value = self.api.read(list, &self.token).unwrap();
            let key = list.strip_prefix("/v2.0/").unwrap_or("items");
            let items = shown[key].as_array().unwrap().clone();
            items.into_iter().map(|item| item["id"].as_str().unwrap().to_owned())
        });
        ids.collect()
    }
}

/// Everything of a lab that the kernel and the disk hold.
fn holds(lab: &Lab) -> BTreeSet<String> {
    let mut all: BTreeSet<String> = lab.processes().iter().map(ToString::to_string).collect();
    all.extend(
        netns::list(&lab.prefix())
            .unwrap()
            .iter()
            .map(|one| one.name().to_owned()),
    );
    all.extend(links(&format!("{}switch", lab.prefix())));
    all.extend(disks(lab.state.path()));
    all.extend(
        fs::read_dir(Path::new("/run/portolan-lab").join(&lab.report.name))
            .unwrap()
            .map(|entry| {
                let path = entry.unwrap().path();
                path.display().to_string()
            }),
    );
    all
}

/// The links in a namespace, by name.
fn links(namespace: &str) -> Vec<String> {
    let shown = Command::new("ip")
        .args(["-n", namespace, "-j", "link"])
        .output()
        .unwrap();
    let links: Value = serde_json::from_slice(&shown.stdout).unwrap();
    let links = links.as_array().unwrap().iter();
    links.map(|link| link["ifname"].as_str().unwrap().to_owned()).collect()
}

/// How large a packet a host's link takes.
fn mtu(host: &Host) -> u64 {
    let shown = Command::new("ip")
        .args(["-n", &host.namespace, "-j", "link", "show", "eth0"])
        .output()
        .unwrap();
    let link: Value = serde_json::from_slice(&shown.stdout).unwrap();
    link[0]["mtu"].as_u64().unwrap()
}

/// The hosts that are written down.
fn disks(state: &Path) -> Vec<String> {
    let folders = |path: &Path| -> Vec<PathBuf> {
        let entries = fs::read_dir(path).into_iter().flatten();
        entries.map(|entry| entry.unwrap().path()).collect()
    };
    let clusters = folders(&state.join("hosts"));
    let hosts = clusters.iter().flat_map(|cluster| folders(cluster));
    hosts.map(|path| path.display().to_string()).collect()
}

fn hosts_of(report: &Report, cluster: ClusterId) -> Vec<Host> {
    let id = cluster.to_string();
    report
        .hosts
        .iter()
        .filter(|host| host.cluster.id == id)
        .cloned()
        .collect()
}

fn pod(lab: &Lab, cluster: &str, host: &str, name: &str) -> Report {
    lab.ask(&Request::PodAdd {
        cluster: Some(cluster.into()),
        host: host.into(),
        name: name.into(),
    })
}

#[test]
fn clusters_by_choice_are_ready_by_themselves_and_leave_nothing() {
    if !may_run() {
        return;
    }
    let lab = Lab::raise(&["--hosts", "1", "--pods", "1"]);
    let (demo, admin) = (User::of(&lab, "demo"), User::of(&lab, "admin"));
    let office = demo.network("office", "10.77.0.0/24");
    let before = (demo.sees(), admin.sees(), holds(&lab));

    let begin = Instant::now();
    let private = demo.create("web", 3, None);
    becomes("the private cluster is ready", || demo.ready(private, 3));
    println!(
        "three nodes of a private cluster, ACTIVE after {:.2} s",
        begin.elapsed().as_secs_f32()
    );
    let begin = Instant::now();
    let own = demo.create("crm", 3, Some(&office));
    becomes("the cluster in the office network is ready", || demo.ready(own, 3));
    println!(
        "three nodes in a network of the project's, ACTIVE after {:.2} s",
        begin.elapsed().as_secs_f32()
    );
    let second = demo.create("erp", 1, Some(&office));
    becomes("another cluster there is ready", || demo.ready(second, 1));

    // Hosts have the names and addresses of their nodes; a bridge a network, and one for the provider's.
    let report = lab.ask(&Request::Status);
    for (cluster, nodes, wide) in [(private, 3, 1500), (own, 3, 1400), (second, 1, 1400)] {
        let hosts = hosts_of(&report, cluster);
        assert_eq!(hosts.len(), nodes);
        assert!(hosts.iter().all(|host| mtu(host) == wide));
        for row in demo.nodes(cluster) {
            let host = hosts.iter().find(|host| host.name == row.name).unwrap();
            assert_eq!(row.addresses, [host.address]);
        }
    }
    let bridges = links(&format!("{}switch", lab.prefix()));
    assert_eq!(
        bridges.iter().filter(|name| name.starts_with("br-")).count(),
        4,
        "{bridges:?}"
    );

    // Two clusters in one network meet.
    let (there, here) = (&hosts_of(&report, second)[0], &hosts_of(&report, own)[0]);
    let listener = Namespace::named(&there.namespace)
        .within(|| TcpListener::bind((there.address, 0)))
        .unwrap()
        .unwrap();
    let to = listener.local_addr().unwrap();
    let met = Namespace::named(&here.namespace)
        .within(|| TcpStream::connect_timeout(&to, IN_TIME))
        .unwrap();
    assert_eq!(met.unwrap().local_addr().unwrap().ip(), here.address);
    drop(listener);

    for (cluster, host, name) in [("web", "node-1", "a"), ("web", "node-3", "b"), ("crm", "node-1", "c")] {
        pod(&lab, cluster, host, name);
    }
    let report = pod(&lab, "crm", "node-2", "d");
    assert_eq!(report.pods.len(), 5);
    all_reach_all(&report);

    for cluster in [private, own, second] {
        demo.delete(cluster);
    }
    becomes("nothing of them is left", || {
        (demo.sees(), admin.sees(), holds(&lab)) == before
    });
    // Neither in the store.
    let (sees, state) = (before.1, lab.crash());
    let (mut control, address) = control_alone(&state);
    assert_eq!(User::at(address, "admin").sees(), sees);
    control.signal(Signal::TERM);
    control.finish(Instant::now() + IN_TIME);
}

/// The control plane on a lab's database, without a lab.
fn control_alone(state: &TempDir) -> (Running, SocketAddr) {
    let address = free_address();
    let mut command = Command::new(beside("portolan"));
    let database = format!("sqlite:{}", state.path().join("portolan.db").display());
    command.args(["serve", "--listen", &address.to_string(), "--database", &database]);
    let mut running = Running::start("the control plane", command, None, state.path().join("alone.log")).unwrap();
    let api = Api::new(address);
    becomes("it serves", || {
        running.alive().unwrap_or_else(|error| panic!("{error}"));
        api.healthy()
    });
    (running, address)
}

#[test]
fn a_removed_node_loses_its_host_and_its_agent_is_refused() {
    if !may_run() {
        return;
    }
    let lab = Lab::raise(&["--hosts", "2", "--pods", "2"]);
    let demo = User::of(&lab, "demo");
    let cluster = lab.report.cluster.as_ref().unwrap().id.parse().unwrap();
    let lost = lab.report.hosts[lab.report.host(None, "node-2").unwrap()].clone();
    // Somebody keeps what the host's agent had.
    let kept = tempfile::tempdir().unwrap();
    let disk = lab.state.path().join("hosts").join(&lost.cluster.id).join("node-2");
    let copied = Command::new("cp")
        .arg("-a")
        .arg(&disk)
        .arg(kept.path().join("disk"))
        .status()
        .unwrap();
    assert!(copied.success());

    demo.remove(cluster, "node-2");
    let mut report = lab.ask(&Request::Status);
    becomes("the host is gone", || {
        report = lab.ask(&Request::Status);
        report.hosts.len() == 1
    });
    assert_eq!(report.hosts[0].name, "node-1");
    assert_eq!(
        report.pods.iter().map(|pod| pod.host.as_str()).collect::<Vec<_>>(),
        ["node-1"]
    );
    assert!(!Namespace::named(&lost.namespace).path().exists() && !disk.exists());
    // It does not come back: the cluster wants no more than it has.
    becomes("the cluster is ready with one node", || demo.ready(cluster, 1));
    assert_eq!(lab.ask(&Request::Status).hosts.len(), 1);

    let mut command = Command::new(beside("portolan-agent"));
    command.arg("run").arg("--state-dir").arg(kept.path().join("disk"));
    command.arg("--cni-socket").arg(kept.path().join("cni.sock"));
    // The lab clears up what bears its name.
    let probes = Namespace::named(format!("{}removed", lab.prefix()));
    command.arg("--probe-netns").arg(probes.path());
    let provider = Namespace::named(format!("{}provider", lab.prefix()));
    let reached = provider.within(|| TcpStream::connect((ENDPOINT, ENDPOINT_PORT)));
    assert!(reached.unwrap().is_ok(), "else it were refused nothing");
    let log = kept.path().join("log");
    let mut agent = Running::start("the removed agent", command, Some(&provider), log.clone()).unwrap();
    becomes("its certificate is refused", || {
        agent.alive().unwrap();
        fs::read_to_string(&log)
            .unwrap()
            .contains("was removed from its cluster")
    });
    agent.signal(Signal::KILL);
    agent.finish(Instant::now() + IN_TIME);
}

#[test]
fn killed_in_the_middle_a_lab_goes_on_where_it_was() {
    if !may_run() {
        return;
    }
    let options = ["--hosts", "1", "--pods", "0"];
    let lab = Lab::raise(&options);
    let cluster = User::of(&lab, "demo").create("web", 4, None);
    becomes("the first hosts stand", || {
        !hosts_of(&lab.ask(&Request::Status), cluster).is_empty()
    });
    let lab = Lab::raise_in(lab.crash(), &options, |_| ());

    let demo = User::of(&lab, "demo");
    becomes("the cluster is ready", || demo.ready(cluster, 4));
    let hosts = hosts_of(&lab.ask(&Request::Status), cluster);
    let names: BTreeSet<_> = hosts.iter().map(|host| host.name.as_str()).collect();
    assert_eq!(names, ["node-1", "node-2", "node-3", "node-4"].into());
}

#[test]
fn what_changed_while_no_lab_ran_is_caught_up_with() {
    if !may_run() {
        return;
    }
    let options = ["--hosts", "2", "--pods", "0"];
    let lab = Lab::raise(&options);
    let shop = lab.report.cluster.as_ref().unwrap().id.parse().unwrap();
    let web = User::of(&lab, "demo").create("web", 2, None);
    becomes("both clusters have their hosts", || {
        lab.ask(&Request::Status).hosts.len() == 4
    });
    let state: Arc<TempDir> = lab.crash();
    let (mut control, address) = control_alone(&state);
    let demo = User::at(address, "demo");
    demo.remove(shop, "node-1");
    demo.delete(web);
    let late = demo.create_by_command("late");
    control.signal(Signal::TERM);
    control.finish(Instant::now() + IN_TIME);

    let lab = Lab::raise_in(state, &options, |_| ());
    let demo = User::of(&lab, "demo");
    becomes("the demo's cluster is ready with what is left", || demo.ready(shop, 1));
    becomes("only its host is written down", || disks(lab.state.path()).len() == 1);
    assert_eq!(lab.ask(&Request::Status).hosts.len(), 1);
    // Clusters whose nodes come by command are not the lab's.
    assert!(demo.nodes(late).is_empty());
}

impl User {
    /// A cluster whose nodes come by join command.
    fn create_by_command(&self, name: &str) -> ClusterId {
        let wanted = json!({ "name": name, "nodes": 2 });
        let made: One<ClusterRow> = self.api.write(&self.clusters(), &self.token, &wanted).unwrap();
        made.item.id
    }
}

/// Programs as they are, but an agent called node-2 ends until a file is there.
fn moody_programs(dir: &Path) -> PathBuf {
    use std::os::unix::fs::PermissionsExt;
    for name in ["portolan", "portolan-cni"] {
        symlink(beside(name), dir.join(name)).unwrap();
    }
    let (agent, mood) = (dir.join("portolan-agent"), dir.join("good-mood"));
    let script = format!(
        "#!/bin/sh\ncase \"$*\" in *\"--name node-2 \"*)\n\
         if [ ! -e '{}' ]; then echo 'in no mood' >&2; exit 3; fi;; esac\nexec '{}' \"$@\"\n",
        mood.display(),
        beside("portolan-agent").display()
    );
    fs::write(&agent, script).unwrap();
    fs::set_permissions(&agent, fs::Permissions::from_mode(0o755)).unwrap();
    mood
}

#[test]
fn a_host_that_fails_is_tried_again_and_holds_no_other() {
    if !may_run() {
        return;
    }
    let programs = tempfile::tempdir().unwrap();
    let mood = moody_programs(programs.path());
    let mut lab = Lab::raise_with(&["--hosts", "1", "--pods", "0"], |command| {
        command.env("PORTOLAN_BIN_DIR", programs.path()).stderr(Stdio::piped());
    });
    let demo = User::of(&lab, "demo");
    let cluster = demo.create("web", 3, None);
    let ready = || -> BTreeSet<String> {
        let nodes = demo.nodes(cluster).into_iter();
        nodes
            .filter(|node| node.state == NodeState::Ready)
            .map(|node| node.name)
            .collect()
    };
    becomes("the others are ready", || {
        ready() == ["node-1".to_owned(), "node-3".to_owned()].into()
    });
    fs::write(mood, "").unwrap();
    becomes("all are", || demo.ready(cluster, 3));

    // An agent that dies later is started again too, and the lab does not mind.
    let host = hosts_of(&lab.ask(&Request::Status), cluster)[0].clone();
    let agent = host.agent.unwrap();
    kill_process(Pid::from_raw(i32::try_from(agent).unwrap()).unwrap(), Signal::KILL).unwrap();
    becomes("it runs anew", || {
        let hosts = hosts_of(&lab.ask(&Request::Status), cluster);
        let same = hosts.iter().find(|same| same.name == host.name);
        same.unwrap().agent.is_some_and(|anew| anew != agent)
    });

    let processes = lab.processes();
    lab.signal(Signal::TERM);
    let mut said = String::new();
    lab.child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    becomes("nothing is left", || lab.remains(&processes).is_empty());
    assert!(
        said.contains("host node-2 of web: the agent of node-2 in web ended by itself"),
        "{said}"
    );
    assert!(
        said.contains("in no mood") && said.contains("trying again in"),
        "{said}"
    );
}
