//! Takes out of the document what would keep it from being valid, and tells so: an import must not fail for one rule.

use std::collections::BTreeMap;

use super::super::report::Group;
use super::context::{Context, Key, Told};
use crate::config::model::Config;
use crate::config::{defaults, validate};

/// What falls with something else falls in the next round; names lead no further than this.
const ROUNDS: usize = 12;

pub(super) fn prune(ctx: &mut Context<'_>) {
    for _ in 0..ROUNDS {
        let Err(problems) = validate(ctx.config.clone()) else { return };
        let mut condemned: BTreeMap<Part, String> = BTreeMap::new();
        let mut stays = Vec::new();
        for problem in problems {
            match Part::of(&problem.path, &ctx.config, ctx) {
                Some(part) => {
                    condemned.entry(part).or_insert(problem.message);
                }
                None => stays.push(problem),
            }
        }
        if condemned.is_empty() {
            return ctx.report.report.problems = stays;
        }
        take_out(ctx, condemned);
    }
    ctx.report.report.problems = validate(ctx.config.clone()).err().unwrap_or_default();
}

/// A part that can be left out.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Part {
    Rule(usize),
    Forward(usize),
    OneToOne(usize),
    Npt(usize),
    Mapping(usize),
    Alias(usize),
    Gateway(usize),
    GatewayGroup(usize),
    Route(usize),
    Group(usize),
    Schedule(usize),
    User(usize),
    /// All of them.
    Users,
    Vip(usize),
    VipAddress(usize, usize),
    Address(usize, usize),
    Advertisements(usize),
    Mtu(usize),
    Mss(usize),
    Mac(usize),
    Timer(String),
    StateLimit,
    AntiLockout,
}

/// The numbers in brackets of a path.
fn numbers(path: &str) -> Vec<usize> {
    path.split('[').skip(1).filter_map(|rest| rest.split(']').next()?.parse().ok()).collect()
}

impl Part {
    fn of(path: &str, config: &Config, ctx: &Context<'_>) -> Option<Part> {
        let list = path.split('[').next().unwrap_or_default();
        let numbers = numbers(path);
        let (first, second) = (numbers.first().copied(), numbers.get(1).copied());
        let Some(index) = first else {
            return match path.strip_prefix("system.timeouts.") {
                Some(timer) => Some(Part::Timer(timer.into())),
                None if path == "user" => Some(Part::Users),
                None if path == "system.anti_lockout" => Some(Part::AntiLockout),
                None => (path == "system.state_limit").then_some(Part::StateLimit),
            };
        };
        match list {
            "rule" => Some(Part::Rule(index)),
            "port_forward" => Some(Part::Forward(index)),
            "one_to_one" => Some(Part::OneToOne(index)),
            "npt" => Some(Part::Npt(index)),
            "outbound.rule" => Some(Part::Mapping(index)),
            "alias" => Some(Part::Alias(index)),
            "gateway" => Some(Part::Gateway(index)),
            "gateway_group" => Some(Part::GatewayGroup(index)),
            "route" => Some(Part::Route(index)),
            "interface_group" => Some(Part::Group(index)),
            "user" => Some(Part::User(index)),
            "schedule" => Some(Part::Schedule(index)),
            "virtual_ip" => match second
                .filter(|_| config.virtual_ips.get(index).is_some_and(|vip| vip.addresses.len() > 1))
            {
                Some(address) => Some(Part::VipAddress(index, address)),
                None => Some(Part::Vip(index)),
            },
            "interface" if path.ends_with("router_advertisements") => Some(Part::Advertisements(index)),
            "interface" if path.ends_with("mtu") => Some(Part::Mtu(index)),
            "interface" if path.ends_with("mss") => Some(Part::Mss(index)),
            "node" => {
                let part = config.nodes.first()?.interfaces.get(second?)?;
                if path.ends_with("mac") {
                    return part.mac.is_some().then_some(Part::Mac(second?));
                }
                let address = *numbers.get(2)?;
                // The interface's own address is for people to correct; further ones are not.
                let key = Key::Address(part.name.clone(), part.addresses.get(address)?.addr());
                ctx.told.contains_key(&key).then_some(Part::Address(second?, address))
            }
            _ => None,
        }
    }
}

