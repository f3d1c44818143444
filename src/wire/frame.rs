//! The buffer that carries a frame from one port to another.
//!
//! A [`FrameBuf`] owns its bytes and moves; it is never copied on the way. In front of the frame there is room
//! for a virtio-net header and an 802.1Q tag, so that a port reads and writes with one contiguous system call.
//! A [`Pool`] hands out and takes back full-size buffers, last in first out, so that the bytes stay in the cache.

/// Room in front of a received frame. The IP header behind an untagged Ethernet header is 16-byte aligned.
const HEADROOM: usize = 66;
/// Length of the virtio-net header that TAPs with `IFF_VNET_HDR` use.
const VNET_LEN: usize = 10;
/// A full-size buffer: a 64 KiB IP packet, Ethernet, two tags and the headroom. Not a multiple of the page size,
/// so that the first bytes of many buffers do not fall into the same cache sets.
const CAPACITY: usize = 65_536 + 256;

/// What is known of the transport checksum.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum ChecksumState {
    /// Nothing: it stands in the packet and nobody has looked at it.
    #[default]
    Unverified,
    /// It stands in the packet and is right.
    Valid,
    /// It is still to be computed over everything from `start`; the field at `start + offset` holds the sum of
    /// the pseudo header, not complemented. `start` counts from the beginning of the frame.
    Partial {
        /// Where the summed bytes begin.
        start: u16,
        /// Where, from `start`, the checksum goes.
        offset: u16,
    },
}

/// The protocol of a superpacket.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum GsoKind {
    /// TCP over IPv4.
    Tcp4,
    /// TCP over IPv6.
    Tcp6,
    /// UDP (USO), either family.
    Udp,
}

/// A superpacket: many segments of one flow in one frame (TSO, USO).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Gso {
    /// Protocol.
    pub kind: GsoKind,
    /// The segments carry ECN's CWR on the first one only.
    pub ecn: bool,
    /// Payload bytes of each segment but the last.
    pub size: u16,
}

/// One Ethernet frame and what its port said about it.
pub struct FrameBuf {
    bytes: Box<[u8]>,
    head: u32,
    len: u32,
    /// What is known of the transport checksum.
    pub checksum: ChecksumState,
    /// Set for a superpacket.
    pub gso: Option<Gso>,
}

impl FrameBuf {
    /// An empty full-size buffer.
    pub fn new() -> Self {
        Self::with_capacity(CAPACITY)
    }

    /// An empty buffer for a frame of up to `room` bytes; for frames that wait (parking, reassembly).
    pub fn with_room(room: usize) -> Self {
        Self::with_capacity(HEADROOM + room)
    }

    fn with_capacity(capacity: usize) -> Self {
        FrameBuf {
            bytes: vec![0; capacity].into_boxed_slice(),
            head: HEADROOM as u32,
            len: 0,
            checksum: ChecksumState::Unverified,
            gso: None,
        }
    }

    /// A right-sized buffer that holds `frame`.
    pub fn copy_of(frame: &[u8]) -> Self {
        let mut buf = Self::with_room(frame.len());
        buf.set(frame);
        buf
    }

    /// A right-sized copy, including what is known of the checksum.
    pub fn shrunk(&self) -> Self {
        let mut buf = Self::copy_of(self.bytes());
        buf.checksum = self.checksum;
        buf.gso = self.gso;
        buf
    }

    /// Empties the buffer.
    pub fn clear(&mut self) {
        self.head = HEADROOM as u32;
        self.len = 0;
        self.checksum = ChecksumState::Unverified;
        self.gso = None;
    }

    /// Replaces the contents. Bytes that do not fit are cut off.
    pub fn set(&mut self, frame: &[u8]) {
        self.clear();
        let len = frame.len().min(self.bytes.len() - HEADROOM);
        self.bytes[HEADROOM..HEADROOM + len].copy_from_slice(&frame[..len]);
        self.len = len as u32;
    }

