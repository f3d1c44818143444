"""What the build makes beside the disk itself: the OVA, the libvirt domain, the bill of materials, the Debian package."""

import contextlib
import hashlib
import json
import os
import pathlib
import re
import shutil
import subprocess
import tarfile
import time
import xml.etree.ElementTree

from network import IMAGES, PREFIX, ROOT, Failed, expect, run, until

OVF = "{http://schemas.dmtf.org/ovf/envelope/1}"
#: Where the Debian system for the package is kept between runs.
SYSTEM = ROOT / "target/vm/debian"


def sums(net):
    """Every artefact is what SHA256SUMS says, and no image is larger than it may be."""
    lines = (IMAGES / "SHA256SUMS").read_text().splitlines()
    for line in lines:
        expected, name = line.split()
        with open(IMAGES / name, "rb") as file:
            expect(hashlib.file_digest(file, "sha256").hexdigest() == expected, f"{name} is not what SHA256SUMS says")
    names = {line.split()[1] for line in lines}
    expect({"koi.qcow2", "koi.raw", "koi.ova", "koi.vmdk", "koi.xml", "koi.cdx.json", "run-pair"} <= names, f"{names}")
    sizes = {name: (IMAGES / name).stat().st_size for name in ("koi.qcow2", "koi.ova", "koi.vmdk")}
    print("    " + ", ".join(f"{name} {size / 1e6:.1f} MB" for name, size in sizes.items()))
    expect(max(sizes.values()) <= 45_000_000, f"{sizes}")


def ova(net):
    """Members, manifest and sizes agree; the description is imported and powered on by VMware's simulator."""
    with tarfile.open(IMAGES / "koi.ova") as archive:
        names = archive.getnames()
        expect(names == ["koi.ovf", "koi.mf", "koi-disk1.vmdk"], f"{names}")
        contents = {name: archive.extractfile(name).read() for name in names}
    manifest = dict(re.fullmatch(r"SHA256\((\S+)\)= ([0-9a-f]{64})", line).groups()
                    for line in contents["koi.mf"].decode().splitlines())
    for name in ("koi.ovf", "koi-disk1.vmdk"):
        expect(manifest[name] == hashlib.sha256(contents[name]).hexdigest(), f"{name} is not what the manifest says")
    envelope = xml.etree.ElementTree.fromstring(contents["koi.ovf"])
    size = int(envelope.find(f"{OVF}References/{OVF}File").get(f"{OVF}size"))
    expect(size == len(contents["koi-disk1.vmdk"]), f"the disk has {len(contents['koi-disk1.vmdk'])} bytes, not {size}")
    capacity = int(envelope.find(f"{OVF}DiskSection/{OVF}Disk").get(f"{OVF}capacity"))
    expect(capacity == (IMAGES / "koi.raw").stat().st_size, f"capacity {capacity}")
    description = net.directory / "koi.ovf"
    description.write_bytes(contents["koi.ovf"])
    run("xmllint", "--noout", description)
    unpacked = net.directory / "koi-disk1.vmdk"
    unpacked.write_bytes(contents["koi-disk1.vmdk"])
    run("qemu-img", "compare", unpacked, IMAGES / "koi.raw")
    said = simulate(description)
    expect(said.count("types.VirtualVmxnet3") == 4 and "types.VirtualLsiLogicController" in said, said)
    expect("koi 2 CPUs 1024 MB vmx-13" in said and said.endswith("powered on\n"), said)


def simulate(description):
    """Builds the importer once and runs it."""
    program = ROOT / "target/vm/import"
    source = pathlib.Path(__file__).with_name("import.go")
    if not program.exists() or program.stat().st_mtime < source.stat().st_mtime:
        environment = {**os.environ, "GO111MODULE": "off", "GOPATH": "/usr/share/gocode", "GOFLAGS": ""}
        built = subprocess.run(["go", "build", "-o", program, source], env=environment, capture_output=True, text=True)
        expect(built.returncode == 0, built.stderr[-1500:])
    return run(program, description)


def libvirt(net):
    """The domain is one that libvirt takes."""
    expect("validates" in run("virt-xml-validate", IMAGES / "koi.xml", "domain", check=False), "koi.xml does not validate")


