//! Rules with hours: what is in force when, and what becomes of flows at the end of it.

use koi::node::{self, Asked, RuleCounts};

use crate::policy::with_rules;
use crate::rig::{Rig, compile_at, udp, wall};
use crate::{CLIENT, FAR, LAN, WAN};

const OFFICE: &str = r#"
[[schedule]]
name = "office"
description = "Opening hours"
[[schedule.time_range]]
weekdays = ["mon"]
hours = "8:00-17:30"
description = "Mondays only"
[[schedule.time_range]]
days = ["12-24"]
[[rule]]
id = 1000001
interface = "lan"
action = "pass"
schedule = "office"
"#;

/// Does the client's datagram leave by WAN at this time of UTC?
fn asks(at: &str, edits: &[(&str, &str)]) -> bool {
    let mut text = with_rules(OFFICE);
    for (from, to) in edits {
        assert!(text.contains(from), "{from}");
        text = text.replacen(from, to, 1);
    }
    leaves(&mut Rig::with(compile_at(&text, 1, at)))
}

fn leaves(rig: &mut Rig) -> bool {
    rig.packet(LAN, udp((CLIENT, 5000), (FAR, 53), b"question")).iter().any(|sent| sent.port == WAN)
}

#[test]
fn a_rule_is_in_force_in_the_hours_of_its_schedule() {
    let (open, closed) = ("2026-11-23 09:00", "2026-11-23 17:30");
    assert!(asks(open, &[]) && !asks(closed, &[]));
    assert!(asks(closed, &[("schedule = \"office\"\n", "")]), "a rule without a schedule");
    assert!(asks("2026-12-24 23:59", &[]), "a day of the year, whole");
    assert!(!asks("2026-12-24 23:59", &[("12-24", "12-25")]));
    assert!(!asks(open, &[("\"mon\"", "\"tue\"")]));
    assert!(asks(closed, &[("17:30", "18:00")]));
    // It is 19:00 in Berlin in summer, and 18:00 in winter.
    let berlin = ("[system]", "[system]\ntimezone = \"Europe/Berlin\"");
    assert!(!asks("2026-11-23 17:00", &[berlin]) && asks("2026-11-23 07:00", &[berlin]));
    assert!(asks("2026-07-06 06:00", &[berlin]) && !asks("2026-07-06 05:59", &[berlin]));
    let other = "[[schedule]]\nname = \"never\"\n[[schedule.time_range]]\ndays = [\"02-29\"]\n[[rule]]";
    let edits = [("schedule = \"office\"", "schedule = \"never\""), ("[[rule]]", other)];
    assert!(!asks(open, &edits) && asks("2028-02-29 12:00", &edits));
}

#[test]
fn flows_end_with_the_hours_of_their_rule_unless_they_are_kept() {
    for (keeps, lives) in [(false, false), (true, true)] {
        let keep = format!("[system]\nschedules_keep_states = {keeps}");
        let text = with_rules(OFFICE).replacen("[system]", &keep, 1);
        let mut rig = Rig::with(compile_at(&text, 1, "2026-11-23 17:29"));
        assert!(leaves(&mut rig));
        rig.renew(compile_at(&text, 2, "2026-11-23 17:30"));
        assert_eq!(leaves(&mut rig), lives, "schedules_keep_states = {keeps}");
        assert_eq!(rig.shard.states(), usize::from(lives));
        let other = rig.packet(LAN, udp((CLIENT, 5001), (FAR, 53), b"question"));
        assert!(other.iter().all(|sent| sent.port != WAN), "new flows begin in its hours only");
        rig.renew(compile_at(&text, 3, "2026-11-30 08:00"));
        assert!(leaves(&mut rig));
    }
    // A kept flow ends all the same when another rule forbids it.
    let keep = with_rules(OFFICE).replacen("[system]", "[system]\nschedules_keep_states = true", 1);
    let mut rig = Rig::with(compile_at(&keep, 1, "2026-11-23 17:29"));
    assert!(leaves(&mut rig));
    let block = "[[rule]]\nid = 1000002\ninterface = \"lan\"\naction = \"block\"\n[[rule]]";
    rig.put_in_force(compile_at(&keep.replacen("[[rule]]", block, 1), 2, "2026-11-23 17:30"));
    assert!(!leaves(&mut rig));
}

#[test]
fn a_flow_survives_when_another_rule_lets_it_pass() {
    let always = "\n[[rule]]\nid = 1000002\ninterface = \"lan\"\naction = \"pass\"\n";
    let text = format!("{}{always}", with_rules(OFFICE));
    let mut rig = Rig::with(compile_at(&text, 1, "2026-11-23 17:29"));
    assert!(leaves(&mut rig));
    rig.put_in_force(compile_at(&text, 2, "2026-11-23 17:30"));
    assert!(leaves(&mut rig));
    assert_eq!(rig.shard.states(), 1);
}

