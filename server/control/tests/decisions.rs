//! What the writer decides, through the handle, on SQLite.

mod common;

use common::{
    Kit, addresses, admin, code, ip, new_network, new_port, new_subnet, options, port, port_at, subnet, user,
};
use portolan_control::control::{Control, OpenOptions};
use portolan_control::feed::Next;
use portolan_core::change::Op;
use portolan_core::command::{
    Command, Delete, FixedIpRequest, NetworkChange, NewPort, Outcome, PortChange, Repetition, Request, SubnetChange,
};
use portolan_core::model::{KeptAnswer, Object, ObjectKind};
use portolan_core::quotas::Quotas;
use portolan_shared::addr::IpRange;
use portolan_shared::refusal::Refusal;

#[tokio::test]
async fn ports_get_one_address_of_each_family_in_creation_order() {
    let kit = Kit::new().await;
    let network = kit.network().await;
    let bare = kit.any_port(network).await.unwrap();
    assert!(bare.fixed_ips.is_empty(), "a network without subnets gives none");
    kit.subnet(network, "10.0.0.0/30").await;
    kit.subnet(network, "10.0.1.0/24").await;
    kit.subnet(network, "2001:db8::/64").await;
    let first = kit.any_port(network).await.unwrap();
    assert_eq!(addresses(&first), ["10.0.0.2", "2001:db8::2"]);
    let second = kit.any_port(network).await.unwrap();
    assert_eq!(
        addresses(&second),
        ["10.0.1.2", "2001:db8::3"],
        "the first subnet is full"
    );
    assert_ne!(first.mac, second.mac);
    assert!(first.mac.to_string().starts_with("fa:16:3e:"));
}

#[tokio::test]
async fn explicit_addresses_are_checked_and_do_not_move_the_walk() {
    let kit = Kit::new().await;
    let network = kit.network().await;
    let small = kit.subnet(network, "10.0.0.0/24").await;
    let at = |address: &str| kit.port(port_at(kit.project, network, address));
    assert_eq!(addresses(&at("10.0.0.77").await.unwrap()), ["10.0.0.77"]);
    assert_eq!(addresses(&kit.any_port(network).await.unwrap()), ["10.0.0.2"]);
    for (address, refusal) in [
        ("10.0.0.77", "port.address_taken"),
        ("10.0.0.1", "port.address_taken"),
        ("10.0.0.0", "port.address_outside"),
        ("10.0.0.255", "port.address_outside"),
        ("10.0.1.5", "port.address_outside_network"),
    ] {
        assert_eq!(code(at(address).await), refusal, "{address}");
    }
    let twice = vec![
        FixedIpRequest::Address(ip("10.0.0.9")),
        FixedIpRequest::Both(small, ip("10.0.0.9")),
    ];
    let new = NewPort {
        fixed_ips: Some(twice),
        ..new_port(kit.project, network)
    };
    assert_eq!(code(kit.port(new).await), "port.address_twice");
    // The walk passes over what the same request asks for.
    let asked = vec![FixedIpRequest::Subnet(small), FixedIpRequest::Address(ip("10.0.0.3"))];
    let both = kit
        .port(NewPort {
            fixed_ips: Some(asked),
            ..new_port(kit.project, network)
        })
        .await
        .unwrap();
    assert_eq!(addresses(&both), ["10.0.0.4", "10.0.0.3"]);
}

#[tokio::test]
async fn an_explicit_address_may_be_outside_of_the_pools() {
    let kit = Kit::new().await;
    let network = kit.network().await;
    let id = kit.subnet(network, "10.0.0.0/24").await;
    let pools = vec![IpRange::new(ip("10.0.0.10"), ip("10.0.0.11")).unwrap()];
    let change = SubnetChange {
        pools: Some(pools),
        ..SubnetChange::default()
    };
    kit.ask(Command::UpdateSubnet(id, change)).await.unwrap();
    kit.port(port_at(kit.project, network, "10.0.0.200")).await.unwrap();
    kit.any_port(network).await.unwrap();
    kit.any_port(network).await.unwrap();
    let refusal = kit.any_port(network).await.unwrap_err();
    assert_eq!(
        refusal.to_string(),
        format!(
            "Subnet {id} (10.0.0.0/24) has no free address: its pools 10.0.0.10-10.0.0.11 are full with 3 addresses \
             (3 reserved). Delete ports or add a subnet."
        )
    );
}

