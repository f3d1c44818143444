//! Who acted for the pair, and when two did: from what was seen at the switches.

use std::time::Duration;

use super::figures::Window;
use super::sighting::{Kind, Sighting};
use crate::types::Instant;

/// Sightings this close together belong to one stretch of acting; the streams alone give several a millisecond.
const TOGETHER: Duration = Duration::from_millis(20);
/// The same for CARP advertisements, which come once a second.
const ADVERTS: Duration = Duration::from_millis(1200);
/// A node that forwards for less than this has not taken over; it has let something slip.
const TAKEOVER: Duration = Duration::from_millis(5);

/// Stretches of time in which a node acted for the pair, in order.
fn stretches(sightings: &[Sighting], node: usize, wanted: fn(Kind) -> bool, apart: Duration) -> Vec<Window> {
    let mut times: Vec<Instant> = sightings
        .iter()
        .filter(|sighting| sighting.node == node && wanted(sighting.kind))
        .map(|sighting| sighting.at)
        .collect();
    times.sort_unstable();
    let mut stretches: Vec<Window> = Vec::new();
    for at in times {
        match stretches.last_mut() {
            Some(last) if at.since(last.to) <= apart => last.to = at,
            Some(_) | None => stretches.push(Window { from: at, to: at }),
        }
    }
    stretches
}

fn is_advert(kind: Kind) -> bool {
    match kind {
        Kind::Advert => true,
        Kind::Virtual | Kind::Answer | Kind::Forward => false,
    }
}

fn is_forward(kind: Kind) -> bool {
    match kind {
        Kind::Forward => true,
        Kind::Advert | Kind::Virtual | Kind::Answer => false,
    }
}

fn is_act(kind: Kind) -> bool {
    !is_advert(kind)
}

/// All that a node did for the pair: stretches that touch are one.
fn acting(sightings: &[Sighting], node: usize) -> Vec<Window> {
    let mut all = stretches(sightings, node, is_act, TOGETHER);
    all.extend(stretches(sightings, node, is_advert, ADVERTS));
    all.sort_unstable_by_key(|stretch| stretch.from);
    let mut joined: Vec<Window> = Vec::new();
    for stretch in all {
        match joined.last_mut() {
            Some(last) if stretch.from <= last.to => last.to = last.to.max(stretch.to),
            Some(_) | None => joined.push(stretch),
        }
    }
    joined
}

/// How long both nodes acted for the pair within a window.
pub fn dual(sightings: &[Sighting], window: Window) -> Duration {
    let (ours, theirs) = (acting(sightings, 0), acting(sightings, 1));
    let mut both = Duration::ZERO;
    for one in &ours {
        for other in &theirs {
            let from = one.from.max(other.from).max(window.from);
            let to = one.to.min(other.to).min(window.to);
            both += to.since(from);
        }
    }
    both
}

/// How often the traffic went over from one node to the other within a window.
pub fn takeovers(sightings: &[Sighting], window: Window) -> usize {
    let mut all: Vec<(Window, usize)> = Vec::new();
    for node in 0..2 {
        let stretches = stretches(sightings, node, is_forward, TOGETHER);
        all.extend(stretches.into_iter().map(|stretch| (stretch, node)));
    }
    all.retain(|(stretch, _)| stretch.to.since(stretch.from) >= TAKEOVER);
    all.sort_unstable_by_key(|(stretch, _)| stretch.from);
    all.windows(2).filter(|pair| pair[0].1 != pair[1].1 && window.contains(pair[1].0.from)).count()
}

/// Answers for a virtual address, or frames from a virtual MAC address, that a node sent while only the other one
/// forwarded, with the stretch of that. What the other one still had on its way when it was replaced, no longer than
/// `slack`, makes no answer a wrong one.
pub fn stray_answers(sightings: &[Sighting], window: Window, slack: Duration) -> Vec<(Sighting, Window)> {
    let stretches = [0, 1].map(|node| stretches(sightings, node, is_forward, TOGETHER));
    let inside = |node: usize, at: Instant| stretches[node].iter().find(|stretch| stretch.contains(at));
    let stray = |sighting: &Sighting| {
        match sighting.kind {
            Kind::Advert | Kind::Virtual | Kind::Answer => {}
            Kind::Forward => return None,
        }
        let (node, at) = (sighting.node.min(1), sighting.at);
        let theirs = inside(1 - node, at).filter(|_| window.contains(at) && inside(node, at).is_none())?;
        (theirs.to.since(at) > slack).then_some((*sighting, *theirs))
    };
    sightings.iter().filter_map(stray).collect()
}

