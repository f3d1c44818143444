//! Builds the network with iproute2, and takes it down again.

use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};

use anyhow::{Context, bail};

use super::network::{Cable, Host, Network, PREFIX, Plug, Switch, namespace};
use crate::io::{netns, sandbox};

/// The bridge inside each switch.
const BRIDGE: &str = "br0";

/// The namespaces that exist, removed with this value.
#[derive(Debug)]
pub struct Built(Vec<String>);

impl Drop for Built {
    fn drop(&mut self) {
        for name in self.0.iter().rev() {
            // What has gone already is as good.
            let _ = remove(name);
        }
    }
}

/// Builds everything but the nodes; `sandboxed` says that this process has entered a [`sandbox`].
///
/// # Errors
/// When iproute2 or the kernel refuses something; what has been built is gone again then.
pub fn build(network: &Network, sandboxed: bool) -> anyhow::Result<Built> {
    let mut built = Built(Vec::new());
    for name in network.namespaces() {
        if sandboxed {
            sandbox::add_network_namespace(&name).with_context(|| format!("the namespace {name}"))?;
        } else {
            run(Command::new("ip").args(["netns", "add", &name]), "")?;
        }
        built.0.push(name);
    }
    for switch in &network.switches {
        build_switch(switch)?;
    }
    for host in &network.hosts {
        prepare_host(host)?;
    }
    for host in &network.hosts {
        for cable in &host.cables {
            plug_in(host, cable)?;
        }
    }
    for host in &network.hosts {
        let routes = host.routes.iter().map(|(prefix, via)| format!("route replace {prefix} via {via}"));
        batch(&namespace(host.name), &routes.collect::<Vec<_>>())?;
    }
    Ok(built)
}

fn build_switch(switch: &Switch) -> anyhow::Result<()> {
    let lines = [
        "link set lo up".into(),
        format!("link add {BRIDGE} type bridge stp_state 0 forward_delay 0 mcast_snooping 0"),
        // A switch has no address, and says nothing by itself.
        format!("link set {BRIDGE} addrgenmode none up"),
    ];
    batch(&namespace(switch.name), &lines)
}

fn prepare_host(host: &Host) -> anyhow::Result<()> {
    let name = namespace(host.name);
    batch(&name, &["link set lo up".into()])?;
    let forwarding = if host.forwards { "1" } else { "0" };
    let settings = [
        ("ipv4/ip_forward", forwarding),
        ("ipv6/conf/all/forwarding", forwarding),
        // The addresses are those of the picture.
        ("ipv6/conf/all/accept_ra", "0"),
        ("ipv6/conf/default/accept_ra", "0"),
        // Root of the namespace may use echo sockets.
        ("ipv4/ping_group_range", "0 0"),
    ];
    netns::within(Some(&name), || {
        settings.iter().try_for_each(|(key, value)| fs::write(format!("/proc/sys/net/{key}"), value))
    })
    .with_context(|| format!("the settings of {name}"))
}

/// Makes both ends of a cable. A switch's end is called like the host.
fn plug_in(host: &Host, cable: &Cable) -> anyhow::Result<()> {
    let name = namespace(host.name);
    match &cable.to {
        Plug::Switch(switch) => {
            let far = namespace(switch);
            let add = format!("link add {} type veth peer name {} netns {far}", cable.device, host.name);
            batch(&name, &[add])?;
            batch(&far, &[into_bridge(host.name)])?;
        }
        Plug::Host { name: other, device, addresses } => {
            let far = namespace(other);
            let add = format!("link add {} type veth peer name {device} netns {far}", cable.device);
            batch(&name, &[add])?;
            batch(&far, &configured(device, addresses))?;
        }
    }
    batch(&name, &configured(cable.device, &cable.addresses))
}

fn configured(device: &str, addresses: &[&str]) -> Vec<String> {
    let mut lines = vec![format!("link set {device} up")];
    lines.extend(addresses.iter().map(|address| {
        let at_once = if address.contains(':') { " nodad" } else { "" };
        format!("addr add {address} dev {device}{at_once}")
    }));
    lines
}

fn into_bridge(device: &str) -> String {
    format!("link set {device} addrgenmode none master {BRIDGE} up")
}

/// Plugs a device that is in the namespace of a switch into that switch.
///
/// # Errors
/// When there is no such device.
pub fn plug_into_switch(namespace: &str, device: &str) -> anyhow::Result<()> {
    batch(namespace, &[into_bridge(device)])
}

/// Makes the switch neither take nor give anything at a port whose link stays up, or do so again.
///
/// # Errors
/// When there is no such device.
pub fn let_pass(namespace: &str, device: &str, on: bool) -> anyhow::Result<()> {
    // "Forwarding" and "disabled", as the kernel's bridge numbers them; `ip` cannot set that.
    let state = if on { "3" } else { "0" };
    run(Command::new("bridge").args(["-n", namespace, "link", "set", "dev", device, "state", state]), "")
}

/// Removes the namespaces that another lab has left behind; gives their names.
///
/// # Errors
/// When one cannot be removed.
pub fn sweep() -> anyhow::Result<Vec<String>> {
    let entries = match fs::read_dir(netns::NAMES) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        result => result.context(netns::NAMES)?,
    };
    let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
    let names: Vec<String> = names.filter(|name| name.starts_with(PREFIX)).collect();
    names.iter().try_for_each(|name| remove(name))?;
    Ok(names)
}

fn remove(name: &str) -> anyhow::Result<()> {
    run(Command::new("ip").args(["netns", "del", name]), "")
}

/// Runs lines of `ip` inside a namespace, all or up to the first that fails.
///
/// # Errors
/// What `ip` says.
pub fn batch(namespace: &str, lines: &[String]) -> anyhow::Result<()> {
    if lines.is_empty() {
        return Ok(());
    }
    let text = lines.join("\n") + "\n";
    run(Command::new("ip").args(["-n", namespace, "-batch", "-"]), &text)
        .with_context(|| format!("in {namespace}: {}", lines.join("; ")))
}

fn run(command: &mut Command, input: &str) -> anyhow::Result<()> {
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    let name = command.get_program().to_string_lossy().into_owned();
    let mut child =
        command.spawn().with_context(|| format!("the command \"{name}\" of iproute2 cannot be started"))?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(input.as_bytes()).with_context(|| name.clone())?;
    }
    let output = child.wait_with_output()?;
    if !output.status.success() {
        bail!("{name}: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}
