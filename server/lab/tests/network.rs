//! Real packets: what the Kubernetes network model asks for holds between real namespaces, and goes on holding while
//! agents come and go.

#![expect(
    clippy::disallowed_methods,
    reason = "a test runs in real time and reads its environment"
)]
#![expect(clippy::unwrap_used, reason = "a test may")]

mod common;

use std::net::{SocketAddr, UdpSocket};
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use common::{IN_TIME, Lab, all_reach_all, may_run};
use portolan_lab::api::Api;
use portolan_lab::netns::Namespace;
use portolan_lab::protocol::{Report, Request};
use portolan_lab::wait::until;
use portolan_shared::v1::{List, NodeRow, NodeState};
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{AddressFamily, RecvFlags, SocketFlags, SocketType, bind, recv, socket_with};

/// Packets that a stream has under way at most: fewer than the least buffer on their way takes, so that none is lost for
/// somebody's being kept from a busy processor.
const UNDER_WAY: u64 = 64;
/// Packets that a stream is of at least: fewer say little.
const ENOUGH: u64 = 1_000;

#[test]
fn every_pod_and_node_reaches_every_pod_without_nat() {
    if !may_run() {
        return;
    }
    let lab = Lab::raise(&["--hosts", "3", "--pods", "6"]);
    assert_eq!((lab.report.hosts.len(), lab.report.pods.len()), (3, 6));
    let mut addresses: Vec<_> = lab.report.pods.iter().map(|pod| pod.address).collect();
    addresses.sort();
    addresses.dedup();
    assert_eq!(addresses.len(), 6, "every pod has an address of its own");
    all_reach_all(&lab.report);

    // A pod that comes later is reached by all, and one that went leaves the others alone.
    let grown = lab.ask(&Request::PodAdd {
        cluster: None,
        host: "node-2".into(),
        name: "web-7".into(),
    });
    all_reach_all(&grown);
    let shrunk = lab.ask(&Request::PodDel {
        cluster: None,
        host: None,
        name: "web-1".into(),
    });
    assert_eq!(shrunk.pods.len(), 6);
    all_reach_all(&shrunk);
}

/// Listens for changes of links, addresses and routes inside a namespace.
fn watch(namespace: &str) -> OwnedFd {
    // RTMGRP_LINK, IPV4_IFADDR, IPV4_ROUTE, IPV6_IFADDR, IPV6_ROUTE of linux/rtnetlink.h.
    const GROUPS: u32 = 0x1 | 0x10 | 0x40 | 0x100 | 0x400;
    let open = || {
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        // No protocol is protocol 0: NETLINK_ROUTE.
        let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, None).unwrap();
        bind(&socket, &SocketAddrNetlink::new(0, GROUPS)).unwrap();
        socket
    };
    Namespace::named(namespace).within(open).unwrap()
}

/// How many notifications have come since the last look.
fn notified(watch: &OwnedFd) -> usize {
    let mut buffer = vec![0_u8; 64 * 1024];
    std::iter::from_fn(|| recv(watch, &mut buffer[..], RecvFlags::empty()).ok()).count()
}

/// Waits until the kernel has nothing more to tell of what was done before (IPv6 takes its time with new addresses).
fn settle(watches: &[(String, OwnedFd)]) {
    let mut quiet_since = Instant::now();
    let settled = until(IN_TIME, || {
        if watches.iter().map(|(_, watch)| notified(watch)).sum::<usize>() > 0 {
            quiet_since = Instant::now();
        }
        Ok::<_, ()>((quiet_since.elapsed() > Duration::from_secs(3)).then_some(()))
    });
    assert_eq!(settled, Ok(Some(())), "the kernel never comes to rest");
}

