//! The API as programs see it: a node in one process, and requests over TCP.

mod contract;
mod edits;
mod program;
mod tokens;
mod validator;

use program::Program;
