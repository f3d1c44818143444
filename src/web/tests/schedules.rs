//! Schedules: their list, their form of several time ranges, and the rules that follow them.

use super::Browser;
use super::editing::{fields, with};
use super::html::filled_in;

const HOURS: &str = "
[[schedule]]
name = \"office\"
description = \"When <we> work\"
[[schedule.time_range]]
weekdays = [\"mon\", \"fri\"]
hours = \"8:00-17:30\"
[[schedule.time_range]]
days = [\"12-24\", \"12-31\"]
description = \"Half days\"
[[schedule]]
name = \"always\"
[[schedule.time_range]]
[[rule]]
id = 3000000
interface = \"lan\"
action = \"block\"
schedule = \"office\"
description = \"No games\"
";

fn browser() -> Browser {
    let mut browser = Browser::new(&format!("{}{}{HOURS}", super::DOCUMENT, super::router::users()));
    browser.log_in("otto", "correct horse");
    browser
}

fn hours(browser: &Browser, schedule: usize) -> Vec<String> {
    browser.paper.document().schedules[schedule].time_ranges.iter().map(ToString::to_string).collect()
}

#[test]
fn the_list_says_when_and_where() {
    let browser = browser();
    let page = browser.get("/firewall/schedules").body;
    for text in
        ["mon fri 8:00-17:30", "12-24 12-31 0:00-24:00 (Half days)", "in 1 place", "nowhere", "At present"]
    {
        assert!(page.contains(text), "{text}: {page}");
    }
    assert!(page.contains("in force until") || page.contains("not in force until"), "{page}");
    let page = browser.get("/firewall/schedules/edit/office").body;
    assert!(page.contains("rule 3000000") && page.contains("No games"), "where it is used: {page}");
    let rules = browser.get("/firewall/rules?tab=lan").body;
    assert!(rules.contains("data-label=\"Schedule\">office<"), "{rules}");
}

#[test]
fn time_ranges_come_and_go_with_what_is_filled_in() {
    let browser = browser();
    let path = "/firewall/schedules/edit/office";
    let form = |browser: &Browser| filled_in(&browser.get(path).body, path);
    // As it stands it stays, though there is room for another range.
    assert_eq!(browser.post_bare(path, &fields(&form(&browser))).status, 303);
    assert_eq!(browser.paper.document(), browser.site.config());
    let filled = form(&browser);
    let mut more = with(&filled, "schedule[0].time_range[2].hours", "22-24");
    more.extend([
        ("schedule[0].time_range[2].weekdays", "sat"),
        ("schedule[0].time_range[2].weekdays", "sun"),
    ]);
    assert_eq!(browser.post_bare(path, &more).status, 303);
    assert_eq!(
        hours(&browser, 0),
        ["mon fri 8:00-17:30", "12-24 12-31 0:00-24:00 (Half days)", "sat sun 22:00-24:00"]
    );
    let filled = form(&browser);
    let first = filled.iter().filter(|(name, _)| !name.starts_with("schedule[0].time_range[0]"));
    let without: Vec<(&str, &str)> = first.map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(browser.post_bare(path, &without).status, 303);
    assert_eq!(hours(&browser, 0), ["12-24 12-31 0:00-24:00 (Half days)", "sat sun 22:00-24:00"]);
}

#[test]
fn a_week_is_ticked_and_leaves_alone_what_it_does_not_show() {
    let browser = browser();
    let path = "/firewall/schedules/week/office";
    for from in ["/firewall/schedules", "/firewall/schedules/edit/office"] {
        assert!(browser.get(from).body.contains(&format!("href=\"{path}\"")), "{from}");
    }
    let page = browser.get(path).body;
    assert!(
        page.contains("mon fri 8:00-17:30") && page.contains("12-24 12-31 0:00-24:00 (Half days)"),
        "{page}"
    );
    let ticks = |page: &str| filled_in(page, path).iter().filter(|(name, _)| name.len() == 3).count();
    assert_eq!(ticks(&page), 0, "none of them is from hour to hour");
    // Ticks of a browser without script.
    let fields =
        [("mon", "8"), ("mon", "9"), ("tue", "8"), ("tue", "9"), ("sun", "23"), ("mon", "99"), ("tue", "x")];
    let answer = browser.change(path, &fields);
    assert_eq!((answer.status, answer.header("location")), (303, "/firewall/schedules"), "{}", answer.body);
    let expected =
        ["mon tue 8:00-10:00", "sun 23:00-24:00", "mon fri 8:00-17:30", "12-24 12-31 0:00-24:00 (Half days)"];
    assert_eq!(hours(&browser, 0), expected);
    let page = browser.get(path).body;
    assert_eq!(ticks(&page), 5);
    // As it stands it stays.
    let form = filled_in(&page, path);
    assert_eq!(browser.post_bare(path, &super::editing::fields(&form)).status, 303);
    assert_eq!(hours(&browser, 0), expected);
    // Always is a whole week; none at all is said to be wrong, and what was ticked is shown again.
    let path = "/firewall/schedules/week/always";
    assert_eq!(
        filled_in(&browser.get(path).body, path).iter().filter(|(name, _)| name.len() == 3).count(),
        168
    );
    let answer = browser.change(path, &[]);
    assert_eq!(answer.status, 422);
    assert!(answer.body.contains("has no hours"), "{}", answer.body);
    assert_eq!(browser.get("/firewall/schedules/week/never").status, 404);
    assert!(!Browser::of("rita").get("/firewall/schedules").body.contains("Week<"));
}

#[test]
fn what_is_wrong_with_hours_stands_beside_them() {
    let browser = browser();
    let path = "/firewall/schedules/edit/office";
    for (field, value, text) in [
        ("schedule[0].name", "8", "not a name for a schedule"),
        ("schedule[0].time_range[0].hours", "17-8", "no hours of a day"),
        ("schedule[0].time_range[1].days", "02-30", "not a day of the year"),
        ("schedule[0].time_range[1].weekdays", "mon", "not both"),
    ] {
        let filled = filled_in(&browser.get(path).body, path);
        let answer = browser.post_bare(path, &with(&filled, field, value));
        assert_eq!(answer.status, 422, "{field}: {}", answer.body);
        let elements = answer.elements();
        let errors: Vec<_> = elements
            .iter()
            .filter(|element| element.attribute("id").is_some_and(|id| id.ends_with("-error")))
            .collect();
        assert!(errors.len() == 1 && errors[0].text.contains(text), "{field}: {}", answer.body);
    }
    // The range that was emptied is gone from the form that is shown again; what is wrong with the other is at its place.
    let filled = filled_in(&browser.get(path).body, path);
    let wrong = with(&filled, "schedule[0].time_range[1].days", "13-1");
    let wrong: Vec<_> = wrong.into_iter().filter(|(name, _)| !name.contains("time_range[0]")).collect();
    let answer = browser.post_bare(path, &wrong);
    assert!(answer.body.contains("id=\"schedule-0--time-range-0--days-error\""), "{}", answer.body);
    // One without any hours says so at the place for them.
    let path = "/firewall/schedules/new?tab=";
    let filled = filled_in(&browser.get("/firewall/schedules/new").body, path);
    let name = filled.iter().find(|(name, _)| name.ends_with(".name")).unwrap().0.clone();
    let answer = browser.post_bare(path, &with(&filled, &name, "nothing"));
    assert_eq!(answer.status, 422);
    assert!(answer.body.contains("has no hours"), "{}", answer.body);
    assert!(answer.body.contains("time-range-0--weekdays-error"), "{}", answer.body);
}

#[test]
fn a_rule_picks_a_schedule_and_follows_its_name() {
    let browser = browser();
    let path = "/firewall/rules/edit/3000000";
    let filled = filled_in(&browser.get(path).body, path);
    let name = filled.iter().find(|(name, _)| name.ends_with(".schedule")).unwrap().0.clone();
    assert_eq!(browser.post_bare(path, &with(&filled, &name, "always")).status, 303);
    let schedule = |browser: &Browser| {
        let document = browser.paper.document();
        document.rules.iter().find(|rule| rule.id.0 == 3_000_000).unwrap().schedule.clone()
    };
    assert_eq!(schedule(&browser).as_deref(), Some("always"));
    let path = "/firewall/schedules/edit/always";
    let filled = filled_in(&browser.get(path).body, path);
    let answer = browser.post_bare(path, &with(&filled, "schedule[1].name", "day_and_night"));
    assert_eq!(answer.status, 303, "{}", answer.body);
    assert_eq!(hours(&browser, 1), ["0:00-24:00"], "always is not nothing");
    assert_eq!(schedule(&browser).as_deref(), Some("day_and_night"));
    assert_eq!(
        browser.change("/firewall/schedules/delete/day_and_night", &[]).status,
        422,
        "a rule needs it"
    );
}
