//! The socket: connections in, one request each, answered from a bounded number of threads.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use portolan_cni_protocol::{CniError, MAX_REQUEST, code};
use portolan_sources::{ByteStream, Listener, WorkPanicked, Workers};
use portolan_wire::error_chain;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

use super::handle::{Answer, answer, encode};
use crate::pods::Pods;

/// Requests worked on at once; more wait their turn. The kernel's lock lets one through anyway.
const AT_ONCE: usize = 32;

/// Connections held at once; more wait in the kernel's queue.
const MOST_CONNECTIONS: usize = 512;

/// How long a request may take to arrive, and its answer to be taken.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long an ADD waits for a first or another block before the runtime is told to try again: a
/// lease takes some 50 ms, a runtime's next attempt seconds.
const WAIT_FOR_BLOCK: Duration = Duration::from_secs(2);

/// How long requests under way may take to end when the agent stops.
const GRACE: Duration = Duration::from_secs(5);

/// Serves until `shutdown` completes, then lets requests under way end. A failure of one connection does not affect
/// others.
pub async fn serve(listener: Box<dyn Listener>, pods: Arc<Pods>, workers: Workers, shutdown: impl Future<Output = ()>) {
    let turns = Arc::new(Semaphore::new(AT_ONCE));
    let (stopping, stop) = watch::channel(());
    let mut connections = JoinSet::new();
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        while connections.try_join_next().is_some() {}
        let accept = async {
            if connections.len() >= MOST_CONNECTIONS {
                connections.join_next().await;
            }
            listener.accept().await
        };
        let accepted = tokio::select! {
            biased;
            () = &mut shutdown => break,
            accepted = accept => accepted,
        };
        match accepted {
            Ok(stream) => {
                let (pods, turns, workers) = (Arc::clone(&pods), Arc::clone(&turns), workers.clone());
                connections.spawn(converse(stream, pods, turns, workers, stop.clone()));
            }
            Err(error) => {
                // Out of descriptors, most likely: let some connections end first.
                tracing::warn!(%error, "a CNI connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
    // Connections that have not sent a request are closed.
    drop((listener, stopping));
    let ended = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(GRACE, ended).await.is_err() {
        tracing::warn!("CNI requests were still under way when the agent stopped");
    }
}

async fn converse(
    mut stream: Box<dyn ByteStream>,
    pods: Arc<Pods>,
    turns: Arc<Semaphore>,
    workers: Workers,
    mut stop: watch::Receiver<()>,
) {
    let request = tokio::select! {
        biased;
        request = tokio::time::timeout(PATIENCE, read_request(&mut *stream)) => request,
        _ = stop.changed() => return,
    };
    let answered = match request {
        Ok(Ok(Some(request))) => work_on(request, &pods, &turns, &workers).await,
        Ok(Ok(None)) => broken("the request is too large"),
        // The plugin is gone or too slow: there is nobody to answer.
        Ok(Err(_)) | Err(_) => return,
    };
    let write = async {
        stream.write_all(&answered.bytes).await?;
        stream.write_all(b"\n").await?;
        stream.shutdown().await
    };
    if matches!(tokio::time::timeout(PATIENCE, write).await, Ok(Ok(()))) {
        return;
    }
    tracing::debug!("a CNI answer was not taken");
    // The runtime has killed the plugin: it calls that ADD failed, and its DEL may have come before.
    if let Some(id) = answered.given
        && let Ok(Err(error)) = workers.run(move || pods.not_taken(id)).await
    {
        tracing::warn!(%id, error = %error_chain(&error), "what nobody took stays until its sandbox ends");
    }
}

/// Works on a request. If there is no address for it, tries again whenever there may be one, for [`WAIT_FOR_BLOCK`].
async fn work_on(request: Vec<u8>, pods: &Arc<Pods>, turns: &Semaphore, workers: &Workers) -> Answer {
    let end = tokio::time::Instant::now() + WAIT_FOR_BLOCK;
    let request = Arc::new(request);
    loop {
        // Subscribed before the attempt: a block that comes meanwhile is not missed.
        let mut configured = pods.configured();
        let worked = {
            // The semaphore is never closed, so a turn always comes.
            let _turn = turns.acquire().await;
            let (pods, request) = (Arc::clone(pods), Arc::clone(&request));
            workers.run(move || answer(&pods, &request)).await
        };
        let failed = match worked {
            Ok(Ok(result)) => return result,
            Ok(Err(failed)) => failed,
            Err(WorkPanicked) => return broken("the agent failed while it worked on the request"),
        };
        if failed.waits_for_block() && matches!(tokio::time::timeout_at(end, configured.changed()).await, Ok(Ok(()))) {
            continue;
        }
        let error = failed.into_cni();
        tracing::warn!(code = error.code, details = %error.details, "{}", error.msg);
        return told(&error);
    }
}

/// Up to a line feed or the end; `None` when it is too large.
async fn read_request(stream: &mut dyn ByteStream) -> io::Result<Option<Vec<u8>>> {
    let mut request = Vec::with_capacity(4096);
    loop {
        if stream.read_buf(&mut request).await? == 0 {
            return Ok(Some(request));
        }
        if request.len() > MAX_REQUEST {
            return Ok(None);
        }
        if request.ends_with(b"\n") {
            request.pop();
            return Ok(Some(request));
        }
    }
}

fn told(error: &CniError) -> Answer {
    Answer {
        bytes: encode(error),
        given: None,
    }
}

fn broken(msg: &str) -> Answer {
    let details = format!("A request has at most {MAX_REQUEST} bytes; see the agent's log.");
    told(&CniError::new(code::IO_FAILURE, msg, details))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use portolan_sources::{Net as _, SystemNet};
    use serde_json::{Value, json};
    use tokio::net::UnixStream;
    use tokio::sync::oneshot;

    use super::*;
    use crate::pods::tests::{Rig, network};

    fn bind(path: &Path) -> io::Result<Box<dyn Listener>> {
        SystemNet.listen_local(path)
    }

    fn add(rig: &Rig, n: u8) -> Vec<u8> {
        let pod = rig.sandbox(n);
        let config = json!({"cniVersion": "1.0.0", "name": "portolan", "type": "portolan-cni"});
        let request = json!({
            "command": "ADD", "container_id": pod.container, "netns": pod.netns, "ifname": "eth0", "config": config,
        });
        format!("{request}\n").into_bytes()
    }

    async fn ask(path: &Path, request: &[u8]) -> Value {
        let mut stream = UnixStream::connect(path).await.unwrap();
        stream.write_all(request).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        serde_json::from_slice(&answer).unwrap()
    }

    #[tokio::test]
    async fn answers_many_refuses_the_huge_and_ends_cleanly() {
        let rig = Rig::new(&["10.1.0.0/26"]);
        let requests: Vec<Vec<u8>> = (0..40).map(|n| add(&rig, n)).collect();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/cni.sock");
        let (stop, stopped) = oneshot::channel::<()>();
        let server = tokio::spawn(serve(
            bind(&path).unwrap(),
            Arc::new(rig.pods),
            Workers::default(),
            async {
                let _stopped = stopped.await;
            },
        ));
        assert_eq!(bind(&path).err().unwrap().kind(), io::ErrorKind::AddrInUse);
        let asked = requests.iter().map(|request| ask(&path, request));
        let answers = futures_util::future::join_all(asked).await;
        let addresses: std::collections::BTreeSet<_> =
            answers.iter().map(|a| a["ips"][0]["address"].to_string()).collect();
        assert_eq!(addresses.len(), 40);
        let mut huge = vec![b' '; MAX_REQUEST + 1];
        huge.push(b'\n');
        assert_eq!(ask(&path, &huge).await["code"], code::IO_FAILURE);
        assert_eq!(ask(&path, b"hello\n").await["code"], code::NOT_DECODED);
        // A connection that says nothing keeps nobody from going home.
        let _silent = UnixStream::connect(&path).await.unwrap();
        stop.send(()).unwrap();
        server.await.unwrap();
        // The socket is left behind, as by a crash, and the next agent takes its place.
        bind(&path).unwrap();
    }

    #[tokio::test]
    async fn what_a_plugin_that_was_killed_was_given_is_taken_back() {
        let rig = Rig::new(&[]);
        let (request, other) = (add(&rig, 1), add(&rig, 2));
        let pods = Arc::new(rig.pods);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cni.sock");
        let server = tokio::spawn(serve(
            bind(&path).unwrap(),
            Arc::clone(&pods),
            Workers::default(),
            std::future::pending(),
        ));
        // The plugin is killed while its ADD waits for a block, as that of another pod does that waits on.
        let mut killed = UnixStream::connect(&path).await.unwrap();
        killed.write_all(&request).await.unwrap();
        pods.starved().notified().await;
        drop(killed);
        let lease = async {
            pods.starved().notified().await;
            pods.configure(network(&["10.1.0.0/26"]));
        };
        let (answer, ()) = tokio::join!(ask(&path, &other), lease);
        assert!(answer["ips"][0]["address"].is_string(), "{answer}");
        let end = tokio::time::Instant::now() + PATIENCE;
        let alone = || {
            let all = pods.list().unwrap().allocations;
            let seq = *pods.watch().borrow();
            (seq >= 3).then_some(all)
        };
        let all = loop {
            match alone() {
                Some(all) => break all,
                None => assert!(tokio::time::Instant::now() < end, "it is never taken back"),
            }
            tokio::task::yield_now().await;
        };
        let containers: Vec<&str> = all.iter().map(|a| a.container.as_str()).collect();
        assert_eq!(containers, ["c2"]);
        server.abort();
    }

    #[tokio::test]
    async fn an_add_waits_a_little_for_its_block() {
        let rig = Rig::new(&[]);
        let request = add(&rig, 1);
        let pods = Arc::new(rig.pods);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cni.sock");
        let server = tokio::spawn(serve(
            bind(&path).unwrap(),
            Arc::clone(&pods),
            Workers::default(),
            std::future::pending(),
        ));
        let lease = async {
            pods.starved().notified().await;
            pods.configure(network(&["10.1.0.0/26"]));
        };
        // Its patience stands, however busy the machine is: paused timers move on only when nobody has anything to do.
        tokio::time::pause();
        let busy = async {
            loop {
                tokio::task::yield_now().await;
            }
        };
        let answer = tokio::select! {
            (answer, ()) = async { tokio::join!(ask(&path, &request), lease) } => answer,
            () = busy => unreachable!("it is busy for ever"),
        };
        assert_eq!(answer["ips"][0]["address"], "10.1.0.1/32");
        server.abort();
    }
}
