//! What is asked of the kernel about links, as bytes (rtnetlink), and its answer.

use std::io;

/// `struct nlmsghdr`.
const HEADER: usize = 16;
/// Marks an attribute whose value is attributes.
const NESTED: u16 = 0x8000;
/// `IFLA_MACVLAN_MODE` and its value for a card that belongs to one owner.
const MACVLAN_MODE: u16 = 1;
const MACVLAN_MODE_PASSTHRU: u32 = 8;

/// Makes a macvtap that has the card `lower` to itself.
pub fn make_macvtap(lower: u32, name: &str) -> Vec<u8> {
    let flags = libc::NLM_F_CREATE | libc::NLM_F_EXCL;
    let mut request = Request::new(libc::RTM_NEWLINK, flags, 0);
    request.attribute(libc::IFLA_LINK, &lower.to_ne_bytes());
    request.text(libc::IFLA_IFNAME, name);
    request.nested(libc::IFLA_LINKINFO, |info| {
        info.text(libc::IFLA_INFO_KIND, "macvtap");
        info.nested(libc::IFLA_INFO_DATA, |data| {
            data.attribute(MACVLAN_MODE, &MACVLAN_MODE_PASSTHRU.to_ne_bytes());
        });
    });
    request.finish()
}

/// Makes a bridge that learns nothing by heart: it carries one card to one TAP.
pub fn make_bridge(name: &str) -> Vec<u8> {
    let mut request = Request::new(libc::RTM_NEWLINK, libc::NLM_F_CREATE | libc::NLM_F_EXCL, 0);
    request.text(libc::IFLA_IFNAME, name);
    request.nested(libc::IFLA_LINKINFO, |info| info.text(libc::IFLA_INFO_KIND, "bridge"));
    request.finish()
}

/// Puts a link into a bridge.
pub fn enslave(link: u32, bridge: u32) -> Vec<u8> {
    let mut request = Request::new(libc::RTM_NEWLINK, 0, link);
    request.attribute(libc::IFLA_MASTER, &bridge.to_ne_bytes());
    request.finish()
}

/// Removes a link that was made.
pub fn remove(link: u32) -> Vec<u8> {
    Request::new(libc::RTM_DELLINK, 0, link).finish()
}

/// What the kernel says to a request.
///
/// # Errors
/// When it refuses, or answers something else.
pub fn acknowledged(answer: &[u8]) -> io::Result<()> {
    let number = |at: usize, len: usize| answer.get(at..at + len);
    let kind = number(4, 2).and_then(|bytes| bytes.try_into().ok()).map(u16::from_ne_bytes);
    let error = number(HEADER, 4).and_then(|bytes| bytes.try_into().ok()).map(i32::from_ne_bytes);
    match (kind.map(i32::from), error) {
        (Some(libc::NLMSG_ERROR), Some(0)) => Ok(()),
        (Some(libc::NLMSG_ERROR), Some(error)) => {
            Err(io::Error::from_raw_os_error(error.checked_neg().unwrap_or(libc::EPROTO)))
        }
        _ => Err(io::Error::from_raw_os_error(libc::EPROTO)),
    }
}

/// A message that grows.
struct Request(Vec<u8>);

impl Request {
    fn new(kind: u16, flags: libc::c_int, link: u32) -> Request {
        let flags = (libc::NLM_F_REQUEST | libc::NLM_F_ACK | flags) as u16;
        let mut bytes = vec![0; 4];
        bytes.extend(kind.to_ne_bytes());
        bytes.extend(flags.to_ne_bytes());
        bytes.resize(HEADER, 0);
        // `struct ifinfomsg`: family, padding, type, number, flags, changed flags.
        bytes.extend([0; 4]);
        bytes.extend(link.to_ne_bytes());
        bytes.extend([0; 8]);
        Request(bytes)
    }

    fn attribute(&mut self, kind: u16, value: &[u8]) {
        self.0.extend((4 + value.len() as u16).to_ne_bytes());
        self.0.extend(kind.to_ne_bytes());
        self.0.extend(value);
        self.0.resize(self.0.len().next_multiple_of(4), 0);
    }

    fn text(&mut self, kind: u16, value: &str) {
        let mut bytes = value.as_bytes().to_vec();
        bytes.push(0);
        self.attribute(kind, &bytes);
    }

    fn nested(&mut self, kind: u16, fill: impl FnOnce(&mut Request)) {
        let mut inner = Request(Vec::new());
        fill(&mut inner);
        self.attribute(kind | NESTED, &inner.0);
    }

    fn finish(mut self) -> Vec<u8> {
        let len = self.0.len() as u32;
        self.0[..4].copy_from_slice(&len.to_ne_bytes());
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::super::netlink;
    use super::*;

    #[test]
    fn a_request_reads_as_the_kernel_would_read_it() {
        let bytes = make_macvtap(7, "koi7");
        assert_eq!(bytes.len() as u32, u32::from_ne_bytes(bytes[..4].try_into().unwrap()));
        let mut events = Vec::new();
        netlink::parse(&bytes, &mut events);
        assert_eq!(events[0].name.as_deref(), Some("koi7"));
        assert!(bytes.windows(7).any(|window| window == b"macvtap"));
        // The mode is the last thing said.
        assert_eq!(bytes[bytes.len() - 8..], [8, 0, 1, 0, 8, 0, 0, 0]);
        assert_eq!(remove(9)[20..24], 9u32.to_ne_bytes());
    }

    #[test]
    fn an_answer_is_a_word_or_an_error() {
        let answer = |error: i32| {
            let mut bytes = vec![36, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
            bytes.extend(error.to_ne_bytes());
            bytes
        };
        acknowledged(&answer(0)).unwrap();
        assert_eq!(acknowledged(&answer(-libc::EEXIST)).unwrap_err().raw_os_error(), Some(libc::EEXIST));
        assert!(acknowledged(&answer(i32::MIN)).is_err() && acknowledged(&[]).is_err());
        assert!(acknowledged(&answer(0)[..18]).is_err());
    }
}
