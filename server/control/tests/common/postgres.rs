//! A PostgreSQL of the test's own: its data in a temporary folder, on a port of 127.0.0.1 that nobody has; and a standby of
//! it, which can be cut off and promoted.
//!
//! On a machine without PostgreSQL a test says so and passes; under CI (`CI` is set) it fails.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// Stops when dropped.
pub struct Postgres {
    folder: tempfile::TempDir,
    bin: PathBuf,
    port: u16,
    databases: AtomicU32,
    runs: AtomicBool,
}

/// How long a server may take for what it does by itself, on a busy machine.
const IN_TIME: Duration = Duration::from_secs(60);

impl Postgres {
    /// Starts one; `None` where there is none.
    pub fn start() -> Option<Self> {
        let Some(bin) = find() else {
            assert!(
                std::env::var_os("CI").is_none(),
                "PostgreSQL is missing, and CI needs it"
            );
            println!("SKIP: PostgreSQL is not installed (apt-get install postgresql)");
            return None;
        };
        let postgres = Self::in_a_folder(bin);
        let data = postgres.data();
        let arguments = [
            "-D",
            path(&data),
            "-U",
            "portolan",
            "-A",
            "trust",
            "-E",
            "UTF8",
            "--locale=C",
        ];
        postgres.run("initdb", &arguments);
        postgres.start_server();
        Some(postgres)
    }

    /// An empty folder for a server's data, and a port.
    fn in_a_folder(bin: PathBuf) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        let data = folder.path().join("data");
        std::fs::create_dir(&data).unwrap();
        std::fs::set_permissions(&data, std::fs::Permissions::from_mode(0o700)).unwrap();
        if rustix::process::geteuid().is_root() {
            let status = Command::new("chown").arg("postgres").arg(&data).status().unwrap();
            assert!(status.success(), "chown postgres");
        }
        Self {
            folder,
            bin,
            port: free_port(),
            databases: 0.into(),
            runs: false.into(),
        }
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// A standby, which follows this one's log as it is written.
    pub fn standby(&self) -> Self {
        let standby = Self::in_a_folder(self.bin.clone());
        let (data, port) = (standby.data(), self.port.to_string());
        let from = ["-h", "127.0.0.1", "-p", &port, "-U", "portolan"];
        let into = ["-D", path(&data), "-X", "stream", "-c", "fast", "-R"];
        standby.run("pg_basebackup", &[&from[..], &into].concat());
        standby.start_server();
        standby
    }

    /// Waits until a standby has all that this one has committed.
    pub fn is_followed_by(&self, standby: &Self) {
        let written = self.sql(&self.itself(), "SELECT pg_current_wal_flush_lsn()");
        let sql = format!("SELECT pg_last_wal_replay_lsn() >= '{written}'::pg_lsn");
        standby.becomes(&sql);
    }

    /// Cuts a standby off: what is committed from now on it never gets.
    pub fn cut_off(&self) {
        let itself = self.itself();
        self.sql(&itself, "ALTER SYSTEM SET primary_conninfo = ''");
        self.sql(&itself, "SELECT pg_reload_conf()");
        self.becomes("SELECT count(*) = 0 FROM pg_stat_wal_receiver");
    }

    /// Ends it as a crash would.
    pub fn kill(&self) {
        self.run("pg_ctl", &["-D", path(&self.data()), "-w", "-m", "immediate", "stop"]);
        self.runs.store(false, Relaxed);
    }

    /// Makes a standby take writes.
    pub fn promote(&self) {
        self.run("pg_ctl", &["-D", path(&self.data()), "-w", "promote"]);
    }

    /// Writes a database down as `pg_dump` does.
    pub fn dump(&self, database: &str) -> PathBuf {
        // Where the server's user may write.
        let file = self.data().join("dump");
        self.run("pg_dump", &["-Fc", "-f", path(&file), "-d", database]);
        file
    }

    /// Takes a database away, whoever is connected to it.
    pub fn take_away(&self, database: &str) {
        self.on_databases("dropdb", &["--force", name(database)]);
    }

    /// Makes it, empty.
    pub fn make(&self, database: &str) {
        self.on_databases("createdb", &[name(database)]);
    }

    /// Puts what was dumped into it.
    pub fn fill(&self, database: &str, dump: &Path) {
        self.run("pg_restore", &["--single-transaction", "-d", database, path(dump)]);
    }

    fn on_databases(&self, program: &str, arguments: &[&str]) {
        let port = self.port.to_string();
        let to = ["-h", "127.0.0.1", "-p", &port, "-U", "portolan"];
        self.run(program, &[&to[..], arguments].concat());
    }

