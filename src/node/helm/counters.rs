//! What the role thread's engines have counted, each with a name and a sentence.

use crate::carp;
use crate::cluster::channel;
use crate::cluster::role::RoleCounters;
use crate::node::snapshot::CounterRow;

/// All of it. The counters of the virtual IPs are added up.
pub fn rows(
    role: &RoleCounters,
    channel: Option<&channel::Counters>,
    vips: impl Iterator<Item = carp::Counters>,
) -> Vec<CounterRow> {
    let vips = vips.fold(carp::Counters::default(), sum);
    let channel = channel.copied().unwrap_or_default();
    role_rows(role).into_iter().chain(channel_rows(&channel)).chain(carp_rows(&vips)).map(row).collect()
}

type Row = (&'static str, u64, &'static str);

fn row((name, value, meaning): Row) -> CounterRow {
    CounterRow::new(name, value, meaning)
}

fn role_rows(counters: &RoleCounters) -> [Row; 9] {
    let RoleCounters {
        fences,
        clock_jumps,
        takeovers,
        handovers,
        conflicts,
        late_heartbeats,
        unknown_paths,
        stale_resignations,
        forgotten_transitions,
    } = *counters;
    [
        (
            "role-fences",
            fences,
            "Leases that lapsed because this node had not run, or not spoken, for too long.",
        ),
        ("role-clock-jumps", clock_jumps, "Jumps of the machine's clock: it was paused, or somebody set it."),
        ("role-takeovers", takeovers, "Takeovers by this node."),
        ("role-handovers", handovers, "Planned moves of the role to the other node."),
        ("role-conflicts", conflicts, "Times that both nodes were active in one epoch."),
        ("role-late-heartbeats", late_heartbeats, "Heartbeats older than one that came before."),
        ("role-unknown-paths", unknown_paths, "Heartbeats on paths that the configuration does not have."),
        ("role-stale-resignations", stale_resignations, "Resignations of an epoch that is over."),
        (
            "role-forgotten-transitions",
            forgotten_transitions,
            "Changes of role that the timeline has no room for any more.",
        ),
    ]
}

fn channel_rows(counters: &channel::Counters) -> [Row; 13] {
    let channel::Counters {
        opened,
        over_budget,
        malformed,
        forged,
        replayed,
        misplaced,
        elsewhere,
        unknown_session,
        handshakes_forged,
        handshakes_stale,
        handshakes_over_budget,
        handshakes_answered,
        sessions,
    } = *counters;
    [
        ("channel-opened", opened, "Messages of the peer's that were opened."),
        ("channel-over-budget", over_budget, "Datagrams to the pair's port that were too many to look at."),
        ("channel-malformed", malformed, "Datagrams to the pair's port that are no message of the pair."),
        ("channel-forged", forged, "Messages that are not the peer's, or were changed on their way."),
        ("channel-replayed", replayed, "Messages that had come before; a new session adds a few."),
        ("channel-misplaced", misplaced, "Heartbeats that came over another path than their own."),
        ("channel-elsewhere", elsewhere, "Messages that another part of the program reads."),
        ("channel-unknown-session", unknown_session, "Messages of no session that is known."),
        ("channel-handshakes-forged", handshakes_forged, "Handshakes of somebody who is not the peer."),
        (
            "channel-handshakes-stale",
            handshakes_stale,
            "Handshakes that had come before, or are of no use any more.",
        ),
        (
            "channel-handshakes-over-budget",
            handshakes_over_budget,
            "Handshakes beyond what is computed in a second.",
        ),
        ("channel-handshakes-answered", handshakes_answered, "Handshakes of the peer's that were answered."),
        ("channel-sessions", sessions, "Sessions with the peer that stood."),
    ]
}

fn carp_rows(counters: &carp::Counters) -> [Row; 6] {
    let carp::Counters { sent, received, bad_digest, reflected, replayed, ignored } = *counters;
    [
        ("carp-sent", sent, "CARP advertisements sent."),
        ("carp-received", received, "CARP advertisements received with the right digest."),
        ("carp-bad-digest", bad_digest, "CARP advertisements with a wrong digest."),
        ("carp-reflected", reflected, "Own CARP advertisements that a switch gave back."),
        ("carp-replayed", replayed, "CARP advertisements that had been heard before."),
        ("carp-ignored", ignored, "CARP advertisements while the link was down."),
    ]
}

fn sum(one: carp::Counters, other: carp::Counters) -> carp::Counters {
    carp::Counters {
        sent: one.sent + other.sent,
        received: one.received + other.received,
        bad_digest: one.bad_digest + other.bad_digest,
        reflected: one.reflected + other.reflected,
        replayed: one.replayed + other.replayed,
        ignored: one.ignored + other.ignored,
    }
}