    /// The frame, from its destination MAC address on.
    #[inline]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[self.head as usize..(self.head + self.len) as usize]
    }

    /// The frame, to be changed in place.
    #[inline]
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[self.head as usize..(self.head + self.len) as usize]
    }

    /// Length of the frame.
    #[inline]
    pub fn len(&self) -> usize {
        self.len as usize
    }

    /// True for an empty buffer.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The longest frame that fits.
    pub fn room(&self) -> usize {
        self.bytes.len() - self.head as usize
    }

    /// Sets the length; grown bytes keep whatever the buffer held. Longer than [`FrameBuf::room`] is cut off.
    pub fn set_len(&mut self, len: usize) {
        self.len = len.min(self.room()) as u32;
    }

    /// Removes `count` bytes at offset `at`, moving what stands before them (an 802.1Q tag, say).
    pub fn cut(&mut self, at: usize, count: usize) {
        let head = self.head as usize;
        if at + count > self.len() {
            return;
        }
        self.bytes.copy_within(head..head + at, head + count);
        self.head += count as u32;
        self.len -= count as u32;
        self.move_checksum(-(count as i32));
    }

    /// Makes room for `count` bytes at offset `at` by moving what stands before them; false when the headroom is used up.
    pub fn insert(&mut self, at: usize, count: usize) -> bool {
        let head = self.head as usize;
        if count + VNET_LEN > head || at > self.len() {
            return false;
        }
        self.bytes.copy_within(head..head + at, head - count);
        self.head -= count as u32;
        self.len += count as u32;
        self.move_checksum(count as i32);
        true
    }

    fn move_checksum(&mut self, by: i32) {
        if let ChecksumState::Partial { start, .. } = &mut self.checksum {
            *start = (i32::from(*start) + by).max(0) as u16;
        }
    }

    /// Where a port writes what it reads: `header` bytes of offload header (0 or 10), then the frame.
    pub fn receive_area(&mut self, offload_header: bool) -> &mut [u8] {
        self.clear();
        let from = if offload_header { HEADROOM - VNET_LEN } else { HEADROOM };
        &mut self.bytes[from..]
    }

    /// Takes over `count` bytes that a port put into [`FrameBuf::receive_area`]. False when they are too few, or
    /// when the offload header makes no sense.
    pub fn received(&mut self, count: usize, offload_header: bool) -> bool {
        let Some(len) = count.checked_sub(if offload_header { VNET_LEN } else { 0 }) else { return false };
        self.len = len.min(self.bytes.len() - HEADROOM) as u32;
        !offload_header || self.read_offload_header()
    }

    /// The bytes that a port sends: offload header (when it wants one) and frame.
    pub fn send_area(&mut self, offload_header: bool) -> &[u8] {
        let head = self.head as usize;
        let end = head + self.len as usize;
        if !offload_header {
            return &self.bytes[head..end];
        }
        self.write_offload_header();
        &self.bytes[head - VNET_LEN..end]
    }

    /// `struct virtio_net_hdr`: flags, gso_type, hdr_len, gso_size, csum_start, csum_offset; host byte order.
    fn read_offload_header(&mut self) -> bool {
        let header = &self.bytes[HEADROOM - VNET_LEN..HEADROOM];
        let word = |at: usize| u16::from_ne_bytes([header[at], header[at + 1]]);
        let (flags, gso_type, gso_size, start, offset) = (header[0], header[1], word(4), word(6), word(8));
        self.checksum = match flags {
            f if f & 1 != 0 => ChecksumState::Partial { start, offset },
            f if f & 2 != 0 => ChecksumState::Valid,
            _ => ChecksumState::Unverified,
        };
        let kind = match gso_type & 0x7f {
            0 => return true,
            1 => GsoKind::Tcp4,
            4 => GsoKind::Tcp6,
            5 => GsoKind::Udp,
            _ => return false,
        };
        self.gso = Some(Gso { kind, ecn: gso_type & 0x80 != 0, size: gso_size });
        gso_size > 0 && flags & 1 != 0
    }

    fn write_offload_header(&mut self) {
        let (flags, start, offset) = match self.checksum {
            ChecksumState::Unverified => (0, 0, 0),
            ChecksumState::Valid => (2, 0, 0),
            ChecksumState::Partial { start, offset } => (1, start, offset),
        };
        let (gso_type, gso_size, header_len) = match self.gso {
            None => (0, 0, 0),
            Some(Gso { kind, ecn, size }) => {
                let (number, transport) = match kind {
                    GsoKind::Tcp4 => (1, self.tcp_header_len(start)),
                    GsoKind::Tcp6 => (4, self.tcp_header_len(start)),
                    GsoKind::Udp => (5, 8),
                };
                (number | if ecn { 0x80 } else { 0 }, size, start + transport)
            }
        };
        let head = self.head as usize;
        let header = &mut self.bytes[head - VNET_LEN..head];
        header[0] = flags;
        header[1] = gso_type;
        for (at, word) in [(2, header_len), (4, gso_size), (6, start), (8, offset)] {
            header[at..at + 2].copy_from_slice(&u16::to_ne_bytes(word));
        }
    }

    fn tcp_header_len(&self, start: u16) -> u16 {
        self.bytes().get(usize::from(start) + 12).map_or(20, |byte| u16::from(byte >> 4) * 4)
    }
}

