//! What rules let through.

use super::{Case, LAN_OUT, ROUTED, SetUp, nat, routed, run};

const PING_ONLY: &str = "[[rule]]\nid = 1000001\ninterface = \"lan\"\naction = \"pass\"\nfamily = \"inet\"\nprotocol = \"icmp\"\n";

static CASES: &[Case] = &[
    Case {
        rows: &["pass_block.sh : v4", "forward.sh : v4, v6"],
        set_up: routed(PING_ONLY),
        script: "
            lan ping C > F -> wan src=C dst=F
            lan udp C:5000 > F:53 -> drop blocked-in
            lan ping C6 > F6 -> drop blocked-in
            wan ping F > C -> drop blocked-in
        ",
    },
    Case {
        rows: &["pass_block.sh : v4"],
        set_up: routed(LAN_OUT),
        script: "
            lan ping C > F -> wan
            lan udp C:5000 > F:53 -> wan
        ",
    },
    Case {
        rows: &["pass_block.sh : v6", "forward.sh : v4, v6"],
        set_up: routed(
            "[[rule]]\nid = 1000001\ninterface = \"lan\"\naction = \"pass\"\nfamily = \"inet6\"\nprotocol = \"icmp\"\n",
        ),
        script: "
            lan ping C6 > F6 -> wan src=C6:7
            lan ping C > F -> drop blocked-in
            lan udp C6:5000 > F6:53 -> drop blocked-in
        ",
    },
    Case {
        rows: &["pass_block.sh : urpf", "nft_fib.sh, nft_fib_nexthop.sh, rpath.sh", "RFC 1812 5.3.8"],
        set_up: routed(
            "[[rule]]\nid = 1000001\ninterface = \"lan\"\naction = \"pass\"\n\
             [[rule]]\nid = 1000002\ninterface = \"wan\"\naction = \"pass\"\n\
             [[rule]]\nid = 1000003\ninterface = \"dmz\"\naction = \"pass\"\n",
        ),
        script: "
            lan udp C:5000 > F:53 -> wan                     # where it lives
            wan udp C:5001 > S:53 -> drop spoofed            # the same host from the wrong side
            dmz udp C:5002 > F:53 -> drop spoofed
            wan udp W:5003 > S:53 -> drop spoofed            # our own address
            wan udp F:5004 > S:53 -> dmz
            lan udp C6:5000 > F6:53 -> wan
            wan udp C6:5001 > S6:53 -> drop spoofed
        ",
    },
    Case {
        rows: &["pass_block.sh : received_on"],
        set_up: routed(
            "[[interface_group]]\nname = \"inside\"\nmembers = [\"lan\", \"dmz\"]\n\
             [[rule]]\nid = 1000001\ninterface = \"inside\"\naction = \"pass\"\n",
        ),
        script: "
            lan udp C:5000 > F:53 -> wan
            dmz udp S:5000 > F:53 -> wan
            wan udp F:5000 > C:53 -> drop blocked-in
        ",
    },
    Case {
        rows: &["pass_block.sh : optimize_any"],
        set_up: routed(
            "[[alias]]\nname = \"everyone\"\ntype = \"network\"\nentries = [\"0.0.0.0/0\", \"10.9.9.9\", \"::/0\"]\n\
             [[rule]]\nid = 1000001\ninterface = \"lan\"\naction = \"pass\"\ndestination = \"everyone\"\n",
        ),
        script: "
            lan udp C:5000 > F:53 -> wan
            lan udp C6:5000 > F6:53 -> wan
        ",
    },
    Case {
        rows: &["match.sh : duplicate_rules"],
        set_up: routed(
            "[[rule]]\nid = 1000001\nfloating = true\naction = \"match\"\ntag = \"seen\"\ninterface = \"lan\"\n\
             [[rule]]\nid = 1000002\nfloating = true\naction = \"match\"\ntag = \"seen\"\ninterface = \"lan\"\n\
             [[rule]]\nid = 1000003\ninterface = \"lan\"\naction = \"pass\"\nprotocol = \"udp\"\n\
             [[rule]]\nid = 1000004\ninterface = \"lan\"\naction = \"pass\"\nprotocol = \"tcp\"\ntagged = \"seen\"\n",
        ),
        script: "
            lan udp C:5000 > F:53 -> wan
            lan tcp C:5000 > F:80 S -> wan
        ",
    },
    Case {
        rows: &["icmp6.sh : zero_id"],
        set_up: ROUTED,
        script: "
            lan ping C6 > F6 echo=0 -> wan echo=0
            wan pong F6 > C6 echo=0 -> lan dst=C6
            wan pong F6 > C6 echo=1 -> drop blocked-in
            states 1
        ",
    },
    Case {
        rows: &["return.py : test_tcp, test_udp, test_sctp"],
        set_up: nat("[[rule]]\nid = 1000001\ninterface = \"lan\"\naction = \"reject\"\n"),
        script: "
            lan tcp C:5000 > F:80 S seq=1000 -> lan src=F:80 dst=C:5000 flags=RA seq=0 ack=1001, drop blocked-in
            lan tcp C:5000 > F:80 A seq=9 ack=77 -> lan src=F:80 flags=R seq=77, drop blocked-in
            lan tcp C:5000 > F:80 R seq=9 -> drop blocked-in
            lan udp C:5000 > F:53 -> lan src=L icmp=3/3 quotes=C:5000>F:53, drop blocked-in
            lan udp C6:5000 > F6:53 -> lan icmp=1/4 quotes=C6:5000>F6:53, drop blocked-in
            lan raw C > F proto=132 len=12 -> lan src=L icmp=3/3, drop blocked-in
        ",
    },
    Case {
        rows: &["header.py : TestHeader(4).test_too_many, TestHeader6.test_too_many", "attack : RH0, deep extension chains"],
        set_up: ROUTED,
        script: "
            lan udp C6:5000 > F6:53 auths=1 -> wan
            lan udp C6:5001 > F6:53 auths=19 -> wan
            lan udp C6:5002 > F6:53 auths=20 -> drop ipv6-extension
        ",
    },
    Case {
        rows: &["max_states.sh : max_states"],
        set_up: routed("[[rule]]\nid = 1000001\ninterface = \"lan\"\naction = \"pass\"\nmax_states = 3\n"),
        script: "
            lan tcp C:5001 > F:80 S -> wan
            lan tcp C:5002 > F:80 S -> wan
            lan tcp C:5003 > F:80 S -> wan
            lan tcp C:5004 > F:80 S -> drop rule-limit
            lan tcp C:5001 > F:80 S -> wan
            states 3
        ",
    },
    Case {
        rows: &["src_track.sh : source_track, kill, max_src_conn_rule, max_src_states_rule, max_src_states_global, sn_types_compat, sn_types_pass, mixed_af, check_valid"],
        set_up: routed(
            "[[rule]]\nid = 1000001\ninterface = \"lan\"\naction = \"pass\"\nprotocol = \"tcp\"\nmax_src_conn = 1\n\
             overload = \"bad\"\n\
             [[rule]]\nid = 1000002\ninterface = \"lan\"\naction = \"pass\"\nprotocol = \"udp\"\nmax_src_states = 2\n",
        ),
        script: "
            lan udp C:5001 > F:53 -> wan
            lan udp C:5002 > F:53 -> wan
            lan udp C:5003 > F:53 -> drop rule-limit
            lan udp D:5001 > F:53 -> wan                     # each source has its own
            lan udp C6:5001 > F6:53 -> wan                   # and each family
            lan udp C6:5002 > F6:53 -> wan
            lan udp C6:5003 > F6:53 -> drop rule-limit
            lan tcp C:5001 > F:80 S -> wan
            wan tcp F:80 > C:5001 SA seq=7000 ack=1001 -> lan
            lan tcp C:5001 > F:80 A seq=1001 ack=7001 -> wan
            lan tcp C:5002 > F:80 S -> wan
            wan tcp F:80 > C:5002 SA seq=7000 ack=1001 -> lan
            lan tcp C:5002 > F:80 A seq=1001 ack=7001 -> drop connection-limit
            lan tcp C:5003 > F:80 S -> drop overload
            lan tcp D:5003 > F:80 S -> wan
        ",
    },
    Case {
        rows: &["limits.sh : basic, zero, anchors", "RFC 5508 REQ-8"],
        set_up: SetUp { system: "state_limit = 10\nadaptive_start = 0\n[system.rfc]\nrefusals = true\n", ..ROUTED },
        script: "
            lan ping C > F echo=1 -> wan
            wan pong F > C echo=1 -> lan
            lan ping C > F echo=2 -> wan
            wan pong F > C echo=2 -> lan
            lan ping C > F echo=3 -> wan
            wan pong F > C echo=3 -> lan
            lan ping C > F echo=4 -> wan
            wan pong F > C echo=4 -> lan
            lan ping C > F echo=5 -> wan
            wan pong F > C echo=5 -> lan
            lan ping C > F echo=6 -> wan
            wan pong F > C echo=6 -> lan
            lan ping C > F echo=7 -> wan
            wan pong F > C echo=7 -> lan
            lan ping C > F echo=8 -> wan
            wan pong F > C echo=8 -> lan
            lan ping C > F echo=9 -> wan
            wan pong F > C echo=9 -> lan
            lan ping C > F echo=10 -> wan
            wan pong F > C echo=10 -> lan
            lan ping C > F echo=11 -> lan icmp=3/13 src=L, drop state-limit
            lan ping C > F echo=1 -> wan                     # what is there goes on
        ",
    },
    Case {
        rows: &["pf_table : hit, miss, cleanup", "nft_concat_range.sh, _perf.sh"],
        set_up: routed(
            "[[alias]]\nname = \"hit\"\ntype = \"network\"\n\
             entries = [\"203.0.113.9\", \"10.0.0.0/8\", \"10.1.0.0-10.1.0.9\", \"2001:db8:99::/48\"]\n\
             [[rule]]\nid = 1000001\ninterface = \"lan\"\naction = \"pass\"\ndestination = \"hit\"\n",
        ),
        script: "
            lan udp C:5000 > F:53 -> wan
            lan udp C:5000 > G:53 -> drop blocked-in
            lan udp C:5000 > 203.0.113.8:53 -> drop blocked-in
            lan udp C:5000 > 10.20.0.255:53 -> drop multicast
            lan udp C:5000 > 10.255.255.255:53 -> wan
            lan udp C:5000 > 11.0.0.0:53 -> drop blocked-in
            lan udp C6:5000 > F6:53 -> wan
            lan udp C6:5000 > G6:53 -> drop blocked-in
        ",
    },
    Case {
        rows: &["pf_opts : ping, ping6, record route, icmp, icmp6, icmp6_hop, icmp6_dst, icmp_pad/_eol/_max/_ra/_bad, icmp6_hop_pad/_max/_ra/_bad, igmp_ra/_bad, icmp6_mld_ra/_bad", "attack : IP options", "RFC 1812 5.3.13.4"],
        set_up: ROUTED,
        script: "
            lan ping C > F -> wan
            lan ping C > F echo=2 opts=07070400000000 -> drop ip-options
            lan ping C > F echo=2 opts=01010101 -> drop ip-options
            lan ping C > F echo=2 opts=00000000 -> drop ip-options
            lan ping C > F echo=2 opts=94040000 -> drop ip-options
            lan ping C > F echo=2 opts=94010000 -> drop options-invalid
            lan ping C > F echo=2 opts=83070401020304 -> drop source-route
            lan ping C > F echo=2 opts=89070401020304 -> drop source-route
            lan ping C6 > F6 -> wan
            lan ping C6 > F6 echo=2 ext=0:010400000000 -> drop ip-options
            lan ping C6 > F6 echo=2 ext=60:010400000000 -> drop ip-options
            lan ping C6 > F6 echo=2 ext=0:050900000000 -> drop options-invalid
        ",
    },
    Case {
        rows: &["pf_opts : ping, ping6, record route, icmp, icmp6, icmp6_hop, icmp6_dst, icmp_pad/_eol/_max/_ra/_bad, icmp6_hop_pad/_max/_ra/_bad, igmp_ra/_bad, icmp6_mld_ra/_bad", "RFC 1812 5.3.13.4"],
        set_up: routed(
            "[[rule]]\nid = 1000001\ninterface = \"lan\"\naction = \"pass\"\nallow_options = true\n",
        ),
        script: "
            lan ping C > F echo=2 opts=07070400000000 -> wan
            lan ping C > F echo=3 opts=94040000 -> wan
            lan ping C > F echo=4 opts=94010000 -> drop options-invalid
            lan ping C > F echo=5 opts=83070401020304 -> drop source-route
            lan ping C6 > F6 echo=2 ext=0:010400000000 -> wan
            lan ping C6 > F6 echo=3 ext=60:010400000000 -> wan
        ",
    },
    Case {
        rows: &["netinet6/rh0 : none, empty, final, route, frag2, frag_empty, frag_final, frag_route", "attack : RH0, deep extension chains"],
        set_up: routed(
            "[[rule]]\nid = 1000001\ninterface = \"lan\"\naction = \"pass\"\nallow_options = true\n",
        ),
        script: "
            lan ping C6 > F6 -> wan
            lan ping C6 > F6 echo=2 ext=43:000000000000 -> drop routing-header
            lan ping C6 > F6 echo=2 ext=43:00010000000020010db8000000000000000000000001 -> drop routing-header
            lan ping C6 > F6 echo=2 ext=60:010400000000+43:000000000000 -> drop routing-header
            lan ping C6 > F6 echo=3 ext=43:040000000000 -> wan
            lan ping C6 > F6 echo=4 ext=43:000000000000 frag=9 mf=1 len=16 -> drop routing-header
        ",
    },
    Case {
        rows: &["RFC 1812 5.3.7", "attack : martian and spoof", "attack : land"],
        set_up: routed(
            "[[rule]]\nid = 1000001\ninterface = \"lan\"\naction = \"pass\"\n\
             [[rule]]\nid = 1000002\ninterface = \"wan\"\naction = \"pass\"\n",
        ),
        script: "
            wan udp F:53 > C:53 -> lan
            wan udp 0.0.0.1:53 > C:53 -> drop martian
            wan udp 127.0.0.1:53 > C:53 -> drop martian
            wan udp 240.0.0.1:53 > C:53 -> drop martian
            wan udp 255.255.255.255:53 > C:53 -> drop martian
            wan udp 224.0.0.5:53 > C:53 -> drop martian
            wan udp F:53 > 127.0.0.1:53 -> drop martian
            wan udp F:53 > 0.0.0.0:53 -> drop martian
            wan tcp W:80 > W:80 S -> drop land
            lan tcp L:80 > L:80 S -> drop land
            wan udp [::1]:53 > C6:53 -> drop martian
            wan udp [ff02::1]:53 > C6:53 -> drop martian
            wan udp F6:53 > C6:53 -> lan
        ",
    },
];

#[test]
fn rules_and_headers() {
    run(CASES);
}

pub fn cases() -> &'static [Case] {
    CASES
}
