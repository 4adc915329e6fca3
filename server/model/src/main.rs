//! Looks at all orders of the worlds of the full size, and says how many there were.

use std::process::ExitCode;

use portolan_model::{FULL, Protocol, look_deep};

fn main() -> ExitCode {
    let mut held = true;
    for (name, size) in FULL {
        let outcome = look_deep(Protocol::new(*size));
        eprintln!("{name}: {outcome}");
        held &= outcome.whole;
    }
    if held { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
