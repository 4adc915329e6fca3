//! Counting what test runners say. Pure: lines and reports in, counts out.

use std::fmt;

use serde_json::Value;

/// What tests print when they cannot run here on purpose, followed by the reason.
pub const SKIP_MARK: &str = "SKIP: ";

/// What came of some tests.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Tally {
    /// Ran and held.
    pub passed: u64,
    /// Ran and did not hold, or could not even be built.
    pub failed: u64,
    /// Did not run: which, and why.
    pub skipped: Vec<(String, String)>,
}

impl Tally {
    /// One failure of a runner that could not count.
    pub fn broken() -> Self {
        Self {
            failed: 1,
            ..Self::default()
        }
    }

    /// The same, if anything was tested at all; else a failure: a runner that finds no tests is not told what it should
    /// find, or the tests are not where they were.
    pub fn of_something(mut self) -> Self {
        if self.passed == 0 && self.failed == 0 && self.skipped.is_empty() {
            self.failed = 1;
        }
        self
    }

    /// Both together.
    pub fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped.extend(other.skipped);
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            out,
            "{} passed, {} failed, {} skipped",
            self.passed,
            self.failed,
            self.skipped.len()
        )
    }
}

/// Reads what `cargo nextest run --success-output immediate` says.
#[derive(Debug, Default)]
pub struct Nextest {
    tally: Tally,
    block: Block,
    test: String,
    summed: bool,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Block {
    /// What cargo and nextest say themselves.
    #[default]
    Runner,
    /// Output of a test that passed: of no interest, but for a skip.
    Passed,
    /// Output of a test that did not.
    Failed,
}

/// The words nextest begins a test's line with, when the test is through and well.
const WELL: [&str; 2] = ["PASS", "LEAK"];

impl Nextest {
    /// Takes a line; says whether a person should see it.
    pub fn line(&mut self, line: &str) -> bool {
        let words = line.trim_start();
        if let Some(rest) = words.strip_prefix("Summary [") {
            self.sum(rest);
            self.block = Block::Runner;
            return true;
        }
        if let Some((word, rest)) = heading(words) {
            self.block = if WELL.contains(&word) {
                Block::Passed
            } else {
                Block::Failed
            };
            self.test = rest.to_owned();
            return true;
        }
        if words.starts_with("────") {
            self.block = Block::Runner;
        }
        if let Some(reason) = words.strip_prefix(SKIP_MARK)
            && self.block == Block::Passed
        {
            self.tally.skipped.push((self.test.clone(), reason.to_owned()));
            return true;
        }
        self.block != Block::Passed
    }

    /// `   0.127s] 2 tests run: 1 passed (1 slow), 1 failed, 1 timed out, 1 skipped`
    fn sum(&mut self, rest: &str) {
        let Some((_, counts)) = rest.split_once("run: ") else {
            return;
        };
        self.summed = true;
        // In parentheses is which of those that passed were slow or left something behind.
        for part in without_parentheses(counts).split(", ") {
            let mut words = part.split_whitespace();
            let Some(count) = words.next().and_then(|word| word.parse::<u64>().ok()) else {
                continue;
            };
            match words.next() {
                Some("passed") => self.tally.passed += count,
                Some("skipped") => {
                    for _ in 0..count {
                        self.tally
                            .skipped
                            .push(("a test marked to be ignored".into(), "ignored".into()));
                    }
                }
                Some(_) => self.tally.failed += count,
                None => {}
            }
        }
    }

