//! temporary
use portolan_model::*;
use stateright::{Checker, Model};

#[test]
fn explore() {
    let get = |k: &str, d: u8| std::env::var(k).ok().and_then(|v| v.parse().ok()).unwrap_or(d);
    let size = Size {
        servers: get("SERVERS", 1),
        nodes: get("NODES", 2),
        hosts: get("HOSTS", 0),
        blocks: get("BLOCKS", 2),
        in_flight: get("FLIGHT", 1),
        left: Left {
            joins: get("JOINS", 0),
            leases: get("LEASES", 1),
            pods: get("PODS", 0),
            ends: get("ENDS", 0),
            returns: get("RETURNS", 0),
            breaks: get("BREAKS", 0),
            removals: get("REMOVALS", 0),
            admissions: get("ADMISSIONS", 0),
            restores: get("RESTORES", 1),
            restarts: get("RESTARTS", 0),
            clones: get("CLONES", 0),
            offs: get("OFFS", 0),
        },
    };
    let start = std::time::Instant::now();
    let protocol = Protocol::new(size);
    let checker = protocol.checker().finish_when(if get("ALL",0)==1 { stateright::HasDiscoveries::All } else { stateright::HasDiscoveries::AnyFailures }).target_state_count(get("MAX", 0) as usize * 1_000_000 + 20_000_000).spawn_bfs().join();
    println!("{} unique, {} states, depth {}, {:?}", checker.unique_state_count(), checker.state_count(), checker.max_depth(), start.elapsed());
    for (name, path) in checker.discoveries() {
        println!("== {name}: {} steps", path.clone().into_actions().len());
        println!("{:?}", path.into_actions());
    }
}
#[test]
fn first() {
    let protocol = Protocol::new(Size { servers: 1, nodes: 2, hosts: 0, blocks: 2, in_flight: 1, left: Left::default() });
    for world in protocol.init_states() {
        println!("{world:#?}");
    }
}
