//! The pages as a browser sees them: a router that answers, a document that can be edited, and requests over TCP.

mod browser;
mod certificates;
mod comfort;
mod diagnostics;
mod editing;
mod html;
mod living;
mod load;
mod logins;
mod pair;
mod rights;
mod router;
mod schedules;
mod setting_up;
mod size;
mod upgrade;

use browser::Browser;
use router::DOCUMENT;
pub(super) use router::compile;
