//! The processes that the first one looks after: which run, and when one that has ended is started again.

use std::time::Duration;

use crate::types::Instant;

/// After this long a process was well, and its next end begins a new row.
const WELL: Duration = Duration::from_secs(60);
/// Between the end and the next start: the first time, and at most.
const FIRST: Duration = Duration::from_millis(200);
const LONGEST: Duration = Duration::from_secs(10);

/// What is started.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Job {
    /// The router's parent.
    Router,
    /// The menu on the console of this number.
    Console(usize),
}

/// One process.
#[derive(Clone, Copy, Debug)]
struct Child {
    job: Job,
    process: Option<u32>,
    started: Instant,
    /// When to start it; `None` while it runs, or shall not any more.
    due: Option<Instant>,
    deaths: u32,
}

/// All of them.
#[derive(Debug, Default)]
pub struct Children {
    all: Vec<Child>,
}

impl Children {
    /// This shall run from now on.
    pub fn want(&mut self, job: Job, now: Instant) {
        self.all.push(Child { job, process: None, started: now, due: Some(now), deaths: 0 });
    }

    /// What is to be started now.
    pub fn due(&self, now: Instant) -> Vec<Job> {
        self.all.iter().filter(|child| child.due.is_some_and(|at| at <= now)).map(|child| child.job).collect()
    }

    /// When something is to be started.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.all.iter().filter_map(|child| child.due).min()
    }

    /// It runs as this process; or it could not be started, and is tried again later.
    pub fn started(&mut self, job: Job, process: Option<u32>, now: Instant) {
        let Some(child) = self.all.iter_mut().find(|child| child.job == job) else { return };
        (child.process, child.started, child.due) = (process, now, None);
        if process.is_none() {
            child.died(now);
        }
    }

    /// A process has ended: which job that was.
    pub fn ended(&mut self, process: u32, now: Instant) -> Option<Job> {
        let child = self.all.iter_mut().find(|child| child.process == Some(process))?;
        child.process = None;
        child.died(now);
        Some(child.job)
    }

    /// The process of a job, when it runs.
    pub fn process(&self, job: Job) -> Option<u32> {
        self.all.iter().find(|child| child.job == job)?.process
    }

    /// All processes that run.
    pub fn processes(&self) -> Vec<u32> {
        self.all.iter().filter_map(|child| child.process).collect()
    }

    /// Nothing is started any more.
    pub fn end(&mut self) {
        self.all.retain(|child| child.process.is_some());
        self.all.iter_mut().for_each(|child| child.due = None);
    }

    /// A job that was asked to end starts again at once.
    pub fn hurry(&mut self, job: Job) {
        if let Some(child) = self.all.iter_mut().find(|child| child.job == job) {
            child.deaths = 0;
        }
    }
}

impl Child {
    fn died(&mut self, now: Instant) {
        if now.since(self.started) >= WELL {
            self.deaths = 0;
        }
        let wait = FIRST.saturating_mul(1 << self.deaths.min(16)).min(LONGEST);
        self.deaths = self.deaths.saturating_add(1);
        self.due = Some(now + wait);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ends_starts_again_later_each_time() {
        let mut children = Children::default();
        let mut now = Instant::from_secs(10);
        children.want(Job::Router, now);
        children.want(Job::Console(0), now);
        assert_eq!(children.due(now), [Job::Router, Job::Console(0)]);
        children.started(Job::Console(0), Some(7), now);
        let mut waits = Vec::new();
        for process in 100..108 {
            children.started(Job::Router, Some(process), now);
            assert_eq!(children.poll_timeout(), None);
            assert_eq!(children.ended(process, now), Some(Job::Router));
            let at = children.poll_timeout().unwrap();
            waits.push(at.since(now).as_millis());
            now = at;
        }
        assert_eq!(waits, [200, 400, 800, 1600, 3200, 6400, 10_000, 10_000]);
        children.started(Job::Router, Some(200), now);
        now += WELL;
        children.ended(200, now);
        assert_eq!(children.poll_timeout().unwrap().since(now), FIRST);
        assert_eq!(children.ended(999, now), None, "somebody else's");
    }

    #[test]
    fn at_the_end_nothing_starts_again() {
        let mut children = Children::default();
        let now = Instant::from_secs(1);
        children.want(Job::Router, now);
        children.want(Job::Console(0), now);
        children.started(Job::Router, Some(5), now);
        children.started(Job::Console(0), None, now);
        children.end();
        assert_eq!((children.processes(), children.poll_timeout()), (vec![5], None));
        children.ended(5, now);
        children.end();
        assert!(children.processes().is_empty() && children.poll_timeout().is_none());
    }
}
