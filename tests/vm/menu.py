"""The console's menu, driven through the serial line from the first start to the factory reset."""

import re

from console import Console
from machine import Machine, disk
from network import CLIENT, ROUTER_LAN, expect, until

#: Cards are numbered as the kernel finds them: WAN, LAN, DMZ, sync.
WAN, LAN, DMZ = 0, 1, 2
OTHER = "192.168.1.254"


def menu(net):
    """Somebody at the serial line: assigns cards, sets an address and a password, looks around, goes back, begins anew."""
    machine = Machine(net, "a", disk(net, "a")).power_on()
    net.answers(machine)
    console = Console(machine)
    machine.says(f"https://{ROUTER_LAN}/")
    assign(machine, console)
    net.answers(machine)
    until("the router answers the console", lambda: "serves alone" in console.option(9))
    address(net, machine, console)
    password(net, console)
    look(net, console)
    restore(net, machine, console)
    console.option(4, "yes to go on: ")
    mark = machine.mark()
    machine.type("yes\r")
    machine.says("koi: init .* slot A", since=mark)
    net.answers(machine)
    machine.says("koi: config: factory default", since=mark)
    console.wake()
    console.option(6, "yes to go on: ")
    machine.type("yes\r")
    until("it switches itself off", lambda: not machine.runs())


def assign(machine, console):
    """WAN is found by its cable, LAN by its number; the DMZ stays as it is."""
    machine.cable(WAN, False)
    said = console.option(1, r"Card of WAN .*: ")
    expect(all(machine.mac(index) in said.lower() for index in (WAN, LAN, DMZ)), f"the cards: {said}")
    machine.enter("a", r"\.\.\.\s")
    machine.cable(WAN, True)
    machine.says(f"It is {machine.mac(WAN)}", since=machine.mark() - 200)
    machine.says(r"Card of LAN .*: ", since=machine.mark() - 200)
    machine.enter("2", r"Card of DMZ .*: ")
    mark = machine.mark()
    said = machine.enter("")
    expect("fails" not in said, said)
    # Its ports are others, so the router starts anew.
    machine.says("koi: router started", since=mark)


def address(net, machine, console):
    """LAN gets another address, and answers there alone."""
    console.option(2, r"which interface\? ")
    machine.enter("lan", "prefix length.*: ")
    said = machine.enter(f"{OTHER}/24")
    expect("In force" in said, said)
    net.answers(machine, to=OTHER)
    expect(not net.pings("cli", ROUTER_LAN), "the old address answers, too")


def password(net, console):
    """Typed twice, not shown; it opens the pages."""
    machine = console.machine
    console.option(3, "password of admin: ")
    machine.enter("Two-Fishes-7", "Once more: ", hidden=True)
    said = machine.enter("Two-Fishes-7", hidden=True)
    expect("fails" not in said and "Two-Fishes" not in said, said)
    page = ["curl", "-sk", "-m", "10", "-u", "admin:Two-Fishes-7", f"https://{OTHER}/status.json"]
    told = net.inside("cli", *page)
    expect('"node"' in told, f"the pages with the new password: {told[:300]}")


def look(net, console):
    """What only tells."""
    said = console.option(7, r"which address\? ")
    said = console.machine.enter(CLIENT)
    expect("fails" not in said and CLIENT in said, said)
    expect("serves alone" in console.option(9), "the pair")
    expect("router started" in console.option(10) or "koi" in console.option(10), "the log")
    expect("uptime" in console.option(16).lower() or "Koi" in console.option(16), "the status")
    expect("no option" in console.option(99), "an option that there is not")


def restore(net, machine, console):
    """The revision before the address was changed."""
    said = console.option(15, r"which revision\? ")
    changed = re.search(r"(\d+)  [^\r\n]*address of lan", said)
    expect(changed, f"the history: {said}")
    earlier = [int(number) for number in re.findall(r"(\d+)  ", said) if int(number) < int(changed[1])]
    expect(earlier, f"the history: {said}")
    said = machine.enter(str(max(earlier)))
    expect("fails" not in said, said)
    net.answers(machine)


CASES = [menu]
