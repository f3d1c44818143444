"""Debian's kernel: the package that kernel.lock names, unpacked."""

import hashlib
import pathlib
import shutil
import subprocess
import urllib.error
import urllib.request

from needs import Failed, run

LOCK = pathlib.Path(__file__).with_name("kernel.lock")


def lock():
    """What kernel.lock says."""
    lines = (line.split("#")[0] for line in LOCK.read_text().splitlines())
    pairs = (line.split("=", 1) for line in lines if "=" in line)
    return {name.strip(): value.strip() for name, value in pairs}


def sha256(path):
    """The hash of a file, in hex."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class Kernel:
    """An unpacked kernel: its image, and a tree with modules of which depmod has made lists."""

    def __init__(self, tree):
        self.tree = tree
        self.image, = (tree / "boot").glob("vmlinuz-*")
        self.release = self.image.name.removeprefix("vmlinuz-")
        self.modules = tree / "lib/modules" / self.release


def fetch(work):
    """Gets the package unless it is here already, and unpacks it."""
    wanted = lock()
    package = work / f"kernel-{wanted['sha256'][:16]}.deb"
    if not (package.exists() and sha256(package) == wanted["sha256"]):
        download(wanted, work, package)
    tree = work / f"kernel-{wanted['sha256'][:16]}"
    if not (tree / "complete").exists():
        unpack(package, tree)
    return Kernel(tree)


def download(wanted, work, package):
    """By apt, which knows the mirrors of this machine; otherwise from where it was when it was pinned."""
    for attempt in (by_apt, by_address):
        try:
            got = attempt(wanted, work)
        except (Failed, OSError, urllib.error.URLError, subprocess.SubprocessError):
            continue
        if sha256(got) == wanted["sha256"]:
            got.replace(package)
            return
        got.unlink()
    raise Failed(f"{wanted['package']} {wanted['version']} is to be had neither by apt nor from {wanted['url']}; "
                 f"`vm-images/bump-kernel` takes the newest one, snapshot.debian.org keeps the old ones")


def by_apt(wanted, work):
    into = work / "download"
    shutil.rmtree(into, ignore_errors=True)
    into.mkdir(parents=True)
    run("apt-get", "-q", "download", f"{wanted['package']}={wanted['version']}", cwd=into)
    got, = into.glob("*.deb")
    return got


def by_address(wanted, work):
    got = work / "download.deb"
    with urllib.request.urlopen(wanted["url"].replace("+", "%2b").replace("~", "%7e"), timeout=60) as source:
        with open(got, "wb") as file:
            shutil.copyfileobj(source, file)
    return got


def unpack(package, tree):
    shutil.rmtree(tree, ignore_errors=True)
    run("dpkg-deb", "-x", package, tree)
    if not (tree / "lib/modules").exists():
        # Newer packages have their modules there.
        (tree / "lib").mkdir(exist_ok=True)
        (tree / "lib/modules").symlink_to("../usr/lib/modules")
    release = next((tree / "lib/modules").iterdir()).name
    run("depmod", "-b", tree, release)
    (tree / "complete").touch()
