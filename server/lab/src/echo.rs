//! The program in the lab's pods: it tells whoever asks which address they came from.
//!
//! TCP: a line that begins like an HTTP request gets an HTTP answer, any other line a bare one; the text is
//! `ADDRESS NAME\n`, the address being the asker's as this side saw it. UDP: a datagram comes back as it was.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::thread;
use std::time::Duration;

/// The port it answers on.
pub const PORT: u16 = 8080;

/// How long a connection may be silent.
const PATIENCE: Duration = Duration::from_secs(10);
/// The longest request it reads, in bytes.
const LONGEST: u64 = 16 * 1024;

/// Answers until the process ends. `name` is what it calls itself.
pub fn run(name: &str, port: u16) -> io::Result<()> {
    // Both families, or IPv4 alone where the kernel has no IPv6.
    let (v6, v4) = (Ipv6Addr::UNSPECIFIED, Ipv4Addr::UNSPECIFIED);
    let listener = TcpListener::bind((v6, port)).or_else(|_| TcpListener::bind((v4, port)))?;
    let udp = UdpSocket::bind((v6, port)).or_else(|_| UdpSocket::bind((v4, port)))?;
    thread::spawn(move || echo_datagrams(&udp));
    for stream in listener.incoming().flatten() {
        let name = name.to_owned();
        thread::spawn(move || answer(&stream, &name));
    }
    Ok(())
}

fn echo_datagrams(socket: &UdpSocket) {
    let mut buffer = [0_u8; 2048];
    loop {
        // An error here is an earlier datagram's ICMP answer; the next may be fine.
        if let Ok((length, from)) = socket.recv_from(&mut buffer) {
            let _ = socket.send_to(&buffer[..length], from);
        }
    }
}

fn answer(stream: &TcpStream, name: &str) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    let text = format!("{} {name}\n", plain(stream.peer_addr()?.ip()));
    let mut reader = BufReader::new(stream.take(LONGEST));
    let mut first = String::new();
    reader.read_line(&mut first)?;
    let http = first.trim_end().ends_with("HTTP/1.1") || first.trim_end().ends_with("HTTP/1.0");
    let mut stream = stream;
    if !http {
        return stream.write_all(text.as_bytes());
    }
    let mut header = String::new();
    while reader.read_line(&mut header)? > 2 {
        header.clear();
    }
    let head = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nConnection: close";
    write!(stream, "{head}\r\nContent-Length: {}\r\n\r\n{text}", text.len())
}

/// The address without the IPv6 form that an IPv4 peer has on a socket for both.
fn plain(address: IpAddr) -> IpAddr {
    address.to_canonical()
}

/// Asks an echo program who we are: the address it saw us come from, and its name.
pub fn ask(to: SocketAddr, limit: Duration) -> io::Result<(IpAddr, String)> {
    let mut stream = TcpStream::connect_timeout(&to, limit)?;
    stream.set_read_timeout(Some(limit))?;
    stream.write_all(b"who am I\n")?;
    let mut text = String::new();
    stream.take(LONGEST).read_to_string(&mut text)?;
    let bad = || {
        io::Error::new(
            io::ErrorKind::InvalidData,
            format!("an echo answers `ADDRESS NAME`, not {text:?}"),
        )
    };
    let (address, name) = text.trim().split_once(' ').ok_or_else(bad)?;
    Ok((address.parse().map_err(|_| bad())?, name.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listening() -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let _ = answer(&stream, "web-1");
            }
        });
        address
    }

    #[test]
    fn a_line_is_answered_with_the_askers_address() {
        let (seen, name) = ask(listening(), PATIENCE).unwrap();
        assert_eq!((seen.to_string().as_str(), name.as_str()), ("127.0.0.1", "web-1"));
    }

    #[test]
    fn an_http_request_gets_an_http_answer() {
        let mut stream = TcpStream::connect(listening()).unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        assert!(
            text.starts_with("HTTP/1.1 200 OK\r\n") && text.ends_with("\r\n\r\n127.0.0.1 web-1\n"),
            "{text}"
        );
    }

    #[test]
    fn an_ipv4_asker_is_shown_as_such() {
        assert_eq!(plain("::ffff:10.0.0.1".parse().unwrap()).to_string(), "10.0.0.1");
        assert_eq!(plain("fd00::1".parse().unwrap()).to_string(), "fd00::1");
    }
}
