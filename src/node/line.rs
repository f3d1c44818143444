//! A queue of frames for which it is not the time, bounded by what they cost.

use std::collections::VecDeque;

use crate::wire::FrameBuf;

/// Bytes that wait at most.
const ROOM: usize = 16 << 20;
/// What a frame costs besides its bytes.
const OVERHEAD: usize = 128;

/// Frames that wait, and where each goes on.
pub(super) struct Line<P> {
    frames: VecDeque<(P, FrameBuf)>,
    bytes: usize,
}

impl<P> Default for Line<P> {
    fn default() -> Self {
        Line { frames: VecDeque::new(), bytes: 0 }
    }
}

impl<P> Line<P> {
    /// One more at the end.
    ///
    /// # Errors
    /// Gives the frame back when there is no room.
    pub(super) fn push(&mut self, place: P, frame: FrameBuf) -> Result<(), FrameBuf> {
        if !self.has_room_for(&frame) {
            return Err(frame);
        }
        self.bytes += frame.len() + OVERHEAD;
        self.frames.push_back((place, frame));
        Ok(())
    }

    /// A copy of one more at the end, as large as it has to be; false when there is no room.
    pub(super) fn push_copy(&mut self, place: P, frame: &FrameBuf) -> bool {
        self.has_room_for(frame) && self.push(place, frame.shrunk()).is_ok()
    }

    fn has_room_for(&self, frame: &FrameBuf) -> bool {
        self.bytes + frame.len() + OVERHEAD <= ROOM
    }

    /// Nothing waits.
    pub(super) fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// Takes the one that goes on next.
    pub(super) fn pop(&mut self) -> Option<(P, FrameBuf)> {
        let (place, frame) = self.frames.pop_front()?;
        self.bytes -= frame.len() + OVERHEAD;
        Some((place, frame))
    }

    /// The one that goes on next.
    pub(super) fn front(&self) -> Option<&(P, FrameBuf)> {
        self.frames.front()
    }

    /// Nothing of it goes on; how many those were.
    pub(super) fn clear(&mut self) -> u64 {
        self.bytes = 0;
        self.frames.drain(..).len() as u64
    }
}
