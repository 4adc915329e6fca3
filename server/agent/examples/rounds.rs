//! How long a round of the host takes, and that it writes nothing when nothing has to change:
//!
//! `cargo run --release -p portolan-agent --example rounds [PODS] [ROUTES]`
//!
//! Needs root and iproute2. Everything happens in a network namespace of its own and goes with the
//! process, but for the pods' namespaces, which are removed at the end. A restart is a kernel, a log
//! and a round, all opened anew, as after kill -9.

#![expect(clippy::disallowed_methods, reason = "a benchmark measures real time")]

mod support;

use std::io::{self, Write};
use std::time::Instant;

use portolan_agent::host::Host;

use support::{Failure, OWN, Scratch};

fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let pods: usize = arguments.next().map_or(Ok(250), |text| text.parse())?;
    let routes: u32 = arguments.next().map_or(Ok(2000), |text| text.parse())?;
    support::leave()?;
    measure(&Scratch::new("rounds", pods)?, routes)
}

fn measure(scratch: &Scratch, routes: u32) -> Result<(), Failure> {
    let (wanted, mut out) = (support::state(routes, false, 1)?.desired(OWN), io::stdout());
    let (kernel, pods) = support::open(&scratch.log())?;
    let host = Host::new(kernel, pods.clone());
    let mut round = |what: &str, host: &Host, since: Instant| -> Result<(), Failure> {
        let outcome = host.converge(&wanted)?;
        let (took, failed) = (since.elapsed().as_secs_f64() * 1e3, outcome.exceptions.len());
        writeln!(
            out,
            "{what:28} {took:8.2} ms  {:6} writes  {failed} exceptions",
            outcome.writes
        )?;
        Ok(())
    };
    round("first round", &host, Instant::now())?;
    scratch.fill(&pods)?;
    for _ in 0..3 {
        round("nothing to change", &host, Instant::now())?;
    }
    drop((pods, host));
    let begin = Instant::now();
    let (kernel, pods) = support::open(&scratch.log())?;
    round("restart", &Host::new(kernel, pods), begin)
}
