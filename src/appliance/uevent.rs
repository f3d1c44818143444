//! What the kernel says about a device that comes, goes or changes.

/// One word of the kernel.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Uevent {
    /// It came.
    pub is_new: bool,
    /// What kind of device: `block`, `net`, `input`, …
    pub subsystem: String,
    /// What module it wants.
    pub alias: Option<String>,
}

/// Reads a message: a heading and then `NAME=value`, each ended by a zero. `None` when it is none of the kernel's.
pub fn read(bytes: &[u8]) -> Option<Uevent> {
    let mut parts = bytes.split(|&byte| byte == 0);
    let (action, _) = std::str::from_utf8(parts.next()?).ok()?.split_once('@')?;
    let mut event =
        Uevent { is_new: matches!(action, "add" | "bind" | "change"), subsystem: String::new(), alias: None };
    for (name, value) in parts.filter_map(|part| std::str::from_utf8(part).ok()?.split_once('=')) {
        match name {
            "SUBSYSTEM" => event.subsystem = value.into(),
            "MODALIAS" => event.alias = Some(value.into()),
            _ => {}
        }
    }
    Some(event)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_card_that_is_plugged_in_names_its_module() {
        let bytes =
            b"add@/devices/pci0/0000:00:05.0\0ACTION=add\0SUBSYSTEM=pci\0MODALIAS=pci:v00008086\0SEQNUM=7\0";
        let event = read(bytes).unwrap();
        assert_eq!((event.is_new, event.subsystem.as_str()), (true, "pci"));
        assert_eq!(event.alias.as_deref(), Some("pci:v00008086"));
        assert!(!read(b"remove@/devices/x\0SUBSYSTEM=net\0").unwrap().is_new);
        assert_eq!(read(b"libudev\0\xfe\xed"), None);
        assert_eq!(read(b""), None);
    }
}
