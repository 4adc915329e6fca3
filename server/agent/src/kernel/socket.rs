//! One netlink socket: requests out, every reply accounted for.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::time::Duration;

use netlink_packet_core::{
    NLM_F_ACK, NLM_F_ACK_TLVS, NLM_F_CAPPED, NLM_F_DUMP, NLM_F_DUMP_INTR, NLM_F_REQUEST, NLMSG_DONE, NLMSG_ERROR,
    NLMSG_NOOP, NLMSG_OVERRUN, NetlinkHeader, NetlinkMessage, NetlinkPayload, NlasIterator,
};
use netlink_packet_route::RouteNetlinkMessage;
use rustix::net::RecvFlags;

use super::KernelError;
use super::own::{KnownPort, Own};

/// Bytes of `struct nlmsghdr`.
const HEADER: usize = 16;

/// Requests sent in one datagram: few enough that their acknowledgements fit the receive buffer
/// (an acknowledgement counts some 800 bytes against it).
const CHUNK: usize = 128;

/// Of the receive buffer, in bytes.
const RECEIVE_BUFFER: usize = 1 << 20;

/// How often a torn dump is read before the round is given up.
const DUMP_ATTEMPTS: u32 = 16;

/// The kernel answers within the system call; waiting longer means that a reply was lost.
const REPLY_TIMEOUT: Duration = Duration::from_secs(10);

/// `NLMSGERR_ATTR_MSG`: the kernel's own words about a refusal.
const ERROR_MESSAGE: u16 = 1;

/// What a request asks.
#[derive(Clone)]
pub(super) enum Body {
    /// Something of routing.
    Route(Box<RouteNetlinkMessage>),
    /// A message of another protocol: its type, and its bytes after the netlink header.
    Raw(u16, Vec<u8>),
}

/// A request, with the words for it in an error.
pub(super) struct Request {
    /// The message.
    pub body: Body,
    /// Flags beyond `NLM_F_REQUEST` and `NLM_F_ACK`.
    pub flags: u16,
    /// What it is about, such as "the route 10.1.0.64/26".
    pub what: String,
}

impl Request {
    /// A request with no flags of its own.
    pub(super) fn new(message: RouteNetlinkMessage, what: impl Into<String>) -> Self {
        Self::of(Body::Route(Box::new(message)), what)
    }

    /// A request of any protocol, with no flags of its own.
    pub(super) fn of(body: Body, what: impl Into<String>) -> Self {
        Self {
            body,
            flags: 0,
            what: what.into(),
        }
    }

    /// With more flags.
    pub(super) fn flags(mut self, flags: u16) -> Self {
        self.flags |= flags;
        self
    }
}

/// An object in a reply: the message's type and its bytes after the netlink header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// `RTM_*`.
    pub kind: u16,
    /// Of a notification: the port of the socket whose request caused it; 0: no request did.
    pub port: u32,
    /// The family's header and the attributes.
    pub payload: Vec<u8>,
}

/// A netlink socket, mostly for routing. It belongs to the network namespace in which it was opened,
/// wherever it is used.
pub struct Socket {
    inner: netlink_sys::Socket,
    sequence: u32,
    buffer: Vec<u8>,
    port: u32,
    /// While it is there, what is asked through it is known as our own doing.
    known: Option<KnownPort>,
}

impl Socket {
    /// Opens one for routing in the calling thread's network namespace, with strict checking of requests
    /// (so that dumps are filtered by the kernel) and the kernel's own words in errors.
    pub fn open() -> io::Result<Self> {
        Self::open_for(netlink_sys::protocols::NETLINK_ROUTE)
    }

