//! TCP, followed in the middle.

use super::{Case, NAT, ROUTED, SetUp, run};

/// A connection, numbers 1001 and 7001.
macro_rules! open {
    ($rest:literal) => {
        concat!(
            "lan tcp C:5000 > F:80 S seq=1000 -> wan
             wan tcp F:80 > C:5000 SA seq=7000 ack=1001 -> lan
             lan tcp C:5000 > F:80 A seq=1001 ack=7001 -> wan\n",
            $rest
        )
    };
}

static CASES: &[Case] = &[
    Case {
        rows: &["tcp.sh : rst", "RFC 5961 RST outside window", "RFC 5961 RST inside window, not exact", "attack : blind RST", "packetdrill/conntrack_rst_invalid"],
        set_up: ROUTED,
        script: open!(
            "wan tcp F:80 > C:5000 R seq=1 -> drop state-mismatch          # before the window
             wan tcp F:80 > C:5000 R seq=900000 -> drop state-mismatch     # far behind it
             wan tcp F:80 > C:5000 R seq=20000 -> drop state-mismatch      # inside, not exact
             lan tcp C:5000 > F:80 R seq=5 -> drop state-mismatch
             lan tcp C:5000 > F:80 A seq=1001 ack=7001 len=10 -> wan       # the connection stands
             wan tcp F:80 > C:5000 A seq=7001 ack=1011 len=10 -> lan
             wan tcp F:80 > C:5000 R seq=7011 -> lan                       # the exact one closes
             lan tcp C:5000 > F:80 S seq=90000 -> wan"
        ),
    },
    Case {
        rows: &["tcp.sh : rst", "RFC 5961 RST exactly next expected", "RFC 7857 §2.2"],
        set_up: NAT,
        script: "
            lan tcp C:5000 > F:80 S seq=1000 -> wan src=W:$p
            wan tcp F:80 > W:$p SA seq=7000 ack=1001 -> lan dst=C:5000
            lan tcp C:5000 > F:80 A seq=1001 ack=7001 -> wan
            wan tcp F:80 > W:$p R seq=1 -> drop state-mismatch
            lan tcp C:5000 > F:80 A seq=1001 ack=7001 len=10 -> wan
            wan tcp F:80 > W:$p R seq=7001 -> lan dst=C:5000 flags=R seq=7001
            wait 100
            states 0
        ",
    },
    Case {
        rows: &["tcp.py : test_challenge_ack", "pf_state : challenge-ack", "RFC 5961 SYN on a synchronised connection", "attack : SYN in window", "packetdrill/conntrack_syn_challenge_ack", "packetdrill/conntrack_synack_reuse"],
        set_up: ROUTED,
        script: open!(
            "lan tcp C:5000 > F:80 A seq=1001 ack=7001 len=100 -> wan
             wan tcp F:80 > C:5000 A seq=7001 ack=1101 len=50 -> lan
             wan tcp F:80 > C:5000 S seq=555 -> wan flags=A src=C:5000 dst=F:80 seq=1101 ack=7051, drop state-mismatch
             wait 1
             lan tcp C:5000 > F:80 S seq=40000 -> lan flags=A src=F:80 dst=C:5000 seq=7051 ack=1101, drop state-mismatch
             lan tcp C:5000 > F:80 S seq=40000 -> drop state-mismatch      # so often and no oftener
             wan tcp F:80 > C:5000 A seq=7051 ack=1101 len=10 -> lan       # nothing has changed
             lan tcp C:5000 > F:80 R seq=1101 -> wan                       # what a client that began anew answers
             lan tcp C:5000 > F:80 S seq=40000 -> wan seq=40000
             wan tcp F:80 > C:5000 SA seq=90000 ack=40001 -> lan
             lan tcp C:5000 > F:80 A seq=40001 ack=90001 -> wan"
        ),
    },
    Case {
        rows: &["tcp.py : test_challenge_ack"],
        set_up: NAT,
        script: "
            lan tcp C:5000 > F:80 S seq=1000 -> wan src=W:$p
            wan tcp F:80 > W:$p SA seq=7000 ack=1001 -> lan
            lan tcp C:5000 > F:80 A seq=1001 ack=7001 -> wan
            wan tcp F:80 > W:$p S seq=555 -> wan flags=A src=W:$p seq=1001 ack=7001, drop state-mismatch
        ",
    },
    Case {
        rows: &["pf_state : beforegap_rst"],
        set_up: ROUTED,
        script: open!(
            "wan tcp F:80 > C:5000 A seq=7001 ack=1001 len=100 -> lan
             lan tcp C:5000 > F:80 A seq=1001 ack=7101 -> wan
             wan tcp F:80 > C:5000 A seq=7301 ack=1001 len=100 -> lan      # 200 bytes are missing before it
             wan tcp F:80 > C:5000 R seq=7101 -> lan
             wait 100
             states 0"
        ),
    },
    Case {
        rows: &["pf_state : fakeack_rst", "attack : zero-ACK RST (fakeack)"],
        set_up: ROUTED,
        script: open!(
            "wan tcp F:80 > C:5000 A seq=7001 ack=1001 len=100 -> lan
             wan tcp F:80 > C:5000 RA seq=6990 ack=0 -> drop state-mismatch
             wan tcp F:80 > C:5000 RA seq=7050 ack=0 -> drop state-mismatch
             lan tcp C:5000 > F:80 A seq=1001 ack=7101 len=10 -> wan
             wan tcp F:80 > C:5000 RA seq=7101 ack=0 -> lan"
        ),
    },
    Case {
        rows: &["RFC 5961 ACK outside [una − maxwnd, nxt]"],
        set_up: ROUTED,
        script: open!(
            "wan tcp F:80 > C:5000 A seq=7001 ack=900001 -> drop state-mismatch
             wan tcp F:80 > C:5000 A seq=7001 ack=1001 -> lan"
        ),
    },
    Case {
        rows: &["packetdrill/conntrack_ack_loss_stall"],
        set_up: ROUTED,
        script: open!(
            "lan tcp C:5000 > F:80 A seq=1001 ack=7001 len=1000 -> wan
             wan tcp F:80 > C:5000 A seq=7001 ack=2001 -> lan             # lost behind us
             lan tcp C:5000 > F:80 A seq=1001 ack=7001 len=1000 -> wan    # said again, though it was acknowledged
             wan tcp F:80 > C:5000 A seq=7001 ack=2001 -> lan"
        ),
    },
    Case {
        rows: &["packetdrill/conntrack_inexact_rst"],
        set_up: ROUTED,
        script: open!(
            "lan tcp C:5000 > F:80 FA seq=1001 ack=7001 -> wan
             wan tcp F:80 > C:5000 A seq=7001 ack=1002 len=100 -> lan
             wan tcp F:80 > C:5000 R seq=7001 -> lan                       # not the newest number
             lan tcp C:5000 > F:80 R seq=1002 -> wan"
        ),
    },
    Case {
        rows: &["packetdrill/conntrack_synack_old"],
        set_up: ROUTED,
        script: "
            lan tcp C:5000 > F:80 S seq=1000 -> wan
            wan tcp F:80 > C:5000 SA seq=5 ack=77 -> drop state-mismatch   # to an older connection
            wan tcp F:80 > C:5000 SA seq=7000 ack=1001 -> lan
            lan tcp C:5000 > F:80 A seq=1001 ack=7001 len=10 -> wan
        ",
    },
    Case {
        rows: &["packetdrill/conntrack_syn_challenge_ack"],
        set_up: ROUTED,
        script: "
            lan tcp C:5000 > F:80 S seq=1000 -> wan
            wan tcp F:80 > C:5000 A seq=555 ack=999 -> lan                 # a server that believes in an older one
            lan tcp C:5000 > F:80 R seq=999 -> wan
            lan tcp C:5000 > F:80 S seq=1000 -> wan
            wan tcp F:80 > C:5000 SA seq=7000 ack=1001 -> lan
            lan tcp C:5000 > F:80 A seq=1001 ack=7001 len=10 -> wan
        ",
    },
    Case {
        rows: &["conntrack_tcp_unreplied.sh"],
        set_up: SetUp { system: "[system.timeouts]\ntcp_first = 30\n", ..ROUTED },
        script: "
            lan tcp C:5000 > F:80 S seq=1000 -> wan
            wait 12
            lan tcp C:5000 > F:80 S seq=1000 -> wan
            wait 12
            lan tcp C:5000 > F:80 S seq=1000 -> wan
            states 1
            wait 9
            states 0                                                       # a SYN said again keeps nothing alive
        ",
    },
    Case {
        rows: &["RFC 5382 REQ-2", "attack : split handshake, simultaneous open"],
        set_up: NAT,
        script: "
            lan tcp C:5000 > F:80 S seq=1000 -> wan src=W:$p
            wan tcp F:80 > W:$p S seq=7000 -> lan dst=C:5000               # both at once
            lan tcp C:5000 > F:80 SA seq=1000 ack=7001 -> wan
            wan tcp F:80 > W:$p SA seq=7000 ack=1001 -> lan
            lan tcp C:5000 > F:80 A seq=1001 ack=7001 len=10 -> wan
            wan tcp F:80 > W:$p A seq=7001 ack=1011 len=10 -> lan
        ",
    },
    Case {
        rows: &["attack : SYN-ACK first / ACK first", "RFC 5382 REQ-4"],
        set_up: NAT,
        script: "
            wan tcp F:80 > W:5000 SA seq=1 ack=1 -> drop blocked-in
            wan tcp F:80 > W:5000 A seq=1 ack=1 -> drop blocked-in
            wan tcp F:80 > W:5000 S seq=1 -> drop blocked-in               # no answer for six seconds, nor later
            wait 7
            states 0
            lan tcp C:5000 > F:80 SA seq=1 ack=1 -> drop no-flow
            lan tcp C:5000 > F:80 A seq=1 ack=1 -> drop no-flow
            lan tcp C:5000 > F:80 S seq=1 -> wan
        ",
    },
    Case {
        rows: &["RFC 6092 REC-32"],
        set_up: SetUp {
            rules: "[[rule]]\nid = 1000001\ninterface = \"lan\"\naction = \"pass\"\nprotocol = \"tcp\"\ntcp_flags = \"any\"\n",
            ..ROUTED
        },
        script: "
            lan tcp C6:5000 > F6:80 A seq=100000 ack=5000 win=100 len=10 -> wan   # handshake not seen
            wan tcp F6:80 > C6:5000 A seq=5000 ack=100010 win=100 len=1000 -> lan # beyond an unscaled window
        ",
    },
    Case {
        rows: &["checksum.sh : unaligned", "scrub_pass.sh : max_mss_v4/v6, set_tos_v4/v6, min_ttl_v4/v6"],
        set_up: SetUp {
            rules: "[[rule]]\nid = 1000001\ninterface = \"lan\"\naction = \"pass\"\nprotocol = \"tcp\"\nmax_mss = 1300\n",
            ..ROUTED
        },
        script: "
            lan tcp C:5001 > F:80 S mss=1460 -> wan mss=1300
            lan tcp C:5002 > F:80 S tcpopts=01020405b4 -> wan mss=1300
            lan tcp C:5003 > F:80 S tcpopts=0101020405b4 -> wan mss=1300
            lan tcp C:5004 > F:80 S tcpopts=030307020405b4 -> wan mss=1300
            lan tcp C:5005 > F:80 S mss=1200 -> wan mss=1200
            lan tcp C6:5001 > F6:80 S tcpopts=01020405b4 -> wan mss=1300
            wan tcp F:80 > C:5001 SA seq=7000 ack=1001 mss=1460 -> lan mss=1300
        ",
    },
    Case {
        rows: &["attack : impossible flags"],
        set_up: ROUTED,
        script: open!(
            "lan tcp C:6000 > F:80 SF -> drop tcp-flags
             lan tcp C:6000 > F:80 SR -> drop tcp-flags
             lan tcp C:6000 > F:80 FPU -> drop tcp-flags
             lan tcp C:5000 > F:80 SF -> drop tcp-flags
             lan tcp C:6000 > F:80 S -> wan"
        ),
    },
];

#[test]
fn tcp_in_the_middle() {
    run(CASES);
}

pub fn cases() -> &'static [Case] {
    CASES
}
