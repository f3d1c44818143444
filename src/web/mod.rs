//! The web page: status of ports, routes, neighbours, flows and counters.
//!
//! Served with TLS on the router's own addresses, and plainly on a loopback address of the machine when asked. A page is
//! one struct, one handler, one template; handlers know no networking, they ask a handle and render. Complete
//! without script.

mod auth;
mod certificate;
mod handle;
mod headers;
mod limited;
mod page;
mod serve;
mod start;
mod throttle;

pub use auth::{Password, USER};
pub use start::{PASSWORD, start};
