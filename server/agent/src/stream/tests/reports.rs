//! Reports of pods: until they are acknowledged, and of everything where that is owed.

use super::*;

#[tokio::test]
async fn pods_are_told_until_they_are_acknowledged() {
    let pods = Rig::new(&["10.1.0.0/26"]);
    let (one, two) = (pods.sandbox(1), pods.sandbox(2));
    let rig = Rigged::new(pods.pods, now()).await;
    let mut peer = rig.settled(5).await;
    let added = rig.pods.add(&one).unwrap();
    let report = peer.report().await;
    assert!(!report.full);
    assert_eq!(report.allocations[0].id, added.allocation.id.as_bytes());
    assert_eq!(report.allocations[0].pod_name, "web-1");
    let first = report.seq;
    // Never acknowledged: told again on the next connection, with what came meanwhile.
    drop(peer);
    rig.pods.add(&two).unwrap();
    rig.pods.remove(&one.container, &one.ifname).unwrap();
    let (mut peer, _) = rig.connection().await;
    peer.send(Out::Welcome(welcome(true, 0))).await;
    peer.send(Out::Progress(Progress {
        head: 5,
        position: None,
        ..Progress::default()
    }))
    .await;
    let report = loop {
        if let In::Pods(report) = peer.next().await {
            break report;
        }
    };
    assert!(report.seq > first && !report.full);
    assert_eq!(report.allocations.len(), 1);
    assert_eq!(report.releases[0].id, added.allocation.id.as_bytes());
    peer.send(Out::PodAck(PodAck {
        seq: report.seq,
        refused: vec![],
    }))
    .await;
    let newest = report.seq;
    drop(peer);
    // The control plane has all of it: there is nothing to tell but what the kernel holds.
    let (mut peer, _) = rig.connection().await;
    peer.send(Out::Welcome(welcome(true, newest))).await;
    peer.send(Out::Progress(Progress {
        head: 9,
        position: None,
        ..Progress::default()
    }))
    .await;
    loop {
        match peer.next().await {
            In::Applied(told) if told.revision == 9 => break,
            In::Applied(_) => {}
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn the_first_report_is_of_everything_until_it_is_acknowledged() {
    let pods = Rig::new(&["10.1.0.0/26"]);
    for n in 1..=3 {
        pods.pods.add(&pods.sandbox(n)).unwrap();
    }
    let rig = Rigged::new(pods.pods, now()).await;
    let (mut peer, _) = rig.connection().await;
    // The control plane knows the newest number already, and has lost what it stands for.
    peer.send(Out::Welcome(welcome(false, 3))).await;
    assert!(peer.report().await.full);
    drop(peer);
    let (mut peer, _) = rig.connection().await;
    peer.send(Out::Welcome(Welcome {
        pod_report_part: 2,
        ..welcome(false, 3)
    }))
    .await;
    let (first, second) = (peer.report().await, peer.report().await);
    assert!(first.full && second.full, "nobody has acknowledged it");
    assert_eq!((first.allocations.len(), first.more), (2, true));
    assert_eq!((second.allocations.len(), second.more), (1, false));
    peer.send(Out::PodAck(PodAck {
        seq: 3,
        refused: vec![],
    }))
    .await;
    peer.send(Out::Snapshot(snapshot(5))).await;
    peer.send(Out::Progress(Progress {
        head: 5,
        position: None,
        ..Progress::default()
    }))
    .await;
    loop {
        match peer.next().await {
            In::Applied(told) if told.revision == 5 => break,
            In::Applied(_) => {}
            other => panic!("nothing else is owed: {other:?}"),
        }
    }
    drop(peer);
    let (mut peer, _) = rig.connection().await;
    peer.send(Out::Welcome(welcome(true, 3))).await;
    peer.send(Out::Progress(Progress {
        head: 9,
        position: None,
        ..Progress::default()
    }))
    .await;
    loop {
        match peer.next().await {
            In::Applied(told) if told.revision == 9 => break,
            In::Applied(_) => {}
            other => panic!("nothing else is owed: {other:?}"),
        }
    }
    drop(peer);

    // A ticket that does not follow the one that was shown: another stream had one in between, perhaps a copy's.
    let with = |number| Welcome {
        ticket: Some(Ticket {
            number,
            proof: Vec::new(),
        }),
        ..welcome(true, 3)
    };
    let (mut peer, _) = rig.connection().await;
    peer.send(Out::Welcome(with(1))).await;
    assert!(matches!(peer.next().await, In::Applied(_)), "it goes on where it was");
    drop(peer);
    let (mut peer, _) = rig.connection().await;
    peer.send(Out::Welcome(with(3))).await;
    let report = loop {
        match peer.next().await {
            In::Pods(report) => break report,
            In::Applied(_) => {}
            other => panic!("a report is owed: {other:?}"),
        }
    };
    assert!(report.full);
}

#[tokio::test]
async fn a_lost_log_goes_on_after_what_the_control_plane_knows() {
    let pods = Rig::new(&["10.1.0.0/26"]);
    let sandbox = pods.sandbox(1);
    let rig = Rigged::new(pods.pods, now()).await;
    let (mut peer, _) = rig.connection().await;
    peer.send(Out::Welcome(welcome(false, 40))).await;
    let report = peer.report().await;
    assert!(report.full && report.seq >= 40);
    peer.send(Out::PodAck(PodAck {
        seq: report.seq,
        refused: vec![],
    }))
    .await;
    rig.pods.add(&sandbox).unwrap();
    let report = peer.report().await;
    assert!(report.seq > 40 && report.allocations[0].seq > 40);
}
