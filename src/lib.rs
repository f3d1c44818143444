//! Koi: a userspace router and firewall.
//!
//! This page is the tour. Read it once, and you know where everything is.
//!
//! # The idea
//!
//! **The program is a value.** Every engine is plain data with a few verbs: `handle_*` takes the time and an input
//! and puts outputs into an outbox that the caller owns; `poll_timeout` says when it wants to be called again, and
//! why; `handle_timeout` does what is due. No engine sleeps, spawns, locks, opens a file or asks for the time. A
//! thin edge ([`io`], [`web`]) owns clocks, TAPs, sockets, files and threads. So a whole router, the cables and the
//! hosts around it fit in one deterministic test (`tests/sim`).
//!
//! # The rooms, each may use only those above it
//!
//! | module | what it is |
//! |---|---|
//! | [`types`] | time, addresses, ids: words without logic |
//! | [`wire`] | packets as bytes, one file per protocol; [`wire::FrameBuf`] and [`wire::Packet`] travel down the packet path |
//! | [`config`] | the one document: model, `validate`, canonical hash; pfSense's files in and out; a node as one file |
//! | [`rules`] | the filter in pf's order, compiled into a classifier; [`rules::Pass`] is the proof that a packet may go on |
//! | [`conntrack`] | the state table: one record under two keys, TCP windows, pf's timers, limits |
//! | [`nat`] | port forwards, 1:1, prefixes, outbound mappings: chooses a translation and rewrites in place |
//! | [`route`] | longest-prefix routes, gateways and who of them is up, ARP and neighbour discovery, router advertisements |
//! | [`carp`] | one VHID's state machine, on the wire with FreeBSD, OpenBSD and ucarp |
//! | [`cluster`] | the pair: its authenticated channel, who serves, the stream of states, pairing by a one-time code |
//! | [`host`] | smoltcp on the router's own addresses, and its datagrams |
//! | [`services`] | what the router does as a host: the time, names, the firewall log told to others |
//! | [`node`] | the whole router as one value; `node/forward.rs` is the packet path |
//! | [`io`] | TAPs, io_uring, clock, threads, processes, files: the only module with `unsafe` |
//! | [`web`] | the pages: pfSense's menu and words, users and sessions, forms as tables of fields; the JSON API for programs with a token |
//! | [`lab`] | the network of the story in namespaces on one machine, and drills for the pair in it |
//! | [`appliance`] | Koi as the only program of a machine: the first process, the console, updates of the image |
//! | [`cli`] | the commands |
//!
//! `tests/structure.rs` holds the code to this order.
//!
//! # A packet's way
//!
//! 1. `io::port` reads a batch of frames from a TAP into [`wire::FrameBuf`]s. With offloads on, a frame may be a
//!    superpacket of 64 KiB; it stays whole.
//! 2. [`node::Shard::handle_frames`] takes the 802.1Q tag off, finds the interface and parses each frame once.
//!    ARP and neighbour discovery go to [`route::Neighbours`], fragments to [`wire::reassembly`].
//! 3. All flows of the batch are looked up in [`conntrack::Table`], so that their cache misses overlap.
//! 4. A packet of a known flow advances the flow's state machine, is translated in place and leaves. The first
//!    packet of a flow asks the rules, the routes or the gateways that a rule names (`node/ways.rs`), [`nat`], the rules
//!    on the other side, and only then does the flow exist.
//! 5. A packet for the router itself goes to [`host`]; what that sends enters the same path.
//! 6. Departing packets get the next hop's MAC address (or wait for it), grow together with their neighbours of the
//!    same flow, and leave by `io::port`.
//!
//! Every way to lose a packet is a variant of [`wire::Drop`], counted, and kept in a ring of recent drops.
//!
//! # The pair
//!
//! Two more values make two nodes one, each run by a thread of its own. [`node::Helm`] (the role thread,
//! `io::helm_thread`, real-time where the machine permits) holds the channel to the peer, the election and the virtual
//! IPs. It alone reads and writes the sync port, and writes its frames to the data ports itself; the packet path hands it
//! what belongs to the pair ([`node::Outbox::control`]). It publishes one thing, the [`types::Standing`]: role, epoch, and
//! until when the lease runs. The packet path reads that before each batch and neither forwards nor answers for a virtual
//! address without it. [`node::Courier`] (the replica thread, `io::courier_thread`) carries states: the active node's shard
//! encodes what changes at the end of a batch ([`node::Outbox::chunks`]), the courier numbers, seals and repeats it until it
//! is acknowledged; the standby's courier opens it and its shard takes it over ([`node::Command::Import`]). Digests of
//! ranges of the table go with the stream (`conntrack/digest.rs`, `cluster/replica/proof.rs`): a standby is in sync when
//! it is proven that both tables are the same, and what differs is told again. The packet path waits for neither of
//! them; with `defer` a flow's first packet does, for 10 ms at most (`node/deferral.rs`).
//!
//! A planned move of the role goes through the same stream (`cluster/role/handover.rs`): the old node stops to forward,
//! tells its last changes, and passes on every frame that still reaches it (`node/relay.rs`); the new one takes over at
//! that point of the stream, and works that off before what reaches it directly (`node/assumption.rs`).
//!
//! Two releases in a row work together: a node says to its peer only what both know ([`wire::pair::Version`], the helm tells
//! courier and shard), and the release before is kept frozen in the tests (`wire/pair/frozen_v1.rs`). A new program is
//! signed ([`cluster::release`]), run by the parent from a sealed copy and on trial first ([`io::program`]); both nodes get
//! it one after the other ([`cluster::upgrade`] decides, `koi pair upgrade` has the hands). The nodes' keys are renewed
//! while the channel goes on ([`cluster::keyring`]). What one node asks of the other goes through `io::colleague`.
//!
//! The configuration is one for both. A change is a candidate first, is staged on the disks of both nodes, comes into force
//! on both, and perhaps waits to be confirmed ([`config::life`]); the two agree by [`cluster::agreement`], whose messages
//! travel as [`cluster::parcel`]s beside the states. The parent process decides (`io/parent_config.rs`), since it alone
//! writes the file; the router only carries its messages.
//!
//! What the pair is at a moment is [`node::PairSnapshot`], with what an operator should put right
//! (`node/helm/preflight.rs`).
//!
//! # The appliance
//!
//! In the image there is a kernel and this program, which is the first process too (`appliance/init.rs`): it loads modules,
//! mounts the configuration partition, finds a configuration (`appliance/first.rs`), and looks after the router's parent and
//! a menu on each console ([`appliance::menu`]). A port may name a network card by its MAC address; the parent makes a macvtap
//! on it (`io/nic.rs`) and waits for a card that is not there. Updates fill the other slot of the disk and are tried once
//! ([`appliance::slot`], [`appliance::update`]).
//!
//! # The hour, and names
//!
//! A policy depends on more than its document ([`config::Conditions`]): which schedules are in their hours, what names of
//! hosts and files of addresses stand for. [`services::Services`] asks time servers and name servers; `io::almanac` holds
//! what is in force against the clock, has the rules of the next hour ready before it comes, and swaps them between two
//! batches. Decisions that rules want logged go into a ring (`node/journal.rs`), and from there, by `io::errands`, to a
//! file and to servers of syslog.
//!
//! # What moves on a page
//!
//! `web/events` looks at the router once a second ([`node::Command::Glance`]), renders what somebody has open, once for all of
//! them, and tells it by one event stream a page; `web/live.js` puts it in place of what was there. Without a script a page has the
//! same facts. `io/crier.rs` looks, too, and tells a log, servers of syslog and a webhook what nobody may overlook
//! ([`services::notices`]).

// No target of tests/fuzz is about four of these: there they need not be built.
#[cfg(not(fuzzing))]
pub mod appliance;
pub mod carp;
#[cfg(not(fuzzing))]
pub mod cli;
pub mod cluster;
pub mod config;
pub mod conntrack;
pub mod host;
pub mod io;
#[cfg(not(fuzzing))]
pub mod lab;
pub mod nat;
pub mod node;
pub mod route;
pub mod rules;
pub mod services;
pub mod types;
#[cfg(not(fuzzing))]
pub mod web;
pub mod wire;