    /// The same for another protocol of netlink.
    pub(super) fn open_for(protocol: isize) -> io::Result<Self> {
        let mut inner = netlink_sys::Socket::new(protocol)?;
        let port = inner.bind_auto()?.port_number();
        inner.set_ext_ack(true)?;
        inner.set_cap_ack(true)?;
        inner.set_netlink_get_strict_chk(true)?;
        let fd = inner.as_fd();
        set_receive_buffer(fd, RECEIVE_BUFFER)?;
        rustix::net::sockopt::set_socket_timeout(fd, rustix::net::sockopt::Timeout::Recv, Some(REPLY_TIMEOUT))?;
        Ok(Self {
            inner,
            sequence: 0,
            buffer: vec![0; 64 << 10],
            port,
            known: None,
        })
    }

    /// Makes it known as ours for as long as it is open.
    pub(super) fn known_as(mut self, own: &Own) -> Self {
        self.known = Some(own.port(self.port));
        self
    }

    /// Makes it hear the notifications of `group` (`RTNLGRP_*`).
    pub(super) fn listen(&mut self, group: u32) -> io::Result<()> {
        self.inner.add_membership(group)
    }

    /// Takes up to `bytes` of notifications that were not read yet, where the system allows it.
    pub(super) fn hold(&mut self, bytes: usize) -> io::Result<()> {
        set_receive_buffer(self.inner.as_fd(), bytes)
    }

    /// Sends requests in order and waits for the acknowledgement of each. The kernel continues after one that it
    /// refuses; the results are one for each, in order.
    pub(super) fn exchange(&mut self, requests: &[Request]) -> Vec<Result<Vec<Reply>, KernelError>> {
        let mut results = Vec::with_capacity(requests.len());
        for chunk in requests.chunks(CHUNK) {
            match self.exchange_chunk(chunk) {
                Ok(mut chunk) => results.append(&mut chunk),
                Err(error) => {
                    // The exchange broke off: whether these requests were carried out is unknown.
                    let talk = |request: &Request| Err(talk_error(&request.what, &error));
                    results.extend(chunk.iter().map(talk));
                }
            }
        }
        results
    }

    /// One request, its objects.
    pub(super) fn one(&mut self, request: Request) -> Result<Vec<Reply>, KernelError> {
        let what = request.what.clone();
        self.exchange(&[request])
            .pop()
            .unwrap_or(Err(KernelError::Malformed { what }))
    }

    fn exchange_chunk(&mut self, requests: &[Request]) -> io::Result<Vec<Result<Vec<Reply>, KernelError>>> {
        let first = self.sequence.wrapping_add(1);
        let mut out = Vec::with_capacity(requests.len() * 128);
        for request in requests {
            self.encode(&request.body, NLM_F_REQUEST | NLM_F_ACK | request.flags, &mut out);
        }
        self.send(&out)?;
        let mut results: Vec<Option<Result<(), KernelError>>> = requests.iter().map(|_| None).collect();
        let mut objects: Vec<Vec<Reply>> = requests.iter().map(|_| Vec::new()).collect();
        let mut open = requests.len();
        while open > 0 {
            let length = self.receive()?;
            for frame in Frames(&self.buffer[..length]) {
                let Some(at) = frame
                    .sequence
                    .checked_sub(first)
                    .map(|n| n as usize)
                    .filter(|n| *n < requests.len())
                else {
                    continue; // an answer to something given up earlier
                };
                match frame.kind {
                    NLMSG_ERROR => {
                        if results[at].is_none() {
                            open -= 1;
                        }
                        results[at] = Some(frame.outcome(&requests[at].what));
                    }
                    NLMSG_NOOP | NLMSG_DONE => {}
                    NLMSG_OVERRUN => return Err(io::Error::from_raw_os_error(libc::ENOBUFS)),
                    _ => objects[at].push(frame.reply()),
                }
            }
        }
        Ok(results
            .into_iter()
            .zip(objects)
            .zip(requests)
            .map(|((result, objects), request)| match result {
                Some(result) => result.map(|()| objects),
                None => Err(KernelError::Malformed {
                    what: request.what.clone(),
                }),
            })
            .collect())
    }

