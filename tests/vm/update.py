"""`koi update`: the other slot is written, tried, and either keeps itself or gives way; whatever breaks, one slot boots."""

import os
import random
import re
import struct
import time

import documents
from console import Console
from machine import Machine, beside, disk, seed
from network import IMAGES, ROOT, expect, run
from story import Pair
from traffic import Traffic

#: Runs on this machine, too, since it is linked statically.
KOI = ROOT / os.environ.get("KOI_PROGRAM", "target/vm/x86_64-unknown-linux-gnu/release/koi")
MAGIC = b"KOI IMAGE 1\n"
#: Of an update on a disk that brings one.
NAME = "koi.update.signed"


def image(vmlinuz, initrd):
    """An update that is not signed yet."""
    return MAGIC + struct.pack(">II", len(vmlinuz), len(initrd)) + vmlinuz + initrd


def sign(net, key, content, version):
    """An update that the key has signed."""
    loose, file = net.directory / "loose", net.directory / f"update-{version}"
    loose.write_bytes(content)
    run(KOI, "release", "sign", "--key", key, "--version", version, "--out", file, loose)
    return file


class Updates:
    """A machine that trusts a key, and updates that the key has signed."""

    def __init__(self, net):
        self.net = net
        self.key, public = documents.release_key(net.directory, KOI)
        document = documents.single().replace("[system]\n", f'[system]\nrelease_keys = ["{public}"]\n', 1)
        self.machine = Machine(net, "a", disk(net, "a"), told={"config": document})
        self.console = Console(self.machine)

    def signed(self, content, version):
        return sign(self.net, self.key, content, version)

    def offer(self, file):
        """The update is on a disk beside the machine's own from the next start on."""
        self.machine.words = beside(seed(self.net, "offer", {NAME: file}))

    def boot(self):
        """Starts it; the slot."""
        self.machine.power_on()
        return self.slot()

    def slot(self, since=0, seconds=60):
        """Waits until it answers; which slot it runs from."""
        self.net.answers(self.machine)
        self.machine.says("koi: healthy", seconds=seconds, since=since)
        return re.findall(r"koi: init [^\n]* slot ([AB])", self.machine.text[since:])[-1]


def update(net):
    """From A to B, which stays; then a B that is broken gives way to the slot that worked."""
    updates = Updates(net)
    vmlinuz, initrd = (IMAGES / "vmlinuz").read_bytes(), (IMAGES / "initrd").read_bytes()
    updates.offer(updates.signed(image(vmlinuz, initrd), "0.1.1"))
    expect(updates.boot() == "A", "a new image runs from A")
    mark, begin = updates.machine.mark(), time.monotonic()
    updates.console.koi_reboots("update")
    expect(updates.slot(mark) == "B", "the update is tried")
    print(f"    A to B: {time.monotonic() - begin:.1f} s from the command to a healthy B")
    mark = updates.machine.mark()
    updates.machine.press_power_button()
    expect(updates.boot() == "B", "what was healthy stays")
    updates.machine.press_power_button()
    # Its kernel finds no system and panics.
    updates.offer(updates.signed(image(vmlinuz, b"no file system" * 1000), "0.1.2"))
    expect(updates.boot() == "B", "an offer alone changes nothing")
    mark, begin = updates.machine.mark(), time.monotonic()
    updates.console.koi_reboots("update")
    # It panics as often as it is tried, each time for the ten seconds in which somebody may read why.
    expect(updates.slot(mark, seconds=150) == "B", "a broken slot gives way")
    print(f"    broken A back to B: {time.monotonic() - begin:.1f} s from the command to a healthy B")
    expect("Koi, slot A" in updates.machine.text[mark:], "the broken slot was tried")
    updates.machine.press_power_button()
    expect(updates.boot() == "B", "the broken slot is not tried again")


