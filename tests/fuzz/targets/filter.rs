//! What people type: the filter of a capture, and requests on the control socket.
//!
//! Input: a byte (lowest bit: 0 filter, 1 request); a filter is followed by a line feed and a frame to try it on.
#![no_main]

use koi::io::request::Request;
use koi::wire::filter::Filter;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((control, rest)) = data.split_first() else { return };
    match control & 1 {
        0 => {
            let at = rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
            let frame = rest.get(at + 1..).unwrap_or_default();
            if let Ok(text) = std::str::from_utf8(&rest[..at]) {
                filter(text, frame);
            }
        }
        _ => request(rest),
    }
});

/// Logic holds whatever the frame.
fn filter(text: &str, frame: &[u8]) {
    let Ok(filter) = text.parse::<Filter>() else { return };
    let kept = filter.matches(frame);
    let word = |text: String| text.parse::<Filter>().map(|filter| filter.matches(frame));
    if filter == Filter::Everything {
        return assert!(kept);
    }
    // With words around it the filter may be too long or nested too deep.
    for (text, expected) in [
        (format!("({text})"), kept),
        (format!("not ({text})"), !kept),
        (format!("({text}) and not ({text})"), false),
        (format!("({text}) or not ({text})"), true),
    ] {
        assert!(word(text.clone()).is_ok_and(|found| found == expected) || word(text).is_err());
    }
    assert!(!kept || !frame.is_empty() || text.contains("not"), "nothing proves nothing");
}

fn request(json: &[u8]) {
    let Ok(request) = serde_json::from_slice::<Request>(json) else { return };
    let written = serde_json::to_vec(&request).expect("every request has a JSON form");
    assert_eq!(serde_json::from_slice::<Request>(&written).expect("it was written here"), request);
    if let Request::Capture { filter: text, .. } = request {
        filter(&text, &[]);
    }
}
