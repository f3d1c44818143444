//! `interfaces`, `vlans`: logical interfaces, the devices that carry them, and the node's addresses.

use std::collections::HashMap;
use std::net::IpAddr;

use super::super::mapping::{self, Device};
use super::super::report::Group;
use super::super::tree::Element;
use super::context::{Context, Key};
use crate::config::defaults::{self, INTERFACE_LIMIT};
use crate::config::model::{Interface, NodeInterface, Scrub, Zone};
use crate::types::Prefix;

/// Names, without their numbers, of devices that are not cables.
static VIRTUAL_DEVICES: &[&str] = &[
    "pppoe",
    "pptp",
    "l2tp",
    "ppp",
    "ovpns",
    "ovpnc",
    "openvpn",
    "wg",
    "tun_wg",
    "tun",
    "ipsec",
    "enc",
    "gre",
    "gif",
    "bridge",
    "lo",
    "stf",
    "zt",
    "tailscale",
    "vxlan",
    "qinq",
    "pflog",
];

/// What of an interface is read here.
static READ: &[&str] = &[
    "enable",
    "if",
    "descr",
    "ipaddr",
    "subnet",
    "ipaddrv6",
    "subnetv6",
    "gateway",
    "gatewayv6",
    "spoofmac",
    "mtu",
    "mss",
    "blockpriv",
    "blockbogons",
];

/// VLANs by the name of their device.
type Vlans<'t> = HashMap<&'t str, &'t Element>;

/// What an interface element says.
struct Found<'t> {
    name: String,
    element: &'t Element,
    device: String,
    vlan: Option<u16>,
    addresses: Vec<Prefix>,
    adapted: Vec<String>,
}

pub(super) fn read(ctx: &mut Context<'_>, sync: Option<&str>) {
    let Some(section) = ctx.tree.root.child("interfaces") else {
        return;
    };
    let vlans = ctx.list(&["vlans"], "vlan");
    let vlans: Vlans<'_> =
        vlans.iter().filter_map(|(_, vlan)| Some((vlan.text_of("vlanif")?, *vlan))).collect();
    let mut found: Vec<Found<'_>> = Vec::new();
    for element in &section.children {
        let name = element.name.to_ascii_lowercase();
        if found.len() >= INTERFACE_LIMIT {
            let how = format!("more than {INTERFACE_LIMIT} are too many");
            ctx.say(Group::Impossible, "interface", how, &format!("interfaces/{name}"), element);
        } else if !found.iter().any(|other| other.name == name) {
            found.extend(look_at(ctx, &vlans, name, element));
        }
    }
    map_devices(ctx, &found);
    for one in found {
        match sync == Some(one.name.as_str()) {
            true => sync_cable(ctx, &one),
            false => adopt(ctx, one),
        }
    }
    // What is there already keeps its place, since rules and flows know interfaces by it.
    let known = &ctx.options.known;
    let place = |name: &str| known.iter().position(|known| known.name == name).unwrap_or(known.len());
    ctx.config.interfaces.sort_by_key(|interface| place(&interface.name));
    vlans_without_interface(ctx);
}

/// What the interface is, when Koi can have it.
fn look_at<'t>(
    ctx: &mut Context<'t>,
    vlans: &Vlans<'_>,
    name: String,
    element: &'t Element,
) -> Option<Found<'t>> {
    let path = format!("interfaces/{name}");
    if !ctx.flag(element, "enable") {
        ctx.say(Group::Inactive, "interface", "it is disabled there", &path, element);
        return None;
    }
    let Some(device) = element.text_of("if") else {
        ctx.say(Group::Impossible, "interface", "it names no device", &path, element);
        return None;
    };
    let (device, vlan) = split_vlan(vlans, device);
    let kind = device.split('.').next().unwrap_or_default().trim_end_matches(|c: char| c.is_ascii_digit());
    if VIRTUAL_DEVICES.contains(&kind) {
        let how = format!("{device} is not a cable: tunnels, bridges and dial-up are not there yet");
        ctx.say(Group::Impossible, "interface", how, &path, element);
        return None;
    }
    let mut adapted = Vec::new();
    let mut addresses = Vec::new();
    for (address, subnet, dynamic) in [("ipaddr", "subnet", "IPv4"), ("ipaddrv6", "subnetv6", "IPv6")] {
        let Some(text) = element.text_of(address) else { continue };
        match address_of(text, element.text_of(subnet)) {
            Some(prefix) => addresses.push(prefix),
            None if text == "none" => {}
            None => {
                dynamic_address(ctx, &format!("{path}/{address}"), element, (text, dynamic), &mut adapted)
            }
        }
    }
    let given = ctx.options.addresses.iter().filter(|(interface, _)| *interface == name);
    for prefix in given.map(|(_, prefix)| *prefix) {
        addresses.retain(|other| other.addr().is_ipv4() != prefix.addr().is_ipv4());
        addresses.push(prefix);
        adapted.push(format!("with the address {prefix} that was given"));
    }
    Some(Found { name, element, device, vlan, addresses, adapted })
}

