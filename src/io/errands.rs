//! The thread of the router's own services: it asks time servers and name servers, reads the files of aliases, and takes
//! the records of the firewall log to where they go.
//!
//! Invariant: the packet path never waits for it. Records come by a bounded queue; what finds no room stands in the ring
//! all the same.

use std::io;
use std::net::IpAddr;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::Wake;
use std::time::Duration;

use arc_swap::ArcSwap;
use crossbeam_queue::ArrayQueue;

use super::almanac::Almanac;
use super::clock;
use super::host_thread::HostHandle;
use super::lists::Lists;
use super::log_file::LogFile;
use super::sys_process::calendar_is_kept;
use crate::config::{Calendar, Conditions, Config};
use crate::node::{Compiled, log_row};
use crate::rules::Record;
use crate::services::log::LogRow;
use crate::services::notices::Notice;
use crate::services::time::Trust;
use crate::services::{Departing, Outbox, Services, ServicesRow};
use crate::types::{Instant, Seed, WallTime};

/// Records that wait.
const RECORDS: usize = 4096;
/// Notices that wait.
const NOTICES: usize = 64;
/// The thread looks around this often, also for copies of files that have changed.
const LOOK_AROUND: Duration = Duration::from_secs(1);
/// The state directory is the working directory.
const STATE: &str = ".";

/// Speaks with the thread, from any other; it ends with the last of them.
#[derive(Clone)]
pub struct Errands {
    shared: Arc<Shared>,
    bell: Arc<Bell>,
}

struct Shared {
    work: Mutex<Work>,
    records: ArrayQueue<Record>,
    notices: ArrayQueue<Notice>,
    missed: AtomicU64,
    almanac: OnceLock<Almanac>,
}

/// What the thread works on.
struct Work {
    services: Services,
    lists: Lists,
    file: LogFile,
    present: Conditions,
}

/// Wakes the thread.
struct Bell(SyncSender<()>);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // Full: it is about to look anyway.
        let _ = self.0.try_send(());
    }
}

/// Hands records of the packet path over.
#[derive(Clone)]
pub struct RecordSink {
    shared: Arc<Shared>,
    bell: Arc<Bell>,
}

impl RecordSink {
    /// Takes all of these; never waits.
    pub fn take(&self, records: impl Iterator<Item = Record>) {
        let mut any = false;
        for record in records {
            any = true;
            if self.shared.records.push(record).is_err() {
                self.shared.missed.fetch_add(1, Ordering::Relaxed);
            }
        }
        if any {
            self.bell.wake_by_ref();
        }
    }
}

impl Errands {
    /// Everything that is known before anything was asked. The thread is started by [`Errands::run`].
    pub fn new(config: &Config, seed: Seed) -> (Errands, Receiver<()>) {
        let mut lists = Lists::default();
        lists.apply(config, Path::new(STATE));
        let mut file = LogFile::new(Path::new(STATE));
        file.apply(&config.system.logging);
        let services = Services::new(config, seed, clock::now(), clock::machine_wall());
        let present = Conditions { lists: Arc::new(lists.ranges()), ..Conditions::default() };
        let (sender, receiver) = sync_channel(1);
        let mut work = Work { services, lists, file, present };
        work.renew_doubt(clock::now());
        let shared = Shared {
            work: Mutex::new(work),
            records: ArrayQueue::new(RECORDS),
            notices: ArrayQueue::new(NOTICES),
            missed: AtomicU64::new(0),
            almanac: OnceLock::new(),
        };
        (Errands { shared: Arc::new(shared), bell: Arc::new(Bell(sender)) }, receiver)
    }

    /// Starts the thread.
    ///
    /// # Errors
    /// When the kernel has no thread left.
    pub fn run(
        &self,
        wake: Receiver<()>,
        host: HostHandle,
        in_force: Arc<ArcSwap<Compiled>>,
        almanac: Almanac,
    ) -> io::Result<()> {
        // Whoever starts it twice has it started once.
        let _ = self.shared.almanac.set(almanac);
        host.hold().stack().set_datagram_waker(Arc::clone(&self.bell).into());
        let weak = Arc::downgrade(&self.shared);
        let thread = std::thread::Builder::new().name("errands".into());
        thread.spawn(move || {
            let mut rest = Duration::ZERO;
            loop {
                match wake.recv_timeout(rest) {
                    Ok(()) | Err(RecvTimeoutError::Timeout) => {}
                    Err(RecvTimeoutError::Disconnected) => return,
                }
                let Some(shared) = weak.upgrade() else { return };
                rest = shared.turn(&host, &in_force.load());
            }
        })?;
        Ok(())
    }

    /// Where the packet path leaves its records.
    pub fn sink(&self) -> RecordSink {
        RecordSink { shared: Arc::clone(&self.shared), bell: Arc::clone(&self.bell) }
    }

