//! Which of the last 1024 messages of a space have come (RFC 6479).

const SIZE: u64 = 1024;
const WORDS: usize = (SIZE / 64) as usize;

/// A replay window.
#[derive(Clone, Debug, Default)]
pub(in super::super) struct Window {
    /// One more than the highest counter that has come.
    next: u64,
    /// A bit for each counter of the window, at the counter modulo the window's size.
    bits: [u64; WORDS],
}

impl Window {
    /// True when a message with this counter may still come.
    pub fn is_new(&self, counter: u64) -> bool {
        if counter >= self.next {
            // No sealer uses the last counter.
            return counter != u64::MAX;
        }
        self.next - counter <= SIZE && self.bits[word(counter)] & bit(counter) == 0
    }

    /// Such a message has come, and was genuine.
    pub fn note(&mut self, counter: u64) {
        if counter >= self.next {
            if counter - self.next >= SIZE {
                self.bits = [0; WORDS];
            } else {
                for skipped in self.next..=counter {
                    self.bits[word(skipped)] &= !bit(skipped);
                }
            }
            self.next = counter.saturating_add(1);
        }
        self.bits[word(counter)] |= bit(counter);
    }
}

const fn word(counter: u64) -> usize {
    (counter % SIZE / 64) as usize
}

const fn bit(counter: u64) -> u64 {
    1 << (counter % 64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    #[test]
    fn the_last_counter_is_refused_and_the_one_before_is_not() {
        let mut window = Window::default();
        assert!(!window.is_new(u64::MAX));
        assert!(window.is_new(u64::MAX - 1));
        window.note(u64::MAX - 1);
        assert!(!window.is_new(u64::MAX - 1) && !window.is_new(0) && window.is_new(u64::MAX - 1024));
        assert!(!window.is_new(u64::MAX - 1025));
    }

    proptest! {
        #[test]
        fn a_window_agrees_with_a_set(steps in proptest::collection::vec((0u64..2200, any::<bool>()), 1..400)) {
            let (mut window, mut came, mut base) = (Window::default(), BTreeSet::new(), 0u64);
            for (offset, far) in steps {
                let counter = if far { base + offset } else { base.saturating_sub(offset) };
                let highest = came.last().copied();
                let new = !came.contains(&counter) && highest.is_none_or(|highest: u64| highest < counter + SIZE);
                prop_assert_eq!(window.is_new(counter), new, "{}", counter);
                if new {
                    window.note(counter);
                    came.insert(counter);
                    base = base.max(counter);
                }
            }
        }
    }
}
