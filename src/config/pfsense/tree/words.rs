//! Names that pfSense treats in a way of their own.

/// The names that may stand several times in one element, in alphabetical order. Any other name that stands twice stops
/// pfSense's reader.
static REPEATING: &[&str] = &[
    "acls",
    "alias",
    "aliasurl",
    "allowedhostname",
    "allowedip",
    "authserver",
    "bridged",
    "build_port_path",
    "ca",
    "cacert",
    "cert",
    "checkipservice",
    "clone",
    "columnitem",
    "config",
    "container",
    "crl",
    "depends_on_package",
    "disk",
    "dnsserver",
    "dnsupdate",
    "domainoverrides",
    "dyndns",
    "earlyshellcmd",
    "element",
    "encryption-algorithm-option",
    "field",
    "fieldname",
    "gateway_group",
    "gateway_item",
    "gif",
    "gre",
    "group",
    "hash-algorithm-option",
    "hosts",
    "ifgroupentry",
    "igmpentry",
    "interface_array",
    "item",
    "key",
    "l7rules",
    "lagg",
    "lbaction",
    "lbpool",
    "lbprotocol",
    "member",
    "menu",
    "mobilekey",
    "monitor_type",
    "mount",
    "npt",
    "ntpserver",
    "onetoone",
    "openvpn-client",
    "openvpn-csc",
    "openvpn-server",
    "option",
    "package",
    "pages",
    "passthrumac",
    "phase1",
    "phase2",
    "pipe",
    "pool",
    "ppp",
    "pppoe",
    "priv",
    "proxyarpnet",
    "qinqentry",
    "queue",
    "radnsserver",
    "roll",
    "route",
    "row",
    "rrddatafile",
    "rule",
    "schedule",
    "servernat",
    "servers",
    "serversdisabled",
    "service",
    "shellcmd",
    "staticmap",
    "subqueue",
    "switch",
    "swport",
    "tab",
    "timerange",
    "tunnel",
    "user",
    "vip",
    "virtual_server",
    "vlan",
    "vlangroup",
    "voucherdbfile",
    "vxlan",
    "widget",
    "winsserver",
    "wolentry",
    "xmldatafile",
];

/// Beginnings of the names whose text pfSense writes as CDATA.
static CDATA: &[&str] = &[
    "aclname",
    "auth_pass",
    "auth_prompt",
    "auth_user",
    "certca",
    "certname",
    "city",
    "common_name",
    "descr",
    "detail",
    "email",
    "encryption_password",
    "hint",
    "ldap_",
    "ldapbind",
    "login_banner",
    "organization",
    "password",
    "proxypass",
    "proxyuser",
    "rangedescr",
    "state",
    "text",
    "username",
    "varusers",
];

/// May an element of this name stand several times in one place?
pub fn repeats(name: &str) -> bool {
    REPEATING.binary_search(&name.to_ascii_lowercase().as_str()).is_ok()
}

/// Does pfSense write the text of such an element as CDATA?
pub(super) fn in_cdata(name: &str) -> bool {
    CDATA.iter().any(|start| name.starts_with(start))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_so_that_names_are_found() {
        assert!(REPEATING.is_sorted());
        assert!(REPEATING.iter().all(|name| repeats(name)) && repeats("Rule") && !repeats("version"));
    }

    #[test]
    fn beginnings_count() {
        assert!(
            ["descr", "description", "statetype", "statetimeout", "username"]
                .map(in_cdata)
                .iter()
                .all(|x| *x)
        );
        assert!(!in_cdata("interface") && !in_cdata("bcrypt-hash"));
    }
}
