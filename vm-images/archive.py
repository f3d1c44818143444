"""The archive that the kernel unpacks as its first file system: cpio's "newc" form, always the same for the same files."""

import stat

DIRECTORY = stat.S_IFDIR | 0o755
DEVICE = stat.S_IFCHR | 0o600


class Archive:
    """Files by name; `write` gives them in the order of their names, as root's, all of one moment."""

    def __init__(self, epoch):
        self.epoch, self.entries = epoch, {}

    def directory(self, name):
        """With the directories that it is in."""
        parts = name.strip("/").split("/")
        for end in range(1, len(parts) + 1):
            self.entries.setdefault("/".join(parts[:end]), (DIRECTORY, b"", (0, 0)))

    def file(self, name, content, mode=0o644):
        if "/" in name.strip("/"):
            self.directory(name.strip("/").rsplit("/", 1)[0])
        self.entries[name.strip("/")] = (stat.S_IFREG | mode, content, (0, 0))

    def device(self, name, major, minor):
        self.entries[name.strip("/")] = (DEVICE, b"", (major, minor))

    def write(self, file):
        for number, (name, (mode, content, device)) in enumerate(sorted(self.entries.items()), 1):
            file.write(self.entry(name, number, mode, content, device))
        file.write(self.entry("TRAILER!!!", 0, 0, b"", (0, 0)))

    def entry(self, name, inode, mode, content, device):
        links = 2 if stat.S_ISDIR(mode) else 1
        fields = [inode, mode, 0, 0, links, self.epoch, len(content), 0, 0, *device, len(name) + 1, 0]
        head = b"070701" + b"".join(b"%08X" % field for field in fields) + name.encode() + b"\0"
        return padded(head) + padded(content)


def padded(content):
    """To a multiple of four bytes."""
    return content + bytes(-len(content) % 4)
