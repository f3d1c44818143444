"""The commands of Debian that a build uses, and how one is run."""

import os
import pathlib
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
#: By command, the package that has it.
COMMANDS = {
    "qemu-img": "qemu-utils", "mformat": "mtools", "sfdisk": "fdisk", "mke2fs": "e2fsprogs", "zstd": "zstd",
    "depmod": "kmod", "grub-mkimage": "grub-common", "grub-editenv": "grub-common", "dpkg-deb": "dpkg", "git": "git",
    "gcc": "gcc", "xz": "xz-utils", "apt-get": "apt",
}
#: By file, where there is no command.
FILES = {
    "/usr/lib/grub/i386-pc/boot.img": "grub-pc-bin", "/usr/lib/grub/x86_64-efi/kernel.img": "grub-efi-amd64-bin",
}


class Failed(Exception):
    """The build cannot go on."""


def missing():
    """The packages that this machine lacks."""
    path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    lacking = {package for command, package in COMMANDS.items() if not shutil.which(command, path=path)}
    return sorted(lacking | {package for file, package in FILES.items() if not os.path.exists(file)})


def check():
    """Ends the build unless everything is there; who may install packages is asked to."""
    lacking = missing()
    if lacking:
        sys.exit(f"vm-images/build: as root: apt-get install --no-install-recommends {' '.join(lacking)}")


def run(*words, **options):
    """Runs a command to its end and returns what it printed; what depends on the time, the place or the language of a
    machine is the same on all."""
    usual = {**os.environ, "LC_ALL": "C", "TZ": "UTC", "MTOOLS_SKIP_CHECK": "1", "E2FSPROGS_FAKE_TIME": str(epoch()),
             "SOURCE_DATE_EPOCH": str(epoch()), "PATH": os.environ.get("PATH", "") + ":/usr/sbin:/sbin"}
    environment = {**usual, **options.pop("environment", {})}
    done = subprocess.run([str(w) for w in words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment, **options)
    if done.returncode != 0:
        said = (done.stdout + done.stderr).decode(errors="replace")
        raise Failed(f"{' '.join(map(str, words))}: exit {done.returncode}: {said[-3000:]}")
    return done.stdout


def epoch():
    """The moment that every file of a build has: that of the commit."""
    given = os.environ.get("SOURCE_DATE_EPOCH")
    if given:
        return int(given)
    said = subprocess.run(["git", "-C", ROOT, "log", "-1", "--format=%ct"], capture_output=True, text=True)
    return int(said.stdout) if said.returncode == 0 and said.stdout.strip() else 1_700_000_000


def version():
    """Koi's own, from its manifest."""
    for line in (ROOT / "Cargo.toml").read_text().splitlines():
        if line.startswith("version = "):
            return line.split('"')[1]
    raise Failed("Cargo.toml names no version")
