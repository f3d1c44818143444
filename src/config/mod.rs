//! The one document: its model, its checks, its life.

pub mod model;

pub use model::Config;
