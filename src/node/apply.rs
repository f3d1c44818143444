//! A new configuration comes into force between two batches; flows are kept.

use std::sync::Arc;

use super::Shard;
use super::command::Command;
use super::compiled::Compiled;
use super::outbox::Outbox;
use crate::types::Instant;

impl Shard {
    /// A bounded piece of work from the control plane.
    pub fn handle_command(&mut self, now: Instant, command: Command, out: &mut Outbox) {
        match command {
            Command::Apply(compiled, reply) => {
                self.apply(now, compiled, out);
                reply(());
            }
            Command::Snapshot(reply) => reply(self.snapshot(now)),
            Command::Flows { filter, cursor, limit, reply } => reply(self.flows(now, &filter, cursor, limit)),
            Command::Kill { filter, cursor, limit, reply } => reply(self.table.kill(&filter, cursor, limit)),
            Command::Drops(reply) => reply(self.recent_drops()),
            Command::Import { bytes, reply } => reply(self.import(now, &bytes)),
            Command::Replicate(replication) => self.replicate(now, replication, out),
            Command::Grant(credit) => {
                self.grant(credit);
                self.finish(now, out);
            }
            Command::Capture { interface, sink } => self.captures.push((interface, sink)),
        }
    }

    /// Flows of the old epoch are asked about again when their next packet comes.
    fn apply(&mut self, now: Instant, compiled: Arc<Compiled>, out: &mut Outbox) {
        let interfaces = compiled.links.len();
        self.table.apply(compiled.conntrack_config());
        self.neighbours.apply(now, compiled.neighbour_config(), &mut self.route_out);
        self.advertiser.apply(now, compiled.advertiser_links(), &mut self.route_out.frames);
        self.reassembly.apply(compiled.reassembly_limits());
        self.traffic.resize(interfaces);
        self.departures.apply(&compiled);
        self.links_up.resize(compiled.offloads.len(), false);
        self.compiled = compiled;
        self.watch_gateways(now);
        self.finish(now, out);
    }

    /// Gateways are asked for before anybody needs them.
    pub(super) fn watch_gateways(&mut self, now: Instant) {
        self.neighbours.watch(now, self.compiled.gateways(), &mut self.route_out);
    }
}
