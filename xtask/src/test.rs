//! `cargo xtask test`: all fast tests, counted together.

use std::fs::{self, File};
use std::path::Path;
use std::process::Command;
use std::thread;

use serde_json::Value;

use crate::bench;
use crate::binaries::{self, Profile, SETS};
use crate::console::{self, Compiler};
use crate::process::{Failed, Steps, Stream, cargo, in_ci, program, read, root, run, succeeds, target_dir};
use crate::python::OPENSTACK;
use crate::schemathesis::{Effort, schemathesis};
use crate::tally::{Libtest, Nextest, Tally, playwright};
use crate::tools::{self, Tool};

/// A check with a name.
pub type Check = (&'static str, fn() -> Result<Tally, Failed>);

/// Runs them all, and `more`, prints the sum as the last line, and fails if any failed. In CI a skip is a failure too:
/// there, everything must be able to run.
pub fn test(compiler: Compiler, more: Option<Check>) -> Result<(), Failed> {
    let mut sum = Tally::default();
    let mut step = |what: &str, done: Result<Tally, Failed>| {
        let tally = done.unwrap_or_else(|error| {
            eprintln!("{what}: {error}");
            Tally::broken()
        });
        eprintln!("{what}: {tally}");
        sum.add(tally);
    };
    let mut steps = Steps::of(SETS.len() + 4 + usize::from(more.is_some()));
    steps.next("programs, tests and console (about 10 minutes the first time, on two cores)");
    tools::ensure(&[Tool::Iproute2, Tool::Nftables, Tool::Postgres]);
    let (console, built) = binaries::beside_console(compiler, binaries::dev_with_tests)?;
    step("console", console.map(|report| size(&report)));
    if let Err(error) = built {
        step("build", Err(error));
    } else {
        let [(server, packages), others @ ..] = SETS;
        steps.next(server);
        step(server, cargo_tests(packages));
        let lacks = tools::ensure(&[Tool::Node, Tool::Chromium, Tool::Curl]);
        let log = target_dir().join("browser-tests.log");
        // A browser waits more than it works: the others fill the second core.
        thread::scope(|scope| {
            let browser = scope.spawn(|| browser_tests(&lacks, &log));
            for (what, packages) in others {
                steps.next(what);
                step(what, cargo_tests(packages));
            }
            steps.next("the benchmarks, on little");
            step("benchmarks", bench::small(&[]));
            steps.next("the API by its description");
            step("the API by its description", schemathesis(Effort::Short));
            if let Some((what, check)) = more {
                steps.next(what);
                step(what, check());
            }
            steps.next("the console in a browser, begun after the first two");
            let done = browser
                .join()
                .unwrap_or_else(|_| Err(Failed::Other("they panicked".into())));
            eprintln!("{}", fs::read_to_string(&log).unwrap_or_default());
            step("browser tests", done);
        });
    }
    conclude(&sum)
}

/// The test that the console is small enough.
fn size(report: &console::Report) -> Tally {
    match report.within() {
        false => Tally::broken(),
        true => Tally {
            passed: 1,
            ..Tally::default()
        },
    }
}

/// Prints what was skipped and the counts, and says whether that is good. Nothing at all is not.
pub fn conclude(sum: &Tally) -> Result<(), Failed> {
    for (test, reason) in &sum.skipped {
        println!("skipped: {test}: {reason}");
    }
    let refused = in_ci() && !sum.skipped.is_empty();
    if refused {
        println!("in CI nothing may be skipped for lack of rights or tools");
    }
    println!("{sum}");
    if sum.failed > 0 || sum.passed == 0 || refused {
        Err(Failed::Said)
    } else {
        Ok(())
    }
}

fn skipped(reason: &str) -> Tally {
    Tally {
        skipped: vec![("browser tests".into(), reason.into())],
        ..Tally::default()
    }
}

/// Rust's tests of these packages: with nextest if it is there.
fn cargo_tests(packages: &[&str]) -> Result<Tally, Failed> {
    let mut command = cargo();
    if succeeds(cargo().args(["nextest", "--version"])) {
        command.args([
            "nextest",
            "run",
            "--no-fail-fast",
            "--color",
            "never",
            "--success-output",
            "immediate",
        ]);
        let mut reader = Nextest::default();
        let succeeded = read(command.args(packages), Stream::Err, |line| {
            if reader.line(line) {
                eprintln!("{line}");
            }
        })?;
        return Ok(reader.end(succeeded));
    }
    libtest(command.args(["test", "--no-fail-fast"]).args(packages))
}

/// Rust's tests by a `cargo test`, counted.
pub fn libtest(command: &mut Command) -> Result<Tally, Failed> {
    let mut reader = Libtest::default();
    let succeeded = read(command.args(["--", "--show-output"]), Stream::Out, |line| {
        reader.line(line);
        println!("{line}");
    })?;
    Ok(reader.end(succeeded))
}

/// The tests in a real browser, against the programs as just built; what they print goes into `log`.
fn browser_tests(lacks: &[Tool], log: &Path) -> Result<Tally, Failed> {
    if !root().join("frontend/dist/index.html").exists() {
        return Ok(skipped("the console was not built"));
    }
    if !lacks.is_empty() {
        return Ok(skipped("there is no Node.js, no Chromium or no curl"));
    }
    tools::node_packages()?;
    let folder = root().join("e2e");
    let report = folder.join("test-results/report.json");
    let _ = fs::remove_file(&report);
    let mut npx = program("npx");
    npx.current_dir(&folder).args(["--no-install", "playwright", "test"]);
    npx.env("PORTOLAN_BIN_DIR", Profile::Dev.folder());
    match OPENSTACK.ensure() {
        Ok(client) => npx.env("PORTOLAN_OPENSTACK", client),
        Err(reason) => npx.env("PORTOLAN_OPENSTACK_LACKS", reason),
    };
    if let Some(browser) = tools::browser() {
        npx.env("CHROMIUM", browser);
    }
    let printed = File::create(log).and_then(|file| Ok((file.try_clone()?, file)));
    let (out, err) = printed.map_err(|error| Failed::Other(format!("{}: {error}", log.display())))?;
    let run = run(npx.stdout(out).stderr(err));
    let succeeded = run.is_ok();
    let text = fs::read(&report).map_err(|error| {
        Failed::Other(format!(
            "the browser tests left no report ({error}); {}",
            run.err().map_or_else(String::new, |error| error.to_string())
        ))
    })?;
    let report: Value = serde_json::from_slice(&text).map_err(|error| Failed::Other(format!("{error}")))?;
    let mut tally = playwright(&report);
    // It may fail for what is no test's.
    tally.failed += u64::from(!succeeded && tally.failed == 0);
    Ok(tally)
}
