//! What an ICMP error quotes (the parser is another commit).

use super::FlowKey;

/// The packet that an ICMP error quotes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Quoted {
    /// Key of the quoted packet as it was sent.
    pub key: FlowKey,
    /// Offset in the frame of the quoted IP header.
    pub l3: u16,
    /// Offset in the frame of the quoted transport header.
    pub l4: u16,
    /// Bytes of the quoted transport header and payload that are present.
    pub transport_len: usize,
    /// Sequence number of a quoted TCP segment.
    pub tcp_seq: Option<u32>,
}