/// What a node forwarded within a window.
pub fn forwarded(sightings: &[Sighting], node: usize, window: Window) -> usize {
    let its = |sighting: &&Sighting| sighting.node == node && window.contains(sighting.at);
    sightings.iter().filter(its).filter(|sighting| is_forward(sighting.kind)).count()
}

/// The node that forwarded last.
pub fn leader(sightings: &[Sighting]) -> Option<usize> {
    let forwards = sightings.iter().filter(|sighting| is_forward(sighting.kind));
    forwards.max_by_key(|sighting| sighting.at).map(|sighting| sighting.node)
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: Window = Window { from: Instant::ZERO, to: Instant::from_secs(60) };

    fn every(millis: std::ops::Range<u64>, step: usize, node: usize, kind: Kind) -> Vec<Sighting> {
        let at = millis.step_by(step).map(Instant::from_millis);
        at.map(|at| Sighting { at, node, switch: 0, kind }).collect()
    }

    fn after(millis: u64) -> Window {
        Window { from: Instant::from_millis(millis), ..WHOLE }
    }

    #[test]
    fn one_after_the_other_is_one_takeover_and_no_dual_master() {
        let mut seen = every(0..3000, 1, 0, Kind::Forward);
        seen.extend(every(0..3000, 1000, 0, Kind::Advert));
        seen.extend(every(3030..6000, 1, 1, Kind::Forward));
        seen.extend(every(3030..6000, 1000, 1, Kind::Advert));
        assert_eq!((dual(&seen, WHOLE), takeovers(&seen, WHOLE)), (Duration::ZERO, 1));
        assert_eq!(
            (takeovers(&seen, after(3500)), stray_answers(&seen, WHOLE, Duration::ZERO).len()),
            (0, 0)
        );
        assert_eq!(leader(&seen), Some(1));
        assert_eq!(leader(&[]), None);
        assert_eq!((forwarded(&seen, 0, WHOLE), forwarded(&seen, 0, after(2990))), (3000, 10));
        seen.extend(every(6030..7000, 1, 0, Kind::Forward));
        assert_eq!((dual(&seen, WHOLE), takeovers(&seen, WHOLE)), (Duration::ZERO, 2), "and back again");
    }

    #[test]
    fn two_at_once_are_seen_whatever_they_send() {
        let master = every(0..5000, 1, 0, Kind::Forward);
        for (kind, step) in
            [(Kind::Forward, 1), (Kind::Virtual, 10), (Kind::Answer, 10), (Kind::Advert, 1000)]
        {
            let mut seen = master.clone();
            seen.extend(every(1000..3001, step, 1, kind));
            assert_eq!(dual(&seen, WHOLE), Duration::from_secs(2), "{kind:?}");
            assert_eq!(dual(&seen, after(2500)), Duration::from_millis(500), "{kind:?}");
            assert_eq!(
                !stray_answers(&seen, WHOLE, Duration::ZERO).is_empty(),
                kind != Kind::Forward,
                "{kind:?}"
            );
        }
    }

    #[test]
    fn what_slips_through_is_no_takeover_and_hardly_time() {
        let mut seen = every(0..5000, 1, 0, Kind::Forward);
        seen.extend(every(2000..2003, 1, 1, Kind::Forward));
        assert_eq!((dual(&seen, WHOLE), takeovers(&seen, WHOLE)), (Duration::from_millis(2), 0));
        seen.extend(every(3000..3001, 1, 1, Kind::Answer));
        // The other one went on for two seconds less a millisecond after that.
        let slack = |millis| stray_answers(&seen, WHOLE, Duration::from_millis(millis)).len();
        assert_eq!((slack(1998), slack(1999)), (1, 0));
        assert_eq!(
            (dual(&seen, WHOLE), stray_answers(&seen, WHOLE, Duration::ZERO).len()),
            (Duration::from_millis(2), 1)
        );
    }
}
