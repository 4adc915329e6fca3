//! Times the control plane over HTTP:
//!
//! `cargo run --release -p portolan-control --example bench_http -- [--dir .] [--sizes 1000,10000,100000] [--part 1]`
//!
//! Starts itself again as the server (its memory is measured apart), on a fresh SQLite file in
//! `--dir` (default: the current folder, so that syncing is the disk's and not memory's), and asks as
//! 64 keep-alive clients. Client and server share the machine. Prints a table for BENCHMARKS.md.

#![expect(clippy::disallowed_methods, reason = "a benchmark measures real time")]
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark prints, and stops at the first surprise"
)]

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use clap::Parser;
use portolan_control::machine::Sources;
use portolan_control::options;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

const CLIENTS: usize = 64;
const PASSWORD: &str = "bench-portolan";

/// Times the control plane over HTTP.
#[derive(Parser)]
struct Arguments {
    /// Where the database is made.
    #[arg(long, default_value = ".")]
    dir: PathBuf,
    /// At how many ports it is timed.
    #[arg(long, value_delimiter = ',', default_values_t = [1_000, 10_000, 100_000])]
    sizes: Vec<usize>,
    /// Divides how many requests are timed: 100 sends a hundredth of the usual.
    #[arg(long, default_value_t = 1)]
    part: usize,
}

/// A client with one connection.
struct Client {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Client {
    async fn new(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self {
            stream,
            buffer: Vec::with_capacity(1 << 16),
        }
    }

    /// Sends a request; answers status, head and body.
    async fn send(&mut self, request: &[u8]) -> (u16, String, Vec<u8>) {
        self.stream.write_all(request).await.unwrap();
        self.buffer.clear();
        let end = loop {
            let searched = self.buffer.len().saturating_sub(3);
            if self.stream.read_buf(&mut self.buffer).await.unwrap() == 0 {
                panic!("the server closed: {}", String::from_utf8_lossy(&self.buffer));
            }
            if let Some(at) = self.buffer[searched..].windows(4).position(|four| four == b"\r\n\r\n") {
                break searched + at + 4;
            }
        };
        let head = std::str::from_utf8(&self.buffer[..end]).unwrap().to_owned();
        let status = head[9..12].parse().unwrap();
        let length: usize = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "))
            .map_or(0, |n| n.parse().unwrap());
        let mut body = self.buffer.split_off(end);
        body.reserve(length.saturating_sub(body.len()));
        while body.len() < length {
            assert_ne!(self.stream.read_buf(&mut body).await.unwrap(), 0);
        }
        (status, head, body)
    }

