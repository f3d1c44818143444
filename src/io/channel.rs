//! What parent and router say to each other: messages with descriptors, over a socket pair that the router inherits.
//!
//! A message is its length (u32, little endian), then JSON. Descriptors travel with the length. Both sides trust
//! the framing only so far: lengths are bounded, and a side that stops in the middle of a message for longer than
//! [`PATIENCE`] counts as dead.

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::sys_process;

/// The longest message: a configuration with a hundred thousand rules fits.
const MESSAGE_MAX: usize = 64 << 20;
/// How long the other side may take over the rest of a message.
const PATIENCE: Duration = Duration::from_secs(10);

/// One end.
#[derive(Debug)]
pub struct Channel {
    stream: UnixStream,
}

impl Channel {
    /// Both ends: ours and the one that becomes the child's standard input.
    ///
    /// # Errors
    /// When the kernel has no descriptor left.
    pub fn pair() -> io::Result<(Channel, OwnedFd)> {
        let (near, far) = UnixStream::pair()?;
        Ok((Channel::new(near)?, OwnedFd::from(far)))
    }

    /// Takes over an inherited end.
    ///
    /// # Errors
    /// When the descriptor is no stream socket.
    pub fn adopt(fd: OwnedFd) -> io::Result<Channel> {
        Channel::new(UnixStream::from(fd))
    }

    fn new(stream: UnixStream) -> io::Result<Channel> {
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Channel { stream })
    }

    /// A second handle on the same end, so that one thread may wait for messages while others send.
    ///
    /// # Errors
    /// When the kernel has no descriptor left.
    pub fn try_clone(&self) -> io::Result<Channel> {
        Ok(Channel { stream: self.stream.try_clone()? })
    }

    /// Ready to read when a message waits, or when the other side is gone.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }

    /// Sends a message with descriptors.
    ///
    /// # Errors
    /// When the other side is gone or does not read.
    pub fn send(&mut self, message: &impl Serialize, descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
        let mut bytes = vec![0; 4];
        serde_json::to_writer(&mut bytes, message)?;
        let len = bytes.len() - 4;
        if len > MESSAGE_MAX {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "the message is too long"));
        }
        bytes[..4].copy_from_slice(&(len as u32).to_le_bytes());
        let sent = sys_process::send_with_descriptors(self.stream.as_fd(), &bytes, descriptors)?;
        self.stream.write_all(&bytes[sent..])
    }

    /// Waits for a message; `None` when the other side is gone.
    ///
    /// # Errors
    /// When the other side sends something else than a message, or stops in the middle of one.
    pub fn receive<T: DeserializeOwned>(&mut self) -> io::Result<Option<(T, Vec<OwnedFd>)>> {
        let mut header = [0; 4];
        self.stream.set_read_timeout(None)?;
        let (count, descriptors) =
            match sys_process::receive_with_descriptors(self.stream.as_fd(), &mut header) {
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Ok(None),
                result => result?,
            };
        if count == 0 {
            return Ok(None);
        }
        self.stream.set_read_timeout(Some(PATIENCE))?;
        self.stream.read_exact(&mut header[count..])?;
        let len = u32::from_le_bytes(header) as usize;
        if len > MESSAGE_MAX {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the message is too long"));
        }
        let mut body = Vec::new();
        (&self.stream).take(len as u64).read_to_end(&mut body)?;
        Ok(Some((serde_json::from_slice(&body)?, descriptors)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_messages_arrive_whole_and_in_order_with_their_descriptors() {
        let (mut near, far) = Channel::pair().unwrap();
        let mut far = Channel::adopt(far).unwrap();
        let long = "x".repeat(3 << 20);
        let text = long.clone();
        let sender = std::thread::spawn(move || {
            let (one, _two) = UnixStream::pair().unwrap();
            near.send(&text, &[one.as_fd()]).unwrap();
            near.send(&"short", &[]).unwrap();
            near.send(&"with three", &[one.as_fd(), one.as_fd(), one.as_fd()]).unwrap();
        });
        let mut receive = || far.receive::<String>().unwrap().map(|(text, fds)| (text.len(), fds.len()));
        assert_eq!(receive(), Some((long.len(), 1)));
        assert_eq!(receive(), Some((5, 0)));
        assert_eq!(receive(), Some((10, 3)));
        sender.join().unwrap();
        assert_eq!(receive(), None, "the end of the other side is seen");
    }

    #[test]
    fn nonsense_is_an_error_and_not_a_large_allocation() {
        for bytes in [&[0xff; 4][..], &[3, 0, 0, 0, b'{', b'{', b'{'], &[9, 0, 0, 0, b'1']] {
            let (near, far) = UnixStream::pair().unwrap();
            (&near).write_all(bytes).unwrap();
            drop(near);
            let mut far = Channel::adopt(OwnedFd::from(far)).unwrap();
            assert!(far.receive::<String>().is_err(), "{bytes:?}");
        }
    }
}