/// What somebody else hands out there must be given by hand here.
fn dynamic_address(
    ctx: &mut Context<'_>,
    path: &str,
    element: &Element,
    (text, family): (&str, &str),
    adapted: &mut Vec<String>,
) {
    let v4 = family == "IPv4";
    let name = element.name.to_ascii_lowercase();
    let mut given = ctx.options.addresses.iter();
    if given.any(|(interface, prefix)| *interface == name && prefix.addr().is_ipv4() == v4) {
        return;
    }
    let how = format!("{family} by {text}: give one with --address {name}=ADDRESS/LENGTH");
    ctx.say(Group::Impossible, "dynamic address", how, path, element);
    adapted.push(format!("without its {family} address"));
}

/// `em1.100`, `em1_vlan100`, or what a `vlan` element says of it.
fn split_vlan(vlans: &Vlans<'_>, device: &str) -> (String, Option<u16>) {
    let listed = vlans.get(device);
    if let Some(vlan) = listed
        && let (Some(parent), Some(Ok(tag))) = (vlan.text_of("if"), vlan.text_of("tag").map(str::parse))
    {
        return (parent.into(), Some(tag));
    }
    let split = device.rsplit_once('.').or_else(|| device.rsplit_once("_vlan"));
    match split.map(|(parent, tag)| (parent, tag.parse())) {
        Some((parent, Ok(tag))) if !parent.is_empty() => (parent.into(), Some(tag)),
        Some(_) | None => (device.into(), None),
    }
}

pub(super) fn address_of(address: &str, length: Option<&str>) -> Option<Prefix> {
    let address: IpAddr = address.parse().ok()?;
    Prefix::new(address, length?.parse().ok()?).ok()
}

/// Gives each device there a port here.
fn map_devices(ctx: &mut Context<'_>, found: &[Found<'_>]) {
    let mut devices: Vec<Device> = Vec::new();
    for one in found {
        let mut carries = one.name.clone();
        carries.extend(one.element.text_of("descr").map(|descr| format!(" ({descr})")));
        carries.extend(one.vlan.map(|vlan| format!(", VLAN {vlan}")));
        carries.extend(one.addresses.iter().map(|address| format!(", {address}")));
        let index = devices.iter().position(|device| device.name == one.device).unwrap_or_else(|| {
            devices.push(Device {
                name: one.device.clone(),
                interface: one.name.clone(),
                carries: Vec::new(),
                vlans: Vec::new(),
                networks: Vec::new(),
            });
            devices.len() - 1
        });
        let device = &mut devices[index];
        device.carries.push(carries);
        device.vlans.extend(one.vlan);
        device.networks.extend(&one.addresses);
    }
    ctx.report.report.mapping = mapping::map(&devices, ctx.options);
    for mapped in &ctx.report.report.mapping {
        let to = mapped.port.as_ref().unwrap_or(&mapped.proposal);
        let port = ctx.options.port(&mapped.device, to);
        let node = &mut ctx.config.nodes[0];
        if !node.ports.iter().any(|other| other.name == port.name) {
            node.ports.push(port);
        }
    }
}

/// The name of the port that carries a device's frames here.
pub(super) fn port_of(ctx: &Context<'_>, device: &str) -> String {
    let mapped = ctx.report.report.mapping.iter().find(|mapped| mapped.device == device);
    let to = mapped.map_or("", |mapped| mapped.port.as_ref().unwrap_or(&mapped.proposal));
    ctx.options.port(device, to).name
}

/// The interface for pfsync becomes the cable of the pair, on which Koi speaks a protocol of its own.
fn sync_cable(ctx: &mut Context<'_>, found: &Found<'_>) {
    let how =
        "it is the cable of the pair: its port speaks Koi's own protocol and has no addresses and no rules";
    ctx.say(Group::Adapted, "interface", how, &format!("interfaces/{}", found.name), found.element);
    let port = port_of(ctx, &found.device);
    if let Some(pair) = &mut ctx.config.pair {
        pair.sync = port;
    }
}

/// What an interface is called here: as the one that this machine has in its place already, or as it is there.
fn name_here(
    ctx: &Context<'_>,
    there: &str,
    port: &str,
    vlan: Option<u16>,
    adapted: &mut Vec<String>,
) -> String {
    let known = &ctx.options.known;
    let is_taken = |name: &str| ctx.config.interfaces.iter().any(|other| other.name == name);
    let same = known.iter().find(|known| known.port == port && known.vlan == vlan && !known.name.is_empty());
    let belongs_elsewhere = |name: &str| {
        is_taken(name)
            || known.iter().any(|known| known.name == name && (known.port != port || known.vlan != vlan))
    };
    let name = match same.filter(|known| !is_taken(&known.name)) {
        Some(known) => known.name.clone(),
        None if !belongs_elsewhere(there) => there.to_owned(),
        None => {
            let free = (2..=u16::MAX).map(|number| format!("{there}_{number}"));
            free.into_iter().find(|name| !belongs_elsewhere(name)).unwrap_or_else(|| there.to_owned())
        }
    };
    if name != there {
        adapted.push(format!("it is called {name} here"));
    }
    name
}

