//! The `koi` command.

fn main() {}
