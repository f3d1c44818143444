//! What VMware tells a virtual machine.

use std::fs;

/// The longest value.
const LONGEST: usize = 8 << 20;

/// The value of `guestinfo.KEY`; `None` when this is no VMware machine, or it has none.
pub fn read(key: &str) -> Option<String> {
    // Elsewhere the instruction is a fault, or means something else.
    let maker = fs::read_to_string("/sys/class/dmi/id/sys_vendor").ok()?;
    if !maker.starts_with("VMware") {
        return None;
    }
    let mut door = vmw_backdoor::access_backdoor_privileged().ok()?;
    door.probe_vmware_backdoor().ok()?;
    let mut channel = door.open_enhanced_chan().ok()?;
    let value = channel.get_guestinfo(format!("guestinfo.{key}").as_bytes()).ok()??;
    (value.len() <= LONGEST).then(|| String::from_utf8(value).ok())?
}
