"""A machine: QEMU without any hypervisor, its console on a socket, its cables and its power in our hands."""

import json
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import threading
import time

from network import IMAGES, SWITCH, Failed, die_with_parent, run, until

FIRMWARE = "/usr/share/OVMF/OVMF_CODE_4M.fd"
VARIABLES = "/usr/share/OVMF/OVMF_VARS_4M.fd"
#: The line that the console's menu ends with.
PROMPT = "Enter an option: "


def disk(net, name, image=None, kind="qcow2"):
    """A disk of the machine's own that begins as the image."""
    path = net.directory / f"{name}.{kind}"
    if kind == "qcow2":
        run("qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", image or IMAGES / "koi.qcow2", path)
    else:
        run("cp", "--sparse=always", image or IMAGES / "koi.raw", path)
    return path


def seed(net, name, files):
    """A disk that a machine looks for by its label, with these files: by name, where they are."""
    path = net.directory / f"{name}.seed"
    with open(path, "wb") as file:
        file.truncate(64 << 20)
    run("mformat", "-i", path, "-F", "-v", "KOISEED", "::")
    for name, source in files.items():
        run("mcopy", "-i", path, source, f"::/{name}")
    return path


def beside(path):
    """What QEMU is told of a disk beside the machine's own."""
    return ["-drive", f"if=none,id=seed,format=raw,file={path}", "-device", "virtio-blk-pci,drive=seed"]


