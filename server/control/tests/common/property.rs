//! Properties of sequences of steps, each over a control plane of its own.

use std::fmt::Debug;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError, TestRunner};

/// Sequences tried: more if `PORTOLAN_ROUNDS` is set.
fn cases() -> u32 {
    if std::env::var_os("PORTOLAN_ROUNDS").is_some() {
        500
    } else {
        40
    }
}

/// Tries sequences of fewer than `most` steps; fails with the shortest it finds for which `holds` does
/// not.
pub fn steps_hold<S: Debug, F>(step: impl Strategy<Value = S>, most: usize, holds: impl Fn(Vec<S>) -> F)
where
    F: Future<Output = Result<(), TestCaseError>>,
{
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let mut runner = TestRunner::new(Config {
        cases: cases(),
        failure_persistence: None,
        ..Config::default()
    });
    runner
        .run(&prop::collection::vec(step, 1..most), |steps| {
            runtime.block_on(holds(steps))
        })
        .unwrap_or_else(|failure| panic!("{failure}"));
}
