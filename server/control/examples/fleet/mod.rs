//! What benchmarks with many agents share: a control plane with clusters of joined nodes ([`world`]), and agents as far as
//! the wire sees them ([`agent`]), which are a process of their own ([`clients`]) on the same machine.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::disallowed_methods,
    reason = "a benchmark measures real time, and uses its part"
)]

pub mod agent;
pub mod clients;
pub mod world;

use std::error::Error;
use std::path::Path;
use std::time::{Duration, Instant};

use portolan_sources::{Clock as _, SystemClock};

pub type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// How long anything may take before a benchmark gives up.
const PATIENCE: Duration = Duration::from_secs(600);

/// Waits for what must happen.
pub async fn until(what: &str, holds: impl Fn() -> bool) -> Outcome<()> {
    let by = Instant::now() + PATIENCE;
    while !holds() {
        if Instant::now() >= by {
            return Err(format!("it never is so that {what}").into());
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    Ok(())
}

/// Microseconds of a clock that all processes of the machine share.
pub fn now() -> u64 {
    u64::try_from(SystemClock.now()).unwrap_or(0)
}

/// What stands behind a word in `/proc/self/status`, in KiB: of memory, such as `VmRSS`.
pub fn memory(of: &str) -> Outcome<usize> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix(of)?.strip_prefix(':'));
    let number = line
        .and_then(|line| line.split_whitespace().next())
        .ok_or("no such line")?;
    Ok(number.parse()?)
}

/// Ticks of `/proc/PID/stat` a second, on every Linux (`getconf CLK_TCK`).
const TICKS: f64 = 100.0;

/// Processor time that this process has had, in seconds.
pub fn processor() -> Outcome<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let (_, fields) = stat.rsplit_once(')').ok_or("no name")?;
    let ticks = fields.split_whitespace().skip(11).take(2);
    let ticks: u64 = ticks.map(str::parse::<u64>).sum::<Result<_, _>>()?;
    Ok(ticks as f64 / TICKS)
}

/// The value that a share of all is not above; they are sorted by it.
pub fn quantile(values: &mut [f64], share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let at = ((values.len() as f64 - 1.0) * share).max(0.0) as usize;
    values.get(at).copied().unwrap_or(f64::NAN)
}

/// Writes pieces to a file, each behind its length.
pub fn write_pieces<'a>(path: &Path, pieces: impl IntoIterator<Item = &'a [u8]>) -> Outcome<()> {
    let mut bytes = Vec::new();
    for piece in pieces {
        bytes.extend(u32::try_from(piece.len())?.to_be_bytes());
        bytes.extend_from_slice(piece);
    }
    Ok(std::fs::write(path, bytes)?)
}

/// What [`write_pieces`] wrote.
pub fn pieces(path: &Path) -> Outcome<Vec<Vec<u8>>> {
    let bytes = std::fs::read(path)?;
    let (mut rest, mut all) = (&bytes[..], Vec::new());
    while let Some((length, after)) = rest.split_first_chunk::<4>() {
        let (piece, after) = after.split_at(u32::from_be_bytes(*length) as usize);
        all.push(piece.to_vec());
        rest = after;
    }
    Ok(all)
}
