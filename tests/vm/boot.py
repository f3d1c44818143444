"""The image starts on whatever firmware and cards a hypervisor has, in little memory, and answers on LAN."""

import time

import documents
from console import Console
from machine import PROMPT, Machine, disk
from network import IMAGES, PATIENCE, ROUTER_LAN, expect, until
from processor import slowness

LAN = 1
#: Seconds until LAN is answered, by card, on a processor that is as fast as usual.
LIMITS = {"virtio-net-pci": 15, "e1000e": 30, "vmxnet3": 30}
#: What is asked of an image is not forgiven for more than this.
SLOWEST = 1.5


def boots(net, card="virtio-net-pci", limit=None, told=None, path=None, **options):
    """Switches a machine on and waits for LAN; says how long it took."""
    # An emulated machine is slower by as much as the processor is.
    slow = slowness(SLOWEST)
    limit = (limit or LIMITS[card]) * PATIENCE * slow
    machine = Machine(net, "a", path or disk(net, "a"), card=card, told=told, **options).power_on()
    took = net.answers(machine, seconds=60)
    print(f"    {card}, {'UEFI' if options.get('uefi') else 'BIOS'}, {machine.memory} MB: LAN answers after {took:.1f} s "
          f"(limit {limit:.1f} s; the processor takes {slow:.2f} times as long as usual)")
    expect(took <= limit, f"LAN answers after {took:.1f} s instead of {limit:.1f} s: {machine.story()}")
    return machine


def bios(net):
    """As it comes out of the build: LAN is 192.168.1.1, and the power button works."""
    machine = boots(net)
    machine.says(PROMPT)
    machine.press_power_button()


def uefi(net):
    """The same with the other firmware."""
    machine = boots(net, uefi=True)
    machine.press_power_button()


def intel(net):
    """QEMU's e1000e, with a document from the firmware."""
    boots(net, card="e1000e", told={"config": documents.single()})


def vmware(net):
    """VMware's card and disk controller, and the disk that is in the OVA."""
    path = disk(net, "a", IMAGES / "koi.raw", kind="raw")
    boots(net, card="vmxnet3", told={"config": documents.single()}, path=path, bus="pvscsi")


def sata(net):
    """A disk controller of real machines."""
    boots(net, bus="sata")


def ctrl_alt_del(net):
    """It ends cleanly and begins again."""
    machine = boots(net)
    # Keyboards come after the router.
    machine.says("koi: healthy")
    mark = machine.mark()
    machine.tell("send-key", keys=[{"type": "qcode", "data": key} for key in ("ctrl", "alt", "delete")])
    machine.says("koi: rebooting", since=mark)
    machine.says("koi: init .* slot A", since=mark)
    net.answers(machine)


def watchdog(net):
    """A machine whose kernel hears nothing any more is started anew by its watchdog."""
    machine = Machine(net, "a", disk(net, "a"))
    machine.words = ["-gdb", f"unix:{machine.file('gdb')},server=on,wait=off"]
    machine.power_on()
    net.answers(machine)
    machine.says("koi: healthy")
    mark, begin = machine.mark(), time.monotonic()
    machine.hang()
    until("it answers nobody", lambda: not net.pings("cli", ROUTER_LAN))
    machine.says("koi: init .* slot A", since=mark, seconds=120)
    print(f"    started anew {time.monotonic() - begin:.1f} s after it hung")
    machine.says("koi: healthy", since=mark)
    net.answers(machine)


def hot_plug(net):
    """Cables are seen. A card that is taken out and put in again is the port that it was, also when the router starts anew
    meanwhile."""
    machine = boots(net, slots=True)
    console = Console(machine)
    until("all cables are in", lambda: "Ports with link  3 of 3" in console.koi("show status"))
    machine.cable(LAN, False)
    until("one cable is out", lambda: "Ports with link  2 of 3" in console.koi("show status"))
    machine.cable(LAN, True)
    until("all cables are in again", lambda: "Ports with link  3 of 3" in console.koi("show status"))
    for restart in (False, True):
        machine.take_out(LAN)
        until("LAN is silent", lambda: not net.pings("cli", ROUTER_LAN))
        if restart:
            mark = machine.mark()
            console.option(11)
            machine.says("koi: router started", since=mark)
        expect("card of port lan is not there" in console.koi("doctor"), "the missing card is not named")
        machine.put_in(LAN)
        begin = time.monotonic()
        net.answers(machine)
        print(f"    {'the router started without it' if restart else 'it ran'}: LAN answers {time.monotonic() - begin:.1f} s "
              "after the card is in")


CASES = [bios, uefi, intel, vmware, sata, ctrl_alt_del, watchdog, hot_plug]
