//! The forward thread: frames from the ports through the shard to the ports, run to completion.
//!
//! One turn: wait (or only look, while there is work), read a batch from each port that has frames, read the clock
//! once a batch, hand the batch to the shard, write what it answers; then the router's own packets, orders, link
//! events and timers, each within a bound. While nothing happens the thread sleeps in the kernel. It does not spin:
//! with the endpoints on the same two processors that cost 5 % of TCP's rate and gave nothing back.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_queue::ArrayQueue;

use super::courier_link::ShardEnd;
use super::errands::RecordSink;
use super::handle::ORDERS;
pub use super::handle::{Arrangement, Busy, Handle, Order, Placement, PortEvent, PortListener};
use super::helm_link::{self, ForwardEnd, PortNews};
use super::links::Links;
use super::poller::{Poller, Ready};
use super::port::{Port, PortError, Waiting};
use super::{clock, host_link, tally};
use crate::node::{Command, Outbox, Shard};
use crate::types::{Instant, PortId, Standing};
use crate::wire::FrameBuf;

/// Frames in one batch.
const BATCH: usize = 64;
/// How many empty buffers there are before the first frame: of a node that takes over everything is wanted at once.
const STOCK: usize = 256;
/// Orders carried out in one turn.
const ORDERS_A_TURN: usize = 16;
/// A thread that has nothing to do looks around this often, should a wake-up ever get lost.
const LOOK_AROUND: Duration = Duration::from_secs(1);
/// Tokens of the poller from here on are sockets with link events.
pub(super) const LINK_TOKENS: usize = 1 << 16;

/// A port and what the loop knows of it.
pub(super) struct Slot {
    pub(super) port: Port,
    /// Frames may wait.
    pub(super) ready: bool,
    /// The kernel says that something is wrong with the device.
    failed: bool,
    /// What the shard was told.
    pub(super) up: bool,
    /// The role thread reads this port: it is the pair's.
    pub(super) sync: bool,
    /// When to try to attach again, and how often still: whoever makes a device has it open for a moment.
    pub(super) retry: Option<(Instant, u32)>,
}

impl Slot {
    pub(super) fn new(port: Port) -> Self {
        Slot { port, ready: false, failed: false, up: false, sync: false, retry: None }
    }
}

/// The forward thread's world.
pub struct Forward {
    pub(super) shard: Shard,
    pub(super) out: Outbox,
    pub(super) slots: Vec<Slot>,
    pub(super) links: Links,
    pub(super) listener: PortListener,
    host: Option<host_link::End>,
    helm: Option<ForwardEnd>,
    pub(super) courier: Option<ShardEnd>,
    log: Option<RecordSink>,
    orders: Arc<ArrayQueue<Order>>,
    poller: Poller,
    /// The poller's set is out of date.
    pub(super) stale: bool,
    frames: Vec<FrameBuf>,
    /// When the ports were last asked whether frames wait.
    looked: Instant,
    /// Packets for the router's own stack that found no room.
    host_full: u64,
}

impl Forward {
    /// A loop around `shard` with `ports` in the order of their ids, and `links` that watch them.
    ///
    /// # Errors
    /// When the kernel has no descriptor left.
    pub fn new(shard: Shard, ports: Vec<Port>, links: Links, listener: PortListener) -> io::Result<Self> {
        let slots: Vec<_> = ports.into_iter().map(Slot::new).collect();
        Ok(Forward {
            shard,
            out: Outbox::new(slots.len()),
            slots,
            links,
            listener,
            host: None,
            helm: None,
            courier: None,
            log: None,
            orders: Arc::new(ArrayQueue::new(ORDERS)),
            poller: Poller::new()?,
            stale: true,
            frames: Vec::with_capacity(BATCH),
            looked: Instant::ZERO,
            host_full: 0,
        })
    }

    /// Gives orders to the loop.
    pub fn handle(&self) -> Handle {
        Handle { orders: Arc::clone(&self.orders), waker: self.poller.waker() }
    }

    /// Exchanges packets with the router's own stack from now on.
    pub fn connect_host(&mut self, end: host_link::End) {
        self.host = Some(end);
    }

    /// Obeys the role thread from now on, which reads the port `sync` itself.
    pub fn connect_helm(&mut self, end: ForwardEnd, sync: Option<PortId>) {
        self.helm = Some(end);
        self.reserve(sync);
        for number in 0..self.slots.len() {
            self.tell_helm(number, true);
        }
    }

    /// Leaves the records of the firewall log there from now on.
    pub fn connect_log(&mut self, sink: RecordSink) {
        self.log = Some(sink);
    }

    /// Exchanges states with the thread that speaks with the peer's.
    pub fn connect_courier(&mut self, end: ShardEnd) {
        self.courier = Some(end);
    }

    /// The role thread reads this port from now on, and no other.
    pub(super) fn reserve(&mut self, sync: Option<PortId>) {
        for (number, slot) in self.slots.iter_mut().enumerate() {
            slot.sync = sync.is_some_and(|port| usize::from(port.0) == number);
            slot.ready &= !slot.sync;
        }
        self.stale = true;
    }

