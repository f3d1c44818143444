"""The partition that holds the configuration: full, unreadable, missing, or losing its power at a bad moment."""

import os
import random
import re
import time

import documents
from console import Console
from machine import Machine, disk
from network import SERVER, expect, run, until

#: As vm-images/disk.py lays the disk out.
START, SIZE = 193 << 20, 64 << 20
BLOCK = 1 << 20


def cut_out(path, into):
    """The partition of a raw disk as a file."""
    run("dd", f"if={path}", f"of={into}", f"bs={BLOCK}", f"skip={START // BLOCK}", f"count={SIZE // BLOCK}", "conv=sparse")


def put_back(part, path):
    run("dd", f"if={part}", f"of={path}", f"bs={BLOCK}", f"seek={START // BLOCK}", "conv=notrunc")


def serves(net, machine):
    """It forwards."""
    net.answers(machine)
    until("the client reaches the server", lambda: net.pings("cli", SERVER), 30)


def first_start(net):
    """A raw disk whose machine has started once with a document, so that the partition has it."""
    path = disk(net, "a", kind="raw")
    machine = Machine(net, "a", path, told={"config": documents.single()}).power_on()
    serves(net, machine)
    machine.says("koi: healthy")
    machine.press_power_button()
    # From now on the document is the partition's.
    machine.told = {}
    return machine


def full(net):
    """Nothing more fits: it forwards with the document that it has, says so, and refuses a change in words."""
    machine = first_start(net)
    part, filling = net.directory / "part", net.directory / "filling"
    cut_out(machine.path, part)
    filling.write_bytes(os.urandom(SIZE))
    run("debugfs", "-w", "-R", f"write {filling} filling", part, check=False)
    put_back(part, machine.path)
    machine.power_on()
    serves(net, machine)
    machine.says("koi: WARNING: config partition: full")
    console = Console(machine)
    console.koi("config set system.hostname other")
    said = console.koi("config apply --no-confirm")
    expect("hostname koi-vm" in said or re.search("space|full|cannot", said), said)
    expect("koi-vm" in console.koi("show status"), "the document in force stays")
    expect(net.pings("cli", SERVER), "it forwards")


def unreadable(net):
    """A file system that cannot be mounted: it starts to the console, says so, and forwards with what it is told."""
    machine = first_start(net)
    with open(machine.path, "r+b") as file:
        # A feature that no kernel knows: the label can still be read.
        file.seek(START + 1024 + 0x60)
        file.write(b"\xff\xff\xff\xff")
    machine.told = {"config": documents.single()}
    machine.power_on()
    serves(net, machine)
    machine.says("koi: WARNING: config partition: unreadable")
    Console(machine).wake()


def missing(net):
    """No partition at all; without any document it is as it came out of the build."""
    machine = first_start(net)
    run("sfdisk", "--delete", machine.path, "3")
    machine.power_on()
    net.answers(machine)
    machine.says("koi: WARNING: config partition: missing")
    Console(machine).wake()


def power_cuts(net, points=10):
    """The plug is pulled at ten points of a change: the machine starts with the old document or with the new one."""
    machine = Machine(net, "a", disk(net, "a"), told={"config": documents.single()}).power_on()
    console = Console(machine)
    serves(net, machine)
    begin = time.monotonic()
    console.koi("config set system.hostname cut-0")
    console.koi("config apply --no-confirm")
    whole, names, was = time.monotonic() - begin, [], "cut-0"
    for point in range(1, points + 1):
        fresh = f"cut-{point}"
        console.koi(f"config set system.hostname {fresh}")
        console.option(console.number("Koi command"), "koi> ")
        machine.type("config apply --no-confirm\r")
        time.sleep(whole / 2 * (point - 1 + random.random()) / points)
        machine.pull_the_plug()
        machine.power_on()
        serves(net, machine)
        now = re.search(r"on (cut-\d+), node", console.koi("show status"))[1]
        expect(now in (was, fresh), f"{now} instead of {was} or {fresh}")
        names.append("new" if now == fresh else "old")
        was = now
    print(f"    a change takes {whole / 2:.2f} s; after cuts at ten points of it: {' '.join(names)}")


CASES = [full, unreadable, missing, power_cuts]
