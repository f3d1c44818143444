//! Numbers and addresses as they stand in a chunk: written to its end, read from its beginning.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Bytes that are no changes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Malformed {
    /// A version that this node does not know.
    Version,
    /// A kind of change that this version does not have.
    Kind,
    /// It ends too early.
    Short,
    /// A value that none of ours is.
    Value,
}

/// An address behind its family.
pub(super) fn put_named(address: IpAddr, into: &mut Vec<u8>) {
    into.push(if address.is_ipv4() { 4 } else { 6 });
    put_address(address, into);
}

pub(super) fn put_address(address: IpAddr, into: &mut Vec<u8>) {
    match address {
        IpAddr::V4(v4) => into.extend_from_slice(&v4.octets()),
        IpAddr::V6(v6) => into.extend_from_slice(&v6.octets()),
    }
}

pub(super) fn put_number(mut number: u64, into: &mut Vec<u8>) {
    while number > 0x7f {
        into.push(number as u8 | 0x80);
        number >>= 7;
    }
    into.push(number as u8);
}

/// What is left to be read.
pub(super) struct Reader<'a> {
    pub(super) rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// An address behind its family.
    pub(super) fn named(&mut self) -> Result<IpAddr, Malformed> {
        match self.byte()? {
            4 => self.address(false),
            6 => self.address(true),
            _ => Err(Malformed::Value),
        }
    }

    pub(super) fn take(&mut self, len: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.rest.split_at_checked(len).ok_or(Malformed::Short)?;
        self.rest = rest;
        Ok(taken)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or(Malformed::Short)?;
        self.rest = rest;
        Ok(*taken)
    }

    pub(super) fn byte(&mut self) -> Result<u8, Malformed> {
        self.array().map(|[byte]: [u8; 1]| byte)
    }

    pub(super) fn half(&mut self) -> Result<u16, Malformed> {
        self.array().map(u16::from_be_bytes)
    }

    pub(super) fn word(&mut self) -> Result<u32, Malformed> {
        self.array().map(u32::from_be_bytes)
    }

    pub(super) fn long(&mut self) -> Result<u64, Malformed> {
        self.array().map(u64::from_be_bytes)
    }

    pub(super) fn address(&mut self, inet6: bool) -> Result<IpAddr, Malformed> {
        if inet6 {
            self.array::<16>().map(|octets| IpAddr::V6(Ipv6Addr::from(octets)))
        } else {
            self.array::<4>().map(|octets| IpAddr::V4(Ipv4Addr::from(octets)))
        }
    }

    /// A variable-length number below 2^`bits`, in its shortest form.
    pub(super) fn number(&mut self, bits: u32) -> Result<u64, Malformed> {
        let mut number = 0u64;
        for shift in (0..bits).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                let padded = byte == 0 && shift > 0;
                return if padded || number >> bits != 0 { Err(Malformed::Value) } else { Ok(number) };
            }
        }
        Err(Malformed::Value)
    }

    pub(super) fn small(&mut self) -> Result<u32, Malformed> {
        self.number(32).map(|number| number as u32)
    }
}
