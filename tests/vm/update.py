"""`koi update`: the other slot is written, tried, and either keeps itself or gives way; whatever breaks, one slot boots."""

import random
import re
import struct
import time

import documents
from console import Console
from machine import Machine, disk
from network import IMAGES, ROOT, expect, run, until

#: Runs on this machine, too, since it is linked statically.
import os
KOI = ROOT / os.environ.get("KOI_PROGRAM", "target/vm/x86_64-unknown-linux-gnu/release/koi")
MAGIC = b"KOI IMAGE 1\n"


def seed(net, name, files):
    """A disk that a machine looks for by its label, with these files: by name, where they are."""
    path = net.directory / f"{name}.seed"
    with open(path, "wb") as file:
        file.truncate(64 << 20)
    run("mformat", "-i", path, "-F", "-v", "KOISEED", "::")
    for name, source in files.items():
        run("mcopy", "-i", path, source, f"::/{name}")
    return path


def image(vmlinuz, initrd):
    """An update that is not signed yet."""
    return MAGIC + struct.pack(">II", len(vmlinuz), len(initrd)) + vmlinuz + initrd


class Updates:
    """A machine that trusts a key, and updates that the key has signed."""

    def __init__(self, net):
        self.net = net
        self.key, public = documents.release_key(net.directory, KOI)
        document = documents.single().replace("[system]\n", f'[system]\nrelease_keys = ["{public}"]\n', 1)
        self.machine = Machine(net, "a", disk(net, "a"), told={"config": document})
        self.console = Console(self.machine)

    def signed(self, content, version):
        loose, file = self.net.directory / "loose", self.net.directory / f"update-{version}"
        loose.write_bytes(content)
        run(KOI, "release", "sign", "--key", self.key, "--version", version, "--out", file, loose)
        return file

    def offer(self, file):
        """The update is on a disk beside the machine's own from the next start on."""
        path = seed(self.net, "offer", {"koi.update.signed": file})
        self.machine.words = ["-drive", f"if=none,id=seed,format=raw,file={path}", "-device", "virtio-blk-pci,drive=seed"]

    def boot(self):
        """Starts it; the slot."""
        self.machine.power_on()
        return self.slot()

    def slot(self, since=0):
        """Waits until it answers; which slot it runs from."""
        self.net.answers(self.machine)
        self.machine.says("koi: healthy", since=since)
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
    expect(updates.slot(mark) == "B", "a broken slot gives way")
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
    tried = []
    for _ in range(4):
        # Early in the start: it runs, but nobody knows yet how it is.
        time.sleep(0.5)
        updates.machine.pull_the_plug()
        updates.machine.power_on()
        tried.append(updates.machine.says("koi: init .* slot ([AB])")[1])
    print(f"    slots after each crash: {' '.join(tried)}")
    expect(tried[-1] == "A" and 1 <= tried.count("B") <= 2, f"{tried}")
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


CASES = [update, unsigned, crashes, power_cuts]
