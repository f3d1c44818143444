//! What a certificate says of itself, as far as people want to know: until when it is good.
//!
//! Invariant: total; what is no certificate says nothing.

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

/// Tags of DER (X.690).
const SEQUENCE: u8 = 0x30;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const VERSION: u8 = 0xa0;

/// The last day on which the first certificate of a text is good: year, month, day.
pub(super) fn good_until(pem: &str) -> Option<(u16, u8, u8)> {
    let certificate = CertificateDer::from_pem_slice(pem.as_bytes()).ok()?;
    let (SEQUENCE, whole, _) = element(&certificate)? else { return None };
    let (SEQUENCE, mut rest, _) = element(whole)? else { return None };
    if let Some((VERSION, _, after)) = element(rest) {
        rest = after;
    }
    // Serial number, algorithm, issuer.
    for _ in 0..3 {
        rest = element(rest)?.2;
    }
    let (SEQUENCE, validity, _) = element(rest)? else { return None };
    let (tag, text, _) = element(element(validity)?.2)?;
    date(tag, text)
}

/// The first element: its tag, what is in it, and what comes after.
fn element(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = bytes.split_first()?;
    let (&short, rest) = rest.split_first()?;
    let (length, rest) = match short {
        0..0x80 => (usize::from(short), rest),
        0x81..=0x83 => {
            let (long, rest) = rest.split_at_checked(usize::from(short & 0x7f))?;
            (long.iter().fold(0, |length, byte| length << 8 | usize::from(*byte)), rest)
        }
        0x80 | 0x84.. => return None,
    };
    let (inside, after) = rest.split_at_checked(length)?;
    Some((tag, inside, after))
}

fn date(tag: u8, text: &[u8]) -> Option<(u16, u8, u8)> {
    let digits = |from: usize, count: usize| -> Option<u16> {
        std::str::from_utf8(text.get(from..from + count)?).ok()?.parse().ok()
    };
    let (year, from) = match tag {
        // RFC 5280: of this century until 2049.
        UTC_TIME => (digits(0, 2).map(|year| if year < 50 { 2000 + year } else { 1900 + year })?, 2),
        GENERALIZED_TIME => (digits(0, 4)?, 4),
        _ => return None,
    };
    Some((year, digits(from, 2)? as u8, digits(from + 2, 2)? as u8))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::web::certificate::{DAY, sign};

    #[test]
    fn the_last_day_stands_in_the_certificate() {
        let (pem, _, _) = sign(&["fw.example".into()], &[], 20_780 * DAY, 10 * DAY).unwrap();
        assert_eq!(good_until(&pem), Some((2026, 12, 1)));
        let (pem, _, _) = sign(&["fw.example".into()], &[], 20_780 * DAY, 36_500 * DAY).unwrap();
        assert_eq!(good_until(&pem).map(|(year, ..)| year), Some(2126));
        assert_eq!(good_until("nothing"), None);
    }

    proptest! {
        #[test]
        fn nothing_breaks_it(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let _ = element(&bytes);
            let _ = date(UTC_TIME, &bytes);
        }
    }
}