    /// The counts, given whether the runner itself succeeded.
    pub fn end(mut self, succeeded: bool) -> Tally {
        // Tests that skipped themselves look like passed ones to the runner.
        let said = self
            .tally
            .skipped
            .iter()
            .filter(|(_, reason)| reason != "ignored")
            .count();
        self.tally.passed = self.tally.passed.saturating_sub(said as u64);
        if !self.summed || (!succeeded && self.tally.failed == 0) {
            self.tally.failed += 1;
        }
        self.tally.of_something()
    }
}

fn without_parentheses(text: &str) -> String {
    let mut depth = 0_u32;
    let mut outside = |c: char| {
        depth += u32::from(c == '(');
        let keep = depth == 0;
        depth = depth.saturating_sub(u32::from(c == ')'));
        keep
    };
    text.chars().filter(|c| outside(*c)).collect()
}

/// `PASS [   0.015s] ( 1/2) crate test::name` as its word and its test.
fn heading(line: &str) -> Option<(&str, &str)> {
    let (word, rest) = line.split_once(" [")?;
    let plain = !word.is_empty()
        && word
            .bytes()
            .all(|byte| byte.is_ascii_uppercase() || b" 0123456789".contains(&byte));
    let (time, rest) = rest.split_once("s] ")?;
    let timed = time.trim_start_matches(['>', ' ']).parse::<f64>().is_ok();
    let test = rest
        .trim_start()
        .strip_prefix('(')
        .map_or(rest, |rest| rest.split_once(") ").map_or(rest, |both| both.1));
    (plain && timed).then_some((word, test.trim()))
}

/// Reads what `cargo test -- --show-output` says on standard output.
#[derive(Debug, Default)]
pub struct Libtest {
    tally: Tally,
    test: String,
    summed: bool,
}

impl Libtest {
    /// Takes a line; all may be seen.
    pub fn line(&mut self, line: &str) {
        if let Some(name) = line
            .strip_prefix("---- ")
            .and_then(|rest| rest.strip_suffix(" stdout ----"))
        {
            self.test = name.to_owned();
        } else if let Some(reason) = line.trim_start().strip_prefix(SKIP_MARK) {
            self.tally.skipped.push((self.test.clone(), reason.to_owned()));
        } else if let Some(counts) = line.strip_prefix("test result: ") {
            self.summed = true;
            for part in counts.split(['.', ';']) {
                let mut words = part.split_whitespace();
                let Some(count) = words.next().and_then(|word| word.parse::<u64>().ok()) else {
                    continue;
                };
                match words.next() {
                    Some("passed") => self.tally.passed += count,
                    Some("failed") => self.tally.failed += count,
                    Some("ignored") => {
                        for _ in 0..count {
                            self.tally
                                .skipped
                                .push(("a test marked to be ignored".into(), "ignored".into()));
                        }
                    }
                    _ => {}
                }
            }
        }
    }

