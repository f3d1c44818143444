//! What is to be done to files, step by step. Whoever has a disk does the steps in their order and stops at the first
//! that fails.

/// A file of the configuration.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Name {
    /// The configuration file.
    Main,
    /// What will be the configuration file, beside it.
    Next,
    /// What will be the configuration file when nobody confirms, beside it.
    Back,
    /// A file in the directory beside it.
    Inside(String),
}

/// One step. After a crash what was flushed is there, and what was not may be there or not.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Step {
    /// A new file, over a left-over of the same name, for nobody else to read; its contents are flushed.
    Write(Name, Vec<u8>),
    /// It takes another name, of a file that may be there.
    Rename(Name, Name),
    /// It goes away, if it is there.
    Remove(Name),
    /// Both directories are flushed.
    Flush,
}

/// Replaces a file in one step: afterwards it has the old contents or the new ones, whatever happens in between.
pub fn put(name: Name, bytes: Vec<u8>) -> Vec<Step> {
    let temporary = Name::Inside("new".into());
    vec![Step::Write(temporary.clone(), bytes), Step::Rename(temporary, name), Step::Flush]
}

/// It goes away for good.
pub fn take_away(name: Name) -> Vec<Step> {
    vec![Step::Remove(name), Step::Flush]
}
