//! Pieces of pages that are rendered by themselves, for whoever has the page open.

use askama::Template;

use super::status::{Status, filters};
use crate::node::PairSnapshot;

/// A piece of a page that follows from one look at the router.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Piece {
    System,
    States,
    Pair,
    Gateways,
    Interfaces,
}

#[derive(Template)]
#[template(path = "fragment.html")]
struct Fragment<'a> {
    piece: Piece,
    status: &'a Status,
}

/// The piece; `None` when it cannot be rendered.
pub(super) fn fragment(piece: Piece, status: &Status) -> Option<String> {
    Fragment { piece, status }.render().ok()
}

/// What nobody may overlook, on every page.
#[derive(Template, Clone, Default)]
#[template(path = "part/banner.html")]
pub(super) struct Banner {
    /// A fail-over would lack this.
    pub lacks: Option<String>,
    /// This node does not serve at present.
    pub standby: bool,
}

impl Banner {
    /// What the pair says.
    pub fn of(pair: Option<&PairSnapshot>) -> Banner {
        let pair = pair.filter(|pair| pair.paired);
        Banner {
            lacks: pair.filter(|pair| !pair.redundant).map(|pair| pair.lacks.join("; ")),
            standby: pair.is_some_and(|pair| !pair.leads),
        }
    }
}