def materials(net):
    """The bill of materials names every library, the kernel, and the loader, with a version and a licence each."""
    document = json.loads((IMAGES / "koi.cdx.json").read_text())
    parts = {part["name"]: part for part in document["components"]}
    for name in ("linux", "grub", "glibc", "rust-std", "smoltcp", "ring", "tokio"):
        expect(name in parts, f"{name} is missing")
    for part in document["components"]:
        licence = part["licenses"][0]["expression"]
        expect(part["version"] and licence and licence != "NOASSERTION", f"{part}")
    expect("proptest" not in parts, "a library of the tests is no part of the image")
    print(f"    {len(parts)} parts")


def debian(net):
    """The package is installed in a Debian system; its unit verifies, and the command that the unit names serves."""
    package, = IMAGES.glob("koi_*_amd64.deb")
    if not (SYSTEM / "etc/debian_version").exists():
        shutil.rmtree(SYSTEM, ignore_errors=True)
        run("debootstrap", "--variant=minbase", "--include=systemd,passwd", "bookworm", SYSTEM, timeout=400)
    tree = net.directory / "system"
    run("cp", "-a", "--reflink=auto", SYSTEM, tree)
    shutil.copyfile(package, tree / "koi.deb")
    run("chroot", tree, "dpkg", "-i", "/koi.deb")
    said = run("chroot", tree, "systemd-analyze", "verify", "--man=no", "/lib/systemd/system/koi.service", check=False)
    expect("koi" not in said, f"the unit: {said}")
    said = run("chroot", tree, "systemd-analyze", "security", "--offline=yes", "--no-pager", "koi.service", check=False)
    exposure = float(re.search(r"exposure level for koi.service: ([0-9.]+)", said)[1])
    print(f"    systemd-analyze security: {exposure}")
    expect(exposure < 5, said)
    expect(re.search(r"^koi:", (tree / "etc/passwd").read_text(), re.M), "there is no user koi")
    expect((tree / "etc/koi/koi.toml").stat().st_mode & 0o777 == 0o600, "the document is readable by all")
    unit = (tree / "lib/systemd/system/koi.service").read_text()
    command = re.search(r"^ExecStart=(.*)$", unit, re.M)[1].replace(" $KOI_OPTIONS", "").split()
    serve(net, tree, command)
    run("chroot", tree, "dpkg", "--purge", "koi")
    expect(not (tree / "etc/koi").exists() and not (tree / "usr/bin/koi").exists(), "something of the package stays")


def serve(net, tree, command):
    """Runs the unit's command in the system, in a network namespace of its own, until it serves its LAN."""
    name = f"{PREFIX}deb"
    run("ip", "netns", "add", name)
    (tree / "dev/net").mkdir(parents=True, exist_ok=True)
    # In a mount namespace of its own: what is mounted there goes away with it.
    script = f"mount -t proc proc {tree}/proc && mount --bind /dev {tree}/dev && mkdir -p {tree}/run/koi && exec chroot {tree} " \
             + " ".join(command)
    log = open(net.directory / "deb.log", "w")
    process = subprocess.Popen(["ip", "netns", "exec", name, "unshare", "--mount", "sh", "-c", script], stdout=log, stderr=log)
    try:
        def up():
            expect(process.poll() is None, f"koi ended: {(net.directory / 'deb.log').read_text()[-1500:]}")
            return "koi-lan" in run("ip", "-n", name, "-o", "link", check=False)
        until("the package's program makes its ports", up)
        for words in [["addr", "add", "192.168.1.10/24", "dev", "koi-lan"], ["link", "set", "koi-lan", "up"]]:
            run("ip", "-n", name, *words)
        ping = ["ip", "netns", "exec", name, "ping", "-c", "1", "-W", "1", "192.168.1.1"]
        until("the package's program answers on LAN", lambda: subprocess.run(ping, capture_output=True).returncode == 0)
        time.sleep(0.5)
    finally:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(15)
        stopped = process.poll()
        process.kill()
    if stopped != 0:
        raise Failed(f"the package's program ended with {stopped}: {(net.directory / 'deb.log').read_text()[-1500:]}")


CASES = [sums, ova, libvirt, materials, debian]
