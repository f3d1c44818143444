"""The appliance for VMware: a compressed disk, its description, and the archive of both."""

import hashlib
import io
import pathlib
import re
import string
import struct
import tarfile

from kernel import sha256
from needs import Failed, epoch, run, version

TEMPLATE = pathlib.Path(__file__).with_name("koi.ovf")
NETWORKS = ["WAN", "LAN", "DMZ", "sync"]
#: What the first start may be told: key, label, description.
PROPERTIES = [
    ("koi.hostname", "Host name", "Name of this firewall"),
    ("koi.wan.address", "WAN address", "With its length: 203.0.113.2/24. Empty: none"),
    ("koi.wan.gateway", "WAN gateway", "The upstream router's address, or empty"),
    ("koi.lan.address", "LAN address", "With its length. Empty: 192.168.1.1/24"),
    ("koi.dmz.address", "DMZ address", "With its length. Empty: none"),
    ("koi.config", "Configuration", "A whole configuration file, as it is or in Base64; the fields above are then ignored"),
]
CARD = """\
      <Item>
        <rasd:AddressOnParent>{place}</rasd:AddressOnParent>
        <rasd:AutomaticAllocation>true</rasd:AutomaticAllocation>
        <rasd:Connection>{network}</rasd:Connection>
        <rasd:Description>Network card on {network}</rasd:Description>
        <rasd:ElementName>Network adapter {number}</rasd:ElementName>
        <rasd:InstanceID>{id}</rasd:InstanceID>
        <rasd:ResourceSubType>VmxNet3</rasd:ResourceSubType>
        <rasd:ResourceType>10</rasd:ResourceType>
      </Item>
"""
PROPERTY = """\
      <Property ovf:key="{key}" ovf:type="string" ovf:userConfigurable="true" ovf:value="">
        <Label>{label}</Label>
        <Description>{description}</Description>
      </Property>
"""


def convert(disk, into):
    """The disk as VMware imports it; the id that qemu-img draws at random becomes the disk's hash."""
    run("qemu-img", "convert", "-O", "vmdk", "-o", "subformat=streamOptimized,adapter_type=lsilogic", disk, into)
    with open(into, "r+b") as file:
        offset, sectors = struct.unpack("<QQ", file.read(44)[28:])
        file.seek(offset * 512)
        text = file.read(sectors * 512)
        # Drawn at random, so it may have fewer digits than eight.
        fixed, found = re.subn(rb"\nCID=[0-9a-f]+\n", b"\nCID=%s\n" % sha256(disk)[:8].encode(), text.rstrip(b"\0"))
        if found != 1 or len(fixed) > len(text):
            raise Failed(f"{into} has no CID")
        file.seek(offset * 512)
        file.write(fixed.ljust(len(text), b"\0"))


def describe(disk, build, vmdk):
    """The OVF."""
    cards = [CARD.format(place=7 + number, network=network, number=1 + number, id=10 + number)
             for number, network in enumerate(NETWORKS)]
    properties = [PROPERTY.format(key=key, label=label, description=text) for key, label, text in PROPERTIES]
    return string.Template(TEMPLATE.read_text()).substitute(
        size=vmdk.stat().st_size, capacity=disk.stat().st_size, version=version(), build=build, cards="".join(cards),
        properties="".join(properties))


def pack(disk, build, vmdk, into):
    """The OVA: description first, then hashes, then the disk. VMware wants no space before the bracket."""
    ovf = describe(disk, build, vmdk).encode()
    manifest = f"SHA256(koi.ovf)= {hashlib.sha256(ovf).hexdigest()}\nSHA256(koi-disk1.vmdk)= {sha256(vmdk)}\n".encode()
    with tarfile.open(into, "w", format=tarfile.USTAR_FORMAT) as archive:
        for name, content in [("koi.ovf", ovf), ("koi.mf", manifest), ("koi-disk1.vmdk", vmdk)]:
            member = tarfile.TarInfo(name)
            member.mtime, member.mode = epoch(), 0o644
            if isinstance(content, bytes):
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
            else:
                member.size = content.stat().st_size
                with open(content, "rb") as file:
                    archive.addfile(member, file)
