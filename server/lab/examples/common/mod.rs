//! What the benchmarks share: a lab of release programs, and somebody who asks its control plane.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark prints, stops at the first surprise, and uses its part"
)]

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use portolan_lab::api::Api;
use portolan_lab::protocol::Report;
use portolan_shared::v1::{List, NodeRow};

/// A process that ends with the benchmark.
pub struct Ends(pub Child);

impl Drop for Ends {
    fn drop(&mut self) {
        // The lab's janitor clears up after it.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Raises a lab without pods.
pub fn raise(hosts: usize, state: &Path) -> (Ends, Report) {
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    // Examples are built into a folder beside the programs.
    let example = std::env::current_exe().unwrap();
    let mut lab = Command::new(example.ancestors().nth(2).unwrap().join("portolan-lab"))
        .args(["up", "--pods", "0", "--hosts", &hosts.to_string()])
        .args(["--listen", &address.to_string(), "--state-dir"])
        .arg(state)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(lab.stdout.take().unwrap()).lines();
    let ready = lines
        .map_while(Result::ok)
        .find_map(|line| line.strip_prefix("ready ").map(str::to_owned))
        .expect("the lab ends before it is ready; its stderr says why");
    (Ends(lab), serde_json::from_str(&ready).unwrap())
}

/// The demo's user.
pub struct Client {
    pub api: Api,
    pub token: String,
    /// Path of the project's clusters.
    pub clusters: String,
}

impl Client {
    pub fn new(report: &Report) -> Self {
        let api = Api::new(report.url.strip_prefix("http://").unwrap().parse().unwrap());
        let user = report.users.iter().find(|user| user.name == "demo").unwrap();
        let project = &report.cluster.as_ref().unwrap().project_id;
        Self {
            token: api.log_in(&user.name, &user.password, &user.project).unwrap(),
            clusters: format!("/portolan/v1/projects/{project}/clusters"),
            api,
        }
    }

    pub fn nodes(&self, cluster: &str) -> Vec<NodeRow> {
        let list: List<NodeRow> = self
            .api
            .read(&format!("{}/{cluster}/nodes", self.clusters), &self.token)
            .unwrap();
        list.items
    }
}

/// Median, 90th percentile and maximum, in milliseconds.
pub fn summary(mut times: Vec<Duration>) -> String {
    times.sort_unstable();
    let ms = |at: usize| times[at.min(times.len() - 1)].as_secs_f64() * 1e3;
    let count = times.len();
    format!(
        "p50 {:.1} ms, p90 {:.1} ms, max {:.1} ms",
        ms(count / 2),
        ms(count * 9 / 10),
        ms(count)
    )
}
