"""The story with real machines: two images, somebody's session and ping through them, and what happens to machines."""

import contextlib
import re
import time

import documents
from console import Console
from machine import Machine, disk
from network import ROUTER_LAN, SERVER, Failed, expect, until
from traffic import Escapes, Traffic

WAN, LAN, SYNC = 0, 1, 3


class Pair:
    """Two machines as one firewall."""

    def __init__(self, net, delay=600, more="", words=None):
        self.net = net
        # A network where nobody speaks would be taken for a broken cable as soon as the other machine is away.
        net.start("www", "ping", "-i", "0.5", "10.20.0.1")
        told, words = documents.pair(more=more, delay=delay), words or {}
        self.machines = {letter: Machine(net, letter, disk(net, letter), told=told[letter], words=words.get(letter, ()))
                         for letter in told}
        for machine in self.machines.values():
            machine.power_on()
        self.consoles = {letter: Console(machine) for letter, machine in self.machines.items()}
        took = net.answers(self.machines["a"])
        self.settles()
        print(f"    two machines: LAN answers after {took:.1f} s, a pair after "
              f"{time.monotonic() - self.machines['a'].begin:.1f} s")
        until("the client reaches the server", lambda: net.pings("cli", SERVER))
        # Whoever looks for it asks a multicast address.
        until("the client finds the router by IPv6", lambda: net.pings("cli", "fe80::1:1%eth0"))

    def shown(self, letter):
        with contextlib.suppress(Failed):
            return self.consoles[letter].koi("show pair")
        return ""

    def settles(self, seconds=120):
        """Waits until either could take over from the other."""
        def settled():
            return all("could fail over now" in self.shown(letter) for letter in self.machines)
        until("the pair could fail over", settled, seconds)

    def leads(self, letter):
        return " and serves" in self.shown(letter)

    def active(self):
        """The letters of the machine that serves and of the other one."""
        serving = [letter for letter in self.machines if self.leads(letter)]
        expect(len(serving) == 1, f"serving: {serving}")
        return serving[0], "b" if serving[0] == "a" else "a"


def story(net):
    """The plug is pulled on the active machine; nobody notices. It comes back and takes its place; nobody notices."""
    pair = Pair(net, delay=5)
    active, other = "a", "b"
    # Whoever starts faster serves first.
    until("the preferred machine serves", lambda: pair.leads(active), 60)
    pair.settles()
    traffic = Traffic(net)
    said = pair.consoles[active].koi("show system-log").splitlines()
    time.sleep(3)
    begin = time.monotonic()
    pair.machines[active].pull_the_plug()
    traffic.after("the active machine's plug is pulled", begin)
    until("the other machine serves", lambda: pair.leads(other), 10)
    last = [line for line in said if re.match(r"\d{4}-\d\d-\d\dT", line)][-1]
    kept = pair.consoles[other].koi("show system-log --peer")
    expect(last in kept, f"the log of the machine that is no more, at the other one, without {last}: {kept}")
    begin = time.monotonic()
    pair.machines[active].power_on()
    net.answers(pair.machines[active], to="192.168.1.2")
    until("the machine that came back has its place again", lambda: pair.leads(active), 90)
    traffic.after("it comes back, is told everything, and takes its place", begin)
    pair.settles()
    traffic.end()


def cables(net):
    """Cables are pulled on the active machine, one after the other, and plugged in again."""
    pair = Pair(net)
    traffic = Traffic(net)
    for name, index in [("WAN", WAN), ("LAN", LAN)]:
        active, other = pair.active()
        begin = time.monotonic()
        pair.machines[active].cable(index, False)
        until(f"{name}: the other machine serves", lambda: pair.leads(other), 30)
        traffic.after(f"{name} is unplugged on the active machine", begin)
        pair.machines[active].cable(index, True)
        pair.settles()
    active, other = pair.active()
    begin = time.monotonic()
    pair.machines[active].cable(SYNC, False)
    time.sleep(5)
    traffic.after("the sync cable is unplugged", begin)
    expect(pair.active() == (active, other), "with the sync cable cut both keep their roles")
    pair.machines[active].cable(SYNC, True)
    pair.settles()
    traffic.end()


