//! Cables that are pulled, ports that flap, neighbours that move.

use std::time::Duration;

use crate::cable::Quality;
use crate::for_each_seed;
use crate::story::{SERVER, Story};
use crate::transfers::Transfer;
use crate::world::End;

#[test]
fn a_cable_pulled_and_put_back_does_not_end_a_connection() {
    for_each_seed(|seed| {
        let mut story = Story::new(seed, Quality::CLEAN);
        let Story { client, server, .. } = story;
        let world = &mut story.world;
        let mut transfer = Transfer::new(world, client, server, SERVER, 80, seed);
        transfer.half(world);
        world.cut(End::Host(server), true);
        world.run_for(Duration::from_secs(3));
        world.cut(End::Host(server), false);
        transfer.finish(world);
    });
}
