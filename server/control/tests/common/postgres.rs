//! A PostgreSQL of the test's own: its data in a temporary folder, on a port of 127.0.0.1 that nobody has.
//!
//! On a machine without PostgreSQL a test says so and passes; under CI (`CI` is set) it fails.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// Stops when dropped.
pub struct Postgres {
    folder: tempfile::TempDir,
    bin: PathBuf,
    port: u16,
    databases: AtomicU32,
}

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
        let folder = tempfile::tempdir().unwrap();
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        let data = folder.path().join("data");
        std::fs::create_dir(&data).unwrap();
        if rustix::process::geteuid().is_root() {
            let status = Command::new("chown").arg("postgres").arg(&data).status().unwrap();
            assert!(status.success(), "chown postgres");
        }
        let port = free_port();
        let postgres = Self {
            folder,
            bin,
            port,
            databases: 0.into(),
        };
        postgres.run(
            "initdb",
            &[
                "-D",
                path(&data),
                "-U",
                "portolan",
                "-A",
                "trust",
                "-E",
                "UTF8",
                "--locale=C",
            ],
        );
        postgres.start_server();
        Some(postgres)
    }

    /// A new, empty database.
    pub fn database(&self) -> String {
        let n = self.databases.fetch_add(1, Relaxed);
        let port = self.port.to_string();
        let name = format!("portolan{n}");
        self.run("createdb", &["-h", "127.0.0.1", "-p", &port, "-U", "portolan", &name]);
        format!("postgres://portolan@127.0.0.1:{port}/{name}")
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
        let data = self.folder.path().join("data");
        self.run("pg_ctl", &["-D", path(&data), "-w", "-m", "immediate", "restart"]);
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
        let data = self.folder.path().join("data");
        self.run("pg_ctl", &["-D", path(&data), "-w", "-m", "immediate", "stop"]);
        let (from, to) = (self.folder.path().join(from), self.folder.path().join(to));
        for arguments in [vec!["rm", "-rf", path(&to)], vec!["cp", "-a", path(&from), path(&to)]] {
            let status = Command::new(arguments[0]).args(&arguments[1..]).status().unwrap();
            assert!(status.success(), "{arguments:?}");
        }
        self.start_server();
    }

    fn start_server(&self) {
        let (data, port) = (self.folder.path().join("data"), self.port);
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
        let data = self.folder.path().join("data");
        self.run("pg_ctl", &["-D", path(&data), "-w", "-m", "immediate", "stop"]);
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
