"""The first configuration: from whoever made the machine, in the order that the manual names; afterwards the disk's own stays."""

import documents
from console import Console
from machine import Machine, beside, disk, seed
from network import expect

#: Makes no sense.
NONSENSE = "schema = 1\n[system]\nhostname = 7\n"


def seeded(net, hostname):
    """A disk with a document."""
    file = net.directory / "document"
    file.write_text(documents.single(hostname=hostname))
    return beside(seed(net, "first", {"config.toml": file}))


def starts(net, machine, origin, hostname):
    """Starts it; where its document comes from, and that it is in force. Then it is switched off."""
    machine.power_on()
    machine.says(f"koi: config: {origin}")
    net.answers(machine)
    said = Console(machine).koi("show status")
    expect(f"on {hostname}, node" in said, f"another document is in force: {said}")
    machine.press_power_button()


def seed_disk(net):
    """A disk that brings a document; without the disk it is still there, and a disk with another one changes nothing."""
    machine = Machine(net, "a", disk(net, "a"), words=seeded(net, "seeded"))
    starts(net, machine, "the seed disk /dev/vd", "seeded")
    machine.words = []
    starts(net, machine, "the configuration partition", "seeded")
    machine.words = seeded(net, "other")
    starts(net, machine, "the configuration partition", "seeded")


def firmware(net):
    """A document from QEMU goes before that of a disk; one that makes no sense is said, and the next one is taken."""
    words = seeded(net, "seeded")
    told = Machine(net, "a", disk(net, "a"), words=words, told={"config": documents.single(hostname="told")})
    starts(net, told, r"QEMU \(fw_cfg\)", "told")
    wrong = Machine(net, "a", disk(net, "a-again"), words=words, told={"config": NONSENSE})
    starts(net, wrong, "the seed disk /dev/vd", "seeded")
    wrong.says(r"koi: WARNING: the configuration of QEMU \(fw_cfg\) makes no sense")


CASES = [seed_disk, firmware]
