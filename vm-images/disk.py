"""The disk: GPT, a loader for BIOS and UEFI, the slots, and a partition for what is to stay. No root, no loop devices:
every part is a file until it is copied to its place."""

import pathlib
import struct
import tempfile

from needs import Failed, run, version

HERE = pathlib.Path(__file__).parent
SECTOR = 512
MIB = 1 << 20
#: Where GRUB's core lies: behind the partition table, before the first partition that others see.
CORE, CORE_END = 34, 2048
BOOT_MIB, CONFIG_MIB = 192, 64
SIZE_MIB = 1 + BOOT_MIB + CONFIG_MIB + 1
#: Ids are always the same: two images are equal, and a restored disk is still the one that is looked for.
ID = "6b6f6900-0000-4000-8000-0000000000"
TABLE = f"""\
label: gpt
label-id: {ID}00
first-lba: {CORE}
start={CORE}, size={CORE_END - CORE}, type=21686148-6449-6E6F-744E-656564454649, name=bios, uuid={ID}01
start=1MiB, size={BOOT_MIB}MiB, type=C12A7328-F81F-11D2-BA4B-00A0C93EC93B, name=boot, uuid={ID}02
start={1 + BOOT_MIB}MiB, size={CONFIG_MIB}MiB, type=0FC63DAF-8483-4772-8E79-3D69D8477DE4, name=config, uuid={ID}03
"""
GRUB = ["part_gpt", "fat", "search", "search_label", "configfile", "normal", "linux", "echo", "test", "loadenv", "serial",
        "terminal", "minicmd", "reboot", "sleep"]


def build(image, initramfs, into):
    """Writes the disk with the two files in slot A; B stays empty until the first update."""
    with tempfile.TemporaryDirectory(dir=into.parent) as work:
        work = pathlib.Path(work)
        boot, config, core = work / "boot", work / "config", work / "core"
        run("grub-mkimage", "-O", "i386-pc", "-c", HERE / "early.cfg", "-p", "/grub", "-o", core, "biosdisk", "linux16", *GRUB)
        fill_boot(boot, image, initramfs, work)
        make_config(config)
        disk = work / "disk"
        with open(disk, "wb") as file:
            file.truncate(SIZE_MIB * MIB)
        run("sfdisk", "-q", disk, input=TABLE.encode())
        with open(disk, "r+b") as file:
            place(boot, file, 1 * MIB)
            place(config, file, (1 + BOOT_MIB) * MIB)
            embed(pathlib.Path("/usr/lib/grub/i386-pc/boot.img").read_bytes(), core.read_bytes(), file)
        disk.replace(into)


def fill_boot(boot, image, initramfs, work):
    """The file system that firmware and GRUB read."""
    efi, environment = work / "efi", work / "grubenv"
    run("grub-mkimage", "-O", "x86_64-efi", "-c", HERE / "early.cfg", "-p", "/grub", "-o", efi, *GRUB, "efi_gop", "all_video")
    run("grub-editenv", environment, "create")
    run("grub-editenv", environment, "set", "good=A")
    with open(boot, "wb") as file:
        file.truncate(BOOT_MIB * MIB)
    # Clusters of 2 KiB: as large as FAT32 permits at this size.
    run("mformat", "-i", boot, "-F", "-c", "4", "-v", "KOIBOOT", "-N", "6b6f6901", "::")
    run("mmd", "-i", boot, "::/EFI", "::/EFI/BOOT", "::/grub", "::/A", "::/B")
    (work / "version").write_text(f"{version()}\n")
    for source, name in [(efi, "EFI/BOOT/BOOTX64.EFI"), (HERE / "grub.cfg", "grub/grub.cfg"), (environment, "grub/grubenv"),
                         (image, "A/vmlinuz"), (initramfs, "A/initrd"), (work / "version", "A/version")]:
        run("mcopy", "-i", boot, source, f"::/{name}")


def make_config(config):
    """An empty file system; nothing is copied into it, since that would copy this machine's clock, too."""
    with open(config, "wb") as file:
        file.truncate(CONFIG_MIB * MIB)
    extended = f"hash_seed={ID}04,root_owner=0:0,lazy_itable_init=0,lazy_journal_init=0"
    run("mke2fs", "-q", "-t", "ext4", "-L", "KOICONFIG", "-U", f"{ID}04", "-m", "0", "-O", "^metadata_csum_seed", "-E",
        extended, config)


def place(part, disk, at):
    """Copies a part to its place and leaves holes where it has nothing."""
    with open(part, "rb") as source:
        while block := source.read(MIB):
            if block.count(0) != len(block):
                disk.seek(at)
                disk.write(block)
            at += len(block)


def embed(boot, core, disk):
    """Puts GRUB's first sector and its core where a BIOS finds them, as grub-bios-setup does."""
    core += bytes(-len(core) % SECTOR)
    sectors = len(core) // SECTOR
    if sectors > CORE_END - CORE:
        raise Failed(f"GRUB's core has {sectors} sectors, which is too much")
    boot, core = bytearray(boot), bytearray(core)
    # The first sector: where the core begins; the drive is the one that the BIOS names, and is not second-guessed.
    struct.pack_into("<Q", boot, 0x5C, CORE)
    boot[0x64] = 0xFF
    boot[0x66:0x68] = b"\x90\x90"
    # The core's own first sector: where the rest of it is, and the segment that it is loaded to.
    struct.pack_into("<QHH", core, SECTOR - 12, CORE + 1, sectors - 1, 0x820)
    disk.seek(0)
    first = bytearray(disk.read(SECTOR))
    first[:440] = boot[:440]
    first[510:] = b"\x55\xaa"
    disk.seek(0)
    disk.write(first)
    disk.seek(CORE * SECTOR)
    disk.write(core)


def convert(disk, into):
    """The disk in QEMU's own format."""
    run("qemu-img", "convert", "-O", "qcow2", disk, into)
