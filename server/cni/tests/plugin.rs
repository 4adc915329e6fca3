//! The real binary against a small agent.

#![expect(clippy::disallowed_methods, reason = "the agent that the test plays")]
#![expect(clippy::unwrap_used, reason = "a test")]

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::thread::{self, JoinHandle};

use serde_json::{Value, json};

/// Answers one request with `answer` and hands the request over.
fn agent(socket: &Path, answer: &str) -> JoinHandle<Value> {
    let listener = UnixListener::bind(socket).unwrap();
    let answer = answer.to_owned();
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut line = String::new();
        BufReader::new(stream.try_clone().unwrap())
            .read_line(&mut line)
            .unwrap();
        stream.write_all(answer.as_bytes()).unwrap();
        serde_json::from_str(&line).unwrap()
    })
}

fn plugin(command: Option<&str>, input: &str) -> Output {
    let mut plugin = Command::new(env!("CARGO_BIN_EXE_portolan-cni"));
    plugin
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    plugin.envs([
        ("CNI_CONTAINERID", "c1"),
        ("CNI_NETNS", "/run/netns/c1"),
        ("CNI_IFNAME", "eth0"),
    ]);
    plugin.env(
        "CNI_ARGS",
        "IgnoreUnknown=1;K8S_POD_NAME=web-7;K8S_POD_NAMESPACE=shop;odd",
    );
    if let Some(command) = command {
        plugin.env("CNI_COMMAND", command);
    }
    let mut child = plugin.spawn().unwrap();
    // A plugin that does not read its input closes it early.
    let _closed = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

fn config(socket: &Path) -> String {
    json!({"cniVersion": "1.0.0", "name": "portolan", "type": "portolan-cni", "socket": socket}).to_string()
}

fn failure(output: &Output) -> Value {
    assert_eq!(output.status.code(), Some(1));
    let error: Value = serde_json::from_slice(&output.stdout).unwrap();
    for field in ["cniVersion", "msg", "details"] {
        assert!(!error[field].as_str().unwrap().is_empty(), "{error}");
    }
    error
}

#[test]
fn an_add_is_asked_and_its_result_printed() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("cni.sock");
    let result = r#"{"cniVersion":"1.0.0","ips":[{"address":"10.1.0.5/32"}]}"#;
    let asked = agent(&socket, result);
    let output = plugin(Some("ADD"), &config(&socket));
    assert!(output.status.success(), "{output:?}");
    assert_eq!(String::from_utf8(output.stdout).unwrap(), result);
    let request = asked.join().unwrap();
    assert_eq!(request["command"], "ADD");
    assert_eq!(request["container_id"], "c1");
    assert_eq!(request["netns"], "/run/netns/c1");
    assert_eq!(request["ifname"], "eth0");
    assert_eq!(request["args"]["K8S_POD_NAME"], "web-7");
    assert_eq!(request["args"]["K8S_POD_NAMESPACE"], "shop");
    assert_eq!(request["config"]["type"], "portolan-cni");
}

#[test]
fn a_del_prints_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("cni.sock");
    let asked = agent(&socket, "{}\n");
    let output = plugin(Some("DEL"), &config(&socket));
    assert!(output.status.success());
    assert!(output.stdout.is_empty());
    assert_eq!(asked.join().unwrap()["command"], "DEL");
}

#[test]
fn the_agents_error_is_passed_on() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("cni.sock");
    let error = r#"{"cniVersion":"1.0.0","code":11,"msg":"no block yet","details":"wait"}"#;
    agent(&socket, error);
    let output = plugin(Some("ADD"), &config(&socket));
    assert_eq!(failure(&output)["code"], 11);
}

#[test]
fn without_an_agent_it_is_to_be_tried_again() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("nobody.sock");
    for (command, code) in [("ADD", 11), ("DEL", 11), ("CHECK", 11), ("STATUS", 50)] {
        let error = failure(&plugin(Some(command), &config(&socket)));
        assert_eq!(error["code"], code);
        assert_eq!(error["cniVersion"], "1.0.0");
        assert!(error["msg"].as_str().unwrap().contains("nobody.sock"), "{error}");
    }
}

#[test]
fn an_agent_that_says_nothing_or_nonsense_is_an_error() {
    for (answer, code) in [("", 11), ("hello", 5)] {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("cni.sock");
        agent(&socket, answer);
        assert_eq!(failure(&plugin(Some("ADD"), &config(&socket)))["code"], code);
    }
}

#[test]
fn version_needs_no_agent() {
    for (input, version) in [(r#"{"cniVersion":"1.0.0"}"#, "1.0.0"), ("", "1.1.0")] {
        let output = plugin(Some("VERSION"), input);
        assert!(output.status.success());
        let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(
            answer,
            json!({"cniVersion": version, "supportedVersions": ["0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"]})
        );
    }
}

#[test]
fn wrong_input_says_what_is_wrong() {
    assert_eq!(failure(&plugin(None, ""))["code"], 4);
    assert_eq!(failure(&plugin(Some("ADD"), "{"))["code"], 6);
    assert_eq!(failure(&plugin(Some("ADD"), r#"{"socket":7}"#))["code"], 7);
    let large = format!(r#"{{"cniVersion":"1.0.0","x":"{}"}}"#, "x".repeat(1 << 20));
    assert_eq!(failure(&plugin(Some("ADD"), &large))["code"], 7);
}
