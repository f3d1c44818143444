//! What a file system calls itself, read from its first bytes.

/// Bytes from the beginning of a device that are enough to tell.
pub const ENOUGH: usize = 40 << 10;
/// The descriptor of the volume of a CD.
const CD: usize = 32 << 10;

/// A file system that can be mounted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// FAT of any width.
    Fat,
    /// ext4, and those before it.
    Ext,
    /// A CD.
    Cd,
}

impl Kind {
    /// As `mount` calls it.
    pub const fn name(self) -> &'static str {
        match self {
            Kind::Fat => "vfat",
            Kind::Ext => "ext4",
            Kind::Cd => "iso9660",
        }
    }
}

/// The kind of the file system that begins so, and its label; `None` when it is none that we know.
pub fn of(bytes: &[u8]) -> Option<(Kind, String)> {
    ext(bytes).or_else(|| cd(bytes)).or_else(|| fat(bytes))
}

fn ext(bytes: &[u8]) -> Option<(Kind, String)> {
    let superblock = bytes.get(1024..2048)?;
    (superblock[0x38..0x3a] == [0x53, 0xef]).then(|| (Kind::Ext, words(&superblock[0x78..0x88])))
}

fn cd(bytes: &[u8]) -> Option<(Kind, String)> {
    let descriptor = bytes.get(CD..CD + 2048)?;
    (descriptor[..6] == *b"\x01CD001").then(|| (Kind::Cd, words(&descriptor[40..72])))
}

/// FAT32 has its label further behind than the others.
fn fat(bytes: &[u8]) -> Option<(Kind, String)> {
    let sector = bytes.get(..512)?;
    let label = match () {
        () if sector[82..87] == *b"FAT32" => &sector[71..82],
        () if sector[54..57] == *b"FAT" => &sector[43..54],
        () => return None,
    };
    (sector[510..] == [0x55, 0xaa]).then(|| (Kind::Fat, words(label)))
}

fn words(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn disk(parts: &[(usize, &[u8])]) -> Vec<u8> {
        let mut bytes = vec![0; ENOUGH];
        for (at, part) in parts {
            bytes[*at..at + part.len()].copy_from_slice(part);
        }
        bytes
    }

    #[test]
    fn the_labels_of_the_appliance_are_read() {
        for (parts, kind, label) in [
            (&[(82, &b"FAT32   "[..]), (71, b"KOIBOOT    "), (510, &[0x55, 0xaa])][..], Kind::Fat, "KOIBOOT"),
            (&[(54, b"FAT16   "), (43, b"KOISEED    "), (510, &[0x55, 0xaa])], Kind::Fat, "KOISEED"),
            (&[(1024 + 0x38, &[0x53, 0xef]), (1024 + 0x78, b"KOICONFIG")], Kind::Ext, "KOICONFIG"),
            (&[(CD, b"\x01CD001"), (CD + 40, b"KOISEED                         ")], Kind::Cd, "KOISEED"),
        ] {
            assert_eq!(of(&disk(parts)), Some((kind, label.to_owned())));
        }
        assert_eq!(of(&disk(&[])), None);
        assert_eq!(of(&disk(&[(82, b"FAT32")])), None, "no boot sector");
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..4096)) {
            of(&bytes);
        }
    }
}