#[tokio::test]
async fn freed_last_is_given_last_and_the_only_free_address_at_once() {
    let kit = Kit::new().await;
    let network = kit.network().await;
    kit.subnet(network, "10.0.0.0/29").await;
    let mut ports = Vec::new();
    for _ in 0..4 {
        ports.push(kit.any_port(network).await.unwrap());
    }
    kit.ask(Command::Delete(Delete::Port(ports[2].id))).await.unwrap();
    kit.ask(Command::Delete(Delete::Port(ports[0].id))).await.unwrap();
    let mut given = Vec::new();
    while let Ok(port) = kit.any_port(network).await {
        given.extend(addresses(&port));
    }
    assert_eq!(given, ["10.0.0.6", "10.0.0.4", "10.0.0.2"]);
    kit.ask(Command::Delete(Delete::Port(ports[1].id))).await.unwrap();
    assert_eq!(addresses(&kit.any_port(network).await.unwrap()), ["10.0.0.3"]);
}

#[tokio::test]
async fn the_walk_goes_on_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let database = format!("sqlite:{}", folder.path().join("p.db").display());
    let kit = Kit::open(common::options(&database)).await;
    let network = kit.network().await;
    kit.subnet(network, "10.0.0.0/24").await;
    let first = kit.any_port(network).await.unwrap();
    kit.ask(Command::Delete(Delete::Port(first.id))).await.unwrap();
    kit.control.close().await;
    let control = Control::open(common::options(&database)).unwrap();
    let made = control
        .write(user(
            kit.project,
            Command::CreatePorts(vec![new_port(kit.project, network)]),
        ))
        .await
        .unwrap();
    let second = port(&made.objects[0]);
    assert_eq!(
        addresses(&second),
        ["10.0.0.3"],
        "what was freed before the restart still rests"
    );
    assert_eq!(second.mac.to_u64(), first.mac.to_u64() + 1);
}

#[tokio::test]
async fn updating_fixed_ips_keeps_what_is_listed() {
    let kit = Kit::new().await;
    let network = kit.network().await;
    let id = kit.subnet(network, "10.0.0.0/24").await;
    let made = kit.any_port(network).await.unwrap();
    let update = |fixed_ips: Vec<FixedIpRequest>| {
        let change = PortChange {
            fixed_ips: Some(fixed_ips),
            ..PortChange::default()
        };
        kit.ask(Command::UpdatePort(made.id, change))
    };
    let both = update(vec![
        FixedIpRequest::Address(ip("10.0.0.50")),
        FixedIpRequest::Subnet(id),
    ])
    .await
    .unwrap();
    assert_eq!(addresses(&port(&both.objects[0])), ["10.0.0.50", "10.0.0.2"]);
    assert_eq!(port(&both.objects[0]).meta.revision_number, 1);
    let one = update(vec![FixedIpRequest::Both(id, ip("10.0.0.50"))]).await.unwrap();
    assert_eq!(addresses(&port(&one.objects[0])), ["10.0.0.50"]);
    kit.control.read(|view| {
        assert!(view.port_at(id, ip("10.0.0.2")).is_none());
        assert_eq!(view.port_at(id, ip("10.0.0.50")).unwrap().id, made.id);
    });
    let same = update(vec![FixedIpRequest::Both(id, ip("10.0.0.50"))]).await.unwrap();
    assert_eq!(port(&same.objects[0]).meta.revision_number, 2, "nothing changed");
}

