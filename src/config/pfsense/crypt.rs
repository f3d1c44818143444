//! Encrypted backups: OpenSSL's `Salted__` with AES-256-CBC between marker lines, under one of four derivations of the
//! key.
//!
//! Nothing in the format proves that a password is right. A wrong one leaves bad padding or, one time in 256, noise; so
//! what comes out counts only when it begins like a configuration.

use std::num::NonZeroU32;

use aes::Aes256;
use cbc::cipher::block_padding::Pkcs7;
use cbc::cipher::{BlockDecryptMut, BlockEncryptMut, KeyIvInit};
use data_encoding::BASE64;
use md5::{Digest, Md5};
use ring::pbkdf2::{self, Algorithm};

use super::tree::{BYTES_LIMIT, decode};
use crate::config::Problem;

const BEGIN: &str = "---- BEGIN config.xml ----";
const END: &str = "---- END config.xml ----";
const MAGIC: &[u8] = b"Salted__";
/// Rounds of pfSense's newest derivation.
const ROUNDS: u32 = 500_000;
/// Rounds of the one before it.
const EARLIER_ROUNDS: u32 = 10_000;
/// More rounds than this are refused: a file must not choose how long we work.
const ROUNDS_LIMIT: u32 = 10_000_000;
/// Letters in a line of pfSense's base64.
const LINE: usize = 64;

/// A key and what the first block is mixed with.
type KeyAndStart = ([u8; 32], [u8; 16]);

/// How a password becomes a key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Derivation {
    /// PBKDF2 with SHA-256: pfSense.
    Sha256(NonZeroU32),
    /// PBKDF2 with SHA-512: OPNsense.
    Sha512(NonZeroU32),
    /// OpenSSL's old way with MD5 and one round.
    Md5,
}

/// True for an encrypted backup.
pub fn is_sealed(text: &str) -> bool {
    text.trim_start().starts_with(BEGIN)
}

/// Opens an encrypted backup.
///
/// # Errors
/// When it is damaged, and when the password is wrong, which is told as such.
pub fn open(text: &str, password: &str) -> Result<Vec<u8>, Problem> {
    let (derivations, body) = split(text)?;
    let letters: Vec<u8> = body.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    let damaged =
        |what: &str| Problem::new("", format!("The encrypted backup is damaged: {what}."), "Take it again.");
    let bytes = BASE64.decode(&letters).map_err(|_| damaged("it is not base64"))?;
    let rest = bytes.strip_prefix(MAGIC).ok_or_else(|| damaged("it does not begin with \"Salted__\""))?;
    let (salt, sealed) = rest.split_at_checked(8).ok_or_else(|| damaged("it ends too early"))?;
    if sealed.is_empty() || sealed.len() % 16 != 0 {
        return Err(damaged("it is not made of whole blocks"));
    }
    let opened = derivations.iter().find_map(|derivation| {
        let (key, start) = derive(*derivation, password, salt);
        let cipher = cbc::Decryptor::<Aes256>::new(&key.into(), &start.into());
        cipher.decrypt_padded_vec_mut::<Pkcs7>(sealed).ok().filter(|plain| is_configuration(plain))
    });
    opened.ok_or_else(|| {
        Problem::new("", "The password is wrong.", "Give the one that the backup was encrypted with.")
    })
}

/// Encrypts as the newest pfSense does.
pub fn seal(plain: &str, password: &str, salt: [u8; 8]) -> String {
    let rounds = NonZeroU32::new(ROUNDS).unwrap_or(NonZeroU32::MIN);
    let (key, start) = derive(Derivation::Sha256(rounds), password, &salt);
    let sealed = cbc::Encryptor::<Aes256>::new(&key.into(), &start.into())
        .encrypt_padded_vec_mut::<Pkcs7>(plain.as_bytes());
    let encoded = BASE64.encode(&[MAGIC, &salt, &sealed].concat());
    let mut out = format!("{BEGIN}\n");
    let mut rest = encoded.as_str();
    while !rest.is_empty() {
        let (line, others) = rest.split_at(rest.len().min(LINE));
        out.extend([line, "\n"]);
        rest = others;
    }
    out.extend([END, "\n"]);
    out
}