class Machine:
    """`told` are files that the firmware hands over (fw_cfg), by name behind opt/org.koi/; `words` more for QEMU. With `slots`
    cards can be taken out and put in while it runs."""

    def __init__(self, net, letter, path, card="virtio-net-pci", uefi=False, memory=256, told=None, words=(), bus="virtio",
                 slots=False):
        self.net, self.letter, self.name, self.path = net, letter, f"machine {letter}", path
        self.card, self.uefi, self.memory, self.bus, self.slots = card, uefi, memory, bus, slots
        self.told, self.words = told or {}, list(words)
        self.process = self.control = self.console = None
        self.text = ""
        #: It was loaded from a snapshot, in the middle of a talk.
        self.amid = False
        net.machines.append(self)

    def mac(self, index):
        """Of a card."""
        return f"52:54:00:6b:{ord(self.letter) - ord('a'):02x}:{index:02x}"

    def device(self, index):
        """A card, as QEMU is told of it."""
        where = {"bus": f"slot{index}"} if self.slots else {}
        return {"driver": self.card, "netdev": f"net{index}", "id": f"nic{index}", "mac": self.mac(index), **where}

    def file(self, what):
        return self.net.directory / f"{self.letter}.{what}"

    def command(self, taps):
        words = ["qemu-system-x86_64", "-name", self.name, "-accel", "tcg,thread=multi", "-machine", "q35", "-m", self.memory,
                 "-smp", "1", "-display", "none", "-no-user-config", "-nodefaults", "-vga", "std"]
        if self.uefi:
            if not self.file("vars").exists():
                shutil.copyfile(VARIABLES, self.file("vars"))
            words += ["-drive", f"if=pflash,unit=0,format=raw,readonly=on,file={FIRMWARE}",
                      "-drive", f"if=pflash,unit=1,format=raw,file={self.file('vars')}"]
        kind = self.path.suffix.removeprefix(".")
        words += ["-drive", f"if=none,id=disk,format={kind},file={self.path}"]
        words += {"virtio": ["-device", "virtio-blk-pci,drive=disk,bootindex=1"],
                  "sata": ["-device", "ide-hd,drive=disk,bootindex=1"],
                  "pvscsi": ["-device", "pvscsi", "-device", "scsi-hd,drive=disk,bootindex=1"]}[self.bus]
        for index, tap in enumerate(taps):
            if self.slots:
                words += ["-device", f"pcie-root-port,id=slot{index},chassis={index + 1}"]
            device = ",".join(f"{name}={value}" for name, value in self.device(index).items())
            words += ["-netdev", f"tap,id=net{index},ifname={tap},script=no,downscript=no",
                      "-device", device.removeprefix("driver=")]
        for name, content in self.told.items():
            self.file(f"told-{name}").write_text(content)
            words += ["-fw_cfg", f"name=opt/org.koi/{name},file={self.file(f'told-{name}')}"]
        words += ["-device", "i6300esb", "-action", "watchdog=reset", "-object", "rng-random,filename=/dev/urandom,id=random",
                  "-device", "virtio-rng-pci,rng=random", "-device", "qemu-xhci", "-device", "usb-kbd",
                  "-chardev", f"socket,id=console,path={self.file('console')},server=on,wait=off,logfile={self.file('log')}",
                  "-serial", "chardev:console", "-qmp", f"unix:{self.file('qmp')},server=on,wait=off"]
        return [str(word) for word in words + self.words]

    def power_on(self, words=()):
        """Switches it on; the console is read from the first character."""
        taps = self.net.cards(self.letter)
        self.begin, self.text, self.amid = time.monotonic(), "", "-loadvm" in words
        errors = open(self.file("errors"), "w")
        self.process = subprocess.Popen(["ip", "netns", "exec", SWITCH, *self.command(taps), *map(str, words)], stderr=errors,
                                        stdin=subprocess.DEVNULL, stdout=errors, preexec_fn=die_with_parent)
        self.console = self.connect("console")
        self.reader = threading.Thread(target=self.read_console, args=(self.console,), daemon=True)
        self.reader.start()
        self.control = self.connect("qmp").makefile("rw")
        self.control.readline()
        self.tell("qmp_capabilities")
        return self

    def connect(self, what):
        connection = socket.socket(socket.AF_UNIX)
        deadline = time.monotonic() + 20
        while True:
            try:
                connection.connect(str(self.file(what)))
                return connection
            except OSError:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    raise Failed(f"{self.name} does not start: {self.file('errors').read_text()[-2000:]}") from None
                time.sleep(0.02)

    def read_console(self, connection):
        while True:
            try:
                got = connection.recv(65536)
            except OSError:
                return
            if not got:
                return
            self.text += got.decode(errors="replace")

    def tell(self, command, **arguments):
        """One command to QEMU; its answer."""
        words = {"execute": command, **({"arguments": arguments} if arguments else {})}
        self.control.write(json.dumps(words) + "\n")
        self.control.flush()
        while line := self.control.readline():
            said = json.loads(line)
            if "error" in said:
                raise Failed(f"{self.name}: {command}: {said['error']['desc']}")
            if "return" in said:
                return said["return"]
        return None

    def monitor(self, line):
        """A command of QEMU's own monitor."""
        return self.tell("human-monitor-command", **{"command-line": line})

    def runs(self):
        return self.process is not None and self.process.poll() is None

    def pull_the_plug(self):
        """As if its power failed, now."""
        if self.runs():
            # The command in front has become QEMU.
            os.kill(self.process.pid, signal.SIGKILL)
        if self.process:
            self.process.wait()
        if self.console:
            self.console.close()

    def hang(self):
        """Its processor runs in a circle from now on and hears no interrupt, as if the kernel had gone mad. Needs `-gdb`."""
        def ask(words):
            line.sendall(f"${words}#{sum(words.encode()) & 255:02x}".encode())
            heard = ""
            while True:
                # That the machine has stopped is said, too, sooner or later.
                answers = [said for said in re.findall(r"\$([^#]*)#..", heard) if not said.startswith("T")]
                if answers:
                    line.sendall(b"+")
                    return answers[0]
                got = line.recv(65536).decode()
                if not got:
                    raise Failed(f"{self.name} does not listen to a debugger")
                heard += got

        while True:
            line = self.connect("gdb")
            where = struct.unpack_from("<Q", bytes.fromhex(ask("g")), 16 * 8)[0]
            # Only in the kernel is it allowed to close its ears.
            deep = where >= 1 << 63
            done = deep and ask(f"M{where:x},3:faebfe") == "OK"
            ask("D")
            line.close()
            if done:
                return
            time.sleep(0.01)

    def press_power_button(self, seconds=60):
        """And waits until it is off."""
        self.tell("system_powerdown")
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise Failed(f"{self.name} is still on {seconds} s after its power button: {self.story()}") from None

    def cable(self, index, plugged):
        self.tell("set_link", name=f"nic{index}", up=plugged)

    def take_out(self, index):
        """A card, while the machine runs; waits until it is out."""
        self.tell("device_del", id=f"nic{index}")
        until(f"nic{index} is out", lambda: all(device["name"] != f"nic{index}"
                                                for device in self.tell("qom-list", path="/machine/peripheral")))

    def put_in(self, index):
        """A card that was taken out."""
        self.tell("device_add", **self.device(index))

    def mark(self):
        """A place in what the console has said so far."""
        return len(self.text)

    def says(self, pattern, seconds=60, since=0):
        """Waits until the console has said it, behind a mark; the match."""
        found = None

        def said():
            nonlocal found
            found = re.search(pattern, self.text[since:])
            return found or not self.runs()
        try:
            until(f"{self.name} says {pattern}", said, seconds)
        except Failed as failure:
            raise Failed(f"{failure}: {self.story()}") from None
        if not found:
            raise Failed(f"{self.name} ended before it said {pattern}: {self.story()}")
        return found

    def type(self, text):
        self.console.sendall(text.encode())

    def enter(self, line, answer=PROMPT, seconds=60, hidden=False):
        """Types a line; what the console says up to the answer. A hidden line is not shown while it is typed."""
        mark = self.mark() + (0 if hidden else len(line))
        begin = self.mark()
        self.type(line + "\r")
        found = self.says(answer, seconds, since=mark)
        return self.text[begin:mark + found.end()]

    def story(self):
        """The end of what the console has said."""
        lines = self.text.replace("\r", "").splitlines()[-25:]
        return "".join(f"\n      | {line}" for line in lines)
