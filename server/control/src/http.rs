//! Connections: accepted, served over HTTP/1.1, and ended in an orderly way.
//!
//! Limits that a stranger meets: connections at once, time to send a request's head, size of it.

use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use portolan_sources::{ByteStream, PeerListener};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout_at};
use tower::ServiceExt;

use crate::api::context::Peer;
use crate::places::Places;

/// Connections at once; more wait to be accepted.
const CONNECTIONS: usize = 16_384;
/// Connections at once from one address; more are closed at once, so that no one address takes all.
const FROM_ONE: usize = CONNECTIONS / 4;
/// How long a connection may take to send a request's head, or be idle.
const HEAD_TIMEOUT: Duration = Duration::from_secs(75);
/// Largest head of a request in bytes.
const HEAD_MAX: usize = 64 * 1024;
/// Most headers of a request.
const HEADERS_MAX: usize = 100;
/// How long requests under way may take once the server ends.
const GOODBYE: Duration = Duration::from_secs(5);

/// Serves until `ending` is true, then lets requests under way finish.
pub async fn serve(listener: Box<dyn PeerListener>, app: Router, mut ending: watch::Receiver<bool>) {
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    let peers = Places::default();
    let mut connections = JoinSet::new();
    loop {
        let accepted = async {
            let permit = Arc::clone(&room).acquire_owned().await;
            (permit, listener.accept().await)
        };
        tokio::select! {
            biased;
            () = ended(&mut ending) => break,
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
            (permit, accepted) = accepted => match accepted {
                Ok((stream, peer)) => {
                    let Ok(place) = peers.take([(peer.ip(), FROM_ONE)]) else {
                        tracing::debug!(%peer, "too many connections from this address");
                        continue;
                    };
                    let (app, ending) = (app.clone(), ending.clone());
                    connections.spawn(async move {
                        let _held = (permit, place);
                        connection(stream, peer.ip(), app, ending).await;
                    });
                }
                Err(error) => {
                    // Usually out of descriptors: connections that end will free some.
                    tracing::warn!(%error, "cannot accept a connection");
                    sleep(Duration::from_millis(50)).await;
                }
            },
        }
    }
    drop(listener);
    let by = Instant::now() + GOODBYE;
    while let Ok(Some(_)) = timeout_at(by, connections.join_next()).await {}
}

/// Waits for the end of the server.
async fn ended(ending: &mut watch::Receiver<bool>) {
    // An error means that the sender is gone, which counts as the end too.
    let _ = ending.wait_for(|ending| *ending).await;
}

async fn connection(stream: impl ByteStream, peer: IpAddr, app: Router, mut ending: watch::Receiver<bool>) {
    let service = service_fn(move |mut request: hyper::Request<Incoming>| {
        request.extensions_mut().insert(Peer(Some(peer)));
        app.clone().oneshot(request)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(HEAD_MAX)
        .max_headers(HEADERS_MAX)
        .serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    let ended: Result<(), hyper::Error> = tokio::select! {
        ended = connection.as_mut() => ended,
        () = ended(&mut ending) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended early");
    }
}

/// Handlers never fail: every failure is an answer.
const _: fn() = || {
    fn infallible<S: tower::Service<axum::extract::Request, Error = Infallible>>() {}
    infallible::<Router>();
};
