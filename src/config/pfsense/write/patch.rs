//! Changes the fields of an element that are another than they were.

use super::super::tree::{Element, Entities};

/// An element that is being changed. `changed` says whether the field is another than before.
pub(super) struct Patch {
    pub(super) element: Element,
    entities: Entities,
}

impl Patch {
    pub(super) fn new(element: Element, entities: Entities) -> Patch {
        Patch { element, entities }
    }

    /// A text; none takes the element away.
    pub(super) fn text(&mut self, changed: bool, name: &str, text: Option<String>) {
        if !changed {
            return;
        }
        match text {
            Some(text) => self.element.put(Element::leaf(name, &text, self.entities)),
            None => self.element.remove(name),
        }
    }

    /// A flag by presence: one that is off is absent.
    pub(super) fn flag(&mut self, changed: bool, name: &str, on: bool) {
        self.text(changed, name, on.then(String::new));
    }

    /// A whole block.
    pub(super) fn block(&mut self, changed: bool, block: Element) {
        if changed {
            self.element.put(block);
        }
    }
}
