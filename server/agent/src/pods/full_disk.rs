//! Pods on a real file system that is full, of a few kilobytes: tests that need the right to mount one.

#![expect(clippy::disallowed_methods, reason = "the disk is a real one")]

use std::fs::{self, File};
use std::io::Write as _;
use std::process::Command;

use portolan_cni_protocol::code;
use portolan_sources::SystemFiles;
use portolan_sources::testing::{OnTheSpot, SeededRandom, SetClock};

use super::tests::network;
use super::*;
use crate::kernel::fake::FakeKernel;

const STATUS: &[u8] = br#"{"command":"STATUS","container_id":"","netns":"","ifname":"","args":{},"config":{"cniVersion":"1.1.0","name":"portolan","type":"portolan-cni"}}"#;

/// A mounted file system.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn mount() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mount = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=256k", "tmpfs"])
            .arg(folder.path())
            .status();
        assert!(
            mount.unwrap().success(),
            "a small disk cannot be mounted: this test needs root"
        );
        Self(folder)
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

fn pod(kernel: &FakeKernel, n: u8) -> AddPod {
    let netns = PathBuf::from(format!("/run/netns/{n}"));
    kernel.state.lock().namespaces.insert(netns.clone(), u64::from(n));
    AddPod {
        network: "portolan".into(),
        container: format!("c{n}"),
        ifname: "eth0".into(),
        netns,
        pod_namespace: "shop".into(),
        pod_name: format!("web-{n}"),
        pod_uid: String::new(),
        host_ports: Vec::new(),
    }
}

#[test]
fn cni_status_refuses_while_the_disk_takes_no_add_and_is_well_by_itself_once_there_is_room() {
    let disk = SmallDisk::mount();
    let kernel = Arc::new(FakeKernel::default());
    let ids = Ids::new(Arc::new(SetClock::at(1)), Arc::new(SeededRandom::new(1)));
    let log = disk.0.path().join("pods.log");
    let pods = Pods::open(&SystemFiles, &log, kernel.clone(), ids, Arc::new(OnTheSpot)).unwrap();
    pods.configure(network(&["10.1.0.0/24"]));
    pods.add(&pod(&kernel, 1)).unwrap();
    let status = || {
        crate::cni::answer(&pods, STATUS)
            .map(|answer| answer.bytes)
            .map_err(crate::cni::Failed::into_cni)
    };
    assert_eq!(status().unwrap(), b"{}");

    let rest = disk.0.path().join("rest");
    let mut filler = File::create(&rest).unwrap();
    while filler.write_all(&[1; 1024]).is_ok() {}
    drop(filler);
    // The page that the log ends in may take some more.
    let refused = (2..u8::MAX).find_map(|n| Some((n, pods.add(&pod(&kernel, n)).err()?)));
    let (n, error) = refused.expect("the disk is full");
    assert!(matches!(error, AddError::Log(_)), "{error:?}");
    for _ in 0..2 {
        let error = status().unwrap_err();
        assert_eq!(error.code, code::NOT_AVAILABLE);
        assert!(error.msg.contains("No space left on device"), "{error:?}");
    }
    // What runs can go all the same.
    pods.remove("c1", "eth0").unwrap();

    fs::remove_file(rest).unwrap();
    assert_eq!(status().unwrap(), b"{}");
    pods.add(&pod(&kernel, n)).unwrap();
}