#[tokio::test]
async fn overlap_is_refused_in_a_network_and_allowed_between_networks() {
    let kit = Kit::new().await;
    let (one, two) = (kit.network().await, kit.network().await);
    kit.subnet(one, "10.0.0.0/16").await;
    kit.subnet(two, "10.0.0.0/16").await;
    let overlapping = new_subnet(kit.project, one, "10.0.7.0/24");
    assert_eq!(
        code(kit.ask(Command::CreateSubnets(vec![overlapping])).await),
        "subnet.overlap"
    );
    // Also between two of one request, and then none of them is made.
    let pair = vec![
        new_subnet(kit.project, one, "10.1.0.0/24"),
        new_subnet(kit.project, one, "10.1.0.0/25"),
    ];
    assert_eq!(code(kit.ask(Command::CreateSubnets(pair)).await), "subnet.overlap");
    assert_eq!(kit.control.read(|view| view.subnet_count(kit.project)), 2);
    kit.subnet(one, "10.1.0.0/24").await;
}

#[tokio::test]
async fn others_see_nothing_and_are_named_as_such() {
    let kit = Kit::new().await;
    let network = kit.network().await;
    kit.subnet(network, "10.0.0.0/24").await;
    let other = Command::CreateProject {
        name: "other".into(),
        description: String::new(),
    };
    let other = kit.control.write(admin(kit.project, other)).await.unwrap();
    let other = common::project(&other.objects[0]).id;
    let ask = |command| kit.control.write(user(other, command));
    assert_eq!(code(ask(Command::Delete(Delete::Network(network))).await), "not_found");
    assert_eq!(
        code(ask(Command::CreatePorts(vec![new_port(other, network)])).await),
        "not_found"
    );
    // An administrator may make a port of the other project there; the owner sees that there is one.
    kit.control
        .write(admin(kit.project, Command::CreatePorts(vec![new_port(other, network)])))
        .await
        .unwrap();
    let refusal = kit.ask(Command::Delete(Delete::Network(network))).await.unwrap_err();
    assert_eq!(
        refusal.to_string(),
        "Network web is in use by a port of another project. Delete what uses it first."
    );
}

#[tokio::test]
async fn reserved_owners_quotas_and_revisions() {
    let folder = tempfile::tempdir().unwrap();
    let database = format!("sqlite:{}", folder.path().join("p.db").display());
    let quotas = Quotas {
        networks: 2,
        ports: 1,
        ..Quotas::default()
    };
    let kit = Kit::open(OpenOptions {
        quotas,
        ..options(&database)
    })
    .await;
    let network = kit.network().await;
    for (owner, refusal) in [
        ("portolan:pod", "port.device_owner_reserved"),
        ("network:dhcp", "auth.forbidden"),
    ] {
        let new = NewPort {
            device_owner: owner.into(),
            ..new_port(kit.project, network)
        };
        assert_eq!(code(kit.port(new).await), refusal);
    }
    kit.any_port(network).await.unwrap();
    assert_eq!(code(kit.any_port(network).await), "quota.exceeded");
    let three = (0..3).map(|_| new_network(kit.project, "n")).collect();
    assert_eq!(
        kit.ask(Command::CreateNetworks(three)).await.unwrap_err().to_string(),
        "Quota exceeded for resources: ['network'] (2 of 2 used). Delete some or ask for more."
    );
    let rename = NetworkChange {
        name: Some("renamed".into()),
        ..NetworkChange::default()
    };
    let at = |if_match| {
        kit.control.write(Request {
            if_match: Some(if_match),
            ..user(kit.project, Command::UpdateNetwork(network, rename.clone()))
        })
    };
    at(0).await.unwrap();
    assert_eq!(code(at(0).await), "revision.mismatch");
    // What the project `admin` has is not counted.
    let command = Command::CreateProject {
        name: "admin".into(),
        description: String::new(),
    };
    let made = kit.control.write(admin(kit.project, command)).await.unwrap();
    let unlimited = common::project(&made.objects[0]).id;
    let five = (0..5).map(|_| new_network(unlimited, "n")).collect();
    kit.control
        .write(user(unlimited, Command::CreateNetworks(five)))
        .await
        .unwrap();
}

