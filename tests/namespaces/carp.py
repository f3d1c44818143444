"""Koi shares an address with Debian's ucarp: CARP as others speak it. The control is ucarp with ucarp.

Times are the wire's. ucarp reads packets up to a second late, and tests its dead timer once in an advertisement's
interval only; so a skew of 100 takes over 3.39 s after the last advertisement at the earliest, and within 5.8 s of the
other's end. Koi has no such excuse.
"""

import re
import signal
import time

from segment import HOSTS, KOI_ADDRESS, VHID, VIP, VIP6, VIRTUAL_MAC, Segment
from topology import Failed, run, until, whole_packets

PEER, OTHER = HOSTS["peer"], HOSTS["other"]


def expect(condition, why):
    if not condition:
        raise Failed(why)


def within(net, who, dead, moment, earliest, latest):
    """One takes over from another that ended at a moment: not before it may, not after it should."""
    took = net.takes_over(who, moment)
    last = net.adverts(dead)[-1].at
    expect(took - last >= earliest, f"{who} took over {took - last:.2f} s after the last advertisement")
    expect(took - moment <= latest, f"{who} took over after {took - moment:.2f} s")


def ucarp_within(net, dead, moment, who=PEER):
    within(net, who, dead, moment, 3.3, 5.8)


def koi_within(net, moment):
    within(net, KOI_ADDRESS, PEER, moment, 3.0, 4.5)


def decodes(net, source, advskew):
    """tcpdump and tshark read what one advertises, and find nothing wrong with it."""
    # A copy: both read the same, and tcpdump still writes.
    capture = net.directory / "decoded.pcap"
    capture.write_bytes(whole_packets(net.capture))
    four = "." in source
    ip, shark, group = ("ip", "ip", "224.0.0.18") if four else ("ip6", "ipv6", "ff02::12")
    said = run("tcpdump", "-n", "-v", "-T", "carp", "-r", capture, f"{ip} proto 112 and src {source}")
    lines = re.findall(r"CARPv2-advertise 36: .*", said)
    expect(lines, said)
    for line in lines:
        expect(f"vhid={VHID} advbase=1 advskew={advskew} authlen=7 " in line and "bad" not in line, line)
    fields = ["carp.version", "carp.type", "carp.vhid", "carp.adver_int", "carp.advskew", "carp.authlen",
              "carp.checksum.status", "ip.ttl" if four else "ipv6.hlim", f"{shark}.dst", "_ws.malformed"]
    said = run("tshark", "-n", "-r", capture, "-d", "ip.proto==112,carp", "-o", "ip.check_checksum:TRUE", "-Y",
               f"carp and {shark}.src=={source}", "-T", "fields",
               *(word for field in fields for word in ("-e", field)))
    rows = said.splitlines()
    expect(len(rows) == len(lines), f"{len(lines)} by tcpdump, {len(rows)} by tshark")
    right = ["2", "1", str(VHID), "1", str(advskew), "7", "1", "255", group, ""]
    for row in rows:
        expect(row.split("\t") == right, f"{row.split()}, not {right}")


def control(net):
    """ucarp with ucarp: what the others' cases lean on is there."""
    other = net.start_ucarp("other", advskew=100)
    net.takes_over(OTHER, 0)
    begin = time.time()
    peer = net.start_ucarp("peer", advskew=0, preempt=True)
    net.takes_over(PEER, begin, 3)
    net.settles(PEER)
    expect(not other.is_up() and peer.is_up(), f"{other.states()}, {peer.states()}")
    net.answered_by(net.mac("peer"))
    decodes(net, PEER, 0)
    ucarp_within(net, PEER, peer.kill(), OTHER)
    net.answered_by(net.mac("other"))
    # ucarp believes what was said before: an advertisement of the dead one puts it down.
    net.speak(net.adverts(PEER)[-1])
    until("the other one believes the dead", lambda: not other.is_up(), 5)
    net.takes_over(OTHER, time.time())
    # Passwords that differ: each takes the other one for nobody.
    begin = time.time()
    net.start_ucarp("peer", advskew=0, password="wrong")
    until("both advertise", lambda: min(len(net.adverts(who, begin)) for who in [PEER, OTHER]) >= 3, 15)
    until("it says why", lambda: "Bad digest" in other.log.read_text())


def koi_preferred(net):
    """Koi's skew is the lower one: it is master, and answers with the virtual MAC."""
    net.start_koi(advskew=0)
    net.takes_over(KOI_ADDRESS, 0)
    ucarp = net.start_ucarp(advskew=100)
    net.stays(KOI_ADDRESS, 6)
    expect(not ucarp.is_up(), f"ucarp: {ucarp.states()}")
    net.answered_by(VIRTUAL_MAC)
    for advert in net.adverts(KOI_ADDRESS):
        expect(advert.mac == VIRTUAL_MAC, f"advertised from {advert.mac}")


