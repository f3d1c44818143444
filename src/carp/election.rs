//! The election of a foreign VHID: FreeBSD's rules, with ucarp's for ties.
//!
//! Where two masters advertise equally often, FreeBSD steps down whenever it hears the other. Two of that kind that
//! speak at the same moment would step down together, and again three seconds later. So the one with the lower address
//! stays, as with ucarp; and whoever yields in a tie waits a little longer, and randomly, for the next time.

use std::cmp::Ordering;
use std::net::IpAddr;

use super::config::{Interval, family_of};
use super::vhid::{Vhid, Watch};
use super::{Event, Outbox, Reason, State};
use crate::types::{Duration, Family, Instant};
use crate::wire::carp::Repr;

/// A timer that fires this late says that we were stopped, and that what was sent meanwhile is still to be read.
const LATE: Duration = Duration::from_millis(500);
/// A master that hears a worse one speaks up at once, but not more often than this.
const INSIST_GAP: Duration = Duration::from_millis(250);

/// What a valid advertisement asks us to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Verdict {
    /// Nothing.
    Ignore,
    /// BACKUP: the master lives.
    Alive,
    /// BACKUP: become MASTER.
    Take(Reason),
    /// MASTER: another is better.
    Yield,
    /// MASTER: another is as good, and its address wins.
    YieldTie,
    /// MASTER: let the other hear that we are.
    Insist,
}

/// How the other compares.
#[derive(Clone, Copy, Debug)]
struct Rival {
    /// What it advertises.
    interval: Interval,
    /// In a tie its address wins.
    wins_ties: bool,
}

/// What we have to say for ourselves.
#[derive(Clone, Copy, Debug)]
struct Stance {
    state: State,
    interval: Interval,
    /// A master less frequent than this would time out.
    longest: Interval,
    preempt: bool,
}

fn judge(ours: Stance, rival: Rival) -> Verdict {
    let Stance { state, interval, longest, preempt } = ours;
    match state {
        State::Init => Verdict::Ignore,
        // The BSDs get there by the rule below it, as long as their advbase is under 85.
        State::Backup if rival.interval.is_goodbye() => Verdict::Take(Reason::Goodbye),
        State::Backup if preempt && rival.interval > interval => Verdict::Take(Reason::Preempts),
        State::Backup if rival.interval > longest => Verdict::Take(Reason::WillTimeOut),
        State::Backup => Verdict::Alive,
        State::Master if rival.interval.is_goodbye() => Verdict::Ignore,
        State::Master => match rival.interval.cmp(&interval) {
            Ordering::Less => Verdict::Yield,
            Ordering::Equal if rival.wins_ties => Verdict::YieldTie,
            Ordering::Equal | Ordering::Greater => Verdict::Insist,
        },
    }
}

/// ucarp compares addresses as words of its machine, so that on x86 the last octet counts most; IPv6 it does not know.
/// Without an address of our own there we yield, as FreeBSD always does.
fn wins_ties(from: IpAddr, own: Option<IpAddr>) -> bool {
    match (from, own) {
        (IpAddr::V4(from), Some(IpAddr::V4(own))) => {
            u32::from_le_bytes(from.octets()) < u32::from_le_bytes(own.octets())
        }
        (IpAddr::V6(from), Some(IpAddr::V6(own))) => from < own,
        (IpAddr::V4(_), Some(IpAddr::V6(_)) | None) | (IpAddr::V6(_), Some(IpAddr::V4(_)) | None) => true,
    }
}

impl Vhid {
    /// A valid advertisement of a foreign VHID.
    pub(super) fn elect(
        &mut self,
        now: Instant,
        from: IpAddr,
        advert: &Repr,
        preempt: bool,
        out: &mut Outbox,
    ) {
        // As the BSDs: no counter is refused, and ours goes on from the last one heard.
        self.counter = advert.counter;
        let family = family_of(from);
        let stance = Stance {
            state: self.state,
            interval: self.interval(),
            longest: Interval::longest(self.config.base(), self.effective_skew()),
            preempt,
        };
        let rival = Rival {
            interval: Interval::new(advert.advbase, advert.advskew),
            wins_ties: wins_ties(from, self.config.source(family)),
        };
        match judge(stance, rival) {
            Verdict::Ignore => {}
            Verdict::Alive => self.master_lives(now, family),
            Verdict::Take(reason) => self.become_master(now, reason, out),
            Verdict::Yield => self.become_backup(now, Reason::BetterMaster, out),
            Verdict::YieldTie => {
                self.suspect(now, from, out);
                self.become_backup(now, Reason::EqualMaster, out);
                self.wait_longer();
            }
            Verdict::Insist => {
                self.suspect(now, from, out);
                self.insist(now, out);
            }
        }
    }

    /// Two masters: ordinary in the first moments after a change, then worth an alarm. (A better one is ordinary at any
    /// time: it preempts.)
    pub(super) fn suspect(&mut self, now: Instant, from: IpAddr, out: &mut Outbox) {
        if now.since(self.since) >= self.interval().duration() {
            self.alarms.tell(now, Event::OtherMaster { from }, out);
        }
    }

    /// The neighbours may have learnt the other's MAC address, so they are told again as well.
    fn insist(&mut self, now: Instant, out: &mut Outbox) {
        if now.since(self.advertised) >= INSIST_GAP {
            self.speak_up(now, out);
        }
    }

