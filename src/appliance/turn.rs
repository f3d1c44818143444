//! Which devices get their modules first. To load those of all devices takes an emulated machine four seconds, and a
//! router needs half of them.

/// When a device gets its module. The earlier comes first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Turn {
    /// The cards, and the disks that virtual machines mostly have.
    Cards,
    /// All other disks, and what they hang on.
    Disks,
    /// Whatever is left: keyboards, the watchdog, what the hypervisor offers.
    Rest,
}

impl Turn {
    /// Of the device with this alias.
    pub fn of(alias: &str) -> Turn {
        let (bus, device) = alias.split_once(':').unwrap_or((alias, ""));
        match bus {
            "pci" => of_pci(device),
            // The kinds of VIRTIO 1.2, section 5: a card, a disk, a host adapter.
            "virtio" => match device.get(..9) {
                Some("d00000001" | "d00000002" | "d00000008") => Turn::Cards,
                Some(_) | None => Turn::Rest,
            },
            "vmbus" | "xen" => Turn::Cards,
            "acpi" if device.contains("VMBUS") || device.contains("LNRO0005") => Turn::Cards,
            "usb" if device.contains("ic08") => Turn::Disks,
            "scsi" | "mmc" => Turn::Disks,
            _ => Turn::Rest,
        }
    }
}

/// By its class and subclass, as the PCI Code and ID Assignment Specification numbers them.
fn of_pci(device: &str) -> Turn {
    let class = device.split_once("bc").map_or("", |(_, class)| class);
    match (class.get(..2), class.get(2..6)) {
        (Some("02"), Some(_)) | (Some("01"), Some("sc08")) => Turn::Cards,
        (Some("01"), Some(_)) | (Some("0C"), Some("sc03")) | (Some("08"), Some("sc05")) => Turn::Disks,
        _ => Turn::Rest,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cards_come_before_disks_and_disks_before_keyboards() {
        for (alias, turn) in [
            ("pci:v00008086d000010D3sv00008086sd00000000bc02sc00i00", Turn::Cards),
            ("pci:v00001B36d00000010sv00001AF4sd00001100bc01sc08i02", Turn::Cards),
            ("virtio:d00000001v00001AF4", Turn::Cards),
            ("virtio:d00000002v00001AF4", Turn::Cards),
            ("vmbus:635161f83edfc546913ff2d2f965ed0e", Turn::Cards),
            ("acpi:VMBUS:", Turn::Cards),
            ("pci:v00008086d00002922sv00001AF4sd00001100bc01sc06i01", Turn::Disks),
            ("pci:v00001B36d0000000Dsv00001AF4sd00001100bc0Csc03i30", Turn::Disks),
            ("usb:v46F4p0001d0000dc00dsc00dp00ic08isc06ip50in00", Turn::Disks),
            ("scsi:t-0x00", Turn::Disks),
            ("usb:v0627p0001d0000dc00dsc00dp00ic03isc01ip01in00", Turn::Rest),
            ("pci:v00008086d000025ABsv00001AF4sd00001100bc08sc80i00", Turn::Rest),
            ("virtio:d00000004v00001AF4", Turn::Rest),
            ("acpi:LNXPWRBN:", Turn::Rest),
            ("pci:", Turn::Rest),
            ("virtio:", Turn::Rest),
            ("", Turn::Rest),
        ] {
            assert_eq!(Turn::of(alias), turn, "{alias}");
        }
        assert!(Turn::Cards < Turn::Disks && Turn::Disks < Turn::Rest);
    }
}