    /// The counts, given whether the runner itself succeeded.
    pub fn end(self, succeeded: bool) -> Tally {
        Nextest {
            tally: self.tally,
            summed: self.summed,
            ..Nextest::default()
        }
        .end(succeeded)
    }
}

/// Reads Playwright's JSON report.
pub fn playwright(report: &Value) -> Tally {
    let stats = &report["stats"];
    let count = |name: &str| stats[name].as_u64().unwrap_or(0);
    let mut tally = Tally {
        passed: count("expected"),
        failed: count("unexpected") + count("flaky"),
        skipped: Vec::new(),
    };
    let mut suites: Vec<&Value> = report["suites"].as_array().into_iter().flatten().collect();
    while let Some(suite) = suites.pop() {
        suites.extend(suite["suites"].as_array().into_iter().flatten());
        for spec in suite["specs"].as_array().into_iter().flatten() {
            for test in spec["tests"].as_array().into_iter().flatten() {
                if test["status"] == "skipped" {
                    let title = spec["title"].as_str().unwrap_or("a browser test").to_owned();
                    let notes = test["annotations"].as_array().into_iter().flatten();
                    let reason = notes.filter_map(|note| note["description"].as_str()).next();
                    tally
                        .skipped
                        .push((title, reason.unwrap_or("no reason given").to_owned()));
                }
            }
        }
    }
    let outside = report["errors"].as_array().map_or(0, Vec::len);
    if !stats.is_object() || (outside > 0 && tally.failed == 0) {
        tally.failed += 1;
    }
    tally.of_something()
}

/// Reads a JUnit report.
pub fn junit(report: &str) -> Tally {
    let head = report
        .split("<testsuites")
        .nth(1)
        .and_then(|rest| rest.split('>').next());
    let count = |name: &str| -> Option<u64> {
        let (_, rest) = head?.split_once(&format!(" {name}=\""))?;
        rest.split('"').next()?.parse().ok()
    };
    let counts = (count("tests"), count("failures"), count("errors"), count("skipped"));
    let (Some(tests), Some(failures), Some(errors), Some(skipped)) = counts else {
        return Tally::broken();
    };
    let skips = (0..skipped).map(|_| ("an operation".to_owned(), "nothing could be tried".to_owned()));
    Tally {
        passed: tests.saturating_sub(failures + errors + skipped),
        failed: failures + errors,
        skipped: skips.collect(),
    }
    .of_something()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nextest(text: &str, succeeded: bool) -> (Tally, Vec<&str>) {
        let mut reader = Nextest::default();
        let seen = text.lines().filter(|line| reader.line(line)).collect();
        (reader.end(succeeded), seen)
    }

    const RUN: &str = "\
    Starting 3 tests across 1 binary (1 test skipped)
        PASS [   0.015s] (1/3) nt good
  stdout ───

    running 1 test
    noise
        PASS [   0.015s] (2/3) nt rights
  stderr ───
    SKIP: no root

        FAIL [   0.122s] (3/3) nt bad
  stdout ───
    SKIP: told by a failing test
    why
────────────
     Summary [   0.127s] 3 tests run: 2 passed (1 slow), 1 failed, 1 skipped
        FAIL [   0.122s] (3/3) nt bad
error: test run failed";

    #[test]
    fn nextest_is_counted_and_only_failures_are_loud() {
        let (tally, seen) = nextest(RUN, false);
        assert_eq!((tally.passed, tally.failed), (1, 1));
        let skipped = [("nt rights".to_owned(), "no root".to_owned())];
        assert_eq!(
            tally
                .skipped
                .iter()
                .filter(|(_, reason)| reason != "ignored")
                .collect::<Vec<_>>(),
            [&skipped[0]]
        );
        assert_eq!(tally.skipped.len(), 2, "an ignored test counts as skipped");
        assert!(seen.contains(&"    why") && !seen.contains(&"    noise"), "{seen:?}");
    }

    #[test]
    fn a_run_without_a_summary_has_failed() {
        assert_eq!(nextest("error: could not compile `x`", false).0.failed, 1);
        let timed_out = "     Summary [   9.127s] 1 test run: 0 passed, 1 timed out, 0 skipped";
        assert_eq!(
            nextest(timed_out, false).0,
            Tally {
                failed: 1,
                ..Tally::default()
            }
        );
    }

    #[test]
    fn a_run_of_no_tests_has_failed() {
        let none = "     Summary [   0.003s] 0 tests run: 0 passed, 0 skipped";
        assert_eq!(nextest(none, true).0, Tally::broken());
        let mut reader = Libtest::default();
        reader.line("test result: ok. 0 passed; 0 failed; 0 ignored; 0 measured; 12 filtered out");
        assert_eq!(reader.end(true), Tally::broken());
        let report = serde_json::json!({
            "stats": { "expected": 0, "unexpected": 0, "flaky": 0, "skipped": 0 }, "suites": [], "errors": [],
        });
        assert_eq!(playwright(&report), Tally::broken());
        let report = "<testsuites errors=\"0\" failures=\"0\" skipped=\"0\" tests=\"0\" time=\"0\">";
        assert_eq!(junit(report), Tally::broken());
    }

    #[test]
    fn tests_that_pass_slowly_or_leave_something_behind_pass() {
        let said = "     Summary [   9.127s] 4 tests run: 3 passed (1 slow, 2 leaky), 1 failed (1 due to being leaky), 0 skipped";
        let (tally, _) = nextest(said, false);
        assert_eq!((tally.passed, tally.failed), (3, 1));
    }

    #[test]
    fn headings_are_told_from_output_that_looks_like_them() {
        assert_eq!(heading("PASS [   0.015s] ( 1/13) nt a::b"), Some(("PASS", "nt a::b")));
        assert_eq!(heading("TIMEOUT [  60.015s] nt a::b"), Some(("TIMEOUT", "nt a::b")));
        assert_eq!(heading("array [ 1s] x"), None);
        assert_eq!(heading("PASS [soon] x"), None);
    }

    #[test]
    fn plain_cargo_test_is_counted() {
        let mut reader = Libtest::default();
        let said = "---- rights stdout ----\nSKIP: no root\n\ntest result: FAILED. 2 passed; 1 failed; 1 ignored; 0 measured\n\
                    test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out";
        said.lines().for_each(|line| reader.line(line));
        let tally = reader.end(false);
        assert_eq!((tally.passed, tally.failed, tally.skipped.len()), (4, 1, 2));
        assert_eq!(tally.to_string(), "4 passed, 1 failed, 2 skipped");
    }

    #[test]
    fn a_junit_report_is_counted() {
        let report = "<?xml version=\"1.0\"?>\n<testsuites errors=\"1\" failures=\"2\" skipped=\"1\" tests=\"44\" \
                      time=\"28.5\">\n<testsuite tests=\"9\"></testsuite></testsuites>";
        let tally = junit(report);
        assert_eq!((tally.passed, tally.failed, tally.skipped.len()), (40, 3, 1));
        assert_eq!(junit("").failed, 1);
        assert_eq!(junit("<testsuites tests=\"x\">").failed, 1);
    }

    #[test]
    fn a_browser_report_is_counted_with_reasons() {
        let report = serde_json::json!({
            "stats": { "expected": 2, "unexpected": 1, "flaky": 1, "skipped": 1 },
            "suites": [{ "specs": [], "suites": [{ "specs": [{ "title": "from a click", "tests": [
                { "status": "skipped", "annotations": [{ "type": "skip", "description": "no namespaces" }] }
            ] }] }] }],
            "errors": [],
        });
        let tally = playwright(&report);
        assert_eq!((tally.passed, tally.failed), (2, 2));
        assert_eq!(tally.skipped, [("from a click".to_owned(), "no namespaces".to_owned())]);
        assert_eq!(playwright(&Value::Null).failed, 1);
        assert_eq!(
            playwright(&serde_json::json!({ "stats": {}, "errors": [{ "message": "x" }] })).failed,
            1
        );
    }
}