    pub(super) fn master_lives(&mut self, now: Instant, family: Family) {
        let until = now + self.config.master_down();
        for watch in self.watches.iter_mut().filter(|watch| watch.family == family) {
            (watch.until, watch.told) = (until, false);
        }
        self.forgiven = false;
        self.master_heard = now;
    }

    /// Up to half an interval more, so that two that yielded to each other do not meet again.
    fn wait_longer(&mut self) {
        let most = self.interval().duration() / 2;
        let more = Duration::from_nanos(self.random.below(most.as_nanos() as u64));
        for watch in &mut self.watches {
            watch.until += more;
        }
    }

    /// Watches every family from now on.
    pub(super) fn watch_all(&mut self, until: Instant) {
        self.watches = self.config.families().map(|family| Watch { family, until, told: false }).collect();
        self.forgiven = false;
    }

    /// When a backup has something to do: a family is silent that the operator does not know of, or (true) the last one.
    pub(super) fn silence_due(&self) -> Option<(Instant, bool)> {
        let last = self.watches.iter().map(|watch| watch.until).max()?;
        let untold = self.watches.iter().filter(|watch| !watch.told);
        let alarm = untold.map(|watch| self.alarm_due(watch)).min().filter(|alarm| *alarm < last);
        Some((alarm.unwrap_or(last), alarm.is_none()))
    }

    /// A master that falls silent does so in one family a little before the other: that is no alarm.
    fn alarm_due(&self, watch: &Watch) -> Instant {
        watch.until + self.interval().duration()
    }

    /// A backup's timers. FreeBSD becomes master when *either* family is silent, and so has two masters when a switch
    /// loses one family's multicast: here all must be.
    pub(super) fn step_silence(&mut self, now: Instant, out: &mut Outbox) {
        let Some(last) = self.watches.iter().map(|watch| watch.until).max() else { return };
        if last > now {
            for number in 0..self.watches.len() {
                let watch = &self.watches[number];
                if !watch.told && self.alarm_due(watch) <= now {
                    let family = watch.family;
                    self.watches[number].told = true;
                    self.alarms.tell(now, Event::FamilySilent { family }, out);
                }
            }
        } else if now.since(last) > LATE && !self.forgiven {
            self.watch_all(now + self.interval().duration());
            self.forgiven = true;
        } else {
            self.become_master(now, Reason::Silence, out);
        }
    }

    /// Comes before everything that a foreign master hears, says or decides: one that was silent for so long that
    /// another may have taken over listens first. Two intervals are enough to hear a master of any skew.
    pub(super) fn wake(&mut self, now: Instant, out: &mut Outbox) {
        if self.lease().is_some_and(|until| until <= now) {
            self.listen_again(now, out);
        }
    }

    pub(super) fn listen_again(&mut self, now: Instant, out: &mut Outbox) {
        self.become_backup(now, Reason::Late, out);
        self.watch_all(now + 2 * self.interval().duration());
        self.forgiven = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Section by section the table of the BSDs and ucarp. Ours: 1 s and 100/256.
    #[test]
    fn what_each_advertisement_means() {
        use Verdict::{Alive, Ignore, Insist, Take, Yield, YieldTie};
        // theirs (base, skew), they win ties; BACKUP without and with preempt, MASTER
        let table = [
            ((1, 0), false, Alive, Alive, Yield),
            ((0, 0), false, Alive, Alive, Yield),
            ((1, 99), false, Alive, Alive, Yield),
            ((1, 100), true, Alive, Alive, YieldTie),
            ((1, 100), false, Alive, Alive, Insist),
            ((1, 101), true, Alive, Take(Reason::Preempts), Insist),
            ((3, 100), true, Alive, Take(Reason::Preempts), Insist),
            ((3, 101), true, Take(Reason::WillTimeOut), Take(Reason::Preempts), Insist),
            ((255, 254), true, Take(Reason::WillTimeOut), Take(Reason::Preempts), Insist),
            ((255, 255), true, Take(Reason::Goodbye), Take(Reason::Goodbye), Ignore),
        ];
        for ((base, skew), wins_ties, backup, preempting, master) in table {
            let rival = Rival { interval: Interval::new(base, skew), wins_ties };
            let verdict = |state, preempt| {
                let (interval, longest) = (Interval::new(1, 100), Interval::longest(1, 100));
                judge(Stance { state, interval, longest, preempt }, rival)
            };
            assert_eq!(verdict(State::Backup, false), backup, "{base} {skew}");
            assert_eq!(verdict(State::Backup, true), preempting, "{base} {skew}");
            for preempt in [false, true] {
                assert_eq!(verdict(State::Master, preempt), master, "{base} {skew}");
                assert_eq!(verdict(State::Init, preempt), Ignore, "{base} {skew}");
            }
        }
    }

    #[test]
    fn ties_go_to_whom_ucarp_would_give_them() {
        let table = [
            ("10.0.0.1", Some("10.0.0.2"), true),
            ("10.0.0.2", Some("10.0.0.1"), false),
            // The last octet counts most.
            ("10.0.9.1", Some("10.0.0.2"), true),
            ("fe80::1", Some("fe80::2"), true),
            ("fe80::2", Some("fe80::1"), false),
            ("10.0.0.2", None, true),
        ];
        for (from, own, expected) in table {
            let own = own.map(|own| own.parse().unwrap());
            assert_eq!(wins_ties(from.parse().unwrap(), own), expected, "{from} {own:?}");
        }
    }
}
