//! Where the program's memory comes from.
//!
//! Small pieces come from mimalloc, where every thread has memory of its own and gives back what another one has made
//! without waiting. The C library has a lock around each of its arenas: a thread that runs before all ordinary ones waited
//! there for one of them that was not let go, up to 5 ms and once for 19, of the 25 that a lease lasts.
//!
//! Pieces of at least a huge page come from the C library, which can be asked for huge pages for just those (`io::child`
//! does): the connection table of a busy router is hundreds of megabytes that are read in no order.
//!
//! Invariant: whoever gives a piece back says the size with which it was made, and from that alone follows whose it is.

use std::alloc::{GlobalAlloc, Layout, System};

use mimalloc::MiMalloc;

/// A huge page of the processors that Koi is built for, bytes.
const HUGE_PAGE: usize = 2 << 20;

/// The memory of a program.
pub struct Memory;

/// True for pieces that come from the C library.
#[inline]
const fn is_large(size: usize) -> bool {
    size >= HUGE_PAGE
}

// SAFETY: both of them are allocators, and a piece goes back to the one from which it came, since `layout` is that with
// which it was made.
unsafe impl GlobalAlloc for Memory {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller keeps the promises of `GlobalAlloc`, which are those of both.
        unsafe { if is_large(layout.size()) { System.alloc(layout) } else { MiMalloc.alloc(layout) } }
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as above.
        unsafe {
            if is_large(layout.size()) { System.alloc_zeroed(layout) } else { MiMalloc.alloc_zeroed(layout) }
        }
    }

    #[inline]
    unsafe fn dealloc(&self, piece: *mut u8, layout: Layout) {
        // SAFETY: as above; of this size, `piece` came from there.
        unsafe {
            if is_large(layout.size()) {
                System.dealloc(piece, layout)
            } else {
                MiMalloc.dealloc(piece, layout)
            }
        }
    }

    #[inline]
    unsafe fn realloc(&self, piece: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        match (is_large(layout.size()), is_large(size)) {
            // SAFETY: as above; it stays where it came from.
            (false, false) => unsafe { MiMalloc.realloc(piece, layout, size) },
            // SAFETY: as above.
            (true, true) => unsafe { System.realloc(piece, layout, size) },
            // SAFETY: the caller promises that `size`, rounded up to the alignment, is a size that a layout may have.
            (false, true) | (true, false) => unsafe {
                self.exchange(piece, layout, Layout::from_size_align_unchecked(size, layout.align()))
            },
        }
    }
}

impl Memory {
    /// The same bytes in a piece from the other one; null, and the old piece as it was, when there is no memory.
    ///
    /// # Safety
    /// As for `GlobalAlloc::realloc`: `piece` was made by `self` with the layout `old`, and `new` is not empty.
    unsafe fn exchange(&self, piece: *mut u8, old: Layout, new: Layout) -> *mut u8 {
        // SAFETY: `new` is not empty.
        let other = unsafe { self.alloc(new) };
        if !other.is_null() {
            // SAFETY: two pieces that do not overlap, of at least as many bytes; `piece` is given back once.
            unsafe {
                other.copy_from_nonoverlapping(piece, old.size().min(new.size()));
                self.dealloc(piece, old);
            }
        }
        other
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The bytes of a piece.
    fn bytes<'a>(piece: *mut u8, len: usize) -> &'a mut [u8] {
        assert!(!piece.is_null());
        // SAFETY: the tests give pieces of this length only, and use one of these slices at a time.
        unsafe { std::slice::from_raw_parts_mut(piece, len) }
    }

    #[test]
    fn a_piece_keeps_its_bytes_whoever_it_comes_from() {
        for align in [1, 8, 64, 4096] {
            let sizes = [1, 100, HUGE_PAGE - 1, HUGE_PAGE, 3 * HUGE_PAGE, HUGE_PAGE - 1, 4096, HUGE_PAGE, 5];
            let mut layout = Layout::from_size_align(sizes[0], align).unwrap();
            // SAFETY: not empty.
            let mut piece = unsafe { Memory.alloc(layout) };
            bytes(piece, 1)[0] = 1;
            for pair in sizes.windows(2) {
                let kept = pair[0].min(pair[1]);
                let sum = |piece| bytes(piece, kept).iter().map(|&byte| u64::from(byte)).sum::<u64>();
                let before = sum(piece);
                // SAFETY: made with this layout, and the new size is not 0.
                piece = unsafe { Memory.realloc(piece, layout, pair[1]) };
                assert_eq!(sum(piece), before, "{pair:?} {align}");
                assert_eq!(piece.addr() % align, 0, "{pair:?} {align}");
                layout = Layout::from_size_align(pair[1], align).unwrap();
                for (at, byte) in bytes(piece, pair[1]).iter_mut().enumerate() {
                    *byte = (at % 251) as u8;
                }
            }
            // SAFETY: made with this layout.
            unsafe { Memory.dealloc(piece, layout) };
        }
    }

    #[test]
    fn what_is_to_be_zero_is_zero_also_the_second_time() {
        for size in [64, HUGE_PAGE - 1, HUGE_PAGE] {
            let layout = Layout::from_size_align(size, 16).unwrap();
            for _ in 0..3 {
                // SAFETY: not empty, and given back with the layout with which it was made.
                let piece = unsafe { Memory.alloc_zeroed(layout) };
                assert!(bytes(piece, size).iter().all(|&byte| byte == 0), "{size}");
                bytes(piece, size).fill(0xA5);
                // SAFETY: as above.
                unsafe { Memory.dealloc(piece, layout) };
            }
        }
    }

    #[test]
    fn from_a_huge_page_on_pieces_are_the_c_librarys() {
        for (size, large) in [(1, false), (HUGE_PAGE - 1, false), (HUGE_PAGE, true), (usize::MAX, true)] {
            assert_eq!(is_large(size), large, "{size}");
        }
    }
}
