"""The file that `koi release sign` signs and `koi update` takes: a kernel and its first file system."""

import struct

MAGIC = b"KOI IMAGE 1\n"


def build(image, initramfs, into):
    """Lengths first, then the two files."""
    contents = [image.read_bytes(), initramfs.read_bytes()]
    with open(into, "wb") as file:
        file.write(MAGIC + struct.pack(">II", *map(len, contents)))
        for content in contents:
            file.write(content)
