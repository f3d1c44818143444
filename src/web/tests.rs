//! The pages as a browser sees them: a router that answers, a document that can be edited, and requests over TCP.

mod browser;
mod certificates;
mod comfort;
mod editing;
mod html;
mod living;
mod logins;
mod rights;
mod router;
mod setting_up;

use browser::Browser;
use router::DOCUMENT;
