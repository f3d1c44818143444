//! The one document: its model, its checks, its life.
//!
//! A text goes through [`load`]: [`parse`] turns it into the plain [`Config`], [`validate`] into a
//! [`Valid`] one, and either may instead return every [`Problem`] it found, each with its path, its line and
//! its remedy. A text of an older version of the format is read in the words of the present one ([`migrate`]).
//!
//! [`diff`] says what is different between two documents, [`life`] what becomes of a change: candidate, in force,
//! confirmed or rolled back, history.
//! [`calendar`] knows which schedules are in their hours; [`Conditions`] are all that a policy depends on besides its document.
//! [`outline`] says to programs what a document looks like.
//! [`pfsense`] makes a document of somebody else's file, and the other way round; [`backup`] is a whole node as one file.
//!
//! Invariant: a `Valid<Config>` can only be had from `validate`, so whoever holds one need not check again.

mod aliases;
pub mod amend;
pub mod backup;
pub mod calendar;
mod canonical;
mod conditions;
pub mod defaults;
pub mod diff;
pub mod life;
mod list;
pub mod migrate;
pub mod model;
mod nearest;
pub mod outline;
pub mod pairing;
mod parse;
mod password_kind;
pub mod pfsense;
mod problem;
mod schema;
mod support;
mod valid;
mod validate;

pub use aliases::{Aliases, Contents};
pub use calendar::Calendar;
pub use canonical::mac_for;
pub use conditions::Conditions;
pub use list::List;
pub use model::Config;
pub use parse::{load, parse};
pub use password_kind::PasswordKind;
pub use problem::Problem;
pub use valid::{NodeIndex, Valid, link_local};
pub use validate::validate;

#[cfg(test)]
pub(crate) mod arbitrary;
#[cfg(test)]
mod coverage;
#[cfg(test)]
mod tests;