def unsigned(net):
    """What nobody has signed, or somebody else has, changes nothing."""
    updates = Updates(net)
    updates.offer(IMAGES / "koi.update")
    expect(updates.boot() == "A", "a new image runs from A")
    expect("not signed" in updates.console.koi("update"), "an unsigned update is taken")
    updates.machine.press_power_button()
    expect(updates.boot() == "A", "nothing has changed")


def crashes(net):
    """The plug is pulled while the new slot is tried: it is tried again, three times in all, then the old one serves."""
    updates = Updates(net)
    updates.offer(updates.signed((IMAGES / "koi.update").read_bytes(), "0.1.1"))
    updates.boot()
    mark = updates.machine.mark()
    updates.console.koi_reboots("update")
    updates.machine.says("koi: init .* slot B", since=mark)
    tried = ["B"]
    while len(tried) < 4:
        # It runs and has noted that it does, but nobody knows yet how it is.
        updates.machine.says("koi: router started", since=mark)
        updates.machine.pull_the_plug()
        updates.machine.power_on()
        mark = 0
        tried.append(updates.machine.says("koi: init .* slot ([AB])")[1])
    print(f"    slots, each but the last one crashing: {' '.join(tried)}")
    expect(tried == ["B", "B", "B", "A"], f"{tried}")
    updates.slot()


def power_cuts(net, points=10):
    """The plug is pulled at ten points of an update: the old slot serves, or the new one, never neither."""
    updates = Updates(net)
    updates.offer(updates.signed((IMAGES / "koi.update").read_bytes(), "0.1.1"))
    updates.boot()
    # How long one takes, up to the new slot's start.
    mark, begin = updates.machine.mark(), time.monotonic()
    updates.console.koi_reboots("update")
    updates.machine.says("koi: init .* slot B", since=mark)
    whole = time.monotonic() - begin
    slots = [updates.slot(mark)]
    for point in range(points):
        moment = whole * (point + random.random()) / points
        updates.console.koi_reboots("update")
        time.sleep(moment)
        updates.machine.pull_the_plug()
        slots.append(updates.boot())
    print(f"    an update takes {whole:.1f} s; slots after cuts at ten points of it: {' '.join(slots)}")
    # And it can still be updated.
    mark, before = updates.machine.mark(), slots[-1]
    updates.console.koi_reboots("update")
    updates.machine.says("koi: init", since=mark, seconds=120)
    expect(updates.slot(mark) != before, "after all that an update works")


def pair(net):
    """The standby first, then a handover and the other one; a session through the pair never waits."""
    key, public = documents.release_key(net.directory, KOI)
    content, version = (IMAGES / "koi.update").read_bytes(), run(KOI, "--version").split()[1]
    same, newer = (sign(net, key, content, name) for name in (version, "99.0.0"))
    offers = {letter: seed(net, letter, {NAME: file}) for letter, file in [("a", newer), ("b", same)]}
    words = {letter: beside(path) for letter, path in offers.items()}
    both = Pair(net, more=f'release_keys = ["{public}"]\n', words=words)
    traffic = Traffic(net)
    active, standby = both.active()
    if active != "a":
        both.consoles[active].koi("pair handover")
        active, standby = both.active()
    said = both.consoles[active].koi("update")
    expect("update beta first" in said, f"the node that serves is updated first: {said}")
    for letter, other in (("b", "a"), ("a", "b")):
        machine, begin = both.machines[letter], time.monotonic()
        run("mcopy", "-o", "-i", offers[letter], same, f"::/{NAME}")
        mark = machine.mark()
        both.consoles[letter].koi_reboots("update")
        machine.says("koi: init .* slot B", since=mark)
        expect(both.leads(other), f"machine {other} serves while the other one starts anew")
        machine.says("koi: slot B is kept", since=mark)
        both.settles()
        traffic.after(f"machine {letter} is updated and the pair is whole after {time.monotonic() - begin:.1f} s", begin)
    traffic.end()


CASES = [update, unsigned, crashes, power_cuts, pair]
