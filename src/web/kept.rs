//! What takes long to be made of the policy in force, and is the same as long as that one is in force: made once, and kept.

use std::sync::{Arc, Mutex, Weak};

use super::site::lock;
use crate::node::Compiled;

/// One of them, of one policy. A policy that is in force no more is not kept alive by it.
pub(super) struct Kept<T>(Mutex<Option<(Weak<Compiled>, Arc<T>)>>);

impl<T> Default for Kept<T> {
    fn default() -> Self {
        Kept(Mutex::new(None))
    }
}

impl<T> Kept<T> {
    /// That of this policy. Others may ask meanwhile: whoever comes too early makes their own.
    pub fn of(&self, compiled: &Arc<Compiled>, make: impl FnOnce(&Compiled) -> T) -> Arc<T> {
        // As long as there is a weak reference, no other policy comes to its address.
        if let Some((of, made)) = &*lock(&self.0)
            && std::ptr::eq(of.as_ptr(), Arc::as_ptr(compiled))
        {
            return Arc::clone(made);
        }
        let made = Arc::new(make(compiled));
        *lock(&self.0) = Some((Arc::downgrade(compiled), Arc::clone(&made)));
        made
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;
    use crate::web::tests::compile;

    #[test]
    fn it_is_made_once_for_each_policy() {
        let document = Arc::new(config::load(include_str!("../../configs/pair.toml")).unwrap());
        let (first, second) = (compile(Arc::clone(&document)), compile(document));
        let (kept, mut made) = (Kept::default(), 0);
        for (policy, expected) in [(&first, 1), (&first, 1), (&second, 2), (&second, 2), (&first, 3)] {
            let number = kept.of(policy, |_| {
                made += 1;
                made
            });
            assert_eq!((*number, made), (expected, expected));
        }
        let before = Arc::downgrade(&first);
        drop(first);
        assert!(before.upgrade().is_none(), "nothing is kept alive");
    }
}
