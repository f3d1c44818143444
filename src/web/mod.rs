//! The pages: pfSense's menu and words, served with TLS on the router's own addresses, and plainly on a loopback address
//! of the machine when asked.
//!
//! A page is one struct, one thin handler, one template; most are tables. A list of the document with the form of its
//! entries is a `collection`, a form for a fixed part is `settings`; `pages/` has one table for each, and `form`
//! turns tables into forms and forms into changes of the document. `routes` has every path with the right that it
//! needs; `guard` holds every request to it; `api` is the same for programs. Handlers know no networking: they ask a `handle` what the router does,
//! and an [`edit::Editor`] to change what it shall do. Complete without script.

mod account;
mod all_rules;
mod api;
mod audit;
mod auth;
mod authenticator;
mod backup;
mod captures;
mod carp;
mod certificate;
mod certificates;
mod change;
mod collection;
mod components;
mod copying;
mod dashboard;
mod diagnostics;
mod drills;
mod easy_rule;
pub mod edit;
mod entries;
mod events;
mod factory;
mod form;
mod fragment;
mod frame;
mod guard;
mod handle;
mod hash;
mod help;
mod history;
mod import;
mod journal;
mod kept;
mod layout;
mod limited;
mod listing;
mod log_page;
mod login;
mod menu;
mod message;
mod pages;
mod pairing;
mod pem;
mod pending;
mod preferences;
mod references;
mod routes;
mod rule_report;
mod rule_time;
mod search;
mod serve;
mod services;
mod session;
mod settings;
mod share;
mod site;
mod start;
mod status;
mod steward;
mod system_log;
mod tar;
mod throttle;
mod token_page;
mod tokens;
mod totp;
mod traffic;
mod upgrade;
mod upload;
mod visitor;
mod week;
mod what_if;
mod whereabouts;
mod wizard;
mod zones;

pub use auth::{Password, USER};
pub use frame::role_name;
pub use hash::{acceptable_password, hash_password};
pub use start::{PASSWORD, start};

#[cfg(test)]
mod tests;
