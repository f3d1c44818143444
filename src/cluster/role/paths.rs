//! The ways between the two nodes: when each was last heard, read empty, and how well it carries.

use super::lateness::Worst;
use crate::types::{Duration, Instant, PathId};
use crate::wire::pair::Heartbeat;

/// Losses are counted over at least this long, at most twice as long.
const COUNTED: Duration = Duration::from_secs(5);
/// A step in the sequence larger than this is a peer that started again, not a loss.
const GAP: u64 = 1 << 16;
/// A path never carries more than this many paths' worth of state.
const MOST: usize = 64;

/// One way.
#[derive(Clone, Debug)]
pub(super) struct Path {
    pub id: PathId,
    /// The node's own link of it.
    pub up: bool,
    /// Heartbeats come.
    pub carries: bool,
    pub heard: Option<Instant>,
    drained: Option<Instant>,
    newest: u64,
    /// The newest heartbeat of ours that the peer heard on it.
    pub echoed: u64,
    losses: Losses,
    quickest: Option<i128>,
    late: Worst,
}

/// Heartbeats that came and that did not.
#[derive(Clone, Copy, Debug, Default)]
struct Losses {
    began: Instant,
    present: (u64, u64),
    before: (u64, u64),
}

impl Losses {
    fn note(&mut self, now: Instant, came: u64, lost: u64) {
        if now.since(self.began) >= COUNTED {
            (self.before, self.present) = (self.present, (0, 0));
            self.began = now;
        }
        self.present = (self.present.0 + came, self.present.1 + lost);
    }

    fn permille(&self) -> u16 {
        let came = self.present.0 + self.before.0;
        let lost = self.present.1 + self.before.1;
        (lost * 1000 / (came + lost).max(1)) as u16
    }
}

impl Path {
    fn new(id: PathId) -> Self {
        Path {
            id,
            up: true,
            carries: false,
            heard: None,
            drained: None,
            newest: 0,
            echoed: 0,
            losses: Losses::default(),
            quickest: None,
            late: Worst::default(),
        }
    }

    fn hear(&mut self, now: Instant, heartbeat: &Heartbeat) {
        self.heard = Some(now);
        let sequence = heartbeat.sequence;
        if self.newest > 0 && sequence > self.newest && sequence - self.newest < GAP {
            self.losses.note(now, 1, sequence - self.newest - 1);
        } else {
            self.losses.note(now, 1, 0);
        }
        self.newest = self.newest.max(sequence);
        let took = i128::from(now.as_nanos()) - i128::from(heartbeat.sent);
        // The clocks of the two nodes differ and drift; the quickest heartbeat is the measure, and it is given up slowly.
        let quickest = self.quickest.map_or(took, |quickest| took.min(quickest + 1_000));
        self.quickest = Some(quickest);
        self.late.note(now, Duration::from_nanos(u64::try_from(took - quickest).unwrap_or(0)));
    }

    /// Lost heartbeats of a thousand.
    pub fn loss_permille(&self) -> u16 {
        self.losses.permille()
    }

    /// How much later than the quickest one the latest heartbeat of the last second came.
    pub fn lateness(&self, now: Instant) -> Duration {
        self.late.get(now)
    }
}

/// All ways.
#[derive(Clone, Debug)]
pub(super) struct Paths {
    list: Vec<Path>,
    /// Since when at least one link is up.
    connected: Option<Instant>,
}

impl Paths {
    pub fn new(ids: &[PathId], now: Instant) -> Self {
        let mut paths = Paths { list: Vec::new(), connected: None };
        paths.apply(now, ids);
        paths
    }

    /// Other paths; what is known of those that stay is kept.
    pub fn apply(&mut self, now: Instant, ids: &[PathId]) {
        let mut before = std::mem::take(&mut self.list);
        for id in ids.iter().take(MOST) {
            if self.list.iter().any(|path| path.id == *id) {
                continue;
            }
            let known = before.iter().position(|path| path.id == *id);
            self.list.push(known.map_or_else(|| Path::new(*id), |index| before.swap_remove(index)));
        }
        self.reconnect(now);
    }

    fn reconnect(&mut self, now: Instant) {
        let up = self.list.iter().any(|path| path.up);
        self.connected = if up { self.connected.or(Some(now)) } else { None };
    }

    /// False when the path is none of ours.
    pub fn hear(&mut self, now: Instant, id: PathId, heartbeat: &Heartbeat) -> bool {
        let Some(path) = self.list.iter_mut().find(|path| path.id == id) else { return false };
        path.hear(now, heartbeat);
        true
    }

    /// What the peer has heard of us: all that is not among our own `sent` heartbeats is no echo.
    pub fn echo(&mut self, heard: &[(PathId, u64)], sent: u64) -> u64 {
        for path in &mut self.list {
            let echo = heard.iter().find(|(id, sequence)| *id == path.id && *sequence <= sent);
            path.echoed = echo.map_or(0, |(_, sequence)| *sequence);
        }
        self.list.iter().map(|path| path.echoed).max().unwrap_or(0)
    }

    pub fn drained(&mut self, now: Instant, id: PathId) {
        for path in self.list.iter_mut().filter(|path| path.id == id) {
            path.drained = path.drained.max(Some(now));
        }
    }

    /// Every path whose link is up has been read empty at `deadline` or later.
    pub fn are_drained(&self, deadline: Instant) -> bool {
        self.list.iter().filter(|path| path.up).all(|path| path.drained >= Some(deadline))
    }

    /// True when the link's state is news.
    pub fn set_link(&mut self, now: Instant, id: PathId, up: bool) -> bool {
        let Some(path) = self.list.iter_mut().find(|path| path.id == id && path.up != up) else {
            return false;
        };
        path.up = up;
        self.reconnect(now);
        true
    }

    /// The peer speaks in a new session, and counts anew if it started again.
    pub fn forget_sequences(&mut self) {
        for path in &mut self.list {
            (path.newest, path.echoed, path.quickest) = (0, 0, None);
        }
    }

    /// The first path found whose carrying is not what it was; `silent` is how long one may be silent.
    pub fn turn(&mut self, now: Instant, silent: Duration) -> Option<(PathId, bool)> {
        self.list.iter_mut().find_map(|path| {
            let carries = path.up && path.heard.is_some_and(|heard| now.since(heard) < silent);
            (carries != path.carries).then(|| {
                path.carries = carries;
                (path.id, carries)
            })
        })
    }

    /// Since when at least one link is up; `None` when none is.
    pub fn connected(&self) -> Option<Instant> {
        self.connected
    }

    /// There is a path beside the sync port.
    pub fn have_data(&self) -> bool {
        self.list.iter().any(|path| path.id != PathId::SYNC)
    }

    /// The path carries.
    pub fn carries(&self, id: PathId) -> bool {
        self.list.iter().any(|path| path.id == id && path.carries)
    }

    /// The sync port's path carries, or there is none.
    pub fn sync_carries(&self) -> bool {
        self.list.iter().filter(|path| path.id == PathId::SYNC).all(|path| path.carries)
    }

    /// For the heartbeat: the newest sequence heard on each.
    pub fn heard(&self) -> Vec<(PathId, u64)> {
        self.list.iter().filter(|path| path.newest > 0).map(|path| (path.id, path.newest)).collect()
    }

    pub fn iter(&self) -> impl Iterator<Item = &Path> {
        self.list.iter()
    }
}
