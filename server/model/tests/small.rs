//! All orders of the small worlds; and that the checker finds mistakes.

use std::collections::BTreeSet;

use portolan_model::{Outcome, Planted, Protocol, SMALL, look};

#[test]
fn nothing_that_may_happen_breaks_a_promise() {
    let mut seen = BTreeSet::new();
    for (name, size) in SMALL {
        let outcome = look(Protocol::new(*size));
        eprintln!("{name}: {outcome}");
        assert_eq!(outcome.broken, None, "{name}");
        assert!(outcome.whole, "{name}: to the end");
        seen.extend(outcome.seen);
    }
    // A world in which nothing happens breaks nothing.
    assert_eq!(seen.len(), 4, "{seen:?}");
}

fn broken(name: &str, planted: Planted) -> Outcome {
    let (name, size) = SMALL.iter().find(|(of, _)| *of == name).expect("there is such a world");
    let outcome = look(Protocol::new(*size).with(planted));
    eprintln!("{name}, {planted:?}: {outcome}");
    outcome
}

#[test]
fn each_mistake_is_found() {
    let pair = "two lease blocks, one is removed, the database is put back";
    let returned = "it is put back to when another had a block that was given back since";
    let cases = [
        (pair, Planted::NoGate),
        (pair, Planted::NoQuarantine),
        (returned, Planted::GivesOn),
        (returned, Planted::KeepsWhatCameBack),
        (pair, Planted::NoClaim),
    ];
    for (name, planted) in cases {
        assert!(broken(name, planted).broken.is_some(), "{planted:?}");
    }
}