def dies_and_returns(net, preempt, leave, back):
    """ucarp takes over from Koi; whether Koi takes the address again is the document's affair."""
    net.start_koi(advskew=0, preempt=preempt)
    net.takes_over(KOI_ADDRESS, 0)
    ucarp = net.start_ucarp(advskew=100)
    net.stays(KOI_ADDRESS)
    ucarp_within(net, KOI_ADDRESS, leave(net))
    net.answered_by(net.mac("peer"))
    if not preempt:
        # What somebody asks now is what Koi reads first if it only stood still.
        run("ip", "-n", f"{net.prefix}cli", "neigh", "flush", "dev", "eth0")
        net.pings("cli", VIP)
    returned = time.time()
    back(net)
    if preempt:
        net.takes_over(KOI_ADDRESS, returned, 5)
        net.settles(KOI_ADDRESS)
        until("ucarp is backup", lambda: not ucarp.is_up(), 3)
        net.answered_by(VIRTUAL_MAC)
    else:
        # Longer than Koi would wait if it heard nobody.
        net.stays(PEER, 4)
        net.answered_by(net.mac("peer"))
        expect(VIRTUAL_MAC not in net.claimants(returned), "Koi answered for what it no longer had")


def koi_killed(net):
    """Koi dies and is started again; it preempts."""
    dies_and_returns(net, True, Segment.kill_koi, Segment.start_koi)


def koi_killed_stays_backup(net):
    """Koi dies and is started again; it does not preempt."""
    dies_and_returns(net, False, Segment.kill_koi, lambda net: net.start_koi(preempt=False))


def koi_paused(net):
    """Koi stands still and goes on; it preempts."""
    dies_and_returns(net, True, lambda net: net.signal_koi(signal.SIGSTOP), lambda net: net.signal_koi(signal.SIGCONT))


def koi_paused_stays_backup(net):
    """Koi stands still and goes on; what it was before it does not claim again."""
    dies_and_returns(net, False, lambda net: net.signal_koi(signal.SIGSTOP), lambda net: net.signal_koi(signal.SIGCONT))


def ucarp_preempts(net):
    """ucarp's skew is the lower one, and it preempts: it takes over from Koi whenever it is there."""
    net.start_koi(advskew=100)
    net.takes_over(KOI_ADDRESS, 0)
    net.answered_by(VIRTUAL_MAC)
    for _ in range(2):
        begin = time.time()
        ucarp = net.start_ucarp(advskew=0, preempt=True)
        net.takes_over(PEER, begin, 3)
        net.settles(PEER)
        net.answered_by(net.mac("peer"))
        koi_within(net, ucarp.kill())
        net.answered_by(VIRTUAL_MAC)


def ucarp_waits(net):
    """ucarp's skew is the lower one, but it does not preempt: it is master as long as it was first."""
    ucarp = net.start_ucarp(advskew=0)
    net.takes_over(PEER, 0)
    net.start_koi(advskew=100)
    net.stays(PEER, 4)
    koi_within(net, ucarp.kill())
    net.answered_by(VIRTUAL_MAC)
    ucarp = net.start_ucarp(advskew=0)
    net.stays(KOI_ADDRESS, 5)
    expect(not ucarp.is_up(), f"ucarp: {ucarp.states()}")
    net.answered_by(VIRTUAL_MAC)


def ucarp_paused(net):
    """ucarp stands still: Koi takes over; ucarp goes on, still master in its own eyes, and the better one."""
    ucarp = net.start_ucarp(advskew=0)
    net.takes_over(PEER, 0)
    net.start_koi(advskew=100)
    net.stays(PEER)
    koi_within(net, ucarp.pause())
    resumed = ucarp.resume()
    net.takes_over(PEER, resumed, 4)
    net.settles(PEER)
    net.answered_by(net.mac("peer"))


def wrong_password(net):
    """Passwords that differ: as with BSD each takes the other one for nobody and both are masters; Koi says so."""
    net.start_koi(advskew=0)
    net.takes_over(KOI_ADDRESS, 0)
    begin = time.time()
    ucarp = net.start_ucarp(advskew=100, password="wrong")
    until("both advertise", lambda: min(len(net.adverts(who, begin)) for who in [KOI_ADDRESS, PEER]) >= 3, 15)
    until("ucarp says why", lambda: "Bad digest" in ucarp.log.read_text())
    until("Koi says why", lambda: "digest" in net.koi_says().lower())


