//! The forward thread: frames from the ports through the shard to the ports, run to completion.
//!
//! One turn: wait (or only look, while there is work), read a batch from each port that has frames, read the clock
//! once a batch, hand the batch to the shard, write what it answers; then the router's own packets, orders, link
//! events and timers, each within a bound. While nothing happens the thread sleeps in the kernel. It does not spin:
//! with the endpoints on the same two processors that cost 5 % of TCP's rate and gave nothing back.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_queue::ArrayQueue;

use super::clock;
use super::host_link;
use super::links::{Links, PortState};
use super::poller::{Poller, Ready, Waker};
use super::port::{Port, PortError, Waiting};
use crate::node::snapshot::{CounterRow, Snapshot};
use crate::node::{Command, Outbox, Shard};
use crate::types::{Instant, PortId};
use crate::wire::FrameBuf;

/// Frames in one batch.
const BATCH: usize = 64;
/// Orders carried out in one turn.
const ORDERS_A_TURN: usize = 16;
/// Orders that wait.
const ORDERS: usize = 256;
/// A thread that has nothing to do looks around this often, should a wake-up ever get lost.
const LOOK_AROUND: Duration = Duration::from_secs(1);
/// Tokens of the poller from here on are sockets with link events.
const LINK_TOKENS: usize = 1 << 16;

/// What others ask of the forward thread.
pub enum Order {
    /// For the shard.
    Command(Command),
    /// A descriptor for a port whose device was gone, opened by someone who may.
    Attach(PortId, OwnedFd),
    /// End the thread cleanly.
    Stop,
}

/// Gives orders to a forward thread, from any thread.
#[derive(Clone)]
pub struct Handle {
    orders: Arc<ArrayQueue<Order>>,
    waker: Waker,
}

impl Handle {
    /// Queues an order.
    ///
    /// # Errors
    /// Gives the order back when too many wait.
    pub fn order(&self, order: Order) -> Result<(), Order> {
        let result = self.orders.push(order);
        self.waker.wake();
        result
    }

    /// Queues a command for the shard.
    ///
    /// # Errors
    /// Gives the command back when too many orders wait.
    pub fn command(&self, command: Command) -> Result<(), Command> {
        self.order(Order::Command(command)).map_err(|order| match order {
            Order::Command(command) => command,
            Order::Attach(..) | Order::Stop => unreachable!("the refused order is the one that was given"),
        })
    }

    /// Wakes the thread; the other end of a [`host_link`] needs it.
    pub fn waker(&self) -> Waker {
        self.waker.clone()
    }
}

/// What happened to a port, for those who can do something about it.
#[derive(Debug)]
pub enum PortEvent {
    /// The device was deleted.
    Gone(PortId),
    /// There is a device of that name again, but we could not attach to it; an [`Order::Attach`] would help.
    NotAttached(PortId, io::Error),
    /// The port has its device again.
    Attached(PortId),
}

/// Hears what happens to ports; called on the forward thread, so it must only hand the event over.
pub type PortListener = Box<dyn FnMut(PortEvent) + Send>;

/// A port and what the loop knows of it.
struct Slot {
    port: Port,
    /// Frames may wait.
    ready: bool,
    /// The kernel says that something is wrong with the device.
    failed: bool,
    /// What the shard was told.
    up: bool,
}

/// What the loop itself lost.
#[derive(Clone, Copy, Default)]
struct Losses {
    host_full: u64,
}

/// The forward thread's world.
pub struct Forward {
    shard: Shard,
    out: Outbox,
    slots: Vec<Slot>,
    links: Links,
    listener: PortListener,
    host: Option<host_link::End>,
    orders: Arc<ArrayQueue<Order>>,
    poller: Poller,
    /// The poller's set is out of date.
    stale: bool,
    frames: Vec<FrameBuf>,
    losses: Losses,
}