    /// Reads a whole table. A dump that changes tore (`NLM_F_DUMP_INTR` on any of its parts) is
    /// read again, up to [`DUMP_ATTEMPTS`] times.
    pub(super) fn dump(&mut self, request: &Request) -> Result<Vec<Reply>, KernelError> {
        for _ in 0..DUMP_ATTEMPTS {
            if let Some(objects) = self.dump_once(request)? {
                return Ok(objects);
            }
        }
        Err(KernelError::Torn {
            what: request.what.clone(),
            times: DUMP_ATTEMPTS,
        })
    }

    /// `None`: torn.
    fn dump_once(&mut self, request: &Request) -> Result<Option<Vec<Reply>>, KernelError> {
        let talk = |error: io::Error| talk_error(&request.what, &error);
        let mut out = Vec::new();
        self.encode(&request.body, NLM_F_REQUEST | NLM_F_DUMP | request.flags, &mut out);
        let sequence = self.sequence;
        self.send(&out).map_err(talk)?;
        let mut dump = Dump::default();
        loop {
            let length = self.receive().map_err(talk)?;
            for frame in Frames(&self.buffer[..length]).filter(|frame| frame.sequence == sequence) {
                if let Some(outcome) = dump.take(&frame, &request.what) {
                    return outcome.map(|()| (!dump.torn).then_some(dump.objects));
                }
            }
        }
    }

    /// The next notifications; only for a socket that listens. Waits for them.
    pub(super) fn notifications(&mut self) -> io::Result<Vec<Reply>> {
        let length = self.receive()?;
        Ok(Frames(&self.buffer[..length]).map(|frame| frame.reply()).collect())
    }

    /// The same without waiting: an error of the kind `WouldBlock` when there are none.
    pub(super) fn notifications_now(&mut self) -> io::Result<Vec<Reply>> {
        let length = self.receive_with(RecvFlags::DONTWAIT)?;
        Ok(Frames(&self.buffer[..length]).map(|frame| frame.reply()).collect())
    }

    /// The number of the request that was encoded last.
    pub(super) fn sequence(&self) -> u32 {
        self.sequence
    }

    /// What was received, of this length.
    pub(super) fn received(&self, length: usize) -> &[u8] {
        &self.buffer[..length]
    }

    pub(super) fn encode(&mut self, body: &Body, flags: u16, out: &mut Vec<u8>) {
        self.sequence = self.sequence.wrapping_add(1);
        let start = out.len();
        match body {
            Body::Route(message) => {
                let mut header = NetlinkHeader::default();
                header.flags = flags;
                header.sequence_number = self.sequence;
                let mut message = NetlinkMessage::new(header, NetlinkPayload::InnerMessage((**message).clone()));
                message.finalize();
                out.resize(start + message.buffer_len().next_multiple_of(4), 0);
                message.serialize(&mut out[start..]);
            }
            Body::Raw(kind, payload) => {
                let length = u32::try_from(HEADER + payload.len()).unwrap_or(u32::MAX);
                out.extend(length.to_ne_bytes());
                out.extend(kind.to_ne_bytes());
                out.extend(flags.to_ne_bytes());
                out.extend(self.sequence.to_ne_bytes());
                out.extend([0; 4]);
                out.extend(payload);
                out.resize(out.len().next_multiple_of(4), 0);
            }
        }
    }