/// Sends a numbered datagram every millisecond until told to stop, and enough of them. Returns how many went out and how
/// many came back.
fn stream(from: &str, to: SocketAddr, stop: &AtomicBool) -> (u64, u64) {
    let socket = Namespace::named(from)
        .within(|| UdpSocket::bind("0.0.0.0:0"))
        .unwrap()
        .unwrap();
    socket.connect(to).unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
    let (mut sent, mut back) = (0_u64, 0);
    let mut buffer = [0; 8];
    let mut take = |back: &mut u64| {
        if socket.recv(&mut buffer).is_ok() {
            *back += 1;
        }
    };
    let mut due = Instant::now();
    let by = Instant::now() + IN_TIME;
    while !stop.load(Ordering::Relaxed) || (sent < ENOUGH && Instant::now() < by) {
        if Instant::now() >= due && sent - back < UNDER_WAY {
            due += Duration::from_millis(1);
            socket.send(&sent.to_be_bytes()).unwrap();
            sent += 1;
        }
        take(&mut back);
    }
    let _ = until(IN_TIME, || {
        take(&mut back);
        Ok::<_, ()>((back == sent).then_some(()))
    });
    (sent, back)
}

/// The state of a node, as the console shows it.
fn state_of(api: &Api, token: &str, report: &Report, node: &str) -> NodeState {
    let cluster = report.cluster.as_ref().unwrap();
    let path = format!(
        "/portolan/v1/projects/{}/clusters/{}/nodes",
        cluster.project_id, cluster.id
    );
    let nodes: List<NodeRow> = api.read(&path, token).unwrap();
    nodes.items.iter().find(|row| row.name == node).unwrap().state
}

#[test]
fn an_agent_killed_and_started_loses_no_packet_and_writes_nothing() {
    if !may_run() {
        return;
    }
    let rounds = if std::env::var_os("PORTOLAN_THOROUGH").is_some() {
        20
    } else {
        1
    };
    let lab = Lab::raise(&["--hosts", "3", "--pods", "3"]);
    let report = &lab.report;
    let listen = report.url.strip_prefix("http://").unwrap().parse().unwrap();
    let api = Api::new(listen);
    let demo = report.users.iter().find(|user| user.name == "demo").unwrap();
    let token = api.log_in(&demo.name, &demo.password, &demo.project).unwrap();
    let becomes = |node: &str, what: &str, wanted: fn(NodeState) -> bool| {
        let seen = until(IN_TIME, || {
            Ok::<_, ()>(wanted(state_of(&api, &token, report, node)).then_some(()))
        });
        assert_eq!(seen, Ok(Some(())), "{node} never becomes {what}");
    };

    let names = report
        .hosts
        .iter()
        .map(|host| &host.namespace)
        .chain(report.pods.iter().map(|pod| &pod.namespace));
    let watches: Vec<_> = names.map(|name| (name.clone(), watch(name))).collect();
    settle(&watches);

    let stop = AtomicBool::new(false);
    let pods = &report.pods;
    let ways = [
        (&pods[0].namespace, pods[1].echo),
        (&pods[1].namespace, pods[2].echo),
        (&report.hosts[2].namespace, pods[0].echo),
    ];
    let stop = &stop;
    let streams = thread::scope(|scope| {
        let running = ways.map(|(from, to)| scope.spawn(move || stream(from, to, stop)));
        let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            for _ in 0..rounds {
                for host in ["node-1", "node-2"] {
                    lab.ask(&Request::AgentKill {
                        cluster: None,
                        host: host.into(),
                    });
                    becomes(host, "silent", |state| state == NodeState::Silent);
                    lab.ask(&Request::AgentStart {
                        cluster: None,
                        host: host.into(),
                    });
                    becomes(host, "ready", |state| state == NodeState::Ready);
                }
            }
        }));
        stop.store(true, Ordering::Relaxed);
        let streams = running.map(|stream| stream.join().unwrap());
        done.map(|()| streams)
    });
    let streams = streams.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    for (sent, back) in streams {
        assert!(sent >= ENOUGH, "after {back} answers there was none");
        assert_eq!(sent - back, 0, "of {sent} packets");
    }
    let written: Vec<_> = watches
        .iter()
        .map(|(name, watch)| (name, notified(watch)))
        .filter(|(_, n)| *n > 0)
        .collect();
    assert!(written.is_empty(), "changes in the kernel: {written:?}");

    // And they are agents as before.
    let grown = lab.ask(&Request::PodAdd {
        cluster: None,
        host: "node-1".into(),
        name: "after".into(),
    });
    all_reach_all(&grown);
}
