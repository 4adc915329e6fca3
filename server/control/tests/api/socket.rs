//! Over a socket: limits that only a connection has, and an orderly end.

use std::net::SocketAddr;
use std::time::Instant;

use portolan_control::http;
use portolan_sources::{ByteStream, Net as _, Opening, PeerListener, SystemNet};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::net::TcpStream;
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::kit::{PATIENCE, Server};

async fn listen(server: &Server) -> (SocketAddr, JoinHandle<()>) {
    let listener = SystemNet.listen(([127, 0, 0, 1], 0).into()).unwrap();
    let address = listener.address().unwrap();
    (
        address,
        tokio::spawn(http::serve(listener, server.app.clone(), server.end.subscribe())),
    )
}

/// Sends a text as it is and reads until the other side closes or is silent after an answer.
async fn send(address: SocketAddr, text: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    // The server may close before it has read everything.
    let _ = stream.write_all(text).await;
    let mut answer = Vec::new();
    let mut piece = [0; 4096];
    loop {
        match timeout(PATIENCE, stream.read(&mut piece)).await.expect("an answer") {
            Ok(0) | Err(_) => break,
            Ok(length) => answer.extend_from_slice(&piece[..length]),
        }
        let text = String::from_utf8_lossy(&answer);
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            if length.is_some_and(|length| body.len() >= length.parse().unwrap()) {
                break;
            }
        }
    }
    String::from_utf8_lossy(&answer).into_owned()
}

/// Takes connections that are pipes in memory.
struct Pipes(Mutex<mpsc::Receiver<DuplexStream>>);

impl PeerListener for Pipes {
    fn accept(&self) -> Opening<'_, (Box<dyn ByteStream>, SocketAddr)> {
        Box::pin(async move {
            let pipe = self.0.lock().await.recv().await.expect("a client");
            Ok((Box::new(pipe) as Box<dyn ByteStream>, self.address()?))
        })
    }

    fn address(&self) -> std::io::Result<SocketAddr> {
        Ok(([192, 0, 2, 1], 443).into())
    }
}

#[tokio::test]
async fn any_stream_of_bytes_is_a_connection() {
    let server = Server::new().await;
    let (connect, pipes) = mpsc::channel(1);
    let listener = Box::new(Pipes(Mutex::new(pipes)));
    let _served = tokio::spawn(http::serve(listener, server.app.clone(), server.end.subscribe()));
    let (mut client, end) = duplex(4096);
    connect.send(end).await.unwrap();
    let ask = b"GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    client.write_all(ask).await.unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).await.unwrap();
    assert!(answer.ends_with("ok"), "{answer}");
}

#[tokio::test]
async fn what_is_too_large_or_no_http_is_refused() {
    let server = Server::new().await;
    let (address, _) = listen(&server).await;
    let token = server.admin().await.token;
    let post = |headers: &str| {
        format!("POST /v2.0/networks HTTP/1.1\r\nHost: a\r\nX-Auth-Token: {token}\r\n{headers}\r\n\r\n")
    };

    let announced = send(address, post("Content-Length: 2000000").as_bytes()).await;
    assert!(announced.starts_with("HTTP/1.1 413"), "{announced}");
    assert!(announced.contains("HTTPRequestEntityTooLarge") && announced.contains("content-security-policy"));

    let mut chunked = post("Transfer-Encoding: chunked").into_bytes();
    for _ in 0..40 {
        chunked.extend(format!("{:x}\r\n{}\r\n", 50_000, " ".repeat(50_000)).into_bytes());
    }
    let chunked = send(address, &chunked).await;
    assert!(chunked.starts_with("HTTP/1.1 413"), "{chunked}");

    let head = send(
        address,
        format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "x".repeat(200_000)).as_bytes(),
    )
    .await;
    assert!(head.starts_with("HTTP/1.1 431"), "{head}");
    let headers: String = (0..200).map(|n| format!("X-{n}: y\r\n")).collect();
    let many = send(
        address,
        format!("GET / HTTP/1.1\r\nHost: a\r\n{headers}\r\n").as_bytes(),
    )
    .await;
    assert!(many.starts_with("HTTP/1.1 431"), "{many}");
    let none = send(address, b"\x16\x03\x01\x02\x00nonsense\r\n\r\n").await;
    assert!(none.is_empty() || none.starts_with("HTTP/1.1 400"), "{none}");
    let good = send(address, b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert!(good.ends_with("ok"), "the server is none the worse: {good}");
}

#[tokio::test]
async fn an_end_lets_requests_finish_and_closes_streams() {
    let server = Server::new().await;
    let (address, served) = listen(&server).await;
    let admin = server.admin().await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!(
        "GET /portolan/v1/events?project={} HTTP/1.1\r\nHost: a\r\nX-Auth-Token: {}\r\n\r\n",
        admin.project, admin.token
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut piece = [0; 4096];
    assert!(stream.read(&mut piece).await.unwrap() > 0);
    let mut idle = TcpStream::connect(address).await.unwrap();
    idle.write_all(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
        .await
        .unwrap();
    assert!(idle.read(&mut piece).await.unwrap() > 0);

    // With its timers standing: it does not wait until idle connections are given up.
    tokio::time::pause();
    server.end.send_replace(true);
    let by = Instant::now() + PATIENCE;
    while !served.is_finished() {
        assert!(Instant::now() < by, "it waits for somebody");
        // Somebody must be busy, or paused timers move on.
        tokio::task::yield_now().await;
    }
    served.await.unwrap();
    tokio::time::resume();
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).await.unwrap();
    assert!(rest.ends_with(b"0\r\n\r\n"), "the stream ends in order");
    assert!(TcpStream::connect(address).await.is_err(), "nobody is let in any more");
}
