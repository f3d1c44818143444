//! The whole router as one value.

pub mod snapshot;
