//! A change of the document: from the tree of the draft to a draft that makes sense.

use axum::response::{IntoResponse, Response};
use serde_json::Value;

use super::edit::{Editor, Rejected};
use super::form::tree;
use super::message::Message;
use super::visitor::{Posted, Visitor};
use crate::config::life::Author;
use crate::config::{Config, Problem, Valid};

/// What somebody wants to do to the tree of an edition.
pub(super) struct Change<F> {
    who: Author,
    edition: String,
    change: F,
}

impl<T, F: FnOnce(&mut Value) -> Result<T, Rejected>> Change<F> {
    /// A change that this visitor's form asks for.
    pub fn new(visitor: &Visitor, posted: &Posted, change: F) -> Self {
        Change { who: visitor.author(), edition: posted.edition().to_owned(), change }
    }

    /// Changes the tree of the draft, which must still be the edition that the form was made from.
    ///
    /// # Errors
    /// When it is not, or when the change is not possible.
    pub fn begin(self, editor: &dyn Editor) -> Result<(Author, String, Value, T), Rejected> {
        let Change { who, edition, change } = self;
        let draft = editor.draft();
        if draft.edition != edition {
            return Err(Rejected::Stale);
        }
        let mut tree = tree::tree(&draft.document);
        let outcome = change(&mut tree)?;
        Ok((who, edition, tree, outcome))
    }

    /// Changes the draft.
    ///
    /// # Errors
    /// Also when the document would not make sense.
    pub fn save(self, editor: &dyn Editor) -> Result<(), Rejected> {
        let (who, edition, tree, _) = self.begin(editor)?;
        let document = judge(&tree, Vec::new()).map_err(Rejected::Problems)?;
        editor.save(&who, &edition, document)
    }
}

/// The document of a tree, unless it does not make sense or something was wrong before.
///
/// # Errors
/// Every problem; what was wrong before first, and once.
pub(super) fn judge(tree: &Value, mut problems: Vec<Problem>) -> Result<Valid<Config>, Vec<Problem>> {
    match tree::check(tree) {
        Ok(document) if problems.is_empty() => Ok(document),
        Ok(_) => Err(problems),
        Err(more) => {
            let known = |problem: &Problem| problems.iter().any(|known| known.path == problem.path);
            let more: Vec<Problem> = more.into_iter().filter(|problem| !known(problem)).collect();
            problems.extend(more);
            Err(problems)
        }
    }
}

/// Says why nothing was changed.
pub(super) fn rejection(rejected: Rejected) -> Response {
    match rejected {
        Rejected::Stale => {
            let text = "Somebody has changed the configuration since this page was shown. Open it again.";
            Message::conflict(text).into_response()
        }
        Rejected::Problems(problems) => {
            let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
            Message::conflict(lines.join(" ")).into_response()
        }
        Rejected::Failed(why) => Message::conflict(why).into_response(),
        Rejected::Gone => Message::missing("What this is about is not there any more.").into_response(),
        Rejected::NotHere => {
            let text = "This router's configuration is changed in its file, not on its pages.";
            Message::conflict(text).into_response()
        }
    }
}