#[tokio::test]
async fn a_repeated_create_makes_nothing_twice() {
    let kit = Kit::new().await;
    let request = |digest| Request {
        idempotency: Some(Repetition {
            key: [7; 32],
            digest: [digest; 32],
        }),
        ..user(
            kit.project,
            Command::CreateNetworks(vec![new_network(kit.project, "once")]),
        )
    };
    let first = kit.control.write(request(1)).await.unwrap();
    let again = kit.control.write(request(1)).await.unwrap();
    assert!(again.replayed && !first.replayed);
    assert_eq!(first.objects, again.objects);
    assert_eq!(code(kit.control.write(request(2)).await), "idempotency.other_body");
    assert_eq!(kit.control.read(|view| view.network_count(kit.project)), 1);
}

#[tokio::test]
async fn the_first_answer_to_a_key_is_kept_for_good() {
    let folder = tempfile::tempdir().unwrap();
    let database = format!("sqlite:{}", folder.path().join("portolan.db").display());
    let kit = Kit::open(options(&database)).await;
    let answer = |body: &str| KeptAnswer {
        status: 201,
        body: body.into(),
    };
    let kept = |made: Result<Outcome, Refusal>| match made.unwrap().objects.as_slice() {
        [Object::Idempotency(record)] => record.answer.clone(),
        other => panic!("{other:?}"),
    };
    let keep = |body: &str| kit.ask(Command::KeepAnswer([7; 32], answer(body)));
    assert!(keep("too early").await.unwrap().objects.is_empty());
    let create = Command::CreateNetworks(vec![new_network(kit.project, "once")]);
    let request = || Request {
        idempotency: Some(Repetition {
            key: [7; 32],
            digest: [1; 32],
        }),
        ..user(kit.project, create.clone())
    };
    kit.control.write(request()).await.unwrap();
    // A process that ends here has answered nobody: what was made is found again.
    kit.control.close().await;
    let control = Control::open(options(&database)).unwrap();
    let again = control.write(request()).await.unwrap();
    assert!(again.replayed && matches!(again.objects[0], Object::Network(_)));
    let keep = |body: &str| control.write(user(kit.project, Command::KeepAnswer([7; 32], answer(body))));
    assert_eq!(kept(keep("first").await), Some(answer("first")));
    assert_eq!(kept(keep("second").await), Some(answer("first")));
    control.close().await;
    let control = Control::open(options(&database)).unwrap();
    let stored = control.read(|view| (view.idempotency(&[7; 32]).cloned(), view.key_count(kit.project)));
    assert_eq!(stored.0.unwrap().answer, Some(answer("first")));
    assert_eq!(stored.1, 1);
}

#[tokio::test]
async fn a_refused_command_leaves_its_neighbours_alone() {
    let kit = Kit::new().await;
    let network = kit.network().await;
    let id = kit.subnet(network, "10.0.0.0/24").await;
    // Half of them ask for an address that is taken, after having been given one by the walk.
    let bad = || {
        let asked = vec![FixedIpRequest::Subnet(id)];
        let fine = NewPort {
            fixed_ips: Some(asked),
            ..new_port(kit.project, network)
        };
        vec![fine, port_at(kit.project, network, "10.0.0.1")]
    };
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..200 {
        let (control, project) = (kit.control.clone(), kit.project);
        let new = if n % 2 == 0 {
            vec![new_port(project, network)]
        } else {
            bad()
        };
        tasks.spawn(async move { control.write(user(project, Command::CreatePorts(new))).await });
    }
    let done = tasks.join_all().await;
    assert_eq!(done.iter().filter(|r| r.is_ok()).count(), 100);
    kit.control.read(|view| {
        let given: Vec<String> = view
            .ports_by_address(id, None)
            .map(|(address, _)| address.to_string())
            .collect();
        let expected: Vec<String> = (2..102).map(|n| format!("10.0.0.{n}")).collect();
        let mut sorted = expected.clone();
        sorted.sort_by_key(|a| ip(a));
        assert_eq!(given, sorted, "no address was lost by a refused command");
        assert_eq!(view.subnet_use(id).used, 100);
    });
}

