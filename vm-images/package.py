"""The Debian package: the program, a unit of systemd, examples."""

import gzip
import os
import pathlib
import shutil
import string
import tempfile

from needs import ROOT, epoch, run, version

HERE = pathlib.Path(__file__).with_name("debian")
SCRIPTS = ["postinst", "prerm", "postrm"]
#: What people change and an upgrade leaves alone.
CONFFILES = ["/etc/default/koi"]


def name():
    """Of the file."""
    return f"koi_{version()}_amd64.deb"


def contents():
    """By place, what is there, but for the program."""
    yield "lib/systemd/system/koi.service", (HERE / "koi.service").read_bytes()
    yield "etc/default/koi", (HERE / "koi.default").read_bytes()
    documents = "usr/share/doc/koi"
    yield f"{documents}/README.Debian", (HERE / "README.Debian").read_bytes()
    yield f"{documents}/README.md", (ROOT / "README.md").read_bytes()
    yield f"{documents}/changelog.gz", gzip.compress((ROOT / "CHANGELOG.md").read_bytes(), mtime=epoch())
    licences = [(ROOT / file).read_text() for file in ("LICENSE", "LICENSE-MIT", "LICENSE-APACHE")]
    yield f"{documents}/copyright", "\n\n".join(licences).encode()
    for file in sorted((ROOT / "configs").glob("*.toml")):
        yield f"{documents}/examples/{file.name}", file.read_bytes()


def build(program, into):
    """Writes the package."""
    with tempfile.TemporaryDirectory(dir=into.parent) as tree:
        tree = pathlib.Path(tree)
        tree.chmod(0o755)
        binary = tree / "usr/bin/koi"
        binary.parent.mkdir(parents=True)
        shutil.copyfile(program, binary)
        binary.chmod(0o755)
        for place, content in contents():
            file = tree / place
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
            file.chmod(0o644)
        size = sum(-(-file.stat().st_size // 1024) for file in tree.rglob("*") if file.is_file())
        control = tree / "DEBIAN"
        control.mkdir()
        text = string.Template((HERE / "control").read_text()).substitute(version=version(), size=size)
        (control / "control").write_text(text)
        (control / "conffiles").write_text("".join(f"{file}\n" for file in CONFFILES))
        for script in SCRIPTS:
            shutil.copyfile(HERE / script, control / script)
            (control / script).chmod(0o755)
        for place in tree.rglob("*"):
            if place.is_dir():
                place.chmod(0o755)
        for place in [tree, *tree.rglob("*")]:
            os.utime(place, (epoch(), epoch()))
        run("dpkg-deb", "--root-owner-group", "-Zxz", "--build", tree, into)