def resumed(net, pair, active, wake, what, limit, traffic):
    """A machine that was away goes on; how long it behaves as if it led. Frames before its first moment do not count."""
    escapes = Escapes(net, active)
    begin, woken = time.monotonic(), time.time()
    wake()
    # With a snapshot the machine is loaded first: it is awake once it sends anything.
    time.sleep(5)
    moments = [moment - woken for moment in escapes.end() if moment >= woken]
    last = (moments[-1] - moments[0]) * 1000 if moments else 0
    print(f"    {what}: {len(moments)} frames escape, the last one {last:.0f} ms after the first")
    expect(not pair.leads(active), f"{what}: it leads again: {pair.shown(active)[-1500:]}")
    traffic.after(what, begin)
    # A batch has 64 frames, on each of two ports.
    expect(last <= limit * 1000 and len(moments) <= 128, f"{what}: {len(moments)} frames, until {last:.0f} ms")


def stopped(net):
    """A machine is stopped for ten seconds and goes on where it was: it must not forward. With the sync cable, and without."""
    pair = Pair(net)
    traffic = Traffic(net)
    for cable in (True, False):
        active, other = pair.active()
        if not cable:
            pair.machines[active].cable(SYNC, False)
            time.sleep(2)
        begin = time.monotonic()
        pair.machines[active].tell("stop")
        until("the other machine serves", lambda: pair.leads(other), 30)
        traffic.after("the active machine is stopped", begin)
        time.sleep(max(0, begin + 10 - time.monotonic()))
        what = f"it goes on after 10 s, {'with' if cable else 'without'} the sync cable"
        resumed(net, pair, active, lambda: pair.machines[active].tell("cont"), what, 0.05 if cable else 2, traffic)
        pair.machines[active].cable(SYNC, True)
        pair.settles()
    traffic.end()


def reverted(net):
    """A machine begins again as it was in a snapshot: it believes that it leads, and must not forward."""
    pair = Pair(net)
    traffic = Traffic(net)
    for cable in (True, False):
        active, other = pair.active()
        machine = pair.machines[active]
        machine.monitor("savevm before")
        time.sleep(3)
        begin = time.monotonic()
        machine.pull_the_plug()
        until("the other machine serves", lambda: pair.leads(other), 30)
        traffic.after("the active machine's plug is pulled", begin)
        time.sleep(5)
        what = f"a snapshot goes on, {'with' if cable else 'without'} the sync cable"

        def wake():
            machine.power_on(["-loadvm", "before", "-S"])
            if not cable:
                machine.cable(SYNC, False)
            machine.tell("cont")
        resumed(net, pair, active, wake, what, 0.05 if cable else 2, traffic)
        machine.cable(SYNC, True)
        pair.settles()
        machine.monitor("delvm before")
    traffic.end()


def filtered(net):
    """A switch that lets no virtual MAC addresses through: the standby says so before anybody needs them, and how to end it."""
    pair = Pair(net)
    active, other = pair.active()
    trouble = r"VHID \d on (\w+) \([0-9a-f:]+\): nothing that the other node sends from it arrives"
    everywhere = ["dmz", "lan", "wan"]

    def says(expected):
        """What both the pair and the doctor have to say on the standby."""
        until(f"the pair misses virtual addresses on {expected}",
              lambda: sorted(re.findall(trouble, pair.shown(other))) == expected)
        said = pair.consoles[other].koi("doctor")
        expect(sorted(re.findall(trouble, said)) == expected, f"instead of {expected}: {said}")
        good = [name for name in everywhere if name not in expected]
        expect(sorted(re.findall(r"good +VHID \d on (\w+) ", said)) == good, f"instead of {good}: {said}")
        expect(("no clean-traffic in libvirt" in said) == bool(expected), f"the remedy: {said}")

    # The doctor has nothing to say of an address from which nothing was sent.
    until("something was sent from each address", lambda: "nothing was sent from it yet" not in pair.consoles[other].koi("doctor"))
    says([])
    begin = time.monotonic()
    net.filter_virtual_macs(active)
    says(everywhere)
    print(f"    said {time.monotonic() - begin:.1f} s after the switch has begun to filter")
    expect(pair.active() == (active, other), "nobody moves for that")
    expect(net.filter_nothing() > 0, "the switch has filtered nothing")
    says([])


CASES = [story, cables, stopped, reverted, filtered]
