//! Certificates that have ended, by the clock of the host or of the control plane.

use super::*;

#[tokio::test]
async fn a_node_that_was_off_for_longer_than_its_certificate_lasts_comes_back_by_itself() {
    let rig = Rig::new().await;
    let (now, before) = (rig.clock.now(), rig.expired());
    // Nobody has given it a token.
    let agent = rig.open_with(None, None).unwrap();
    let playing = async {
        let csr = rig.renew(None).await;
        assert_eq!(csr[3..100], before.request().unwrap()[3..100], "the key it has");
        // And then it connects as any node.
        rig.connected().await;
    };
    tokio::select! {
        ended = agent.run(pending()) => panic!("it lives on: {ended:?}"),
        done = timeout(PATIENCE, playing) => done.unwrap(),
    }
    let kept = Identity::load(&rig.disk(), Path::new("/state")).unwrap().unwrap();
    assert_eq!(kept.node(), OWN);
    assert!(!kept.has_expired(now));
}

#[tokio::test]
async fn a_node_whose_stream_is_refused_for_its_certificate_renews_it_whatever_its_own_clock_says() {
    let rig = Rig::new().await;
    rig.authority
        .identity(&rig.disk(), Path::new("/state"), OWN, rig.clock.now());
    let agent = rig.open_with(None, None).unwrap();
    let playing = async {
        let mut peer = rig.connected().await;
        let refused = Refused {
            code: CERTIFICATE_EXPIRED.to_owned(),
            sentence: "Ended.".to_owned(),
            retry: false,
        };
        tell(&mut peer, to_agent::Message::Refused(refused)).await;
        rig.renew(None).await;
        rig.connected().await;
    };
    tokio::select! {
        ended = agent.run(pending()) => panic!("it lives on: {ended:?}"),
        done = timeout(PATIENCE, playing) => done.unwrap(),
    }
}

#[tokio::test]
async fn a_node_that_is_suspended_for_days_renews_its_certificate_also_on_a_disk_that_takes_nothing() {
    let rig = Rig::new().await;
    rig.authority
        .identity(&rig.disk(), Path::new("/state"), OWN, rig.clock.now());
    let agent = rig.open_with(None, None).unwrap();
    let playing = async {
        let peer = rig.connected().await;
        // No timer has moved meanwhile.
        rig.clock.advance(CERTIFICATE_LIFE * 2);
        drop(peer);
        rig.files.fail_replaces(usize::MAX);
        rig.renew(None).await;
        rig.connected().await;
    };
    tokio::select! {
        ended = agent.run(pending()) => panic!("it lives on: {ended:?}"),
        done = timeout(PATIENCE, playing) => done.unwrap(),
    }
}

#[tokio::test]
async fn a_node_that_was_removed_while_it_was_off_hears_so_when_it_renews_its_certificate() {
    let rig = Rig::new().await;
    rig.expired();
    rig.give_token(1);
    let agent = rig.open_with_file();
    let playing = async {
        rig.renew(Some("node.removed")).await;
        parts(&rig, "node.removed").await;
        assert!(agent.pods.usage().removed);
        assert_eq!(rig.answer(Some("token.spent")).await, 1);
        // The store was put back to when it was one.
        a_minute().await;
        parts(&rig, CERTIFICATE_EXPIRED).await;
        rig.renew(None).await;
        rig.connected().await;
        assert!(!agent.pods.usage().removed);
    };
    tokio::select! {
        ended = agent.run(pending()) => panic!("it lives on: {ended:?}"),
        done = timeout(PATIENCE * 10, playing) => done.unwrap(),
    }
}

#[tokio::test]
async fn a_running_node_whose_certificate_is_not_renewed_any_more_takes_a_new_token() {
    let rig = Rig::new().await;
    rig.expired();
    rig.give_token(1);
    let agent = rig.open_with_file();
    let playing = async {
        rig.renew(Some("certificate.too_old")).await;
        assert_eq!(rig.answer(Some("token.spent")).await, 1);
        a_minute().await;
        // The token that was refused is not shown again; the certificate may be renewed after all.
        rig.renew(Some("certificate.too_old")).await;
        rig.give_token(2);
        a_minute().await;
        rig.renew(Some("certificate.too_old")).await;
        assert_eq!(rig.let_in().await.token_id[0], 2);
        rig.connected().await;
    };
    tokio::select! {
        ended = agent.run(pending()) => panic!("it lives on: {ended:?}"),
        done = timeout(PATIENCE * 10, playing) => done.unwrap(),
    }
}
