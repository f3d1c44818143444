"""What the image is made of, with versions and licences, as CycloneDX."""

import json
import re
import time
import urllib.parse
import uuid

import kernel
from needs import ROOT, epoch, run, version
from program import TARGET


def crates():
    """The libraries that are linked into koi: what its dependencies need for this machine, tests left out."""
    said = run("cargo", "metadata", "--format-version", "1", "--locked", "--filter-platform", TARGET, cwd=ROOT)
    metadata = json.loads(said)
    packages = {package["id"]: package for package in metadata["packages"]}
    nodes = {node["id"]: node for node in metadata["resolve"]["nodes"]}
    root = metadata["resolve"]["root"]
    reached, todo = set(), [root]
    while todo:
        this = todo.pop()
        if this in reached:
            continue
        reached.add(this)
        todo += [dependency["pkg"] for dependency in nodes[this]["deps"]
                 if any(kind["kind"] is None for kind in dependency["dep_kinds"])]
    hashes = checksums()
    for package in sorted((packages[id] for id in reached - {root}), key=lambda p: (p["name"], p["version"])):
        yield component("library", package["name"], package["version"], package["license"] or "NOASSERTION",
                        f"pkg:cargo/{package['name']}@{package['version']}",
                        hashes.get((package["name"], package["version"])))


def checksums():
    """Of the crates, from Cargo.lock."""
    text = (ROOT / "Cargo.lock").read_text()
    pattern = r'name = "([^"]+)"\nversion = "([^"]+)"\nsource = [^\n]+\nchecksum = "([0-9a-f]{64})"'
    return {(name, number): checksum for name, number, checksum in re.findall(pattern, text)}


def debian():
    """What comes from Debian: the kernel with its modules, the loader, and the C library that is linked in."""
    pinned = kernel.lock()
    yield component("operating-system", "linux", pinned["version"], "GPL-2.0-only WITH Linux-syscall-note",
                    package_url(pinned["package"], pinned["version"]), pinned["sha256"])
    for name, package, licence in [("grub", "grub-pc-bin", "GPL-3.0-or-later"),
                                   ("grub-efi", "grub-efi-amd64-bin", "GPL-3.0-or-later"),
                                   ("glibc", "libc6-dev", "LGPL-2.1-or-later"),
                                   ("libgcc", "libgcc-12-dev", "GPL-3.0-or-later WITH GCC-exception-3.1")]:
        number = run("dpkg-query", "-W", "-f", "${Version}", package).decode()
        yield component("library" if name in ("glibc", "libgcc") else "application", name, number, licence,
                        package_url(package, number))


def package_url(name, number):
    return f"pkg:deb/debian/{urllib.parse.quote(name)}@{urllib.parse.quote(number)}?arch=amd64&distro=debian-12"


def component(kind, name, number, licence, purl, sha256=None):
    """Licences are written as SPDX has them; crates of old have a slash for OR."""
    fields = {"type": kind, "bom-ref": purl, "name": name, "version": number,
              "licenses": [{"expression": licence.replace("/", " OR ")}], "purl": purl}
    if sha256:
        fields["hashes"] = [{"alg": "SHA-256", "content": sha256}]
    return fields


def build(name, into):
    """Writes it for the build with this name."""
    rust = re.search(r"^rustc (\S+)", run("rustc", "--version").decode())[1]
    standard = component("library", "rust-std", rust, "MIT OR Apache-2.0", f"pkg:generic/rust-std@{rust}")
    components = [*debian(), standard, *crates()]
    koi = component("firmware", "koi", version(), "MIT OR Apache-2.0", f"pkg:generic/koi@{version()}")
    koi["properties"] = [{"name": "koi:build", "value": name}]
    document = {
        "bomFormat": "CycloneDX", "specVersion": "1.5",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, f'koi:{version()}:{name}')}", "version": 1,
        "metadata": {"timestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(epoch())), "component": koi},
        "components": components,
        "dependencies": [{"ref": koi["bom-ref"], "dependsOn": [part["bom-ref"] for part in components]}],
    }
    into.write_text(json.dumps(document, indent=1) + "\n")
