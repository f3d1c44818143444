//! The pair: two nodes that are one router.

pub mod replica;