impl Forward {
    /// A loop around `shard` with `ports` in the order of their ids, and `links` that watch them.
    ///
    /// # Errors
    /// When the kernel has no descriptor left.
    pub fn new(shard: Shard, ports: Vec<Port>, links: Links, listener: PortListener) -> io::Result<Self> {
        let slots: Vec<_> =
            ports.into_iter().map(|port| Slot { port, ready: false, failed: false, up: false }).collect();
        Ok(Forward {
            shard,
            out: Outbox::new(slots.len()),
            slots,
            links,
            listener,
            host: None,
            orders: Arc::new(ArrayQueue::new(ORDERS)),
            poller: Poller::new()?,
            stale: true,
            frames: Vec::with_capacity(BATCH),
            losses: Losses::default(),
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

    /// Runs until an [`Order::Stop`].
    ///
    /// # Errors
    /// When the kernel refuses to wait for the ports.
    pub fn run(mut self) -> io::Result<()> {
        let mut ready = Vec::new();
        self.take_unwatched_for_up(clock::now());
        loop {
            self.wait(&mut ready)?;
            self.read_ports();
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
        self.poller.wait(Some(timeout), ready)?;
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
            if let Some(fd) = slot.port.fd() {
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
    }

    fn time_to_sleep(&self) -> Duration {
        self.shard.poll_timeout().map_or(LOOK_AROUND, |(at, _)| at.since(clock::now()).min(LOOK_AROUND))
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
            if !self.frames.is_empty() {
                let now = clock::now();
                self.shard.handle_frames(now, PortId(number as u8), &mut self.frames, &mut self.out);
                self.flush(now);
            }
            let failed = std::mem::take(&mut self.slots[number].failed);
            match result {
                Err(error) => self.port_failed(number, error, clock::now()),
                // It would be reported as ready for ever.
                Ok(Waiting::Nothing) if failed => self.lose_device(number, clock::now()),
                Ok(Waiting::Nothing | Waiting::Perhaps) => {}
            }
        }
    }

    /// Writes what the shard has answered.
    fn flush(&mut self, now: Instant) {
        for number in 0..self.slots.len() {
            let (frames, pool) = self.out.frames(PortId(number as u8));
            if frames.is_empty() {
                continue;
            }
            let report = self.slots[number].port.send_batch(frames, pool);
            if let Some(error) = report.error {
                self.port_failed(number, error, now);
            }
        }
        match &self.host {
            Some(host) => self.losses.host_full += host.send(&mut self.out.host, &mut self.out.pool) as u64,
            None => {
                self.losses.host_full += self.out.host.len() as u64;
                self.out.host.drain(..).for_each(|frame| self.out.pool.give(frame));
            }
        }
    }

    fn take_host_packets(&mut self) {
        let Some(host) = &self.host else { return };
        host.receive(&mut self.frames, BATCH, &mut self.out.pool);
        if !self.frames.is_empty() {
            let now = clock::now();
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
                    let command = self.with_ports(command);
                    self.shard.handle_command(now, command, &mut self.out);
                    self.flush(now);
                }
                Order::Attach(port, fd) => self.adopt(usize::from(port.0), fd, now),
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
    }

    /// A snapshot also tells what the ports have carried, as they saw it.
    fn with_ports(&self, command: Command) -> Command {
        let Command::Snapshot(reply) = command else { return command };
        let counters: Vec<_> = self.slots.iter().map(|slot| slot.port.counters()).collect();
        let lost = self.losses.host_full;
        Command::Snapshot(Box::new(move |mut snapshot: Snapshot| {
            let mut sums = [0; 5];
            for (row, port) in snapshot.ports.iter_mut().zip(&counters) {
                (row.rx_packets, row.rx_bytes) = (port.rx_frames, port.rx_bytes);
                (row.tx_packets, row.tx_bytes, row.drops) = (port.tx_frames, port.tx_bytes, port.drops());
            }
            for port in &counters {
                let losses =
                    [port.rx_malformed, port.tx_full, port.tx_down, port.tx_refused, port.attached_again];
                sums.iter_mut().zip(losses).for_each(|(sum, loss)| *sum += loss);
            }
            let values = sums.into_iter().chain([lost]);
            snapshot.counters.extend(COUNTERS.iter().zip(values).map(|((name, meaning), value)| {
                CounterRow { name: (*name).into(), value, meaning: (*meaning).into() }
            }));
            reply(snapshot);
        }))
    }
}

/// Counters of the edge: name and meaning.
const COUNTERS: [(&str, &str); 6] = [
    ("port-malformed", "Frames read from a port with an offload header that makes no sense."),
    ("port-full", "Frames dropped because a port's device had no room."),
    ("port-down", "Frames dropped because a port's device was down or gone."),
    ("port-refused", "Frames that the kernel refused to take."),
    ("port-attached-again", "Times that a port was attached again after its device was gone."),
    ("host-queue-full", "Packets for the router itself dropped because its own stack was behind."),
];

/// Links and devices that come and go.
impl Forward {
    /// Ports that nobody watches are taken for up while they have a device.
    fn take_unwatched_for_up(&mut self, now: Instant) {
        for number in 0..self.slots.len() {
            if !self.links.watches(number) && self.slots[number].port.fd().is_some() {
                self.set_link(number, true, now);
            }
        }
    }

    fn set_link(&mut self, number: usize, up: bool, now: Instant) {
        if self.slots[number].up != up {
            self.slots[number].up = up;
            self.shard.handle_link(now, PortId(number as u8), up, &mut self.out);
            // Not through `flush`: a port that fails again must not bring us back here.
            for (number, slot) in self.slots.iter_mut().enumerate() {
                let (frames, pool) = self.out.frames(PortId(number as u8));
                slot.port.send_batch(frames, pool);
            }
        }
    }

    fn port_failed(&mut self, number: usize, error: PortError, now: Instant) {
        match error {
            PortError::Gone => self.lose_device(number, now),
            // Netlink says when it is up again; without netlink only the next frame can tell.
            PortError::Down if self.links.watches(number) => self.set_link(number, false, now),
            PortError::Down | PortError::Refused(_) => {}
        }
    }

    fn lose_device(&mut self, number: usize, now: Instant) {
        if self.slots[number].port.fd().is_some() {
            self.slots[number].port.detach();
            self.slots[number].ready = false;
            self.stale = true;
            (self.listener)(PortEvent::Gone(PortId(number as u8)));
        }
        self.set_link(number, false, now);
    }

    fn read_links(&mut self, ready: &[Ready]) {
        let numbers = ready.iter().filter_map(|at| at.token.checked_sub(LINK_TOKENS));
        let mut changes = Vec::new();
        for number in numbers {
            self.links.receive(number, self.slots.iter().map(|slot| &slot.port), &mut changes);
        }
        for (number, state) in changes {
            let now = clock::now();
            match state {
                PortState::Up => self.set_link(number, true, now),
                PortState::Down => self.set_link(number, false, now),
                PortState::Left => self.follow_or_lose(number, now),
                PortState::Back => self.attach_again(number, now),
            }
        }
    }

    /// The device left its namespace: it was deleted, or moved elsewhere and still works.
    fn follow_or_lose(&mut self, number: usize, now: Instant) {
        self.stale = true;
        if !self.slots[number].port.is_attached() {
            return self.lose_device(number, now);
        }
        self.set_link(number, false, now);
        self.slots[number].port.renumber();
        if self.links.follow(number, &self.slots[number].port).is_err() {
            self.set_link(number, true, now);
        }
    }

    fn attach_again(&mut self, number: usize, now: Instant) {
        let port = &mut self.slots[number].port;
        let result = port.attach_again();
        self.attached(number, result, now);
    }

    fn adopt(&mut self, number: usize, fd: OwnedFd, now: Instant) {
        let Some(slot) = self.slots.get_mut(number) else { return };
        let result = slot.port.adopt_again(fd);
        self.attached(number, result, now);
    }

    fn attached(&mut self, number: usize, result: io::Result<()>, now: Instant) {
        let id = PortId(number as u8);
        self.stale = true;
        match result {
            Ok(()) => {
                self.links.ask_again(number);
                self.take_unwatched_for_up(now);
                (self.listener)(PortEvent::Attached(id));
            }
            Err(error) => (self.listener)(PortEvent::NotAttached(id, error)),
        }
    }
}
