//! Orders to the forward thread, and what it tells about its ports.

use std::fmt;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use crossbeam_queue::ArrayQueue;

use super::netlink::LinkSocket;
use super::poller::Waker;
use super::port::Port;
use crate::node::{Command, Notice, Replication};
use crate::types::{InterfaceId, PortId};
use crate::wire::FrameBuf;

/// Orders that wait.
pub(super) const ORDERS: usize = 256;

/// What others ask of the forward thread.
pub enum Order {
    /// For the shard.
    Command(Command),
    /// A descriptor for a port whose device was gone, opened by someone who may; with the device's number.
    Attach(PortId, OwnedFd, Option<u32>),
    /// Ask the stations behind an interface whether they are there, and publish when that was done, by port.
    Probe(InterfaceId, PortId),
    /// Packets of the node itself, Ethernet header in front, to be routed like any other.
    Packets(Vec<FrameBuf>),
    /// Replicate otherwise; called when the shard begins with that.
    Replicate(Replication, Box<dyn FnOnce() + Send>),
    /// Other ports from now on.
    Arrange(Box<Arrangement>),
    /// End the thread cleanly.
    Stop,
}

/// The ports of a new configuration; it comes into force together with them.
pub struct Arrangement {
    /// In the order of their ids.
    pub ports: Vec<Placement>,
    /// Sockets with link events of namespaces that had no port before, with their names.
    pub links: Vec<(Option<String>, LinkSocket)>,
    /// The configuration: a [`Command::Apply`].
    pub command: Command,
    /// The port that the role thread reads.
    pub sync: Option<PortId>,
}

/// A port of the new configuration.
pub enum Placement {
    /// The one that has had this id so far. Ports that are not mentioned are closed.
    Kept(PortId),
    /// A new one.
    New(Box<Port>),
}

/// Too many orders wait already.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Busy;

impl fmt::Display for Busy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the forward thread has too many orders waiting")
    }
}

impl std::error::Error for Busy {}

/// Gives orders to a forward thread, from any thread.
#[derive(Clone)]
pub struct Handle {
    pub(super) orders: Arc<ArrayQueue<Order>>,
    pub(super) waker: Waker,
}

impl Handle {
    /// Queues an order.
    ///
    /// # Errors
    /// When too many wait; the order is forgotten.
    pub fn order(&self, order: Order) -> Result<(), Busy> {
        self.offer(order).map_err(|_| Busy)
    }

    /// Queues an order, or gives it back when too many wait.
    pub fn offer(&self, order: Order) -> Result<(), Box<Order>> {
        let result = self.orders.push(order);
        self.waker.wake();
        result.map_err(Box::new)
    }

    /// Queues a command for the shard.
    ///
    /// # Errors
    /// When too many orders wait; the command is forgotten and its reply never called.
    pub fn command(&self, command: Command) -> Result<(), Busy> {
        self.order(Order::Command(command))
    }

    /// True when so many orders wait that whoever can wait should.
    pub fn is_crowded(&self) -> bool {
        self.orders.len() >= ORDERS / 2
    }

    /// Wakes the thread; the other end of a link to the router's own stack needs it.
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
    /// The shard has something to say.
    Notice(Notice),
}

/// Hears what happens on the forward thread, and is called there: it must only hand the event over.
pub type PortListener = Box<dyn FnMut(PortEvent) + Send>;
