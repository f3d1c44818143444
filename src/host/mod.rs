//! The router as an end host.

mod echo;

pub use echo::echo;
