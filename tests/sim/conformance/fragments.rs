//! Fragments: put together, cut anew, refused.

use super::{Case, NAT, ROUTED, routed, run};

static CASES: &[Case] = &[
    Case {
        rows: &["fragmentation_pass.sh : reassemble", "pf_fragment : frag, frag6, frag6-ext", "netinet/frag : frag, maxlen, mf0long/middle/short, mf1end, opt, overhead{,0,1}, overtail{,0,1}, overindex/-limit/-replace, padding, permute, queuelimit, refrag, timeout, udpheader, udppayload, zerofirst, zerosecond", "RFC 4787 REQ-14"],
        set_up: routed(
            "[[rule]]\nid = 1000001\ninterface = \"lan\"\naction = \"pass\"\nprotocol = \"udp\"\ndestination_port = \"53\"\n",
        ),
        script: "
            lan udp C:5000 > F:53 id=9 len=40 cut=24 mf=1 -> nothing
            lan udp C:5000 > F:53 id=9 len=40 skip=24 off=24 -> wan dst=F:53 len=40
            lan udp C:5000 > F:53 id=10 len=40 skip=24 off=24 -> nothing   # the last one first
            lan udp C:5000 > F:53 id=10 len=40 cut=24 mf=1 -> wan dst=F:53 len=40
            lan udp C:5000 > F:54 id=11 len=40 cut=24 mf=1 -> nothing
            lan udp C:5000 > F:54 id=11 len=40 skip=24 off=24 -> drop blocked-in
            lan udp C6:5000 > F6:53 frag=9 len=40 cut=24 mf=1 -> nothing
            lan udp C6:5000 > F6:53 frag=9 len=40 skip=24 off=24 -> wan dst=F6:53, wan  # no larger than it came
            lan udp C6:5000 > F6:53 frag=7 len=40 -> wan dst=F6:53          # atomic
        ",
    },
    Case {
        rows: &["pf_fragment : frag-cutnew, frag-cutold, frag-dropold, frag-dropnew, and frag6- twins", "frag-adjhole/-overhole/-overindex/-overlimit/-overreplace.py", "fragmentation_pass.sh : overreplace, overindex, overlimit", "RFC 5722", "attack : fragment overlap"],
        set_up: ROUTED,
        script: "
            lan udp C:5000 > F:53 id=1 len=40 cut=24 mf=1 -> nothing
            lan udp C:5000 > F:53 id=1 len=40 skip=16 off=16 -> drop fragment-overlap     # over the tail
            lan udp C:5000 > F:53 id=1 len=40 skip=24 off=24 -> drop fragment-overlap     # whatever still comes
            lan udp C:5000 > F:53 id=2 len=40 skip=16 off=16 -> nothing
            lan udp C:5000 > F:53 id=2 len=40 cut=24 mf=1 -> drop fragment-overlap        # over the head
            lan udp C:5000 > F:53 id=3 len=40 skip=8 cut=8 off=8 mf=1 -> nothing
            lan udp C:5000 > F:53 id=3 len=40 cut=24 mf=1 -> drop fragment-overlap        # around it
            lan udp C:5000 > F:53 id=4 len=40 cut=24 mf=1 -> nothing
            lan udp C:5000 > F:53 id=4 len=40 skip=8 cut=8 off=8 mf=1 -> drop fragment-overlap  # within it
            lan udp C6:5000 > F6:53 frag=1 len=40 cut=24 mf=1 -> nothing
            lan udp C6:5000 > F6:53 frag=1 len=40 skip=16 off=16 -> drop fragment-overlap
            lan udp C6:5000 > F6:53 frag=2 len=40 skip=16 off=16 -> nothing
            lan udp C6:5000 > F6:53 frag=2 len=40 cut=24 mf=1 -> drop fragment-overlap
            lan udp C:5000 > F:53 id=5 len=40 cut=24 mf=1 -> nothing
            lan udp C:5000 > F:53 id=5 len=40 skip=24 off=24 -> wan                        # and the good one
        ",
    },
    Case {
        rows: &["attack : tiny first fragment"],
        set_up: ROUTED,
        script: "
            lan tcp C:5000 > F:80 S id=1 cut=8 mf=1 -> drop transport-header
            lan tcp C:5000 > F:80 S id=2 skip=8 off=8 -> nothing           # never completed
            lan udp C:5000 > F:53 id=3 len=40 skip=24 cut=8 off=8184 mf=1 -> nothing
            lan udp C:5000 > F:53 id=4 len=40 skip=24 cut=4 off=24 mf=1 -> drop fragment-short
            lan udp C:5000 > F:53 len=40 -> wan
            states 1
        ",
    },
    Case {
        rows: &["attack : ping of death"],
        set_up: ROUTED,
        script: "
            lan ping C > F id=1 len=600 off=65520 -> drop fragment-short
            lan ping C > F -> wan
        ",
    },
    Case {
        rows: &["frag4.py : test_udp_frag", "fragmentation_no_reassembly.sh : match_full_v4, match_fragment_v4, compat_override_v4"],
        set_up: NAT,
        script: "
            lan udp C:5000 > F:53 id=9 len=40 skip=24 off=24 -> nothing
            lan udp C:5000 > F:53 id=9 len=40 cut=24 mf=1 -> wan src=W:$p dst=F:53 len=40
            wan udp F:53 > W:$p id=3 len=40 cut=24 mf=1 -> nothing
            wan udp F:53 > W:$p id=3 len=40 skip=24 off=24 -> lan dst=C:5000 len=40
            states 1
        ",
    },
    Case {
        rows: &["frag6.py : test_dup_frag_hdr (+ overlong / NPT variants M)", "RFC 7112"],
        set_up: ROUTED,
        script: "
            lan udp C6:5000 > F6:53 ext=44:00000000002a frag=9 len=40 -> wan     # both atomic
            lan udp C6:5000 > F6:53 ext=44:00010000002a frag=9 len=40 -> drop ipv6-extension
            lan udp C6:5000 > F6:53 frag=9 cut=4 mf=1 -> drop transport-header  # the chain is not all there
            lan udp C6:5000 > F6:53 frag=10 len=40 -> wan
        ",
    },
    Case {
        rows: &["fragmentation_pass.sh : mtu_diff", "fragmentation_pass.sh : no_df", "RFC 1812 4.2.2.7"],
        set_up: ROUTED,
        script: "
            lan udp C:5000 > S:53 len=1372 df=1 -> dmz len=1372
            lan udp C:5000 > S:53 len=1373 df=1 -> lan icmp=3/4 mtu=1400, drop fragment-needed
            dmz udp S:53 > C:5000 id=4 len=1400 cut=1000 mf=1 -> nothing
            dmz udp S:53 > C:5000 id=4 len=1400 skip=1000 off=1000 -> lan len=1400 # whole on the larger link
        ",
    },
];

#[test]
fn fragments() {
    run(CASES);
}

pub fn cases() -> &'static [Case] {
    CASES
}