    /// The role thread hears how a port is.
    pub(super) fn tell_helm(&self, number: usize, other_device: bool) {
        let (Some(helm), Some(slot)) = (&self.helm, self.slots.get(number)) else { return };
        let device = other_device.then(|| {
            let (file, offload_header) = slot.port.share()?;
            Some(helm_link::Device { file, offload_header })
        });
        helm.tell(PortNews { port: PortId(number as u8), up: slot.up, device });
    }

    /// What the role thread says holds for everything that follows.
    #[inline]
    fn obey(&mut self, now: Instant) {
        if let Some(helm) = &self.helm {
            self.shard.set_standing(now, helm.published.standing());
        }
    }

    /// Runs until an [`Order::Stop`].
    ///
    /// # Errors
    /// When the kernel refuses to wait for the ports.
    pub fn run(mut self) -> io::Result<()> {
        let mut ready = Vec::new();
        self.out.pool.stock(STOCK);
        self.take_unwatched_for_up(clock::now());
        loop {
            self.wait(&mut ready)?;
            self.read_ports();
            self.tell_emptied();
            self.hear_acknowledgements();
            self.take_host_packets();
            self.read_links(&ready);
            if !self.carry_out_orders() {
                return Ok(());
            }
            self.run_timers();
        }
    }

    /// Sleeps until something happens; only looks when work is waiting already.
    fn wait(&mut self, ready: &mut Vec<Ready>) -> io::Result<()> {
        if std::mem::take(&mut self.stale) {
            self.fill_poller();
        }
        self.poller.arm();
        let timeout = if self.has_work() { Duration::ZERO } else { self.time_to_sleep() };
        if let Some(helm) = &self.helm {
            helm.published.idle();
        }
        self.looked = clock::now();
        self.poller.wait(Some(timeout), ready)?;
        let now = clock::now();
        if let Some(helm) = &self.helm {
            helm.published.busy(now);
        }
        self.obey(now);
        for at in ready.iter().filter(|at| at.token < LINK_TOKENS) {
            if let Some(slot) = self.slots.get_mut(at.token) {
                (slot.ready, slot.failed) = (true, at.failed);
            }
        }
        Ok(())
    }

    fn fill_poller(&mut self) {
        self.poller.clear();
        for (token, slot) in self.slots.iter().enumerate() {
            if let Some(fd) = slot.port.fd().filter(|_| !slot.sync) {
                self.poller.add(token, fd);
            }
        }
        for (number, fd) in self.links.fds().enumerate() {
            self.poller.add(LINK_TOKENS + number, fd);
        }
    }

    fn has_work(&self) -> bool {
        self.slots.iter().any(|slot| slot.ready)
            || !self.orders.is_empty()
            || self.host.as_ref().is_some_and(host_link::End::has_packets)
            || self.news_of_deferred().is_some()
    }

    /// More chunks that the peer's node has applied, when packets wait for that.
    fn news_of_deferred(&self) -> Option<u64> {
        let courier = self.courier.as_ref().filter(|_| self.shard.has_deferred())?;
        Some(courier.acked()).filter(|acked| *acked > self.shard.acked())
    }

    fn hear_acknowledgements(&mut self) {
        if let Some(acked) = self.news_of_deferred() {
            let now = clock::now();
            self.obey(now);
            self.shard.handle_acked(now, acked, &mut self.out);
            self.flush(now);
        }
    }

    fn time_to_sleep(&self) -> Duration {
        let retries = self.slots.iter().filter_map(|slot| slot.retry.map(|(at, _)| at));
        let due = self.shard.poll_timeout().map(|(at, _)| at).into_iter().chain(retries).min();
        due.map_or(LOOK_AROUND, |at| at.since(clock::now()).min(LOOK_AROUND))
    }

    /// A batch from each port that may have frames.
    fn read_ports(&mut self) {
        for number in 0..self.slots.len() {
            if !self.slots[number].ready {
                continue;
            }
            let slot = &mut self.slots[number];
            let result = slot.port.recv_batch(&mut self.out.pool, &mut self.frames, BATCH);
            slot.ready = result == Ok(Waiting::Perhaps);
            self.shard.note_read(PortId(number as u8), slot.ready);
            if !self.frames.is_empty() {
                let now = clock::now();
                self.obey(now);
                if let Some(helm) = &self.helm {
                    helm.published.hear(number, now);
                }
                self.shard.handle_frames(now, PortId(number as u8), &mut self.frames, &mut self.out);
                self.flush(now);
            }
            let failed = std::mem::take(&mut self.slots[number].failed);
            match result {
                // These would be reported as ready for ever.
                Err(PortError::Refused(_)) => self.lose_device(number, clock::now()),
                Ok(Waiting::Nothing) if failed => self.lose_device(number, clock::now()),
                Err(error) => self.port_failed(number, error, clock::now()),
                Ok(Waiting::Nothing | Waiting::Perhaps) => {}
            }
        }
    }

