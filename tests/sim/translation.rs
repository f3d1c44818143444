//! Outbound NAT: everybody gets the answers that are his.

use std::time::Duration;

use crate::audit::Audit;
use crate::cable::Quality;
use crate::for_each_seed;
use crate::story::{SERVER, Story, ip};

#[test]
fn two_clients_with_one_echo_id_each_get_their_own_answer() {
    for_each_seed(|seed| {
        let mut story = Story::new(seed, Quality::CLEAN);
        let Story { client, www, .. } = story;
        let world = &mut story.world;
        let sockets = [(client, world.hosts[client].ping(77)), (www, world.hosts[www].ping(77))];
        for (host, handle) in sockets {
            world.hosts[host].ask(handle, 77, ip(SERVER));
        }
        for (host, handle) in sockets {
            world.run_until(Duration::from_secs(5), "pong", |world| world.hosts[host].answered(handle));
        }
        assert_eq!(world.routers[0].shard.states(), 2);
    });
}

#[test]
fn udp_answers_come_back_and_the_mapping_expires() {
    for_each_seed(|seed| {
        let mut story = Story::new(seed, Quality::CLEAN);
        let Story { client, server, .. } = story;
        let world = &mut story.world;
        let asked = world.hosts[server].udp(53);
        let asker = world.hosts[client].udp(5000);
        world.hosts[client].say(asker, (ip(SERVER), 53), b"question");
        let (_, from) = world.await_datagram(server, asked);
        assert_eq!(from.0, ip("203.0.113.2"));
        world.hosts[server].say(asked, from, b"answer");
        assert_eq!(world.await_datagram(client, asker).0, b"answer");
        world.run_for(Duration::from_secs(80));
        assert_eq!(world.routers[0].shard.states(), 0, "udp.multiple is 60 s");
        world.hosts[server].say(asked, from, b"late");
        world.run_for(Duration::from_secs(2));
        assert!(world.hosts[client].hear(asker).is_none());
    });
}

#[test]
fn two_clients_with_one_source_port_each_get_their_own_answers() {
    for_each_seed(|seed| {
        let mut story = Story::new(seed, Quality::ROUGH);
        let second = story.second_client(Quality::ROUGH, seed);
        let Story { client, server, .. } = story;
        let world = &mut story.world;
        let asked = world.hosts[server].udp(53);
        let askers = [(client, b"first"), (second, b"other")];
        let askers = askers.map(|(host, name)| (host, name, world.hosts[host].udp(5000)));
        let mut ports = Vec::new();
        for (host, name, asker) in askers {
            // A rough cable may lose one.
            let (words, from) = world.insist(Duration::from_secs(20), "question", |world| {
                world.hosts[host].say(asker, (ip(SERVER), 53), name);
                world.run_for(Duration::from_millis(500));
                world.hosts[server].hear(asked)
            });
            assert_eq!(words, name);
            assert_eq!(from.0, ip("203.0.113.2"));
            while world.hosts[server].hear(asked).is_some() {}
            ports.push(from);
        }
        assert_ne!(ports[0], ports[1], "the outside tells them apart");
        for ((host, name, asker), outside) in askers.into_iter().zip(ports).rev() {
            let (words, _) = world.insist(Duration::from_secs(20), "answer", |world| {
                world.hosts[server].say(asked, outside, name);
                world.run_for(Duration::from_millis(500));
                world.hosts[host].hear(asker)
            });
            assert_eq!(words, name, "one's answers never reach the other");
        }
        assert_eq!(world.routers[0].shard.states(), 2);
        Audit::all(world);
    });
}
