//! The pair: who serves, and what the other one must know for taking over.

pub mod replica;
pub mod role;