fn take_out(ctx: &mut Context<'_>, condemned: BTreeMap<Part, String>) {
    let mut gone: Vec<(Key, String)> = Vec::new();
    let config = &mut ctx.config;
    let numbered = |id| Key::Numbered(id);
    let of = |part: fn(usize) -> Part| Condemned { all: &condemned, part };
    of(Part::Rule).leave(&mut config.rules, |rule| numbered(rule.id), &mut gone);
    of(Part::Forward).leave(&mut config.port_forwards, |forward| numbered(forward.id), &mut gone);
    of(Part::OneToOne).leave(&mut config.one_to_ones, |entry| numbered(entry.id), &mut gone);
    of(Part::Npt).leave(&mut config.npts, |npt| numbered(npt.id), &mut gone);
    of(Part::Mapping).leave(&mut config.outbound.rules, |rule| numbered(rule.id), &mut gone);
    of(Part::Alias).leave(&mut config.aliases, |alias| Key::Alias(alias.name.clone()), &mut gone);
    of(Part::Gateway).leave(&mut config.gateways, |gateway| Key::Gateway(gateway.name.clone()), &mut gone);
    of(Part::GatewayGroup).leave(
        &mut config.gateway_groups,
        |group| Key::GatewayGroup(group.name.clone()),
        &mut gone,
    );
    of(Part::Route).leave(&mut config.routes, |route| Key::Route(route.destination), &mut gone);
    of(Part::Group).leave(&mut config.interface_groups, |group| Key::Group(group.name.clone()), &mut gone);
    of(Part::Schedule).leave(&mut config.schedules, |it| Key::Schedule(it.name.clone()), &mut gone);
    of(Part::User).leave(&mut config.users, |user| Key::User(user.name.clone()), &mut gone);
    if let Some(why) = condemned.get(&Part::Users) {
        gone.extend(config.users.drain(..).map(|user| (Key::User(user.name), why.clone())));
    }
    // From the end, so that the numbers of the others stay.
    for (part, why) in condemned.iter().rev() {
        match part {
            Part::VipAddress(index, address) => {
                let vip = &mut config.virtual_ips[*index];
                let prefix = vip.addresses.remove(*address);
                let key = match address {
                    0 => Key::Vip(vip.interface.clone(), vip.vhid.0),
                    _ => Key::Address(vip.interface.clone(), prefix.addr()),
                };
                gone.push((key, why.clone()));
            }
            Part::Address(index, address) => {
                let part = &mut config.nodes[0].interfaces[*index];
                let key = Key::Address(part.name.clone(), part.addresses.remove(*address).addr());
                gone.push((key, why.clone()));
            }
            Part::Rule(_) | Part::Forward(_) | Part::OneToOne(_) | Part::Npt(_) | Part::Mapping(_) => {}
            Part::Alias(_) | Part::Gateway(_) | Part::GatewayGroup(_) => {}
            Part::Route(_) | Part::Group(_) | Part::Vip(_) => {}
            Part::User(_) | Part::Users | Part::Schedule(_) => {}
            Part::Advertisements(_) | Part::Mtu(_) | Part::Mss(_) | Part::Mac(_) => {}
            Part::Timer(_) | Part::StateLimit | Part::AntiLockout => {}
        }
    }
    of(Part::Vip).leave(
        &mut config.virtual_ips,
        |vip| Key::Vip(vip.interface.clone(), vip.vhid.0),
        &mut gone,
    );
    for (key, why) in gone {
        if let Some(Told { group, what, how, place }) = ctx.told.remove(&key) {
            ctx.report.retract(group, what, how, &place.path);
            ctx.report.add(Group::Inactive, what, why, place);
        }
    }
    condemned.into_iter().for_each(|(part, why)| reset(ctx, &part, why));
}

/// What of a list has to go.
struct Condemned<'a> {
    all: &'a BTreeMap<Part, String>,
    part: fn(usize) -> Part,
}

impl Condemned<'_> {
    fn leave<T>(self, list: &mut Vec<T>, key: impl Fn(&T) -> Key, gone: &mut Vec<(Key, String)>) {
        let mut index = 0;
        list.retain(|member| {
            let why = self.all.get(&(self.part)(index));
            index += 1;
            gone.extend(why.map(|why| (key(member), why.clone())));
            why.is_none()
        });
    }
}

/// Settings go back to what they are without being said.
fn reset(ctx: &mut Context<'_>, part: &Part, why: String) {
    let config = &mut ctx.config;
    let (what, interface) = match part {
        Part::Advertisements(index) => {
            config.interfaces[*index].router_advertisements = false;
            ("router advertisements", Some(*index))
        }
        Part::Mtu(index) => {
            config.interfaces[*index].mtu = defaults::MTU;
            ("MTU", Some(*index))
        }
        Part::Mss(index) => {
            config.interfaces[*index].mss = None;
            ("MSS", Some(*index))
        }
        Part::Mac(index) => {
            config.nodes[0].interfaces[*index].mac = None;
            ("MAC address", None)
        }
        Part::Timer(_) => {
            config.system.timeouts = Default::default();
            ("timers", None)
        }
        Part::StateLimit => {
            config.system.state_limit = defaults::STATE_LIMIT;
            ("state limit", None)
        }
        Part::AntiLockout => {
            config.system.anti_lockout = true;
            ("lack of an anti-lockout rule", None)
        }
        Part::Rule(_)
        | Part::Forward(_)
        | Part::OneToOne(_)
        | Part::Npt(_)
        | Part::Mapping(_)
        | Part::Alias(_) => return,
        Part::Gateway(_)
        | Part::GatewayGroup(_)
        | Part::Route(_)
        | Part::Group(_)
        | Part::User(_)
        | Part::Users
        | Part::Schedule(_)
        | Part::Vip(_)
        | Part::VipAddress(..)
        | Part::Address(..) => return,
    };
    let name =
        interface.and_then(|index| config.interfaces.get(index)).map(|interface| interface.name.clone());
    let path = name.map_or("system".to_owned(), |name| format!("interfaces/{name}"));
    let words: Vec<&str> = path.split('/').collect();
    if let Some(element) = ctx.tree.root.find(&words) {
        ctx.say(Group::Inactive, what, why, &path, element);
    }
}