    /// Another document is about to come into force: the circumstances in which it does.
    pub fn apply(&self, config: &Config) -> Conditions {
        let mut work = self.shared.lock();
        work.services.apply(config, clock::now());
        work.file.apply(&config.system.logging);
        if work.lists.apply(config, Path::new(STATE)) {
            work.present.lists = Arc::new(work.lists.ranges());
        }
        work.present.names = Arc::new(work.services.names());
        self.bell.wake_by_ref();
        at(&work.present, config, clock::wall())
    }

    /// The circumstances of a moment.
    pub fn conditions(&self, config: &Config, now: WallTime) -> Conditions {
        at(&self.shared.lock().present, config, now)
    }

    /// The services, for people.
    pub fn row(&self, config: &Config) -> ServicesRow {
        let work = self.shared.lock();
        let calendar = Calendar::new(config);
        let (now, wall) = (clock::now(), clock::machine_wall());
        let mut row = work.services.row(now, wall, calendar_is_kept(), |at| calendar.words(at));
        let lost = "Records of the firewall log that could not be written to its file.";
        row.counters.push(("log-unwritten".into(), work.file.lost, lost.into()));
        row
    }

    /// Servers of the log are told what nobody may overlook; what finds no room is in the router's own log all the same.
    pub fn announce(&self, notices: Vec<Notice>) {
        for notice in notices {
            let _ = self.shared.notices.push(notice);
        }
        self.bell.wake_by_ref();
    }

    /// What a host of the document stands for.
    pub fn addresses(&self, host: &str) -> Vec<IpAddr> {
        self.shared.lock().services.addresses(host)
    }

    /// What is wrong with the file of an alias.
    pub fn list_trouble(&self, alias: &str) -> Option<String> {
        self.shared.lock().lists.trouble(alias)
    }
}

fn at(present: &Conditions, config: &Config, now: WallTime) -> Conditions {
    present.clone().moved(config, now)
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Work> {
        self.work.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does what is due; says how long to rest.
    fn turn(&self, host: &HostHandle, compiled: &Compiled) -> Duration {
        let mut work = self.lock();
        let mut out = Outbox::default();
        work.hear(host, &mut out);
        work.tell_records(self, compiled, &mut out);
        while let Some(notice) = self.notices.pop() {
            work.services.handle_notice(&notice, &mut out);
        }
        let before = work.present.clone();
        if out.names_changed {
            work.present.names = Arc::new(work.services.names());
        }
        if work.lists.refresh(Path::new(STATE)) {
            work.present.lists = Arc::new(work.lists.ranges());
        }
        clock::correct_wall(work.services.clock().ahead());
        let now = clock::now();
        work.renew_doubt(now);
        let changed = before != work.present;
        let rest = work.services.poll_timeout().map_or(LOOK_AROUND, |(at, _)| at.since(now).min(LOOK_AROUND));
        drop(work);
        send(host, compiled, &out.datagrams);
        if changed && let Some(almanac) = self.almanac.get() {
            almanac.look();
        }
        rest
    }
}

impl Work {
    /// Datagrams that have come, and what is due.
    fn hear(&mut self, host: &HostHandle, out: &mut Outbox) {
        let mut held = host.hold();
        let arrived: Vec<_> = std::iter::from_fn(|| held.stack().take_datagram()).collect();
        drop(held);
        let (now, wall) = (clock::now(), clock::machine_wall());
        for datagram in arrived {
            let (port, from) = (datagram.local.port(), datagram.remote);
            self.services.handle_datagram(now, wall, port, from, &datagram.payload, out);
        }
        self.services.handle_timeout(now, wall, out);
    }

    /// Records, in words, to the file and to the servers.
    fn tell_records(&mut self, shared: &Shared, compiled: &Compiled, out: &mut Outbox) {
        let (now, wall) = (clock::now(), clock::wall());
        let records = std::iter::from_fn(|| shared.records.pop()).take(RECORDS);
        let rows: Vec<LogRow> =
            records.map(|record| log_row(compiled, &record, date_ms(now, wall, record.at))).collect();
        for row in &rows {
            self.services.handle_record(row, out);
        }
        self.services.note_missed(shared.missed.swap(0, Ordering::Relaxed));
        self.file.write(&rows);
    }

    fn renew_doubt(&mut self, now: Instant) {
        self.present.doubt = match self.services.clock().trust(now, calendar_is_kept()) {
            Trust::Sure => None,
            Trust::Unsure(why) => Some(why),
        };
    }
}

/// The calendar's milliseconds of a moment that is past.
pub fn date_ms(now: Instant, wall: WallTime, at: Instant) -> u64 {
    wall.as_nanos().saturating_sub(now.since(at).as_nanos() as u64) / 1_000_000
}

/// Each leaves with the address that the router has toward its destination; without one it does not.
fn send(host: &HostHandle, compiled: &Compiled, datagrams: &[Departing]) {
    if datagrams.is_empty() {
        return;
    }
    let mut held = host.hold();
    for Departing { port, remote, payload } in datagrams {
        if let Some(own) = compiled.address_toward(remote.ip()) {
            held.stack().send_datagram(std::net::SocketAddr::new(own, *port), *remote, payload);
        }
    }
    held.run();
}
