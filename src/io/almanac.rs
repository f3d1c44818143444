//! The thread that keeps the rules to their hours, and to what names stand for.
//!
//! Some seconds before a schedule or the time of a rule begins or ends, the rules of then are compiled; at the moment itself they come into
//! force between two batches of packets. The calendar clock may jump, and the configuration may change meanwhile, so
//! what is in force is held against the clock each second.

use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Weak};
use std::time::Duration;

use super::clock;
use super::desk::Desk;
use crate::config::{Calendar, Conditions};
use crate::node::Compiled;
use crate::types::WallTime;

/// How long before their time rules are compiled.
const LEAD: Duration = Duration::from_secs(5);
/// What is in force is held against the clock this often.
const LOOK_AROUND: Duration = Duration::from_secs(1);

/// Wakes the thread; it ends with the last of them.
#[derive(Clone)]
pub struct Almanac(SyncSender<()>);

impl Almanac {
    /// Starts the thread.
    ///
    /// # Errors
    /// When the kernel has no thread left.
    pub fn start(desk: Weak<Desk>) -> io::Result<Almanac> {
        let (sender, receiver) = sync_channel(1);
        let thread = std::thread::Builder::new().name("almanac".into());
        thread.spawn(move || run(&desk, &receiver))?;
        Ok(Almanac(sender))
    }

    /// Something has changed that the hours depend on.
    pub fn look(&self) {
        // Full: it looks anyway.
        let _ = self.0.try_send(());
    }
}

fn run(desk: &Weak<Desk>, wake: &Receiver<()>) {
    let mut plan = Plan::default();
    loop {
        let Some(desk) = desk.upgrade() else { return };
        let rest = plan.turn(&desk, clock::wall());
        drop(desk);
        match wake.recv_timeout(rest) {
            Ok(()) | Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

/// What comes next.
#[derive(Default)]
struct Plan {
    /// The policy that the rest is about.
    base: Option<Arc<Compiled>>,
    /// When the plan was made; a clock that shows an earlier time was put back.
    made: WallTime,
    /// When a schedule begins or ends.
    next: Option<WallTime>,
    /// The policy of then.
    ready: Option<Arc<Compiled>>,
}

impl Plan {
    /// Does what is due; says how long to rest.
    fn turn(&mut self, desk: &Desk, now: WallTime) -> Duration {
        let in_force = desk.compiled();
        let wanted = desk.conditions(&in_force.config, now);
        if wanted == *in_force.conditions {
            return self.prepare(&in_force, &wanted, now);
        }
        let ready = self.ready.take().filter(|ready| {
            self.base.as_ref().is_some_and(|base| Arc::ptr_eq(base, &in_force)) && *ready.conditions == wanted
        });
        let next = ready.unwrap_or_else(|| Arc::new(renewed(&in_force, wanted)));
        match desk.renew(&in_force, next) {
            Ok(()) => Duration::ZERO,
            Err(error) => {
                tracing::error!(%error, "the rules of this moment are not in force");
                LOOK_AROUND
            }
        }
    }

    /// What is in force is right; what will be is made ready in time.
    fn prepare(&mut self, in_force: &Arc<Compiled>, conditions: &Conditions, now: WallTime) -> Duration {
        let same = self.base.as_ref().is_some_and(|base| Arc::ptr_eq(base, in_force));
        if !same || now < self.made || self.next.is_some_and(|next| next <= now) {
            let next = Calendar::new(&in_force.config).next_change(now);
            *self = Plan { base: Some(Arc::clone(in_force)), made: now, next, ready: None };
        }
        let Some(next) = self.next else { return LOOK_AROUND };
        let left = next.since(now);
        if left <= LEAD && self.ready.is_none() {
            let then = conditions.clone().moved(&in_force.config, next);
            self.ready = Some(Arc::new(renewed(in_force, then)));
        }
        left.min(LOOK_AROUND)
    }
}

/// With the hours, flows are asked about again. What a name stands for changes all the time; flows that exist go on, as in
/// pf.
fn renewed(in_force: &Compiled, conditions: Conditions) -> Compiled {
    let other_hours = !conditions.same_hours(&in_force.conditions);
    let epoch = if other_hours { in_force.epoch.wrapping_add(1) } else { in_force.epoch };
    in_force.renewed(epoch, Arc::new(conditions))
}