    /// During a handover: nothing waits in any port of what had come before this turn began to look.
    fn tell_emptied(&mut self) {
        let wanted = self.shard.wants_empty_ports(self.looked);
        if wanted && self.slots.iter().all(|slot| slot.sync || !slot.ready) {
            let now = clock::now();
            self.obey(now);
            self.shard.handle_emptied(now, &mut self.out);
            self.flush(now);
        }
    }

    /// The thread was held up since the batch began, and the node has no role any more, or no lease: what holds now.
    fn overtaken(&self, began: Instant) -> Option<(Instant, Standing)> {
        let standing = self.helm.as_ref()?.published.standing();
        let now = clock::now();
        self.shard.is_overtaken(began, now, standing).then_some((now, standing))
    }

    /// Writes what the shard has answered.
    pub(super) fn flush(&mut self, now: Instant) {
        if self.out.has_answers() {
            self.shard.release_answers(clock::now(), &mut self.out);
        }
        for number in 0..self.slots.len() {
            if self.out.frames(PortId(number as u8)).0.is_empty() {
                continue;
            }
            if let Some((now, standing)) = self.overtaken(now) {
                self.shard.withdraw(now, standing, &mut self.out);
                break;
            }
            let (frames, pool) = self.out.frames(PortId(number as u8));
            let report = self.slots[number].port.send_batch(frames, pool);
            if let Some(error) = report.error {
                self.port_failed(number, error, now);
            }
        }
        match &self.helm {
            Some(helm) => {
                helm.send(&mut self.out.control, &mut self.out.pool);
                for (gateway, reachable) in self.shard.take_gateway_news() {
                    helm.tell_gateway(gateway, reachable);
                }
            }
            None => self.out.control.drain(..).for_each(|(_, frame)| self.out.pool.give(frame)),
        }
        if let Some(courier) = &self.courier {
            courier.send(&mut self.out.chunks, self.shard.has_deferred());
            let lost = courier.send_detours(&mut self.out.detours);
            self.shard.note_lost_detours(lost);
            let owed = courier.room().saturating_sub(self.out.chunks.len() + self.shard.credit());
            self.shard.grant(owed);
            courier.set_waiting(self.shard.has_deferred());
        }
        self.out.detours.clear();
        match &self.log {
            Some(log) => log.take(self.shard.take_records()),
            None => self.shard.take_records().for_each(drop),
        }
        for notice in self.shard.take_notices() {
            (self.listener)(PortEvent::Notice(notice));
        }
        match &self.host {
            Some(host) => self.host_full += host.send(&mut self.out.host, &mut self.out.pool) as u64,
            None => {
                self.host_full += self.out.host.len() as u64;
                self.out.host.drain(..).for_each(|frame| self.out.pool.give(frame));
            }
        }
    }

    fn take_host_packets(&mut self) {
        let Some(host) = &self.host else { return };
        host.receive(&mut self.frames, BATCH, &mut self.out.pool);
        if !self.frames.is_empty() {
            let now = clock::now();
            self.obey(now);
            self.shard.handle_host_packets(now, &mut self.frames, &mut self.out);
            self.flush(now);
        }
    }

    /// False when the thread is to end.
    fn carry_out_orders(&mut self) -> bool {
        for _ in 0..ORDERS_A_TURN {
            let Some(order) = self.orders.pop() else { return true };
            let now = clock::now();
            match order {
                Order::Command(command) => {
                    let ports = self.slots.iter().map(|slot| &slot.port);
                    let host = self.host.as_ref().map(host_link::End::published).unwrap_or_default();
                    let missed = self.helm.as_ref().map_or(0, ForwardEnd::missed);
                    let command = tally::add(command, ports, missed, self.host_full, host);
                    self.shard.handle_command(now, command, &mut self.out);
                    self.flush(now);
                }
                Order::Probe(interface, port) => {
                    self.shard.handle_command(now, Command::Probe(interface), &mut self.out);
                    self.flush(now);
                    if let Some(helm) = &self.helm {
                        helm.published.ask(port, clock::now());
                    }
                }
                Order::Packets(mut packets) => {
                    self.shard.handle_host_packets(now, &mut packets, &mut self.out);
                    self.flush(now);
                }
                Order::Replicate(replication, begun) => {
                    // Chunks that were made before belong to what was told before.
                    self.out.chunks.clear();
                    begun();
                    self.shard.handle_command(now, Command::Replicate(replication), &mut self.out);
                    self.flush(now);
                }
                Order::Attach(port, fd, index) => self.adopt(usize::from(port.0), fd, index, now),
                Order::Arrange(arrangement) => self.arrange(*arrangement, now),
                Order::Stop => {
                    self.shard.handle_stop(now, &mut self.out);
                    self.flush(now);
                    return false;
                }
            }
        }
        true
    }

    fn run_timers(&mut self) {
        let now = clock::now();
        if self.shard.poll_timeout().is_some_and(|(at, _)| at <= now) {
            self.shard.handle_timeout(now, &mut self.out);
            self.flush(now);
        }
        self.retry_attaching(now);
    }
}

#[cfg(test)]
#[path = "forward_tests.rs"]
mod tests;
