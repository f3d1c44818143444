//! Whether the forward thread still turns, as the role thread sees it.

use crate::types::{Duration, Instant};

/// The forward thread is stuck when it has been in the middle of one turn for so long, beyond what the machine takes from
/// everybody.
const STUCK: Duration = Duration::from_millis(100);

/// Looks at the forward thread now and then.
#[derive(Clone, Copy, Debug, Default)]
pub struct Pulse {
    looked: Instant,
    /// Turns that it had ended when it was last looked at.
    turns: u64,
}

impl Pulse {
    /// It is looked at this often.
    pub const EVERY: Duration = Duration::from_millis(20);

    /// When the next look is due.
    pub fn due(&self) -> Instant {
        self.looked + Self::EVERY
    }

    /// True when it turns, by when it began the turn that it is in the middle of, and how many it has ended; `None`
    /// when the last look was a moment ago. `late` is how late who looks was himself.
    pub fn look(&mut self, now: Instant, busy: Option<Instant>, turns: u64, late: Duration) -> Option<bool> {
        if now.since(self.looked) < Self::EVERY {
            return None;
        }
        self.looked = now;
        let same = std::mem::replace(&mut self.turns, turns) == turns;
        Some(!(same && busy.is_some_and(|since| now.since(since) > STUCK + late)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_who_stays_in_one_turn_is_stuck() {
        let (mut pulse, at) = (Pulse::default(), |ms: u64| Instant::from_millis(1000 + ms));
        let none = Duration::ZERO;
        assert_eq!(pulse.look(at(0), None, 7, none), Some(true));
        assert_eq!(pulse.look(at(19), None, 7, none), None);
        assert_eq!(pulse.look(at(100), Some(at(0)), 7, none), Some(true), "not for long enough");
        assert_eq!(pulse.look(at(120), Some(at(0)), 7, none), Some(false));
        assert_eq!(pulse.look(at(140), Some(at(0)), 8, none), Some(true), "it has ended one");
        assert_eq!(pulse.look(at(400), None, 8, none), Some(true), "it waits for work");
        assert_eq!(pulse.due(), at(420));
        let late = Duration::from_millis(150);
        pulse.look(at(500), Some(at(500)), 9, late);
        assert_eq!(pulse.look(at(740), Some(at(500)), 9, late), Some(true), "nobody had the processor");
        assert_eq!(pulse.look(at(760), Some(at(500)), 9, late), Some(false));
    }
}
