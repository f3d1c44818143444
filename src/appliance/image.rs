//! An image of the appliance as one file: what goes into a slot.
//!
//! ```text
//!  "KOI IMAGE 1\n" | length of the kernel | length of the initramfs | kernel | initramfs
//!         12       |          4           |           4             |
//! ```
//!
//! Numbers are big-endian. A release of it has the trailer of a program's release behind it.

use crate::cluster::release::IMAGE;

/// What goes into a slot.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Image<'a> {
    /// The kernel.
    pub kernel: &'a [u8],
    /// The program, with the modules.
    pub initramfs: &'a [u8],
}

impl<'a> Image<'a> {
    /// Reads one, without its trailer; `None` when it is none, or not whole.
    pub fn read(bytes: &'a [u8]) -> Option<Image<'a>> {
        let (lengths, rest) = bytes.strip_prefix(IMAGE)?.split_first_chunk::<8>()?;
        let length = |at: usize| {
            let word = [lengths[at], lengths[at + 1], lengths[at + 2], lengths[at + 3]];
            u32::from_be_bytes(word) as usize
        };
        let (kernel, initramfs) = rest.split_at_checked(length(0))?;
        let whole = initramfs.len() == length(4) && !kernel.is_empty() && !initramfs.is_empty();
        whole.then_some(Image { kernel, initramfs })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bytes(kernel: &[u8], initramfs: &[u8]) -> Vec<u8> {
        let lengths = [kernel, initramfs].map(|part| (part.len() as u32).to_be_bytes());
        [IMAGE, &lengths.concat(), kernel, initramfs].concat()
    }

    #[test]
    fn both_parts_are_found_and_nothing_that_is_not_whole() {
        let whole = bytes(b"kernel", b"initramfs");
        assert_eq!(Image::read(&whole), Some(Image { kernel: b"kernel", initramfs: b"initramfs" }));
        assert!((0..whole.len()).all(|len| Image::read(&whole[..len]).is_none()));
        assert_eq!(Image::read(&[&whole[..], b"x"].concat()), None);
        assert_eq!(Image::read(&bytes(b"", b"initramfs")), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            Image::read(&[IMAGE, &bytes].concat());
            Image::read(&bytes);
        }
    }
}
