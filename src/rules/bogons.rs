//! Networks that nobody on the internet has: the lists behind two tick boxes.

/// "Block private networks": RFC 1918, the shared space of carriers (RFC 6598), loopback, and unique local
/// addresses (RFC 4193). pfSense's list, with RFC 6598.
pub(super) const PRIVATE: &[&str] =
    &["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "127.0.0.0/8", "fc00::/7"];

/// "Block bogon networks": what IANA's special-purpose registries (RFC 6890) call not globally reachable and
/// is no private network, and all of IPv6 outside 2000::/3 but link-local and unique local addresses.
pub(super) const BOGONS: &[&str] = &[
    "0.0.0.0/8",
    "169.254.0.0/16",
    "192.0.0.0/24",
    "192.0.2.0/24",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "224.0.0.0/3",
    "::/3",
    "4000::/2",
    "8000::/2",
    "c000::/3",
    "e000::/4",
    "f000::/5",
    "f800::/6",
    "fe00::/9",
    "fec0::/10",
    "2001:2::/48",
    "2001:10::/28",
    "2001:db8::/32",
    "3fff::/20",
];
