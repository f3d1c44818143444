//! How `koi config` says what it was answered.

use std::process::ExitCode;

use super::fail;
use super::table::Table;
use crate::config::diff::Row;
use crate::config::life::Record;
use crate::io::config_request::{ConfigAnswer, Standing};

/// A text, or what became of a change.
pub(super) fn print_answer(answer: ConfigAnswer) -> ExitCode {
    match answer {
        ConfigAnswer::Text { text, base: _ } => print!("{text}"),
        ConfigAnswer::Applied { revision, hash, confirm_within, pair } => {
            println!("In force: revision {revision}, hash {hash}");
            if let Some(pair) = pair {
                println!("Pair: {pair}");
            }
            if let Some(seconds) = confirm_within {
                println!("It goes back by itself in {seconds} s unless you keep it: koi config confirm");
            }
        }
        ConfigAnswer::Stale { revision, rows } => {
            eprintln!("Since this edit was begun, the configuration has changed to revision {revision}:");
            rows.iter().for_each(|row| eprintln!("  {}", row.words));
            return fail("the edit is refused; begin it again from what is in force (koi config discard)");
        }
        ConfigAnswer::Standing(_) | ConfigAnswer::Difference { .. } | ConfigAnswer::History(_) => {}
    }
    ExitCode::SUCCESS
}

pub(super) fn print_standing(standing: &Standing) -> ExitCode {
    let Standing { revision, hash, candidate, stale, confirm_within, unseen: _, conflicts, pair } = standing;
    println!("In force: revision {revision}, hash {hash}");
    if let Some(seconds) = confirm_within {
        println!("It goes back by itself in {seconds} s unless you keep it: koi config confirm");
    }
    if let Some(author) = candidate {
        let stale = if *stale { ", based on an earlier revision" } else { "" };
        println!("A candidate of {} ({}) waits{stale}: koi config diff", author.who, author.from);
    }
    if let Some(pair) = pair {
        println!("Pair: {pair}");
    }
    if *conflicts > 0 {
        println!("Versions that lost against the peer's: {conflicts}; see koi config conflicts");
    }
    ExitCode::SUCCESS
}

pub(super) fn print_difference(rows: &[Row], problems: &[String]) -> ExitCode {
    if rows.is_empty() && problems.is_empty() {
        println!("Nothing is different.");
    }
    for row in rows {
        println!("{:>4}  {}", row.number, row.words);
    }
    if problems.is_empty() {
        return ExitCode::SUCCESS;
    }
    problems.iter().for_each(|problem| eprintln!("{problem}"));
    fail("it cannot come into force like this")
}

pub(super) fn print_history(records: &[Record]) -> ExitCode {
    let mut table = Table::new(&[">number", ">revision", "when (UTC)", "who", "from", "label", "why"]);
    for record in records {
        let why = match &record.undoes {
            Some(_) => format!("(by itself) {}", record.why),
            None => record.why.clone(),
        };
        table.row([
            record.sequence.to_string(),
            record.revision.to_string(),
            date(record.at_ms / 1000),
            record.author.who.clone(),
            record.author.from.clone(),
            record.label.clone(),
            why,
        ]);
    }
    print!("{}", table.text());
    ExitCode::SUCCESS
}

/// `2026-01-31 23:59:59`, by the proleptic Gregorian calendar.
fn date(seconds: u64) -> String {
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    // Days from 0000-03-01, so that the leap day is the last of its year.
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02} {:02}:{:02}:{:02}", rest / 3600, rest / 60 % 60, rest % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (seconds, text) in [
            (0, "1970-01-01 00:00:00"),
            (951_782_399, "2000-02-28 23:59:59"),
            (951_782_400, "2000-02-29 00:00:00"),
            (1_709_251_199, "2024-02-29 23:59:59"),
            (1_795_660_000, "2026-11-26 02:26:40"),
        ] {
            assert_eq!(date(seconds), text);
        }
    }
}
