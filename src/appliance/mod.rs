//! Koi as the only program of a machine: what begins when the power comes, and what survives when it goes.
//!
//! The image holds a kernel and this program, nothing else. The kernel starts it as the first process ([`init`]), which
//! mounts, loads modules, finds the configuration ([`origin`]), starts the router's parent and the consoles, and looks
//! after them. The console is a menu that asks the router what it can, over the control socket.
//!
//! A disk has two slots with a kernel and a program each ([`slot`]). An update fills the other one and has
//! it tried once; who was tried and is well is kept, and otherwise the one before comes back by itself.
//!
//! Invariant: whatever is wrong with the configuration, or with the disk that holds it, the machine comes up with a console
//! that says so, and forwards what it can.

mod buttons;
mod children;
pub mod console;
pub mod doctor;
pub mod factory;
mod first;
mod hardware;
mod health;
mod image;
pub mod init;
pub mod journal;
mod kernel_log;
pub mod label;
mod look;
pub mod menu;
pub mod modules;
mod options;
pub mod origin;
pub mod partition;
mod reset;
pub mod situation;
pub mod slot;
mod speaker;
pub mod trial;
mod turn;
mod uevent;
pub mod update;
mod watchdog;
