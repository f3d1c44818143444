//! The sealed line between the two once the code is proven.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::super::channel::{Window, Wire};
use super::super::noise::Keys;
use crate::wire::pair::{Envelope, Kind, Space};

pub(super) struct Line {
    keys: Keys,
    next: u64,
    window: Window,
}

impl Line {
    pub fn new(keys: Keys) -> Self {
        Line { keys, next: 0, window: Window::default() }
    }

    pub fn seal(&mut self, message: &impl Serialize) -> Option<Vec<u8>> {
        let plain = postcard::to_allocvec(message).ok()?;
        let next = self.next.checked_add(1)?;
        let Keys { id, sealing, opening: _ } = &self.keys;
        let bytes = Wire::seal(Kind::Pairing, sealing, *id, Space::Control, self.next, &plain)?;
        self.next = next;
        Some(bytes)
    }

    pub fn open<T: DeserializeOwned>(&mut self, bytes: &[u8]) -> Option<T> {
        let (envelope, _) = Envelope::parse(bytes)?;
        let ours = envelope.kind == Kind::Pairing
            && envelope.session == self.keys.id
            && Space::from_number(envelope.space) == Some(Space::Control);
        if !ours || !self.window.is_new(envelope.counter) {
            return None;
        }
        let plain = Wire::open(&self.keys.opening, &envelope, bytes)?;
        self.window.note(envelope.counter);
        postcard::from_bytes(&plain).ok()
    }
}