#[test]
fn schedules_are_shown_with_what_was_written_for_people() {
    let shown = |at: &str| {
        let compiled = compile_at(&with_rules(OFFICE), 1, at);
        node::policy(&compiled, &RuleCounts::default(), wall(at))
    };
    let policy = shown("2026-11-23 09:00");
    let row = &policy.schedules[0];
    assert_eq!((row.name.as_str(), row.description.as_str(), row.on), ("office", "Opening hours", true));
    assert_eq!(row.ranges, ["mon 8:00-17:30 (Mondays only)", "12-24 0:00-24:00"]);
    assert_eq!(row.until.as_deref(), Some("2026-11-23 17:30:00 UTC"));
    let rule = policy.rules.iter().find(|row| row.id == 1_000_001).unwrap();
    assert_eq!((rule.schedule.as_deref(), rule.asleep, rule.interfaces.len()), (Some("office"), false, 1));
    let policy = shown("2026-11-23 18:00");
    let rule = policy.rules.iter().find(|row| row.id == 1_000_001).unwrap();
    assert!(rule.asleep && !policy.schedules[0].on);
    assert_eq!(policy.schedules[0].until.as_deref(), Some("2026-11-30 08:00:00 UTC"));
}

#[test]
fn an_explanation_names_the_hours_that_decide() {
    let asked = Asked {
        interface: "lan".into(),
        src: CLIENT.parse().unwrap(),
        sport: 5000,
        dst: FAR.parse().unwrap(),
        dport: 53,
        protocol: 17,
        dscp: 0,
    };
    let hours = |at: &str| {
        let compiled = compile_at(&with_rules(OFFICE), 1, at);
        let explanation = node::explain(&compiled, &[], &asked.question(&compiled).unwrap());
        let step = explanation.steps.into_iter().find(|step| step.what == "schedule").unwrap();
        (explanation.verdict, step.rule, step.text)
    };
    let (verdict, rule, text) = hours("2026-11-23 09:00");
    assert_eq!((verdict.as_str(), rule, text.as_str()), ("pass", Some(1_000_001), "office: in its hours"));
    let (verdict, rule, text) = hours("2026-11-23 18:00");
    assert_eq!((verdict.as_str(), rule), ("block", Some(1_000_001)));
    assert_eq!(text, "office: this rule decides in its hours, which are not now");
}

#[test]
fn a_rule_ends_when_it_expires_and_rests_while_it_pauses() {
    let with = |time: &str| OFFICE.replacen("schedule = \"office\"\n", time, 1);
    let asks = |time: &str, at: &str| leaves(&mut Rig::with(compile_at(&with_rules(&with(time)), 1, at)));
    let expires = "expires = \"2026-11-23T13:00:00Z\"\n";
    assert!(asks(expires, "2026-11-23 12:59") && !asks(expires, "2026-11-23 13:00"));
    assert!(asks("expires = \"2026-11-23T14:00:00Z\"\n", "2026-11-23 13:00"));
    let pauses = "paused_until = \"2026-11-23T13:00:00Z\"\n";
    assert!(!asks(pauses, "2026-11-23 12:59") && asks(pauses, "2026-11-23 13:00"));
    let both = "expires = \"2026-11-23T13:00:00Z\"\npaused_until = \"2026-11-23T12:00:00Z\"\n";
    for (at, passes) in [("11:59", false), ("12:00", true), ("12:59", true), ("13:00", false)] {
        assert_eq!(asks(both, &format!("2026-11-23 {at}")), passes, "{at}");
    }
    // The flow that it has let through ends with it.
    let text = with_rules(&with(expires));
    let mut rig = Rig::with(compile_at(&text, 1, "2026-11-23 12:59"));
    assert!(leaves(&mut rig));
    rig.renew(compile_at(&text, 2, "2026-11-23 13:00"));
    assert!(!leaves(&mut rig));
    // What is to come is known, and it is told which time it is.
    let compiled = compile_at(&text, 1, "2026-11-23 13:00");
    let policy = node::policy(&compiled, &RuleCounts::default(), wall("2026-11-23 13:00"));
    let rule = policy.rules.iter().find(|row| row.id == 1_000_001).unwrap();
    assert_eq!((rule.term.as_deref(), rule.asleep), (Some("expired 2026-11-23T13:00:00Z"), true));
    let next = koi::config::Calendar::new(&compiled.config).next_change(wall("2026-11-23 12:00"));
    assert_eq!(next, Some(wall("2026-11-23 13:00")));
}