    async fn json(&mut self, request: &[u8]) -> serde_json::Value {
        let (status, _, body) = self.send(request).await;
        assert!(status < 300, "{status} {}", String::from_utf8_lossy(&body));
        serde_json::from_slice(&body).unwrap()
    }
}

fn request(method: &str, path: &str, token: &str, body: &str) -> Vec<u8> {
    format!(
        "{method} {path} HTTP/1.1\r\nHost: localhost\r\nX-Auth-Token: {token}\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// Rate a second, and latencies of the requests in order.
struct Timing {
    rate: f64,
    latencies: Vec<Duration>,
    /// Processor time of the server a request.
    processor: Duration,
}

impl Timing {
    fn percentile(&self, q: f64) -> f64 {
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "an index"
        )]
        let at = ((self.latencies.len() - 1) as f64 * q) as usize;
        self.latencies[at].as_secs_f64() * 1e3
    }
}

/// Sends `count` requests by `clients` clients.
async fn drive(
    server: &Server,
    clients: usize,
    count: usize,
    make: impl Fn(usize) -> Vec<u8> + Send + Sync + 'static,
) -> Timing {
    let (make, next) = (Arc::new(make), Arc::new(AtomicUsize::new(0)));
    let mut connected = Vec::new();
    for _ in 0..clients {
        connected.push(Client::new(server.address).await);
    }
    let (began, before) = (Instant::now(), processor(server.child.id()));
    let mut tasks = JoinSet::new();
    for mut client in connected {
        let (make, next) = (Arc::clone(&make), Arc::clone(&next));
        tasks.spawn(async move {
            let mut latencies = Vec::new();
            loop {
                let n = next.fetch_add(1, Ordering::Relaxed);
                if n >= count {
                    return latencies;
                }
                let request = make(n);
                let sent = Instant::now();
                let (status, _, body) = client.send(&request).await;
                latencies.push(sent.elapsed());
                assert!(status < 300, "{status} {}", String::from_utf8_lossy(&body));
            }
        });
    }
    let mut latencies: Vec<Duration> = tasks.join_all().await.into_iter().flatten().collect();
    let seconds = began.elapsed().as_secs_f64();
    latencies.sort_unstable();
    #[expect(clippy::cast_precision_loss, reason = "a rate")]
    let rate = count as f64 / seconds;
    let processor = (processor(server.child.id()) - before) / u32::try_from(count).unwrap();
    Timing {
        rate,
        latencies,
        processor,
    }
}

/// Resident memory of a process in MiB.
fn resident(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1024
}

/// Processor time of a process so far.
fn processor(process: u32) -> Duration {
    /// Ticks of `/proc/PID/stat` a second, on every Linux (`getconf CLK_TCK`).
    const TICKS: u64 = 100;
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
    Duration::from_millis(ticks * 1_000 / TICKS)
}

struct Server {
    child: Child,
    address: SocketAddr,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn start(folder: &Path) -> Server {
    let database = format!("sqlite:{}", folder.join("bench.db").display());
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["serve", "--listen", "127.0.0.1:0", "--database", &database])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    let address = line
        .trim()
        .strip_prefix("listening on http://")
        .unwrap()
        .parse()
        .unwrap();
    Server { child, address }
}

struct Column {
    size: usize,
    rows: Vec<String>,
}

async fn measure(server: &Server, sizes: &[usize], part: usize) -> (Vec<&'static str>, Vec<Column>) {
    let some = |usual: usize| (usual / part).max(1);
    let address = server.address;
    let mut client = Client::new(address).await;
    let body = format!(
        r#"{{"auth":{{"identity":{{"methods":["password"],"password":{{"user":{{"name":"admin","domain":{{"id":"default"}},"password":"{PASSWORD}"}}}}}}}}}}"#
    );
    let (_, head, body) = client.send(&request("POST", "/v3/auth/tokens", "", &body)).await;
    let token = head
        .lines()
        .find_map(|line| line.strip_prefix("x-subject-token: "))
        .unwrap()
        .to_owned();
    let project = serde_json::from_slice::<serde_json::Value>(&body).unwrap()["token"]["project"]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let made = client
        .json(&request(
            "POST",
            "/v2.0/networks",
            &token,
            r#"{"network":{"name":"bench"}}"#,
        ))
        .await;
    let network = made["network"]["id"].as_str().unwrap().to_owned();
    let body = format!(r#"{{"subnet":{{"network_id":"{network}","cidr":"10.0.0.0/8","ip_version":4}}}}"#);
    let made = client.json(&request("POST", "/v2.0/subnets", &token, &body)).await;
    let subnet = made["subnet"]["id"].as_str().unwrap().to_owned();

    let one = format!(r#"{{"port":{{"network_id":"{network}","name":"web"}}}}"#);
    let many = format!(
        r#"{{"ports":[{}]}}"#,
        vec![format!(r#"{{"network_id":"{network}","name":"web"}}"#); 100].join(",")
    );
    let labels = vec![
        "memory of the server",
        "list of all of them",
        "page of 1,000 (`limit`, `marker`)",
        "page of 100",
        "console page of 1,000, by address",
        "GET one port, 64 clients",
        "creations in bulks of 100, 8 clients",
        "**creations, one a request, 64 clients**",
    ];
    let mut columns = Vec::new();
    let mut have = 0;
    for &size in sizes {
        // A size that single creations have reached already has none, and nothing to divide by.
        let bulks = (size.saturating_sub(have) / 100).max(1);
        let (token_, many_) = (token.clone(), many.clone());
        let bulk = drive(server, 8, bulks, move |_| {
            request("POST", "/v2.0/ports", &token_, &many_)
        })
        .await;
        let memory = resident(server.child.id());
        let get = |path: String, clients: usize, count: usize| {
            let token = token.clone();
            drive(server, clients, count, move |_| request("GET", &path, &token, ""))
        };
        let list = get(
            format!("/v2.0/ports?network_id={network}"),
            1,
            some(if size > 10_000 { 3 } else { 20 }),
        )
        .await;
        let (_, _, page) = client
            .send(&request(
                "GET",
                &format!("/v2.0/ports?network_id={network}&limit={}", size / 2),
                &token,
                "",
            ))
            .await;
        let page: serde_json::Value = serde_json::from_slice(&page).unwrap();
        let marker = page["ports"].as_array().unwrap().last().unwrap()["id"]
            .as_str()
            .unwrap()
            .to_owned();
        let paged = |limit| format!("/v2.0/ports?network_id={network}&limit={limit}&marker={marker}");
        let (page_1000, page_100) = (
            get(paged(1_000), 1, some(100)).await,
            get(paged(100), 1, some(300)).await,
        );
        let console = get(
            format!("/portolan/v1/projects/{project}/subnets/{subnet}/ports?limit=1000"),
            1,
            some(100),
        )
        .await;
        let show = get(format!("/v2.0/ports/{marker}"), CLIENTS, some(50_000)).await;
        let count = some(if size == sizes[0] { 8_000 } else { 40_000 });
        let (token_, one_) = (token.clone(), one.clone());
        let single = drive(server, CLIENTS, count, move |_| {
            request("POST", "/v2.0/ports", &token_, &one_)
        })
        .await;
        have = size + count;
        #[expect(clippy::cast_precision_loss, reason = "for people")]
        let per_second = |timing: &Timing, each: usize| {
            format!(
                "{:.0}/s (p50 {:.1}, p99 {:.1} ms; {:.0} µs of the server's processor each)",
                timing.rate * each as f64,
                timing.percentile(0.5),
                timing.percentile(0.99),
                timing.processor.as_secs_f64() * 1e6 / each as f64
            )
        };
        let latency = |timing: &Timing| {
            format!(
                "p50 {:.2}, p99 {:.2} ms",
                timing.percentile(0.5),
                timing.percentile(0.99)
            )
        };
        columns.push(Column {
            size,
            rows: vec![
                format!("{memory} MiB"),
                latency(&list),
                latency(&page_1000),
                latency(&page_100),
                latency(&console),
                per_second(&show, 1),
                per_second(&bulk, 100),
                per_second(&single, 1),
            ],
        });
    }
    (labels, columns)
}

fn main() {
    // As the server, when called so.
    if std::env::args().nth(1).as_deref() == Some("serve") {
        let options::Command::Serve(mut serve) = options::Options::parse().command;
        serve.admin_password = Some(PASSWORD.to_owned());
        portolan_control::serve::run(*serve, &Sources::system()).unwrap();
        return;
    }
    let Arguments { dir, sizes, part } = Arguments::parse();
    let folder = tempfile::tempdir_in(dir).unwrap();
    let server = start(folder.path());
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    let (labels, columns) = runtime.block_on(measure(&server, &sizes, part));
    let heads: Vec<String> = columns.iter().map(|column| format!("{} ports", column.size)).collect();
    println!("| over HTTP, SQLite, durable | {} |", heads.join(" | "));
    println!("|---|{}", "---|".repeat(columns.len()));
    for (n, label) in labels.iter().enumerate() {
        let cells: Vec<&str> = columns.iter().map(|column| column.rows[n].as_str()).collect();
        println!("| {label} | {} |", cells.join(" | "));
    }
}
