//! Sections that nothing here reads: they are kept, and told.

use super::super::report::Group;
use super::super::tree::Element;
use super::context::Context;

/// Sections that are read elsewhere, or say nothing that could have an effect.
static READ: &[&str] = &[
    "version",
    "lastchange",
    "revision",
    "system",
    "interfaces",
    "vlans",
    "ifgroups",
    "gateways",
    "staticroutes",
    "virtualip",
    "aliases",
    "filter",
    "nat",
    "schedules",
    "syslog",
    "hasync",
    "widgets",
    "rrd",
    "rrddata",
    "sshdata",
    "theme",
    "diag",
    "trigger_initial_wizard",
    "wizardtemp",
];

/// Sections whose members are told one by one: section, member, what it is, why it has no effect.
static MEMBERS: &[(&str, &str, &str, &str)] = &[
    ("dnshaper", "queue", "limiter", "traffic is not shaped"),
    ("shaper", "queue", "traffic shaper queue", "traffic is not shaped"),
    ("sysctl", "item", "system tunable", "it is one of FreeBSD"),
    ("ppps", "ppp", "dial-up connection", "there are none yet"),
    ("bridges", "bridged", "bridge", "there are none yet"),
    ("laggs", "lagg", "link aggregation", "the machine can have it below Koi's port"),
    ("gres", "gre", "GRE tunnel", "there are none yet"),
    ("gifs", "gif", "GIF tunnel", "there are none yet"),
    ("qinqs", "qinqentry", "QinQ", "there are none yet"),
    ("cron", "item", "cron job", "it is one of FreeBSD"),
];

/// Sections that are told as a whole.
static SECTIONS: &[(&str, &str)] = &[
    ("dhcpd", "DHCP server"),
    ("dhcpdv6", "DHCPv6 server and router advertisements"),
    ("kea", "DHCP server"),
    ("dhcrelay", "DHCP relay"),
    ("unbound", "DNS resolver"),
    ("dnsmasq", "DNS forwarder"),
    ("ntpd", "time server"),
    ("snmpd", "SNMP"),
    ("openvpn", "OpenVPN"),
    ("ipsec", "IPsec"),
    ("wireguard", "WireGuard"),
    ("l2tp", "L2TP"),
    ("pppoes", "PPPoE server"),
    ("captiveportal", "captive portal"),
    ("voucher", "vouchers"),
    ("dyndnses", "dynamic DNS"),
    ("installedpackages", "packages"),
    ("load_balancer", "load balancer"),
    ("notifications", "notifications"),
    ("wol", "wake on LAN"),
    ("igmpproxy", "IGMP proxy"),
    ("upnp", "UPnP"),
    ("proxyarp", "proxy ARP"),
];

pub(super) fn read(ctx: &mut Context<'_>) {
    let tree = ctx.tree;
    for section in tree.root.children.iter().filter(|section| !section.is_empty()) {
        let path = section.name.clone();
        if READ.iter().any(|name| section.is(name)) {
            continue;
        }
        if section.is("OPNsense") {
            models(ctx, section);
        } else if section.is("virtualip_carp_maintenancemode") {
            ctx.say(Group::Inactive, "CARP maintenance mode", "koi pair maintenance does it", &path, section);
        } else if ["ca", "cert", "crl"].iter().any(|name| section.is(name)) {
            ctx.say(Group::Inactive, "certificate", "it is kept with its key", &path, section);
        } else if let Some((_, member, what, how)) = MEMBERS.iter().find(|(name, ..)| section.is(name)) {
            for (index, element) in section.all(member).filter(|element| !element.is_empty()).enumerate() {
                ctx.say(Group::Inactive, what, *how, &format!("{path}/{member}[{index}]"), element);
            }
        } else if section.is("dhcpd") || section.is("dhcpdv6") {
            servers(ctx, section);
        } else {
            let what = SECTIONS.iter().find(|(name, _)| section.is(name)).map_or("section", |(_, what)| what);
            ctx.say(Group::Inactive, what, format!("<{}> is kept as it is", section.name), &path, section);
        }
    }
}

/// DHCP by interface, with what is most missed when it is gone.
fn servers(ctx: &mut Context<'_>, section: &Element) {
    for server in &section.children {
        if !ctx.flag(server, "enable") && !server.has("staticmap") {
            continue;
        }
        let path = format!("{}/{}", section.name, server.name);
        let what = if section.is("dhcpd") { "DHCP server" } else { "DHCPv6 server" };
        let how = match server.all("staticmap").count() {
            0 => "there is none yet".to_owned(),
            count => format!("there is none yet; {count} static mappings are kept"),
        };
        ctx.say(Group::Inactive, what, how, &path, server);
    }
}

/// OPNsense's newer sections, those apart that were read.
fn models(ctx: &mut Context<'_>, section: &Element) {
    for model in section.children.iter().filter(|model| !model.is_empty()) {
        let path = format!("OPNsense/{}", model.name);
        match model.name.as_str() {
            "Gateways" | "route" => {}
            "Firewall" => {
                for part in model.children.iter().filter(|part| !part.is_empty()) {
                    if !matches!(part.name.as_str(), "Alias" | "Filter") {
                        let how = format!("<{}> is kept as it is", part.name);
                        ctx.say(Group::Inactive, "section", how, &format!("{path}/{}", part.name), part);
                    }
                }
            }
            _ => ctx.say(
                Group::Inactive,
                "section",
                format!("<{}> is kept as it is", model.name),
                &path,
                model,
            ),
        }
    }
}
