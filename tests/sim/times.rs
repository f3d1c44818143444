//! Long silences.

use std::time::Duration;

use koi::wire::Drop;
use smoltcp::socket::tcp;

use crate::audit::Audit;
use crate::cable::Quality;
use crate::for_each_seed;
use crate::story::{SERVER, Story, ip};
use crate::transfers::Transfer;

const DAY: Duration = Duration::from_secs(86_400);

#[test]
fn an_idle_connection_lives_for_a_day_and_no_longer() {
    for_each_seed(|seed| {
        let mut story = Story::new(seed, Quality::CLEAN);
        let Story { client, server, .. } = story;
        let world = &mut story.world;
        let mut transfer = Transfer::new(world, client, server, SERVER, 80, seed);
        transfer.finish(world);
        world.run_for(DAY - Duration::from_secs(600));
        transfer.append(b"good morning");
        transfer.finish(world);
        world.run_for(DAY * 10);
        assert_eq!(world.routers[0].shard.states(), 0);
        let before = world.routers[0].shard.drops_of(Drop::NoFlow);
        transfer.append(b"is anybody there?");
        transfer.go_on(world, Duration::from_secs(20));
        assert!(world.routers[0].shard.drops_of(Drop::NoFlow) > before, "the drop has a name");
        assert!(!transfer.is_complete(), "what is forgotten may not begin in the middle");
        world.hosts[client].sockets.get_mut::<tcp::Socket>(transfer.from.1).abort();
        world.hosts[server].sockets.get_mut::<tcp::Socket>(transfer.to.1).abort();

        Transfer::new(world, client, server, SERVER, 81, seed + 1).finish(world);
        let handle = world.hosts[client].ping(4);
        world.hosts[client].ask(handle, 4, ip(SERVER));
        world.run_for(Duration::from_secs(2));
        assert!(world.hosts[client].answered(handle));
        Audit::all(world);
    });
}

#[test]
fn two_silent_days_are_survived_and_forgotten() {
    for_each_seed(|seed| {
        let mut story = Story::new(seed, Quality::ROUGH);
        let Story { client, server, .. } = story;
        let world = &mut story.world;
        for number in 0..2 {
            let address = if number == 0 { SERVER } else { "2001:db8:1::1" };
            Transfer::new(world, client, server, address, 80 + number, seed).finish(world);
            let steps = world.steps;
            world.run_for(DAY * 2);
            // The two gateways are asked after twice a minute.
            assert!(world.steps - steps < 80_000, "{} steps: nobody is busy", world.steps - steps);
            let snapshot = world.routers[0].shard.snapshot(world.now);
            assert_eq!(snapshot.states.current, 0);
            let others: Vec<_> = snapshot
                .neighbours
                .iter()
                .filter(|row| ![ip(SERVER), ip("2001:db8:1::1")].contains(&row.address))
                .collect();
            assert!(others.is_empty(), "{others:?}");
        }
        Transfer::new(world, client, server, SERVER, 90, seed + 1).finish(world);
    });
}
