//! The socket: connections in, one request each, answered from a bounded number of threads.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::MAX_REQUEST;
use super::error::{CniError, code};
use super::handle::answer;
use crate::pods::Pods;

/// Requests worked on at once; more wait their turn. The kernel's lock lets one through anyway.
const AT_ONCE: usize = 32;

/// Connections held at once; more wait in the kernel's queue.
const MOST_CONNECTIONS: usize = 512;

/// How long a request may take to arrive, and its answer to be taken.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long requests under way may take to end when the agent stops.
const GRACE: Duration = Duration::from_secs(5);

/// Binds the socket at `path`, for root only, in the place of one that nobody listens to any more.
pub fn bind(path: &Path) -> io::Result<UnixListener> {
    use std::os::unix::fs::PermissionsExt;
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent)?;
    }
    match std::os::unix::net::UnixStream::connect(path) {
        Ok(_) => {
            let says = format!("another agent listens on {}", path.display());
            return Err(io::Error::new(io::ErrorKind::AddrInUse, says));
        }
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => std::fs::remove_file(path)?,
        Err(_) => {}
    }
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

/// Serves until `shutdown` completes, then lets requests under way end. A connection's failure
/// concerns nobody else.
pub async fn serve(listener: UnixListener, pods: Arc<Pods>, shutdown: impl Future<Output = ()>) {
    let turns = Arc::new(Semaphore::new(AT_ONCE));
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
            accepted = accept => accepted,
            () = &mut shutdown => break,
        };
        match accepted {
            Ok((stream, _)) => {
                connections.spawn(converse(stream, Arc::clone(&pods), Arc::clone(&turns)));
            }
            Err(error) => {
                // Out of descriptors, most likely: let some connections end first.
                tracing::warn!(%error, "a CNI connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
    drop(listener);
    let ended = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(GRACE, ended).await.is_err() {
        tracing::warn!("CNI requests were still under way when the agent stopped");
    }
}

async fn converse(mut stream: UnixStream, pods: Arc<Pods>, turns: Arc<Semaphore>) {
    let answered = match tokio::time::timeout(PATIENCE, read_request(&mut stream)).await {
        Ok(Ok(Some(request))) => {
            // Never closed, so a turn always comes.
            let Ok(_turn) = turns.acquire().await else { return };
            let work = tokio::task::spawn_blocking(move || answer(&pods, &request));
            work.await
                .unwrap_or_else(|_| broken("the agent failed while it worked on the request"))
        }
        Ok(Ok(None)) => broken("the request is too large"),
        // Nobody is there to be told.
        Ok(Err(_)) | Err(_) => return,
    };
    let write = async {
        stream.write_all(&answered).await?;
        stream.write_all(b"\n").await?;
        stream.shutdown().await
    };
    if !matches!(tokio::time::timeout(PATIENCE, write).await, Ok(Ok(()))) {
        tracing::debug!("a CNI answer was not taken");
    }
}

/// Up to a line feed or the end; `None` when it is too large.
async fn read_request(stream: &mut UnixStream) -> io::Result<Option<Vec<u8>>> {
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

fn broken(msg: &str) -> Vec<u8> {
    let details = format!("A request has at most {MAX_REQUEST} bytes; see the agent's log.");
    serde_json::to_vec(&CniError::new(code::IO_FAILURE, msg, details)).unwrap_or_default()
}
