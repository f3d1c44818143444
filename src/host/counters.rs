//! What the stack has done and refused.

/// The counters of the router's own stack.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counters {
    /// Connections that were handed to a listener.
    pub accepted: u64,
    /// Half-open connections that made room for newer ones, were given up, or took too long.
    pub half_open_dropped: u64,
    /// SYNs refused because there were too many connections, or too many from one source.
    pub refused: u64,
    /// Resets that were not sent because of the rate limit.
    pub resets_limited: u64,
    /// Packets that were neither TCP nor UDP, or broken.
    pub ignored: u64,
    /// Datagrams of the services that found no room.
    pub datagrams_refused: u64,
    /// Packets of the stack's that the packet path had no room for.
    pub unsent: u64,
}

impl Counters {
    /// Name, value, and a sentence for people.
    pub fn rows(&self) -> [(&'static str, u64, &'static str); 7] {
        let Counters {
            accepted,
            half_open_dropped,
            refused,
            resets_limited,
            ignored,
            datagrams_refused,
            unsent,
        } = *self;
        [
            ("host-accepted", accepted, "Connections to the router itself."),
            (
                "host-half-open-dropped",
                half_open_dropped,
                "Half-open connections to the router itself that made room, were given up, or took too long.",
            ),
            (
                "host-refused",
                refused,
                "Connections to the router itself refused: too many, or too many of one source.",
            ),
            ("host-resets-limited", resets_limited, "TCP resets not sent because of the rate limit."),
            (
                "host-ignored",
                ignored,
                "Packets for the router's own stack that were no whole TCP or UDP packet.",
            ),
            (
                "host-datagrams-refused",
                datagrams_refused,
                "Datagrams of the router's own services that found no room.",
            ),
            (
                "host-unsent",
                unsent,
                "Packets of the router's own stack that the packet path had no room for.",
            ),
        ]
    }
}
