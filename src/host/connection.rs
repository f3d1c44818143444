//! One TCP connection: a smoltcp socket in a set of its own.
//!
//! smoltcp looks through a whole set for every packet and every turn; with a set per connection the stack finds the
//! one by its flow key and runs only those that have something to do.

use std::net::SocketAddr;

use smoltcp::iface::{SocketHandle, SocketSet};
use smoltcp::socket::tcp;
use smoltcp::wire::IpListenEndpoint;

use crate::types::Instant;
use crate::wire::FlowKey;

/// Sent and not acknowledged: what keeps a fast LAN busy.
const SEND_BUFFER: usize = 512 << 10;
/// The window that we offer.
const RECEIVE_BUFFER: usize = 64 << 10;
/// A peer that says nothing for this long is gone, idle or not.
const SILENCE: smoltcp::time::Duration = smoltcp::time::Duration::from_secs(60);

/// A socket and its buffers; used again, since they are large.
pub(super) struct Endpoint {
    pub set: SocketSet<'static>,
    handle: SocketHandle,
}

impl Endpoint {
    pub fn new() -> Self {
        let buffer = |size: usize| tcp::SocketBuffer::new(vec![0; size]);
        let mut set = SocketSet::new(Vec::with_capacity(1));
        let handle = set.add(tcp::Socket::new(buffer(RECEIVE_BUFFER), buffer(SEND_BUFFER)));
        Endpoint { set, handle }
    }

    /// The socket.
    pub fn socket(&mut self) -> &mut tcp::Socket<'static> {
        self.set.get_mut(self.handle)
    }

    /// Forgets what was and waits for the SYN of this flow; false when the flow cannot be.
    pub fn expect(&mut self, key: &FlowKey) -> bool {
        let socket = self.socket();
        // Without a word: nothing is sent for a socket that listens.
        socket.abort();
        socket.set_timeout(Some(SILENCE));
        socket.set_nagle_enabled(false);
        socket.set_congestion_control(tcp::CongestionControl::Cubic);
        socket.listen(IpListenEndpoint { addr: Some(key.dst().into()), port: key.dst_port() }).is_ok()
    }
}

impl Endpoint {
    /// Forgets what was and begins a connection; false when it cannot be.
    pub fn dial(
        &mut self,
        context: &mut smoltcp::iface::Context,
        local: SocketAddr,
        remote: SocketAddr,
    ) -> bool {
        let socket = self.socket();
        socket.abort();
        socket.set_timeout(Some(SILENCE));
        socket.set_nagle_enabled(false);
        socket.set_congestion_control(tcp::CongestionControl::Cubic);
        socket.connect(context, remote, local).is_ok()
    }
}

/// How far a connection has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Phase {
    /// The handshake is not over.
    HalfOpen {
        /// The SYN came then.
        since: Instant,
    },
    /// We have begun it, and nobody has answered yet.
    Dialling {
        /// The SYN went out then.
        since: Instant,
    },
    /// Somebody serves it, or soon will.
    Open,
    /// Nobody is interested any more; what was written still goes out.
    Released {
        /// Since then.
        since: Instant,
    },
}

/// A connection.
pub(super) struct Connection {
    pub endpoint: Endpoint,
    /// As the packets of the peer show it.
    pub key: FlowKey,
    pub phase: Phase,
    /// Payload of a segment.
    pub segment: u16,
    /// It stands in the queue of those that have something to do.
    pub due: bool,
    /// Bytes written since its last turn.
    pub fresh: usize,
    /// When smoltcp wants a turn for it.
    pub timer: Option<Instant>,
    /// It is one of our own.
    pub dialled: bool,
}
