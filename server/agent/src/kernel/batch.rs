//! Several requests as one transaction of the packet filter: all are made, or none.

use std::io;

use netlink_packet_core::{NLM_F_ACK, NLM_F_REQUEST, NLMSG_ERROR, NLMSG_OVERRUN};

use super::KernelError;
use super::socket::{Body, Frames, Request, Socket, talk_error};

/// `NFNL_MSG_BATCH_BEGIN`, `NFNL_MSG_BATCH_END`.
const BEGIN: u16 = 0x10;
const END: u16 = 0x11;

/// `AF_UNSPEC`, `NFNETLINK_V0`, and in network order `NFNL_SUBSYS_NFTABLES`.
const OF_THE_FILTER: [u8; 4] = [0, 0, 0, 10];

impl Socket {
    /// Sends requests as one transaction, and waits for its end.
    ///
    /// # Errors
    /// The first refusal; nothing was made then.
    pub(super) fn batch(&mut self, requests: &[Request], what: &str) -> Result<(), KernelError> {
        let talk = |error: io::Error| talk_error(what, &error);
        let mut out = Vec::with_capacity(requests.len() * 256);
        self.encode(&Body::Raw(BEGIN, OF_THE_FILTER.to_vec()), NLM_F_REQUEST, &mut out);
        let begin = self.sequence();
        for request in requests {
            self.encode(&request.body, NLM_F_REQUEST | NLM_F_ACK | request.flags, &mut out);
        }
        self.encode(&Body::Raw(END, OF_THE_FILTER.to_vec()), NLM_F_REQUEST, &mut out);
        self.send(&out).map_err(talk)?;
        let mut open = requests.len();
        let mut refused = None;
        while open > 0 {
            let length = self.receive().map_err(talk)?;
            for frame in Frames(self.received(length)) {
                let at = frame.sequence.wrapping_sub(begin) as usize;
                match frame.kind {
                    NLMSG_OVERRUN => return Err(talk(io::Error::from_raw_os_error(libc::ENOBUFS))),
                    // Of the whole: it could not be committed.
                    NLMSG_ERROR if at == 0 => return frame.outcome(what),
                    NLMSG_ERROR if at <= requests.len() => {
                        open -= 1;
                        let outcome = frame.outcome(&requests[at - 1].what);
                        refused = refused.or(outcome.err());
                    }
                    // An answer to something given up earlier.
                    _ => {}
                }
            }
        }
        refused.map_or(Ok(()), Err)
    }
}
