//! Network namespaces, and what is done in them and waited for.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use portolan_plan::is_probe_link;
use rustix::thread::{LinkNameSpaceType, UnshareFlags};

/// Set to run the suite where nobody may make namespaces; the runner counts what it skips.
const SKIP: &str = "PORTOLAN_SKIP_PRIVILEGED";

/// Whether tests with namespaces can run. Where they cannot, the test fails with a sentence, unless
/// it was said beforehand that skipping is fine.
#[expect(unsafe_code, reason = "a thread of its own may leave the network namespace")]
pub(crate) fn privileged() -> bool {
    let may = std::thread::spawn(|| {
        // SAFETY: a thread of its own that ends right away; nothing else shares its namespace.
        unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWNET) }
    });
    let reason = match may.join() {
        Ok(Ok(())) if Command::new("ip").arg("-V").stdout(Stdio::null()).status().is_ok() => return true,
        Ok(Ok(())) => "the program ip (iproute2) is missing".to_owned(),
        Ok(Err(error)) => {
            format!("this user may not make network namespaces ({error}); root or CAP_SYS_ADMIN is needed")
        }
        Err(_) => "the attempt to make a namespace failed".to_owned(),
    };
    if std::env::var_os(SKIP).is_some_and(|value| value == "1") {
        println!("SKIP: {reason}");
        return false;
    }
    panic!("{reason}. Set {SKIP}=1 to skip these tests on purpose.");
}

/// Runs `ip` with the words of `line`.
pub(crate) fn ip(line: &str) -> String {
    let output = Command::new("ip").args(line.split_whitespace()).output().unwrap();
    assert!(
        output.status.success(),
        "ip {line}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

/// The names of a namespace's links, in the order of their numbers; but that of a host's end of probes.
pub(crate) fn links(namespace: &str) -> Vec<String> {
    let shown = ip(&format!("-n {namespace} -o link show"));
    let name = |line: &str| line.split([':', '@']).nth(1).unwrap().trim().to_owned();
    let probes = |name: &String| is_probe_link(name);
    shown.lines().map(name).filter(|name| !probes(name)).collect()
}

/// Runs `work` on a thread inside the named namespace.
pub(crate) fn inside<T: Send>(namespace: &str, work: impl FnOnce() -> T + Send) -> T {
    let file = std::fs::File::open(path_of(namespace)).unwrap();
    std::thread::scope(|scope| {
        let thread = scope.spawn(move || {
            use std::os::fd::AsFd;
            rustix::thread::move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
            work()
        });
        thread.join().unwrap()
    })
}

pub(crate) fn path_of(namespace: &str) -> PathBuf {
    Path::new("/run/netns").join(namespace)
}

/// How long a test waits for what must happen, on a machine as busy as may be.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// How long a test waits for what an agent does by itself: shorter than a minute, after which it would
/// look at everything without being told.
const SOON: Duration = Duration::from_secs(30);

/// Polls until `condition` holds.
pub(crate) fn eventually(what: &str, condition: impl FnMut() -> bool) {
    within(PATIENCE, what, condition);
}

/// Polls until `condition` holds, which an agent brings about that was told.
pub(crate) fn soon(what: &str, condition: impl FnMut() -> bool) {
    within(SOON, what, condition);
}

fn within(patience: Duration, what: &str, mut condition: impl FnMut() -> bool) {
    let end = Instant::now() + patience;
    while !condition() {
        assert!(Instant::now() < end, "never: {what}");
        std::thread::yield_now();
    }
}

/// A namespace that goes with its owner.
pub(crate) struct Namespace(pub(crate) String);

impl Namespace {
    pub(crate) fn new(name: String) -> Self {
        ip(&format!("netns add {name}"));
        Self(name)
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _gone = Command::new("ip")
            .args(["netns", "del", &self.0])
            .stderr(Stdio::null())
            .status();
    }
}
