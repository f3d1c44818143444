//! Files in a row, as POSIX's ustar has them (IEEE 1003.1, pax): a header of 512 bytes, then the content, filled up to the
//! next 512.

/// Bytes of a block.
const BLOCK: usize = 512;
/// The longest name that fits a header.
const NAME: usize = 100;

/// An archive that grows.
#[derive(Default)]
pub(super) struct Archive(Vec<u8>);

impl Archive {
    /// Puts a file behind the others; `modified` in seconds since 1970. A name that is too long is cut.
    pub fn add(&mut self, name: &str, modified: u64, content: &[u8]) {
        let mut header = [0; BLOCK];
        let name = &name.as_bytes()[..name.len().min(NAME)];
        header[..name.len()].copy_from_slice(name);
        octal(&mut header[100..108], 0o600);
        octal(&mut header[108..116], 0);
        octal(&mut header[116..124], 0);
        octal(&mut header[124..136], content.len() as u64);
        octal(&mut header[136..148], modified);
        header[156] = b'0';
        header[257..263].copy_from_slice(b"ustar\0");
        header[263..265].copy_from_slice(b"00");
        // The sum is taken over blanks where it will stand.
        header[148..156].fill(b' ');
        let sum: u64 = header.iter().map(|byte| u64::from(*byte)).sum();
        octal(&mut header[148..155], sum);
        self.0.extend_from_slice(&header);
        self.0.extend_from_slice(content);
        self.0.resize(self.0.len().next_multiple_of(BLOCK), 0);
    }

    /// The whole file: two empty blocks end it.
    pub fn finish(mut self) -> Vec<u8> {
        self.0.resize(self.0.len() + 2 * BLOCK, 0);
        self.0
    }
}

/// Digits in base eight, with a NUL behind.
fn octal(field: &mut [u8], value: u64) {
    let width = field.len() - 1;
    let text = format!("{value:0width$o}");
    let digits = text.as_bytes();
    field[..width].copy_from_slice(&digits[digits.len() - width..]);
    field[width] = 0;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tar_reads_it() {
        let mut archive = Archive::default();
        archive.add("koi-support/a.txt", 1_700_000_000, b"hello");
        archive.add("koi-support/empty", 0, b"");
        let bytes = archive.finish();
        assert_eq!(bytes.len(), (1 + 1 + 1 + 2) * BLOCK);
        assert_eq!(&bytes[257..262], b"ustar");
        assert_eq!(&bytes[124..135], b"00000000005");
        let sum: u64 = bytes[..BLOCK]
            .iter()
            .enumerate()
            .map(|(at, byte)| if (148..156).contains(&at) { 32 } else { u64::from(*byte) })
            .sum();
        assert_eq!(&bytes[148..154], format!("{sum:06o}").as_bytes());
        assert_eq!(&bytes[BLOCK..BLOCK + 5], b"hello");
    }
}