def stale_counter(net):
    """What somebody recorded and says again changes nothing, whoever said it first; Koi says that it was said again."""
    ucarp = net.start_ucarp(advskew=0)
    net.takes_over(PEER, 0)
    net.start_koi(advskew=100)
    net.stays(PEER)
    koi_within(net, ucarp.kill())
    net.stays(KOI_ADDRESS)
    before = len(net.koi_log())
    # The dead one's, which would win an election; and Koi's own, which would end in a tie.
    for recorded in [net.adverts(PEER)[-1], net.adverts(KOI_ADDRESS)[0]]:
        mine = lambda: [a.at for a in net.adverts(KOI_ADDRESS) if a.frame != recorded.frame]
        said, so_far = time.time(), len(mine())
        for _ in range(3):
            net.speak(recorded)
        until("it is on the wire", lambda: [a for a in net.adverts(since=said) if a.frame == recorded.frame])
        until("Koi goes on", lambda: len(mine()) >= so_far + 3)
        times = mine()[so_far - 1:]
        pause = max(after - before for before, after in zip(times, times[1:]))
        expect(pause < 2.5, f"Koi was silent for {pause:.2f} s")
        net.answered_by(VIRTUAL_MAC)
    until("Koi's log says so",
          lambda: re.search("replay|stale|repeat|recorded|counter", net.koi_log()[before:].lower()))


def goodbye(net):
    """Koi that is ended says so: ucarp need not wait for the silence."""
    net.start_koi(advskew=0)
    net.takes_over(KOI_ADDRESS, 0)
    net.start_ucarp(advskew=100)
    net.stays(KOI_ADDRESS)
    moment = net.end_koi()
    took = net.takes_over(PEER, moment)
    # One of its intervals of 1.39 s, and the second by which it reads late.
    expect(took - moment <= 2.5, f"ucarp took over after {took - moment:.2f} s")
    net.answered_by(net.mac("peer"))


def demoted(net):
    """Koi loses another link: it advertises less often, as FreeBSD would, and ucarp that preempts takes over; when the
    link is back, Koi does."""
    net.start_koi(advskew=0, second=True)
    net.takes_over(KOI_ADDRESS, 0)
    ucarp = net.start_ucarp(advskew=100, preempt=True)
    net.stays(KOI_ADDRESS)
    expect(not ucarp.is_up() and net.adverts(KOI_ADDRESS)[-1].advskew == 0, f"{net.adverts(KOI_ADDRESS)[-1]}")
    lost = net.second_link(False)
    until("Koi says that it is not well", lambda: [a for a in net.adverts(KOI_ADDRESS, lost) if a.advskew == 240], 3)
    took = net.takes_over(PEER, lost)
    expect(took - lost < 3, f"ucarp took over after {took - lost:.2f} s")
    net.settles(PEER)
    net.stays(PEER, 4)
    net.answered_by(net.mac("peer"))
    back = net.second_link(True)
    net.takes_over(KOI_ADDRESS, back, 5)
    net.settles(KOI_ADDRESS)
    expect(net.adverts(KOI_ADDRESS)[-1].advskew == 0, f"{net.adverts(KOI_ADDRESS)[-1]}")
    until("ucarp is backup", lambda: not ucarp.is_up(), 3)
    net.answered_by(VIRTUAL_MAC)


def decoded(net):
    """What Koi advertises is read by others' decoders."""
    net.start_koi(advskew=7)
    net.takes_over(KOI_ADDRESS, 0)
    net.stays(KOI_ADDRESS, 2)
    decodes(net, KOI_ADDRESS, 7)


def decoded_ipv6(net):
    """The same of both families, from the link-local address to the group; the virtual MAC answers for the address."""
    net.start_koi(advskew=7, vips=(f"{VIP}/24", f"{VIP6}/64"))
    net.takes_over(KOI_ADDRESS, 0)
    until("both families", lambda: len({advert.source for advert in net.adverts()}) == 2)
    until("three of each", lambda: len(net.adverts()) >= 6)
    [source] = {advert.source for advert in net.adverts()} - {KOI_ADDRESS}
    expect(source.startswith("fe80::"), source)
    expect({advert.mac for advert in net.adverts()} == {VIRTUAL_MAC}, "the adverts' senders")
    for source in [KOI_ADDRESS, source]:
        decodes(net, source, 7)
    for address in [VIP, VIP6]:
        net.answered_by(VIRTUAL_MAC, address)


#: Each has a segment of its own. The control runs with the kernel's cases.
CASES = [koi_preferred, koi_killed, koi_killed_stays_backup, koi_paused, koi_paused_stays_backup, ucarp_preempts,
         ucarp_waits, ucarp_paused, wrong_password, stale_counter, goodbye, demoted, decoded, decoded_ipv6]