#[tokio::test]
async fn the_feed_tells_every_commit_once_and_in_order() {
    let kit = Kit::new().await;
    let mut all = kit.control.feed().subscribe(Some(0));
    let network = kit.network().await;
    let id = kit.subnet(network, "10.0.0.0/24").await;
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..100 {
        let (control, project) = (kit.control.clone(), kit.project);
        tasks.spawn(async move {
            control
                .write(user(project, Command::CreatePorts(vec![new_port(project, network)])))
                .await
                .unwrap()
        });
    }
    let revisions: std::collections::BTreeSet<u64> = tasks.join_all().await.iter().map(|o| o.revision).collect();
    assert_eq!(revisions.len(), 100, "a revision a command");
    let (mut expected, mut ports) = (0, 0);
    while let Some(next) = all.try_next() {
        let Next::Commit(commit) = next else { panic!("{next:?}") };
        expected += 1;
        assert_eq!(commit.revision, expected);
        ports += commit
            .changes
            .iter()
            .filter(|c| c.op == Op::Put && c.key.kind() == ObjectKind::Port)
            .count();
        let news = commit.changes.iter().filter(|c| c.op != Op::Quiet);
        assert!(news.count() <= 1, "a cursor is no news: {commit:?}");
    }
    assert_eq!((expected, ports), (kit.control.read(|view| view.head()), 100));
    let stored = kit.control.read(|view| view.subnet(id).unwrap().cursor);
    assert_eq!(stored, Some(ip("10.0.0.101")));
}

#[tokio::test]
async fn subnets_of_every_size_work() {
    let kit = Kit::new().await;
    for (cidr, given) in [
        ("10.0.0.0/31", vec!["10.0.0.1"]),
        ("10.0.0.4/30", vec!["10.0.0.6"]),
        ("2001:db8::/127", vec!["2001:db8::1"]),
        ("2001:db8::8/126", vec!["2001:db8::a", "2001:db8::b"]),
    ] {
        let network = kit.network().await;
        let id = kit.subnet(network, cidr).await;
        let mut got = Vec::new();
        while let Ok(port) = kit.any_port(network).await {
            got.extend(addresses(&port));
        }
        assert_eq!(got, given, "{cidr}");
        assert_eq!(kit.control.read(|view| view.subnet(id).unwrap().cidr.to_string()), cidr);
    }
    let made = kit
        .ask(Command::CreateSubnets(vec![new_subnet(
            kit.project,
            kit.network().await,
            "fd00::/8",
        )]))
        .await;
    let wide = subnet(&made.unwrap().objects[0]);
    assert_eq!(addresses(&kit.any_port(wide.network).await.unwrap()), ["fd00::2"]);
}

#[tokio::test]
async fn the_feed_resumes_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let database = format!("sqlite:{}", folder.path().join("p.db").display());
    let kit = Kit::open(common::options(&database)).await;
    kit.network().await;
    let seen = kit.control.read(|view| view.head());
    kit.network().await;
    kit.control.close().await;
    let control = Control::open(common::options(&database)).unwrap();
    let mut feed = control.feed().subscribe(Some(seen));
    let Some(Next::Commit(missed)) = feed.try_next() else {
        panic!("what was missed is told")
    };
    assert_eq!(
        (missed.revision, missed.changes[0].key.kind()),
        (seen + 1, ObjectKind::Network)
    );
    assert!(feed.try_next().is_none());
    // Before what is read back: start anew.
    let short = OpenOptions {
        recent: 1,
        ..common::options(&database)
    };
    control.close().await;
    let control = Control::open(short).unwrap();
    assert!(matches!(
        control.feed().subscribe(Some(0)).try_next(),
        Some(Next::Reset { .. })
    ));
}
