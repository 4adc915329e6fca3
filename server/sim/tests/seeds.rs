//! Seeds hold, and a seed is the same whenever it is played.

use std::sync::Mutex;

use portolan_sim::run::{SMALL, seed, seeds};

/// How many seeds the fast tests play.
const SEEDS: u64 = 2000;

#[test]
fn two_thousand_seeds_hold() {
    let broken = Mutex::new(Vec::new());
    seeds(1..SEEDS + 1, SMALL, 2, &|number, came| {
        if let Err(wrong) = came {
            let story = wrong.story.join("\n");
            broken
                .lock()
                .unwrap()
                .push(format!("{story}\nseed {number}: {}", wrong.what));
        }
        true
    });
    let broken = broken.into_inner().unwrap();
    assert!(
        broken.is_empty(),
        "{} of {SEEDS} broke; the first: {}",
        broken.len(),
        broken[0]
    );
}

#[test]
fn a_seed_plays_the_same_again() {
    for number in (3..100).step_by(7) {
        let once = seed(number, SMALL).map_err(|broken| broken.what);
        assert_eq!(seed(number, SMALL).map_err(|broken| broken.what), once);
    }
}
