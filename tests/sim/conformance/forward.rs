//! Forwarding: what headers must satisfy, and what is never forwarded.

use super::{Case, ROUTED, SetUp, routed, run};

static CASES: &[Case] = &[
    Case {
        rows: &["RFC 1812 5.2.2"],
        set_up: ROUTED,
        script: "
            lan udp C:5000 > F:53 -> wan
            lan udp C:5000 > F:53 badip=1 -> drop ip-checksum
            lan udp C:5000 > F:53 version=5 -> drop ip-header
            lan udp C:5000 > F:53 total=19 -> drop ip-header
            lan udp C:5000 > F:53 total=9000 -> drop ip-header
            lan udp C:5000 > F:53 badsum=1 -> drop transport-checksum
            lan udp C:5000 > F:53 -> wan
            lan udp C6:5000 > F6:53 nosum=1 -> drop transport-checksum
            lan udp C:5001 > F:53 nosum=1 -> wan                           # none at all, which IPv4 permits
        ",
    },
    Case {
        rows: &["RFC 1812 5.3.4–5"],
        set_up: ROUTED,
        script: "
            lan udp C:5000 > 255.255.255.255:53 -> drop multicast
            lan udp C:5000 > 10.20.0.255:53 -> drop multicast
            lan udp C:5000 > 198.51.100.255:53 -> drop multicast
            lan udp C:5000 > 10.20.0.254:53 -> dmz
        ",
    },
    Case {
        rows: &["scrub_pass.sh : max_mss_v4/v6, set_tos_v4/v6, min_ttl_v4/v6"],
        set_up: ROUTED,
        script: "
            lan udp C:5000 > F:53 ttl=40 tos=8 -> wan ttl=39 tos=8
            lan udp C6:5000 > F6:53 ttl=40 tos=8 -> wan ttl=39 tos=8
        ",
    },
    Case {
        rows: &["RFC 8504 §5, 6437"],
        set_up: ROUTED,
        script: "
            lan udp C6:5000 > F6:53 flow=77 -> wan flow=77
            lan udp C6:5000 > F6:53 frag=3 -> wan
        ",
    },
    Case {
        rows: &["RFC 8200"],
        set_up: SetUp { system: "[system.rfc]\nipv6_options = true\n", ..ROUTED },
        script: "
            lan udp C6:5000 > S6:53 len=1400 -> lan icmp=2/0 mtu=1400, drop fragment-needed
            lan udp C6:5001 > F6:53 ext=0:010400000000 -> wan
            lan udp C6:5002 > F6:53 ext=60:010400000000 -> wan
            lan udp C6:5003 > F6:53 ext=60:010400000000+0:010400000000 -> drop ipv6-extension
        ",
    },
    Case {
        rows: &["RFC 6092 REC-1..10", "RFC 4861"],
        set_up: routed(
            "[[rule]]\nid = 1000001\ninterface = \"lan\"\naction = \"pass\"\n\
             [[rule]]\nid = 1000002\ninterface = \"wan\"\naction = \"pass\"\nprotocol = \"udp\"\n",
        ),
        script: "
            wan udp F6:53 > C6:53 -> lan
            wan udp [ff02::5]:53 > C6:53 -> drop martian
            wan udp F6:53 > [fe80::5]:53 -> nothing
            lan udp [fe80::5]:53 > F6:53 -> drop link-local
            wan udp [2001:db8:10::77]:53 > C6:53 -> drop spoofed
            wan udp [::ffff:1.2.3.4]:53 > C6:53 -> drop martian
            wan raw F6 > C6 proto=58 len=24 -> nothing
            wan udp F6:53 > W6:53 -> wan icmp=1/4, drop host-closed        # no service to the outside
        ",
    },
    Case {
        rows: &["RFC 6092 REC-21..24"],
        set_up: ROUTED,
        script: "
            lan raw C6 > F6 proto=50 len=24 -> wan proto=50
            wan raw F6 > C6 proto=50 len=24 -> lan
            lan udp C6:500 > F6:500 -> wan
            wan udp F6:500 > C6:500 -> lan
        ",
    },
    Case {
        rows: &["RFC 4890"],
        set_up: ROUTED,
        script: "
            lan ping C6 > F6 -> wan
            wan pong F6 > C6 -> lan icmp=129
            lan udp C6:5000 > F6:53 -> wan
            wan icmp F6 > C6 1/4 quote=1 -> lan icmp=1/4
            wan icmp G6 > C6 2/0 quote=1 mtu=1280 -> lan icmp=2/0 mtu=1280
            wan icmp G6 > C6 3/0 quote=1 -> lan icmp=3/0
            wan icmp G6 > C6 4/1 quote=1 -> lan icmp=4/1
            wan icmp G6 > C6 4/2 quote=1 -> lan icmp=4/2
            wan ping F6 > C6 -> drop blocked-in
        ",
    },
    Case {
        rows: &["RFC 6864"],
        set_up: ROUTED,
        script: "
            lan udp C:5000 > F:53 id=77 -> wan id=77
            lan udp C:5000 > F:53 id=78 -> wan id=78
        ",
    },
];

#[test]
fn forwarding() {
    run(CASES);
}

pub fn cases() -> &'static [Case] {
    CASES
}
