//! Whether a machine that has come up is well.

use std::time::Duration;

use crate::types::Instant;

/// The router must answer for so long without a break.
const STEADY: Duration = Duration::from_secs(5);
/// It has this long to get there; a slow machine is not a sick one.
const PATIENCE: Duration = Duration::from_secs(180);

/// What somebody has seen who has looked at the router.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Look {
    /// It answers: its configuration is in force, its ports are open and its pages are served.
    pub answers: bool,
    /// How often it has died.
    pub restarts: u64,
}

/// What comes of it; once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// All is well.
    Well,
    /// It is not, and time is over.
    Sick,
}

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct Health {
    begun: Instant,
    /// Since when it answers, and how often it had died then.
    steady: Option<(Instant, u64)>,
    told: bool,
}

impl Health {
    /// The router was just started.
    pub fn new(now: Instant) -> Health {
        Health { begun: now, steady: None, told: false }
    }

    /// Takes what was seen.
    pub fn handle(&mut self, now: Instant, look: Look) -> Option<Verdict> {
        self.steady = match (look.answers, self.steady) {
            (false, _) => None,
            (true, Some((since, restarts))) if restarts == look.restarts => Some((since, restarts)),
            (true, Some(_) | None) => Some((now, look.restarts)),
        };
        let well = self.steady.is_some_and(|(since, _)| now.since(since) >= STEADY);
        let verdict = match well {
            true => Some(Verdict::Well),
            false => (now.since(self.begun) >= PATIENCE).then_some(Verdict::Sick),
        };
        let news = verdict.filter(|_| !self.told);
        self.told |= news.is_some();
        news
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANSWERS: Look = Look { answers: true, restarts: 0 };
    const SILENT: Look = Look { answers: false, restarts: 0 };

    fn run(look: impl Fn(u64) -> Look) -> Option<(u64, Verdict)> {
        let mut health = Health::new(Instant::from_secs(0));
        let verdicts: Vec<_> = (0..400)
            .filter_map(|second| Some((second, health.handle(Instant::from_secs(second), look(second))?)))
            .collect();
        assert!(verdicts.len() <= 1, "told once");
        verdicts.first().copied()
    }

    #[test]
    fn who_answers_for_a_while_is_well_and_who_dies_again_and_again_is_not() {
        assert_eq!(run(|_| ANSWERS), Some((5, Verdict::Well)));
        assert_eq!(run(|second| if second < 60 { SILENT } else { ANSWERS }), Some((65, Verdict::Well)));
        assert_eq!(run(|_| SILENT), Some((180, Verdict::Sick)));
        let dying = |second: u64| Look { answers: true, restarts: second / 4 };
        assert_eq!(run(dying), Some((180, Verdict::Sick)));
    }
}
