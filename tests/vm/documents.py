"""The documents of the machines: the lab's, with network cards instead of TAPs."""

import re
import subprocess

from network import NETWORKS, ROOT, run

#: The names of the nodes, by the letters of their machines.
NODES = {"a": "alpha", "b": "beta"}


def card(letter, network):
    """As machine.Machine has it."""
    return f"52:54:00:6b:{ord(letter) - ord('a'):02x}:{NETWORKS.index(network):02x}"


def on_cards(text):
    """A document of the lab on cards."""
    text = re.sub(r"^loopback = .*\n", "", text, flags=re.M)
    pattern = r'^tap = "koi-(wan|lan|dmz|sync)(-[ab])?"\nnetns = .*$'
    return re.sub(pattern, lambda m: f'nic = "{card((m[2] or "-a")[1:], m[1])}"', text, flags=re.M)


def single(revision=1, hostname="koi-vm"):
    """One firewall."""
    text = on_cards((ROOT / "tests/lab/one.toml").read_text())
    text = text.replace("revision = 1", f"revision = {revision}", 1)
    return text.replace('hostname = "koi-lab"', f'hostname = "{hostname}"')


def key():
    """A new key of a node: its secret and its public half, in hex."""
    made = subprocess.run(["openssl", "genpkey", "-algorithm", "X25519", "-outform", "DER"], capture_output=True, check=True)
    public = subprocess.run(["openssl", "pkey", "-inform", "DER", "-pubout", "-outform", "DER"], input=made.stdout,
                            capture_output=True, check=True)
    return made.stdout[-32:].hex(), public.stdout[-32:].hex()


def pair(more="", delay=5):
    """The pair: what each machine is told, by letter."""
    text = on_cards((ROOT / "configs/lab.toml").read_text())
    text = text.replace('preferred = "alpha"', f'preempt_delay = {delay}\npreferred = "alpha"')
    secrets = {}
    for letter, name in NODES.items():
        secrets[letter], public = key()
        text = re.sub(rf'(name = "{name}"\n(?:#.*\n)*public_key = )"[0-9a-f]+"', rf'\1"{public}"', text)
    text = text.replace("[system]\n", f"[system]\n{more}", 1)
    return {letter: {"config": text, "node": NODES[letter], "key": secrets[letter]} for letter in NODES}


def release_key(directory, koi):
    """A key that signs releases: its file, and its public half."""
    file = directory / "release.key"
    return file, run(koi, "release", "keygen", "--out", file).strip()
