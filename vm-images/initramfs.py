"""The whole system beside its kernel: one program and the kernel's modules."""

import hashlib
import lzma
import pathlib

from archive import Archive
from needs import Failed, epoch, run, version

LIST = pathlib.Path(__file__).with_name("modules.list")
DIRECTORIES = ["dev", "proc", "sys", "run", "tmp", "boot", "etc/koi", "var/lib/koi"]


def wanted():
    """The names in modules.list, and of each whether it is to lie there unpacked."""
    lines = (line.split("#")[0] for line in LIST.read_text().splitlines())
    return [(name.lstrip("+").replace("_", "-"), name.startswith("+")) for line in lines for name in line.split()]


def plain(file):
    """A module's name, as lists write it: hyphens, no directory, no ending."""
    return file.rsplit("/", 1)[-1].split(".ko")[0].replace("_", "-")


class Modules:
    """The modules of modules.list with those that they need."""

    def __init__(self, kernel):
        self.kernel = kernel
        lines = (line.split(":") for line in (kernel.modules / "modules.dep").read_text().splitlines())
        known = {plain(file): (file, needs.split()) for file, needs in lines}
        built_in = {plain(line) for line in (kernel.modules / "modules.builtin").read_text().split()}
        self.files, self.usual, missing, soft = {}, set(), [], self.soft()
        for name, usual in wanted():
            if name in known:
                file, needs = known[name]
                # modules.dep names all that a module needs, not only the next ones.
                for each in [file, *needs]:
                    needs = known[plain(each)][1]
                    also = [known[other][0] for need in [each, *needs] for other in soft.get(plain(need), ()) if other in known]
                    for other in also:
                        self.files[plain(other)] = (other, known[plain(other)][1])
                    self.files[plain(each)] = (each, list(dict.fromkeys([*needs, *also])))
                    self.usual.update([each, *also] if usual else [])
            elif name not in built_in:
                missing.append(name)
        if missing:
            raise Failed(f"this kernel has no {', '.join(missing)}")

    def soft(self):
        """By module, those that it asks the kernel for while it begins, by an alias; of several the one for any processor."""
        aliases, found = {}, {}
        for line in (self.kernel.modules / "modules.alias").read_text().splitlines():
            if line.startswith("alias "):
                alias, name = line.split()[1:3]
                aliases.setdefault(alias, []).append(plain(name))
        for line in (self.kernel.modules / "modules.softdep").read_text().splitlines():
            words = line.split(" post:")[0].split()
            if words[:1] == ["softdep"] and "pre:" in words:
                names = [aliases.get(word, [plain(word)]) for word in words[words.index("pre:") + 1:]]
                found[plain(words[1])] = [next((n for n in each if n.endswith("generic")), each[0]) for each in names]
        return found

    def name(self, file):
        """What a file is called in the image."""
        flat = file.rsplit("/", 1)[-1]
        return flat.removesuffix(".xz") if file in self.usual else flat

    def content(self, file):
        """What it holds there."""
        packed = (self.kernel.modules / file).read_bytes()
        return lzma.decompress(packed) if file in self.usual and file.endswith(".xz") else packed

    def into(self, archive):
        """Flat, beside lists that speak of these alone."""
        place = f"lib/modules/{self.kernel.release}"
        flat = {self.name(file): [self.name(need) for need in needs] for file, needs in self.files.values()}
        for file, _ in self.files.values():
            archive.file(f"{place}/{self.name(file)}", self.content(file))
        dependencies = "".join(f"{file}: {' '.join(needs)}".rstrip() + "\n" for file, needs in sorted(flat.items()))
        archive.file(f"{place}/modules.dep", dependencies.encode())
        aliases = (self.kernel.modules / "modules.alias").read_text().splitlines(keepends=True)
        kept = [line for line in aliases if line.startswith("alias ") and plain(line.split()[-1]) in self.files]
        archive.file(f"{place}/modules.alias", "".join(kept).encode())


def build(kernel, program, into):
    """Writes the compressed archive; the build's name."""
    archive = Archive(epoch())
    for name in DIRECTORIES:
        archive.directory(name)
    # The kernel opens it before /init mounts anything.
    archive.device("dev/console", 5, 1)
    archive.device("dev/null", 1, 3)
    content = program.read_bytes()
    archive.file("init", content, 0o755)
    Modules(kernel).into(archive)
    name = hashlib.sha256(kernel.image.read_bytes() + content).hexdigest()[:12]
    archive.file("etc/koi/release", f"version={version()}\nbuild={name}\nkernel={kernel.release}\n".encode())
    loose = into.with_suffix(".cpio")
    with open(loose, "wb") as file:
        archive.write(file)
    run("zstd", "-q", "-19", "-T1", "-f", loose, "-o", into)
    loose.unlink()
    return name