fn adopt(ctx: &mut Context<'_>, found: Found<'_>) {
    let Found { name: there, element, device, vlan, addresses, mut adapted } = found;
    let path = format!("interfaces/{there}");
    let zone = zone_of(&there, element);
    if zone == Zone::Dmz {
        adapted.push("it has no upstream gateway and is not LAN, so its zone is dmz".into());
    }
    let mtu = element.text_of("mtu").and_then(|text| text.parse().ok()).unwrap_or(defaults::MTU);
    let mss = element.text_of("mss").and_then(|text| text.parse().ok());
    let advertises = advertises(ctx, &there, zone, &addresses, &mut adapted);
    let mac = element.text_of("spoofmac").and_then(|text| text.parse().ok());
    let port = port_of(ctx, &device);
    let name = name_here(ctx, &there, &port, vlan, &mut adapted);
    ctx.config.interfaces.push(Interface {
        name: name.clone(),
        description: element.text_of("descr").unwrap_or_default().into(),
        zone,
        port,
        vlan,
        mtu,
        mss,
        block_private: ctx.flag(element, "blockpriv"),
        block_bogons: ctx.flag(element, "blockbogons"),
        router_advertisements: advertises,
        scrub: Scrub {
            no_df: ctx.tree.root.find(&["system", "scrubnodf"]).is_some(),
            random_id: ctx.tree.root.find(&["system", "scrubrnid"]).is_some(),
            ..Scrub::default()
        },
    });
    ctx.config.nodes[0].interfaces.push(NodeInterface { name: name.clone(), mac, addresses });
    ctx.names.insert(there, name.clone());
    for child in
        element.children.iter().filter(|child| !child.is_empty() && !READ.iter().any(|key| child.is(key)))
    {
        let how = "it is kept for an export: DHCP, dial-up and network cards are not Koi's";
        ctx.say(Group::Inactive, "interface setting", how, &format!("{path}/{}", child.name), child);
    }
    ctx.adopt(Key::Interface(name), "interface", &path, element, &adapted);
}

/// pfSense has no zones: an interface with an upstream gateway is a WAN there, and LAN is where the GUI stays reachable.
fn zone_of(name: &str, element: &Element) -> Zone {
    let upstream = ["gateway", "gatewayv6"]
        .into_iter()
        .filter_map(|key| element.text_of(key))
        .any(|name| name != "none");
    let dynamic = ["ipaddr", "ipaddrv6"].into_iter().filter_map(|key| element.text_of(key)).any(|text| {
        matches!(text, "dhcp" | "dhcp6" | "slaac" | "6rd" | "6to4" | "pppoe" | "pptp" | "l2tp" | "ppp")
    });
    match name {
        "wan" => Zone::Wan,
        "lan" => Zone::Lan,
        _ if upstream || dynamic => Zone::Wan,
        _ => Zone::Dmz,
    }
}

/// Router advertisements: pfSense has their settings beside those of DHCPv6.
fn advertises(
    ctx: &mut Context<'_>,
    name: &str,
    zone: Zone,
    addresses: &[Prefix],
    adapted: &mut Vec<String>,
) -> bool {
    let Some(mode) = ctx.tree.root.find(&["dhcpdv6", name]).and_then(|section| section.text_of("ramode"))
    else {
        return false;
    };
    let announces = addresses.iter().any(|prefix| matches!(prefix, Prefix::V6(v6) if v6.prefix_len() == 64));
    if mode == "disabled" || zone == Zone::Wan || !announces {
        return false;
    }
    if mode != "unmanaged" {
        adapted.push(format!("router advertisements are as in mode unmanaged, not {mode}"));
    }
    true
}

fn vlans_without_interface(ctx: &mut Context<'_>) {
    for (path, vlan) in ctx.list(&["vlans"], "vlan") {
        let (port, tag) =
            (vlan.text_of("if").unwrap_or_default(), vlan.text_of("tag").and_then(|tag| tag.parse().ok()));
        let port = port_of(ctx, port);
        let used =
            ctx.config.interfaces.iter().any(|interface| interface.port == port && interface.vlan == tag);
        match used {
            true => {
                if vlan.text_of("pcp").is_some_and(|pcp| pcp != "0") {
                    ctx.say(Group::Inactive, "VLAN priority", "frames leave with priority 0", &path, vlan);
                }
                ctx.say(Group::Imported, "VLAN", "", &path, vlan);
            }
            false => ctx.say(Group::Inactive, "VLAN", "no interface in force is on it", &path, vlan),
        }
    }
}