    /// Where several servers are reached, of which one takes writes.
    pub fn urls(servers: &[&Self], database: &str) -> String {
        let hosts: Vec<String> = servers
            .iter()
            .map(|server| format!("127.0.0.1:{}", server.port))
            .collect();
        format!("postgres://portolan@{}/{}", hosts.join(","), name(database))
    }

    /// The database that every server has.
    fn itself(&self) -> String {
        format!("postgres://portolan@127.0.0.1:{}/postgres", self.port)
    }

    fn becomes(&self, sql: &str) {
        let until = Instant::now() + IN_TIME;
        while self.sql(&self.itself(), sql) != "t" {
            assert!(Instant::now() < until, "it is never so that {sql}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// A new, empty database.
    pub fn database(&self) -> String {
        let n = self.databases.fetch_add(1, Relaxed);
        let database = format!("postgres://portolan@127.0.0.1:{}/portolan{n}", self.port);
        self.make(&database);
        database
    }

    /// Runs SQL in a database, and gives what it prints: values alone.
    pub fn sql(&self, database: &str, sql: &str) -> String {
        let psql = Command::new(self.bin.join("psql"))
            .args([
                "-X",
                "-q",
                "-A",
                "-t",
                "-v",
                "ON_ERROR_STOP=1",
                "-d",
                database,
                "-c",
                sql,
            ])
            .output()
            .unwrap();
        assert!(psql.status.success(), "{}", String::from_utf8_lossy(&psql.stderr));
        String::from_utf8(psql.stdout).unwrap().trim().to_owned()
    }

    /// Stops it as a crash would (`immediate`), and starts it again.
    pub fn crash(&self) {
        self.run(
            "pg_ctl",
            &["-D", path(&self.data()), "-w", "-m", "immediate", "restart"],
        );
    }

    /// Copies all it holds, as a backup does.
    pub fn back_up(&self) {
        self.while_stopped("data", "copy");
    }

    /// Goes back to what it held when it was last copied.
    pub fn put_back(&self) {
        self.while_stopped("copy", "data");
    }

    /// Stops it, makes a folder what another is, and starts it again.
    fn while_stopped(&self, from: &str, to: &str) {
        self.kill();
        let (from, to) = (self.folder.path().join(from), self.folder.path().join(to));
        for arguments in [vec!["rm", "-rf", path(&to)], vec!["cp", "-a", path(&from), path(&to)]] {
            let status = Command::new(arguments[0]).args(&arguments[1..]).status().unwrap();
            assert!(status.success(), "{arguments:?}");
        }
        self.start_server();
    }

    fn start_server(&self) {
        let (data, port) = (self.data(), self.port);
        let settings =
            format!("-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories='' -c max_connections=50");
        self.run(
            "pg_ctl",
            &[
                "-D",
                path(&data),
                "-w",
                "-l",
                path(&data.join("log")),
                "-o",
                &settings,
                "start",
            ],
        );
        self.runs.store(true, Relaxed);
    }

    fn run(&self, program: &str, arguments: &[&str]) {
        let program = self.bin.join(program);
        // The server refuses to run as root.
        let mut command = if rustix::process::geteuid().is_root() {
            let mut command = Command::new("runuser");
            command.args(["-u", "postgres", "--"]).arg(&program);
            command
        } else {
            Command::new(&program)
        };
        let status = command
            .args(arguments)
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .unwrap();
        assert!(status.success(), "{} {arguments:?}: {status}", program.display());
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        if self.runs.load(Relaxed) {
            self.kill();
        }
    }
}

/// A port that nobody listens on, of those that no connection takes by itself: it is free for a moment before the server
/// takes it, and whenever the server is down.
fn free_port() -> u16 {
    const PORTS: std::ops::Range<u32> = 10_000..20_000;
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let begin = std::process::id().wrapping_mul(37) + NEXT.fetch_add(1, Relaxed);
    let numbers = (0..1_000).map(|more| PORTS.start + begin.wrapping_add(more) % (PORTS.end - PORTS.start));
    let mut ports = numbers.map(|port| u16::try_from(port).unwrap());
    ports
        .find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok())
        .unwrap()
}

/// The name of a database.
fn name(database: &str) -> &str {
    database.rsplit_once('/').unwrap().1
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// The folder of the newest PostgreSQL's programs.
fn find() -> Option<PathBuf> {
    let mut found: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path().join("bin")))
        .filter(|bin| bin.join("initdb").exists())
        .collect();
    found.sort();
    found.pop().or_else(|| {
        let path = std::env::var_os("PATH")?;
        std::env::split_paths(&path).find(|folder| folder.join("initdb").exists() && folder.join("pg_ctl").exists())
    })
}