    pub(super) fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        // Room for all acknowledgements' numbers without wrapping inside a chunk.
        match self.inner.send(bytes, 0)? {
            sent if sent == bytes.len() => Ok(()),
            _ => Err(io::Error::new(
                io::ErrorKind::WriteZero,
                "the kernel took only a part of the request",
            )),
        }
    }

    /// One datagram into the buffer; its length.
    pub(super) fn receive(&mut self) -> io::Result<usize> {
        self.receive_with(RecvFlags::empty())
    }

    fn receive_with(&mut self, flags: RecvFlags) -> io::Result<usize> {
        loop {
            let received = rustix::net::recv(&self.inner, self.buffer.as_mut_slice(), RecvFlags::TRUNC | flags);
            match received {
                Ok((_, whole)) if whole > self.buffer.len() => {
                    return Err(io::Error::new(
                        io::ErrorKind::InvalidData,
                        "a reply did not fit the buffer",
                    ));
                }
                Ok((length, _)) => return Ok(length),
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inner.as_fd()
    }
}

impl AsRawFd for Socket {
    fn as_raw_fd(&self) -> RawFd {
        self.inner.as_raw_fd()
    }
}

/// Beyond the system's limit only with CAP_NET_ADMIN of the first user namespace.
fn set_receive_buffer(fd: BorrowedFd<'_>, bytes: usize) -> io::Result<()> {
    if rustix::net::sockopt::set_socket_recv_buffer_size_force(fd, bytes).is_err() {
        rustix::net::sockopt::set_socket_recv_buffer_size(fd, bytes)?;
    }
    Ok(())
}

pub(super) fn talk_error(what: &str, error: &io::Error) -> KernelError {
    let source = match error.raw_os_error() {
        Some(number) => io::Error::from_raw_os_error(number),
        None => io::Error::new(error.kind(), error.to_string()),
    };
    KernelError::Talk {
        what: what.to_owned(),
        source,
    }
}

/// A table as far as it has been read.
#[derive(Default)]
struct Dump {
    objects: Vec<Reply>,
    /// The kernel said of any part that the table changed under it (`NLM_F_DUMP_INTR`): objects may
    /// be missing, or be there twice.
    torn: bool,
}

impl Dump {
    /// Takes a part in; the outcome once it was the last.
    fn take(&mut self, frame: &Frame<'_>, what: &str) -> Option<Result<(), KernelError>> {
        self.torn |= frame.flags & NLM_F_DUMP_INTR != 0;
        match frame.kind {
            // The end of a dump may carry an error number too.
            NLMSG_DONE | NLMSG_ERROR => Some(frame.outcome(what)),
            NLMSG_NOOP => None,
            NLMSG_OVERRUN => Some(Err(talk_error(what, &io::Error::from_raw_os_error(libc::ENOBUFS)))),
            _ => {
                self.objects.push(frame.reply());
                None
            }
        }
    }
}

/// One message of a datagram.
pub(super) struct Frame<'a> {
    pub(super) kind: u16,
    flags: u16,
    pub(super) sequence: u32,
    port: u32,
    payload: &'a [u8],
}

impl Frame<'_> {
    fn reply(&self) -> Reply {
        Reply {
            kind: self.kind,
            port: self.port,
            payload: self.payload.to_vec(),
        }
    }

    /// What an error or end-of-dump message says: a negative errno, then perhaps the kernel's words.
    pub(super) fn outcome(&self, what: &str) -> Result<(), KernelError> {
        let Some((code, rest)) = self.payload.split_first_chunk::<4>() else {
            // The kernel may end a dump with nothing.
            return Ok(());
        };
        match i32::from_ne_bytes(*code) {
            0.. => Ok(()),
            code => {
                let message = self.words(rest);
                Err(KernelError::Refused {
                    what: what.to_owned(),
                    errno: code.wrapping_neg(),
                    message,
                })
            }
        }
    }

    fn words(&self, rest: &[u8]) -> Option<String> {
        if self.flags & NLM_F_ACK_TLVS == 0 {
            return None;
        }
        // An error repeats the request: its header alone when capped, else all of it.
        let skip = match (self.kind, self.flags & NLM_F_CAPPED != 0) {
            (NLMSG_ERROR, true) => HEADER,
            (NLMSG_ERROR, false) => u32::from_ne_bytes(*rest.first_chunk()?).next_multiple_of(4) as usize,
            _ => 0,
        };
        let attributes = rest.get(skip..)?;
        let message = NlasIterator::new(attributes)
            .flatten()
            .find(|a| a.kind() == ERROR_MESSAGE)?;
        Some(
            String::from_utf8_lossy(message.value())
                .trim_end_matches('\0')
                .to_owned(),
        )
    }
}

