//! An imported document on a machine that has one already: what belongs to the machine stays.

use super::super::Config;
use super::super::model::Node;

/// The imported document for this node of the one in force. Its ports, key and loopback address stay, and those of its
/// peer; so do what upgrades are trusted by and those who may log in, whom the file's users join.
pub fn settle(imported: Config, present: &Config, node: &str) -> Config {
    let mut new = imported;
    new.revision = present.revision;
    new.system.release_keys.clone_from(&present.system.release_keys);
    new.system.version_floor.clone_from(&present.system.version_floor);
    let strangers = std::mem::take(&mut new.users);
    new.users.clone_from(&present.users);
    new.users
        .extend(strangers.into_iter().filter(|user| present.users.iter().all(|own| own.name != user.name)));
    let own = new.nodes.pop();
    let remains = |name: &str| new.interfaces.iter().any(|interface| interface.name == name);
    let nodes = present.nodes.iter().filter_map(|there| match there.name == node {
        true => own.clone().map(|own| on_machine(own, there)),
        false => {
            let mut other = there.clone();
            other.interfaces.retain(|part| remains(&part.name));
            Some(other)
        }
    });
    new.nodes = nodes.collect();
    if present.pair.is_some() {
        new.pair.clone_from(&present.pair);
    }
    let sync = new.pair.as_ref().map(|pair| pair.sync.clone());
    let is_used =
        |name: &String| Some(name) == sync.as_ref() || new.interfaces.iter().any(|it| it.port == *name);
    new.nodes.iter_mut().for_each(|node| node.ports.retain(|port| is_used(&port.name)));
    new
}

fn on_machine(imported: Node, present: &Node) -> Node {
    let Node { name, public_key, loopback, ports, interfaces } = present.clone();
    let new_ports = imported.ports.into_iter().filter(|port| ports.iter().all(|own| own.name != port.name));
    let mut parts = imported.interfaces;
    for part in parts.iter_mut().filter(|part| part.mac.is_none()) {
        part.mac = interfaces.iter().find(|own| own.name == part.name).and_then(|own| own.mac);
    }
    Node {
        name,
        public_key,
        loopback,
        ports: ports.iter().cloned().chain(new_ports).collect(),
        interfaces: parts,
    }
}
