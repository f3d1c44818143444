//! Whether the machine itself stood still: on each processor a thread, before everything else that there is, wakes every
//! other millisecond and notes how late it was.
//!
//! The host of a virtual machine may take its processors away for longer than a node may be silent. What a drill measures
//! then is the host.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::figures::Window;
use super::worker::{Running, Worker};
use crate::io::{clock, pace};
use crate::types::Instant;

/// Between two looks.
const TURN: Duration = Duration::from_millis(2);
/// Less is how kernels work.
const NOTED: Duration = Duration::from_millis(5);
/// A machine that stood still for this long is not what a drill is about: nodes count as dead after twice that.
pub const STILL: Duration = Duration::from_millis(15);
/// The most that is remembered, ten minutes of a machine that never runs well.
const MOST: usize = 100_000;

/// A processor was not there: when it came back, and after how long.
type Absence = (Instant, Duration);

/// The threads; they end with this value.
pub struct Machine {
    absences: Arc<Mutex<Vec<Absence>>>,
    _workers: Vec<Worker>,
}

impl Machine {
    /// Begins to watch each processor. Where no thread may be before all others, nothing is ever noted.
    ///
    /// # Errors
    /// When there is no thread left.
    pub fn start() -> io::Result<Machine> {
        let absences: Arc<Mutex<Vec<Absence>>> = Arc::default();
        let processors = std::thread::available_parallelism()?.get();
        let watch = |number| {
            let noted = Arc::clone(&absences);
            Worker::start("machine", None, move |running| {
                if pace::alone_on(number) {
                    look(&noted, running);
                }
                Ok(())
            })
        };
        let workers = (0..processors).map(watch).collect::<io::Result<_>>()?;
        Ok(Machine { absences, _workers: workers })
    }

    /// The longest time within a window for which a processor was not there.
    pub fn stood_still(&self, window: Window) -> Duration {
        longest(&lock(&self.absences), window)
    }

    /// The longest time since `from` for which a processor was not there, when nodes may have taken each other for dead
    /// meanwhile. What was before now is forgotten.
    pub fn disturbance(&self, from: Instant) -> Option<Duration> {
        let now = clock::now();
        let still = self.stood_still(Window { from, to: now });
        self.forget_before(now);
        Some(still).filter(|still| *still >= STILL)
    }

    /// Forgets what was before this instant.
    pub fn forget_before(&self, at: Instant) {
        lock(&self.absences).retain(|(back, _)| *back >= at);
    }
}

fn lock(absences: &Mutex<Vec<Absence>>) -> MutexGuard<'_, Vec<Absence>> {
    absences.lock().unwrap_or_else(PoisonError::into_inner)
}

fn look(absences: &Mutex<Vec<Absence>>, running: &Running) {
    let mut next = clock::now();
    while running.goes_on() {
        next += TURN;
        pace::until(next);
        let now = clock::now();
        let late = now.since(next);
        if late >= NOTED {
            let mut absences = lock(absences);
            if absences.len() < MOST {
                absences.push((now, late));
            }
            next = now;
        }
    }
}

fn longest(absences: &[Absence], window: Window) -> Duration {
    let inside = absences.iter().filter(|(back, late)| *back >= window.from && *back - *late <= window.to);
    inside.map(|(_, late)| *late).max().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_absence_counts_where_it_touches_the_window() {
        let at = Instant::from_millis;
        let ms = Duration::from_millis;
        let absences = [(at(100), ms(90)), (at(500), ms(40)), (at(900), ms(70))];
        let longest = |from, to| super::longest(&absences, Window { from: at(from), to: at(to) }).as_millis();
        assert_eq!((longest(200, 400), longest(200, 480), longest(450, 470)), (0, 40, 40));
        assert_eq!((longest(90, 400), longest(101, 400), longest(501, 840)), (90, 0, 70));
    }
}