/// The derivations that come into question, and the base64 between the markers. OPNsense names its derivation in lines
/// in front of an empty one.
fn split(text: &str) -> Result<(Vec<Derivation>, &str), Problem> {
    let refuse = |what: String, remedy: &str| Err(Problem::new("", what, remedy));
    let body =
        text.trim_start().strip_prefix(BEGIN).and_then(|rest| rest.split_once(END)).map(|(body, _)| body);
    let Some(body) = body.filter(|body| body.len() <= 2 * BYTES_LIMIT) else {
        return refuse(
            format!("The line \"{END}\" is missing."),
            "The backup may have been cut off; take it again.",
        );
    };
    let Some((head, data)) = body
        .split_once("\n\n")
        .or_else(|| body.split_once("\r\n\r\n"))
        .filter(|(head, _)| head.contains(':'))
    else {
        let rounds = [ROUNDS, EARLIER_ROUNDS].into_iter().filter_map(NonZeroU32::new).map(Derivation::Sha256);
        return Ok((rounds.chain([Derivation::Md5]).collect(), body));
    };
    let header = |name: &str| {
        let mut lines = head.lines().filter_map(|line| line.split_once(':'));
        lines.find(|(key, _)| key.trim().eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    };
    if header("Cipher").is_some_and(|cipher| !cipher.eq_ignore_ascii_case("AES-256-CBC")) {
        return refuse(
            "The backup is encrypted with a cipher other than AES-256-CBC.".into(),
            "Take an unencrypted one.",
        );
    }
    let Some(rounds) = header("PBKDF2") else { return Ok((vec![Derivation::Md5], data)) };
    let rounds = rounds.parse().ok().filter(|rounds: &NonZeroU32| rounds.get() <= ROUNDS_LIMIT);
    match (rounds, header("Hash").unwrap_or("SHA512").to_ascii_uppercase().as_str()) {
        (None, _) => {
            refuse(format!("The backup asks for more than {ROUNDS_LIMIT} rounds."), "Take it again.")
        }
        (Some(rounds), "SHA512") => Ok((vec![Derivation::Sha512(rounds)], data)),
        (Some(rounds), "SHA256") => Ok((vec![Derivation::Sha256(rounds)], data)),
        (Some(_), other) => {
            refuse(format!("The hash {other:?} is not known here."), "Take an unencrypted backup.")
        }
    }
}

fn derive(derivation: Derivation, password: &str, salt: &[u8]) -> KeyAndStart {
    let stretch = |algorithm: Algorithm, rounds: NonZeroU32| {
        let mut out = [0; 48];
        pbkdf2::derive(algorithm, rounds, salt, password.as_bytes(), &mut out);
        out
    };
    let out = match derivation {
        Derivation::Sha256(rounds) => stretch(pbkdf2::PBKDF2_HMAC_SHA256, rounds),
        Derivation::Sha512(rounds) => stretch(pbkdf2::PBKDF2_HMAC_SHA512, rounds),
        Derivation::Md5 => stretch_md5(password, salt),
    };
    let (mut key, mut start) = ([0; 32], [0; 16]);
    key.copy_from_slice(&out[..32]);
    start.copy_from_slice(&out[32..]);
    (key, start)
}

/// EVP_BytesToKey with MD5 and one round.
fn stretch_md5(password: &str, salt: &[u8]) -> [u8; 48] {
    let mut out = [0; 48];
    let mut last: Vec<u8> = Vec::new();
    for block in out.chunks_exact_mut(16) {
        last = Md5::new().chain_update(&last).chain_update(password).chain_update(salt).finalize().to_vec();
        block.copy_from_slice(&last);
    }
    out
}

/// Begins like one: what a wrong password leaves does not.
fn is_configuration(plain: &[u8]) -> bool {
    let Ok((text, _)) = decode(plain) else { return false };
    let head: String = text.chars().take(64 << 10).collect::<String>().to_ascii_lowercase();
    head.trim_start().starts_with('<') && (head.contains("<pfsense") || head.contains("<opnsense"))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    const PLAIN: &str = "<?xml version=\"1.0\"?>\n<pfsense><version>24.5</version></pfsense>\n";

    /// Made with `openssl enc -aes-256-cbc` under `secret`, one for each derivation.
    const VECTORS: [&str; 4] = [
        include_str!("../../../tests/pfsense/sealed-pbkdf2-500000.txt"),
        include_str!("../../../tests/pfsense/sealed-pbkdf2-10000.txt"),
        include_str!("../../../tests/pfsense/sealed-md5.txt"),
        include_str!("../../../tests/pfsense/sealed-opnsense-sha512.txt"),
    ];

    #[test]
    fn all_derivations_open_and_a_wrong_password_is_told() {
        for sealed in VECTORS {
            assert!(is_sealed(sealed));
            assert_eq!(open(sealed, "secret").unwrap(), PLAIN.as_bytes(), "{sealed}");
            assert!(open(sealed, "Secret").unwrap_err().message.contains("password is wrong"));
        }
    }

    #[test]
    fn what_is_sealed_opens_and_has_lines_of_pfsense() {
        let sealed = seal(PLAIN, "pass phrase ä", *b"12345678");
        assert_eq!(open(&sealed, "pass phrase ä").unwrap(), PLAIN.as_bytes());
        let lines: Vec<&str> = sealed.lines().collect();
        assert_eq!((lines[0], lines[lines.len() - 1]), (BEGIN, END));
        assert!(lines[1..lines.len() - 2].iter().all(|line| line.len() == LINE));
        // The same salt, key and text: the bytes that OpenSSL made.
        let salt: [u8; 8] =
            BASE64.decode(VECTORS[0].lines().nth(1).unwrap().as_bytes()).unwrap()[8..16].try_into().unwrap();
        assert_eq!(seal(PLAIN, "secret", salt), VECTORS[0]);
    }

    #[test]
    fn damage_is_told_apart_from_a_wrong_password() {
        for (text, says) in [
            (format!("{BEGIN}\nAAAA"), "is missing"),
            (format!("{BEGIN}\n!\n{END}"), "not base64"),
            (format!("{BEGIN}\nAAAA\n{END}"), "Salted__"),
            (format!("{BEGIN}\n{}\n{END}", BASE64.encode(b"Salted__12345678123")), "whole blocks"),
            (format!("{BEGIN}\nPBKDF2: 4000000000\n\nAAAA\n{END}"), "rounds"),
            (format!("{BEGIN}\nCipher: DES\n\nAAAA\n{END}"), "cipher"),
        ] {
            assert!(open(&text, "x").unwrap_err().message.contains(says), "{text}");
        }
    }

    #[test]
    fn the_samples_open_when_they_are_there() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/samples/pfsense/encrypted");
        for file in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let text = std::fs::read_to_string(file.path()).unwrap();
            assert!(open(&text, "fake-test-passphrase").is_ok(), "{:?}", file.path());
        }
    }
}
