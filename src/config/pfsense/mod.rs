//! pfSense's config.xml, and OPNsense's, in and out.
//!
//! [`tree::parse`] makes an ordered tree of a file, [`import`] a document and a [`Report`]. The tree is kept as an
//! [`Origin`] beside the document, so that [`export`] gives back what Koi has no word for, and changes only what is
//! another in the document than an import of that tree makes it. Nothing here reads or writes files.
//!
//! Invariant: every section and every object of the file is in one of the report's four groups, and nothing lets more
//! through than it did there: a rule that cannot be said whole is disabled, and one that cannot be written stays out.

pub mod crypt;
pub mod mapping;
mod origin;
mod read;
pub mod report;
mod settle;
pub mod tree;
mod write;

pub use mapping::Options;
pub use origin::Origin;
pub use read::{Import, import};
pub use report::Report;
pub use settle::settle;
pub use write::{Export, export};

#[cfg(test)]
pub(crate) mod tests;
