//! A new configuration comes into force between two batches; flows are kept.

use std::net::IpAddr;
use std::sync::Arc;

use super::Shard;
use super::command::Command;
use super::compiled::Compiled;
use super::outbox::Outbox;
use super::pair::Duty;
use crate::types::{Instant, InterfaceId, Standing};

impl Shard {
    /// A bounded piece of work from the control plane.
    pub fn handle_command(&mut self, now: Instant, command: Command, out: &mut Outbox) {
        self.take_up_duty(now);
        match command {
            Command::Apply(compiled, reply) => {
                self.apply(now, compiled, out);
                reply(());
            }
            Command::Renew(compiled, reply) => {
                self.tallies.apply(&self.compiled.ruleset, &compiled.ruleset);
                self.compiled = compiled;
                reply(());
            }
            Command::Snapshot(reply) => reply(self.snapshot(now)),
            Command::Glance(reply) => reply(self.glance(now)),
            Command::Talkers { cursor, limit, reply } => reply(self.talkers(now, cursor, limit)),
            Command::Gateways(reply) => reply(self.gateway_statuses()),
            Command::Flows { filter, cursor, limit, reply } => reply(self.flows(now, &filter, cursor, limit)),
            Command::Survey { mut survey, limit, reply } => {
                self.table.survey(now, &mut survey, limit);
                reply(survey);
            }
            Command::Find { key, reply } => reply(self.table.flow(now, &key)),
            Command::Kill { filter, cursor, limit, reply } => reply(self.table.kill(&filter, cursor, limit)),
            Command::Overloaded(reply) => reply(self.overloaded()),
            Command::EmptyTable { table, reply } => reply(self.empty_table(table.as_deref())),
            Command::Forget { interface, address, reply } => {
                reply(self.neighbours.take_out(now, (interface, address), &mut self.route_out));
                self.finish(now, out);
            }
            Command::Drops(reply) => reply(self.recent_drops()),
            Command::Log { after, limit, reply } => reply((self.records(after, limit), now)),
            Command::Rules(reply) => reply(self.rule_counts(now)),
            Command::Import { bytes, reply } => {
                reply(self.import(now, &bytes));
                if self.assumption.poll_timeout(self.duty.leads).is_some() {
                    self.go_on(now, out);
                    self.finish(now, out);
                }
            }
            Command::Replicate(replication) => self.replicate(now, replication, out),
            Command::Correct { ranges, flows } => self.correct(now, &ranges, &flows, out),
            Command::Grant(credit) => {
                self.grant(credit);
                self.finish(now, out);
            }
            Command::Probe(interface) => {
                self.neighbours.probe_known(interface, &mut self.route_out);
                self.finish(now, out);
            }
            Command::Detour(packets) => self.handle_detour(now, &packets, out),
            Command::Speak(version) => self.speak(version),
            Command::Capture { interface, sink } => self.captures.push((interface, sink)),
        }
    }

    /// Flows of the old epoch are asked about again when their next packet comes.
    fn apply(&mut self, now: Instant, compiled: Arc<Compiled>, out: &mut Outbox) {
        let interfaces = compiled.links.len();
        // What waits names interfaces and ports by their numbers before, and some of it was let pass by the rules before.
        if self.assumption.lapse.is_some() || !self.compiled.has_links_of(&compiled) {
            self.drop_lapse();
        }
        self.table.apply(compiled.conntrack_config());
        self.table.apply_timers(compiled.rule_timers());
        self.overloads.rename(&self.compiled.overload_tables, &compiled.overload_tables);
        self.neighbours.apply(now, compiled.neighbour_config(), &mut self.route_out);
        self.advertiser.apply(now, compiled.advertiser_links(), &mut self.route_out.frames);
        self.reassembly.apply(compiled.reassembly_limits());
        self.traffic.resize(interfaces);
        self.departures.apply(&compiled);
        self.links_up.resize(compiled.offloads.len(), false);
        self.tallies.apply(&self.compiled.ruleset, &compiled.ruleset);
        self.uplinks.gateways.apply(now, compiled.uplinks.clone());
        self.compiled = compiled;
        // Who is no longer in a pair needs nobody's leave.
        if self.compiled.pair.is_none() {
            let Standing { foreign, foreign_until, .. } = self.standing;
            self.standing = Standing { foreign, foreign_until, ..Standing::ALONE };
            self.set_passive(now, false);
        }
        self.duty = Duty::new(now, &self.standing, &self.compiled);
        self.tell_duty(now);
        self.watch_gateways(now);
        self.finish(now, out);
    }

    /// Gateways are asked for before anybody needs them.
    pub(super) fn watch_gateways(&mut self, now: Instant) {
        let closely = self.compiled.config.pair.is_some();
        self.neighbours.watch(now, self.compiled.gateways(), closely, &mut self.route_out);
    }

    /// Remembers the newest word on a gateway, of which there are as many as the document has.
    pub(super) fn note_gateway(&mut self, gateway: (InterfaceId, IpAddr), reachable: bool) {
        let Some(number) = self.compiled.gateways().iter().position(|known| *known == gateway) else {
            return;
        };
        match self.gateway_news.iter_mut().find(|(known, _)| *known == number) {
            Some((_, newest)) => *newest = reachable,
            None => self.gateway_news.push((number, reachable)),
        }
    }

    /// Gateways, by their number in the document, that answer or no longer do.
    pub fn take_gateway_news(&mut self) -> impl Iterator<Item = (usize, bool)> + '_ {
        self.gateway_news.drain(..)
    }
}
