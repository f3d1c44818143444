//! Two electors in a room.

mod faults;
mod room;
mod scenarios;