impl Default for FrameBuf {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for FrameBuf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { bytes: _, head: _, len, checksum, gso } = self;
        f.debug_struct("FrameBuf").field("len", len).field("checksum", checksum).field("gso", gso).finish()
    }
}

/// A stack of empty full-size buffers, bounded.
pub struct Pool {
    free: Vec<FrameBuf>,
    limit: usize,
}

impl Pool {
    /// A pool that keeps at most `limit` buffers.
    pub fn new(limit: usize) -> Self {
        Pool { free: Vec::with_capacity(limit), limit }
    }

    /// Keeps at least `count` buffers, as far as its limit permits, whose memory is there already: the kernel hands it out
    /// page by page, and would do so while packets wait.
    pub fn stock(&mut self, count: usize) {
        while self.free.len() < count.min(self.limit) {
            let mut frame = FrameBuf::new();
            // With zeroes nothing would be written.
            frame.bytes.fill(0xFF);
            self.free.push(frame);
        }
    }

    /// An empty buffer; allocated when the pool has none left.
    #[inline]
    pub fn take(&mut self) -> FrameBuf {
        self.free.pop().unwrap_or_default()
    }

    /// Takes a buffer back. Right-sized buffers, and those beyond the limit, are freed.
    #[inline]
    pub fn give(&mut self, frame: FrameBuf) {
        if frame.bytes.len() == CAPACITY && self.free.len() < self.limit {
            self.free.push(frame);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offload_header_round_trips() {
        let mut frame = FrameBuf::copy_of(&[7; 80]);
        frame.bytes_mut()[34 + 12] = 0x80;
        frame.checksum = ChecksumState::Partial { start: 34, offset: 16 };
        frame.gso = Some(Gso { kind: GsoKind::Tcp4, ecn: true, size: 1448 });
        let sent = frame.send_area(true).to_vec();
        assert_eq!(u16::from_ne_bytes([sent[2], sent[3]]), 34 + 32, "hdr_len covers the TCP header");
        let mut other = FrameBuf::new();
        other.receive_area(true)[..sent.len()].copy_from_slice(&sent);
        assert!(other.received(sent.len(), true));
        assert_eq!((other.checksum, other.gso, other.bytes()), (frame.checksum, frame.gso, frame.bytes()));
    }

    #[test]
    fn a_stock_ends_at_the_limit() {
        let mut pool = Pool::new(3);
        for (count, kept) in [(0, 0), (2, 2), (1, 2), (4, 3)] {
            pool.stock(count);
            assert_eq!(pool.free.len(), kept, "{count}");
        }
        assert!(pool.take().is_empty() && pool.free.len() == 2);
    }

    #[test]
    fn tag_goes_in_and_out_and_the_checksum_start_follows() {
        let mut frame = FrameBuf::copy_of(&(0..60).collect::<Vec<u8>>());
        frame.checksum = ChecksumState::Partial { start: 34, offset: 16 };
        assert!(frame.insert(12, 4));
        assert_eq!(frame.len(), 64);
        assert_eq!(&frame.bytes()[..12], &(0..12).collect::<Vec<u8>>()[..]);
        assert_eq!(frame.checksum, ChecksumState::Partial { start: 38, offset: 16 });
        frame.cut(12, 4);
        assert_eq!(frame.bytes(), &(0..60).collect::<Vec<u8>>()[..]);
        assert_eq!(frame.checksum, ChecksumState::Partial { start: 34, offset: 16 });
    }
}
