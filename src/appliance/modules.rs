//! Which modules of the kernel a device wants, and in which order they are loaded: the files `modules.alias` and
//! `modules.dep`, read as `modprobe` does.

use std::collections::{HashMap, HashSet};

/// Modules loaded for one device at most, dependencies included.
const CHAIN_MAX: usize = 64;

/// What is on board.
#[derive(Debug, Default)]
pub struct Modules {
    /// Patterns and module names, by what stands before the colon.
    aliases: HashMap<String, Vec<(String, String)>>,
    /// By name: the file, and the files that must be loaded before it.
    files: HashMap<String, (String, Vec<String>)>,
}

impl Modules {
    /// As the texts of `modules.alias` and `modules.dep` say. Lines that make no sense are passed over.
    pub fn new(aliases: &str, dependencies: &str) -> Modules {
        let mut modules = Modules::default();
        for line in aliases.lines() {
            let mut words = line.split_whitespace();
            if let (Some("alias"), Some(pattern), Some(name)) = (words.next(), words.next(), words.next()) {
                let bus = bus_of(pattern).to_owned();
                modules.aliases.entry(bus).or_default().push((pattern.into(), plain(name)));
            }
        }
        for line in dependencies.lines() {
            let Some((file, before)) = line.split_once(':') else { continue };
            let before = before.split_whitespace().map(base).map(str::to_owned).collect();
            modules.files.insert(plain(stem(base(file))), (base(file).into(), before));
        }
        modules
    }

    /// Names of the modules that a device with this alias wants.
    pub fn wanted<'a>(&'a self, device: &str) -> Vec<&'a str> {
        let of = |bus: &str| self.aliases.get(bus).into_iter().flatten();
        let matching = of(bus_of(device)).chain(of("")).filter(|(pattern, _)| matches(pattern, device));
        matching.map(|(_, name)| name.as_str()).collect()
    }

    /// The files to load for a module, in this order; none when it is not on board.
    pub fn chain(&self, name: &str) -> Vec<&str> {
        let Some((file, before)) = self.files.get(&plain(name)) else { return Vec::new() };
        // `modules.dep` names all dependencies, the deepest last.
        let mut seen = HashSet::new();
        let files = before.iter().rev().chain([file]).map(String::as_str);
        files.filter(|file| seen.insert(*file)).take(CHAIN_MAX).collect()
    }
}

/// What stands before the colon; nothing for a pattern that begins with a wildcard there.
fn bus_of(alias: &str) -> &str {
    let bus = alias.split(':').next().unwrap_or_default();
    if bus.contains(['*', '?', '[']) { "" } else { bus }
}

fn base(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

fn stem(file: &str) -> &str {
    file.split(".ko").next().unwrap_or(file)
}

/// The kernel takes both signs for the same.
fn plain(name: &str) -> String {
    name.replace('-', "_")
}

/// Does a text fit a pattern of `fnmatch`? `*` is any text, `?` any sign, `[a-f0]` one of several.
fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut p, mut t) = (0, 0);
    // Where to go on when the last star has to take one sign more.
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match step(&pattern[p.min(pattern.len())..], text[t]) {
            Step::One(len) => (p, t) = (p + len, t + 1),
            Step::Star => {
                star = Some((p + 1, t));
                p += 1;
            }
            Step::No => match star {
                Some((after, taken)) => {
                    star = Some((after, taken + 1));
                    (p, t) = (after, taken + 1);
                }
                None => return false,
            },
        }
    }
    pattern[p.min(pattern.len())..].iter().all(|&sign| sign == b'*')
}

enum Step {
    /// The sign fits; the pattern goes on after so many bytes.
    One(usize),
    Star,
    No,
}

fn step(pattern: &[u8], sign: u8) -> Step {
    match pattern.first() {
        Some(b'*') => Step::Star,
        Some(b'?') => Step::One(1),
        Some(b'[') => match pattern.iter().position(|&byte| byte == b']') {
            Some(end) if in_set(&pattern[1..end], sign) => Step::One(end + 1),
            Some(_) | None => Step::No,
        },
        Some(&byte) if byte == sign => Step::One(1),
        Some(_) | None => Step::No,
    }
}

fn in_set(set: &[u8], sign: u8) -> bool {
    let mut rest = set;
    loop {
        match rest {
            [from, b'-', to, after @ ..] => {
                if (*from..=*to).contains(&sign) {
                    return true;
                }
                rest = after;
            }
            [one, after @ ..] => {
                if *one == sign {
                    return true;
                }
                rest = after;
            }
            [] => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn patterns_are_those_of_the_kernel() {
        for (pattern, text, fits) in [
            ("virtio:d00000001v*", "virtio:d00000001v00001AF4", true),
            ("virtio:d00000002v*", "virtio:d00000001v00001AF4", false),
            (
                "pci:v000015ADd000007B0sv*sd*bc*sc*i*",
                "pci:v000015ADd000007B0sv000015ADsd000007B0bc02sc00i00",
                true,
            ),
            ("scsi:t-0x00*", "scsi:t-0x00", true),
            ("usb:v*p*d*dc*dsc*dp*ic03isc*ip*in*", "usb:v0627p0001d0000dc00dsc00dp00ic03isc00ip00in00", true),
            ("input:b*v*p*e*-e*1,*k*74,*", "input:b0019v0000p0001e0000-e0,1,k74,ramlsfw", true),
            ("x86cpu:type:*:feature:*00[8-A]*", "x86cpu:type:0000:feature:,0009,", true),
            ("a[bc]d", "abd", true),
            ("a[bc]d", "aed", false),
            ("a[", "a[", false),
            ("*", "", true),
            ("", "a", false),
        ] {
            assert_eq!(matches(pattern, text), fits, "{pattern} {text}");
        }
    }

    #[test]
    fn a_device_gets_its_module_after_what_that_needs() {
        let aliases =
            "# comment\nalias virtio:d00000001v* virtio_net\nalias virtio:d00000002v* virtio_blk\nalias x\n";
        let dependencies = "virtio-net.ko.xz: net_failover.ko.xz failover.ko.xz\nfailover.ko.xz:\n\
                            kernel/net/net_failover.ko.xz: failover.ko.xz\nnonsense\n";
        let modules = Modules::new(aliases, dependencies);
        assert_eq!(modules.wanted("virtio:d00000001v00001AF4"), ["virtio_net"]);
        assert!(modules.wanted("pci:v1").is_empty());
        assert_eq!(modules.chain("virtio_net"), ["failover.ko.xz", "net_failover.ko.xz", "virtio-net.ko.xz"]);
        assert!(modules.chain("virtio_blk").is_empty(), "not on board");
    }

    proptest! {
        #[test]
        fn any_pattern_and_text_end(pattern in "[a*?\\[\\]-]{0,12}", text in "[a-c]{0,12}") {
            matches(&pattern, &text);
        }

        #[test]
        fn a_text_fits_itself_and_a_star(text in "[a-z0-9:]{0,20}") {
            let more = format!("{text}*");
            prop_assert!(matches(&text, &text) && matches("*", &text) && matches(&more, &text));
        }
    }
}