/// The messages of a datagram, in order; ends at the first that does not hold together.
pub(super) struct Frames<'a>(pub(super) &'a [u8]);

impl<'a> Iterator for Frames<'a> {
    type Item = Frame<'a>;

    fn next(&mut self) -> Option<Frame<'a>> {
        let bytes = self.0;
        let field = |at: usize| -> Option<[u8; 4]> { bytes.get(at..at + 4)?.try_into().ok() };
        let length = u32::from_ne_bytes(field(0)?) as usize;
        let kind_and_flags = field(4)?;
        let sequence = u32::from_ne_bytes(field(8)?);
        let port = u32::from_ne_bytes(field(12)?);
        let payload = bytes.get(HEADER..length)?;
        self.0 = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some(Frame {
            kind: u16::from_ne_bytes([kind_and_flags[0], kind_and_flags[1]]),
            flags: u16::from_ne_bytes([kind_and_flags[2], kind_and_flags[3]]),
            sequence,
            port,
            payload,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u16, flags: u16, sequence: u32, payload: &[u8]) -> Vec<u8> {
        let mut bytes = ((HEADER + payload.len()) as u32).to_ne_bytes().to_vec();
        bytes.extend(kind.to_ne_bytes());
        bytes.extend(flags.to_ne_bytes());
        bytes.extend(sequence.to_ne_bytes());
        bytes.extend([0; 4]);
        bytes.extend(payload);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }

    #[test]
    fn takes_a_datagram_apart_and_stops_at_nonsense() {
        let mut datagram = frame(16, 2, 7, &[1, 2, 3]);
        datagram.extend(frame(3, 0, 8, &[0; 4]));
        datagram.extend([255; 16]); // claims 4 GiB
        let seen: Vec<_> = Frames(&datagram)
            .map(|f| (f.kind, f.sequence, f.payload.to_vec()))
            .collect();
        assert_eq!(seen, [(16, 7, vec![1, 2, 3]), (3, 8, vec![0; 4])]);
        assert_eq!(Frames(&[0; 16]).count(), 0);
    }

    #[test]
    fn a_dump_is_torn_by_any_of_its_parts() {
        let outcome = |parts: &[(u16, u16)]| {
            let mut dump = Dump::default();
            let datagrams: Vec<_> = parts
                .iter()
                .map(|(kind, flags)| frame(*kind, *flags, 1, &[0; 4]))
                .collect();
            let end = datagrams
                .iter()
                .find_map(|bytes| dump.take(&Frames(bytes).next().unwrap(), "the routes"));
            (end.is_some_and(|end| end.is_ok()), dump.torn, dump.objects.len())
        };
        assert_eq!(outcome(&[(24, 2), (24, 2), (NLMSG_DONE, 2)]), (true, false, 2));
        assert_eq!(
            outcome(&[(24, 2 | NLM_F_DUMP_INTR), (24, 2), (NLMSG_DONE, 2)]),
            (true, true, 2)
        );
        assert_eq!(outcome(&[(24, 2), (NLMSG_DONE, 2 | NLM_F_DUMP_INTR)]), (true, true, 1));
        assert_eq!(outcome(&[(24, 2), (NLMSG_OVERRUN, 2)]), (false, false, 1));
    }

    #[test]
    fn an_error_keeps_number_and_words() {
        let mut payload = (-libc::EINVAL).to_ne_bytes().to_vec();
        payload.extend([0; HEADER]);
        let words = b"Nexthop has invalid gateway\0";
        payload.extend((4 + words.len() as u16).to_ne_bytes());
        payload.extend(ERROR_MESSAGE.to_ne_bytes());
        payload.extend(words);
        let bytes = frame(NLMSG_ERROR, NLM_F_CAPPED | NLM_F_ACK_TLVS, 1, &payload);
        let error = Frames(&bytes).next().unwrap().outcome("the route").unwrap_err();
        assert_eq!(error.errno(), Some(libc::EINVAL));
        assert!(error.to_string().contains("Nexthop has invalid gateway"), "{error}");
    }
}
