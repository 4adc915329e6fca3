//! A database on a disk that is full: what is said, and that an operator gets in all the same. The disk is a file system of
//! a few megabytes, so these tests need the right to mount one.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use serde_json::{Value, json};

use super::kit::{Disk, PASSWORD, PATIENCE, Server, With, names};

/// A file system of its own.
pub(crate) struct SmallDisk {
    folder: tempfile::TempDir,
}

impl SmallDisk {
    fn mount() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mount = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=4m", "tmpfs"])
            .arg(folder.path())
            .status();
        assert!(
            mount.unwrap().success(),
            "a small disk cannot be mounted: this test needs root"
        );
        Self { folder }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    fn rest(&self) -> PathBuf {
        self.path().join("rest")
    }

    /// Takes all the room that is left.
    fn fill(&self) {
        let mut rest = File::create(self.rest()).unwrap();
        while rest.write_all(&[1; 4096]).is_ok() {}
    }

    fn make_room(&self) {
        fs::remove_file(self.rest()).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // The mount goes once no file on it is open any more.
        let _ = Command::new("umount").arg("-l").arg(self.path()).status();
    }
}

async fn server() -> Server {
    Server::on(Disk::Small(SmallDisk::mount()), With::default()).await
}

fn disk(server: &Server) -> &SmallDisk {
    let Disk::Small(disk) = &server.disk else {
        panic!("no small disk")
    };
    disk
}

#[tokio::test]
async fn on_a_full_disk_nothing_is_written_and_that_is_said_until_there_is_room() {
    let server = server().await;
    let admin = server.admin().await;
    assert_eq!(server.ask("GET", "/readyz", &[], "").await.is(200).text, "ok");
    disk(&server).fill();
    let network = json!({ "network": { "name": "web" } });
    for path in ["/v2.0/networks", "/v2.0/networks"] {
        let refused = admin.post(path, network.clone()).await.is(503).json();
        assert_eq!(refused["NeutronError"]["code"], "store.full", "{refused}");
        let sentence = refused["NeutronError"]["message"].as_str().unwrap();
        assert!(sentence.starts_with("Nothing was written"), "{sentence}");
    }
    // The process is well, and not ready.
    server.ask("GET", "/healthz", &[], "").await.is(200);
    let why = server.ask("GET", "/readyz", &[], "").await.is(503).text;
    assert!(why.contains("disk") && why.contains("full"), "{why}");
    assert_eq!(names(&admin.get("/v2.0/networks").await.is(200), "networks"), [""; 0]);

    disk(&server).make_room();
    // Nobody writes: it finds out by itself.
    let by = Instant::now() + PATIENCE;
    while server.ask("GET", "/readyz", &[], "").await.status != 200 {
        assert!(Instant::now() < by, "it is not ready again");
        tokio::task::yield_now().await;
    }
    admin.post("/v2.0/networks", network).await.is(201);
    assert_eq!(names(&admin.get("/v2.0/networks").await.is(200), "networks"), ["web"]);
}

#[tokio::test]
async fn on_a_full_disk_an_operator_logs_in_for_an_hour() {
    let server = server().await;
    disk(&server).fill();
    let log_in = |password: &str| json!({ "user": "admin", "password": password }).to_string();
    let path = "/portolan/v1/session";
    let begun = server.ask("POST", path, &[], log_in(PASSWORD)).await.is(200);
    let cookie = begun.header("set-cookie");
    assert!(cookie.contains("Max-Age=3600"), "{cookie}");
    let cookie = cookie.split(';').next().unwrap().to_owned();
    let csrf = begun.json()["csrf"].as_str().unwrap().to_owned();
    let shown = [("cookie", cookie.as_str()), ("x-csrf-token", csrf.as_str())];
    server.ask("GET", path, &shown, "").await.is(200);
    server.ask("POST", path, &[], log_in("wrong")).await.is(401);
    // A token of the APIs, too.
    let admin = server.admin().await;
    admin.get("/v2.0/networks").await.is(200);
    let subject = [
        ("x-auth-token", admin.token.as_str()),
        ("x-subject-token", admin.token.as_str()),
    ];
    server.ask("GET", "/v3/auth/tokens", &subject, "").await.is(200);

    // It ends when it is ended, and after an hour.
    server.ask("DELETE", path, &shown, "").await.is(204);
    server.ask("GET", path, &shown, "").await.is(401);
    server.clock.pass(3599);
    admin.get("/v2.0/networks").await.is(200);
    server.clock.pass(1);
    admin.get("/v2.0/networks").await.is(401);
}

#[tokio::test]
async fn a_session_in_memory_ends_with_the_password_that_let_it_begin() {
    let server = server().await;
    disk(&server).fill();
    let admin = server.admin().await;
    let me = server
        .control
        .read(|view| view.user_by_name("admin").unwrap().id.to_string());
    disk(&server).make_room();
    let other = server.admin().await;
    let changed: Value = json!({ "user": { "password": "another horse" } });
    other
        .ask("PATCH", &format!("/v3/users/{me}"), changed.to_string())
        .await
        .is(200);
    admin.get("/v2.0/networks").await.is(401);
}
