//! Routing sockets that are opened as needed, lent and kept.

use std::io;

use parking_lot::Mutex;

use super::KernelError;
use super::netns::Home;
use super::own::Own;
use super::socket::{Reply, Request, Socket};

/// Sockets kept open between uses.
const KEPT_SOCKETS: usize = 8;

/// Routing sockets of the host's namespace, opened as needed and kept.
pub(super) struct Sockets {
    home: Home,
    idle: Mutex<Vec<Socket>>,
    own: Own,
}

impl Sockets {
    /// Sockets of this namespace; none is opened yet.
    pub(super) fn new(home: Home) -> Self {
        Self {
            home,
            idle: Mutex::default(),
            own: Own::default(),
        }
    }

    /// A new socket in the host's namespace.
    pub(super) fn open(&self) -> io::Result<Socket> {
        Ok(self.home.run(Socket::open)??.known_as(&self.own))
    }

    /// What is done through them, and what else is our own doing.
    pub(super) fn own(&self) -> &Own {
        &self.own
    }

    /// Lends a socket. One whose conversation broke is closed rather than kept.
    pub(super) fn with<T>(&self, work: impl FnOnce(&mut Socket) -> Result<T, KernelError>) -> Result<T, KernelError> {
        let mut socket = self.lend()?;
        let result = work(&mut socket);
        if !broke(&result) {
            self.give_back(socket);
        }
        result
    }

    /// Several requests in order, one result for each; an error if there is no socket at all.
    pub(super) fn each(&self, requests: &[Request]) -> Result<Vec<Result<Vec<Reply>, KernelError>>, KernelError> {
        let mut socket = self.lend()?;
        let results = socket.exchange(requests);
        if !results.iter().any(broke) {
            self.give_back(socket);
        }
        Ok(results)
    }

    /// Several requests in order; the first failure is the result, later ones have been made too.
    pub(super) fn all(&self, requests: &[Request]) -> Result<(), KernelError> {
        self.each(requests)?.into_iter().try_for_each(|result| result.map(drop))
    }

    fn lend(&self) -> Result<Socket, KernelError> {
        let kept = self.idle.lock().pop();
        kept.map_or_else(|| self.open(), Ok)
            .map_err(|source| KernelError::Talk {
                what: "a routing socket".into(),
                source,
            })
    }

    fn give_back(&self, socket: Socket) {
        let mut idle = self.idle.lock();
        if idle.len() < KEPT_SOCKETS {
            idle.push(socket);
        }
    }

    /// The host's namespace.
    pub(super) fn home(&self) -> &Home {
        &self.home
    }
}

/// Whether the exchange broke off. Late answers may still come, so nobody else may use the socket.
fn broke<T>(result: &Result<T, KernelError>) -> bool {
    matches!(result, Err(KernelError::Talk { .. }))
}

#[cfg(test)]
mod tests {
    use super::super::messages;
    use super::*;

    #[test]
    fn a_socket_whose_exchange_broke_is_not_used_again() {
        let sockets = Sockets::new(Home::here().unwrap());
        assert!(sockets.each(&[messages::get_link("lo")]).unwrap()[0].is_ok());
        assert_eq!(sockets.idle.lock().len(), 1);
        // More than the kernel takes at once.
        let name = "x".repeat(30_000);
        let many: Vec<Request> = (0..100).map(|_| messages::get_link(&name)).collect();
        let results = sockets.each(&many).unwrap();
        assert!(results.iter().all(broke), "{:?}", results[0]);
        assert_eq!(sockets.idle.lock().len(), 0);
    }
}
