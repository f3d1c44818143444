//! Two texts side by side, line by line, as `diff -u` shows them.

use std::fmt::Write;

/// Unchanged lines around a change.
const CONTEXT: usize = 3;
/// So many pairs of lines are compared at most; of a larger difference everything counts as changed.
const PAIRS: usize = 4_000_000;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Both,
    Old,
    New,
}

/// The difference in the unified form; empty when there is none.
pub fn unified(names: [&str; 2], old: &str, new: &str) -> String {
    let (old, new): (Vec<&str>, Vec<&str>) = (old.lines().collect(), new.lines().collect());
    let lines = align(&old, &new);
    let changed: Vec<usize> = (0..lines.len()).filter(|at| lines[*at].0 != Side::Both).collect();
    let mut text = String::new();
    let mut next = 0;
    while let Some(first) = changed.get(next).copied() {
        let mut last = first;
        while let Some(at) = changed.get(next).copied().filter(|at| *at <= last + 2 * CONTEXT + 1) {
            last = at;
            next += 1;
        }
        if text.is_empty() {
            let _ = write!(text, "--- {}\n+++ {}\n", names[0], names[1]);
        }
        let range = first.saturating_sub(CONTEXT)..(last + CONTEXT + 1).min(lines.len());
        hunk(&mut text, &lines, range);
    }
    text
}

fn hunk(text: &mut String, lines: &[(Side, &str)], range: std::ops::Range<usize>) {
    let count = |lines: &[(Side, &str)], without: Side| lines.iter().filter(|line| line.0 != without).count();
    let (before, inside) = (&lines[..range.start], &lines[range]);
    let place = |without| {
        let (start, length) = (count(before, without), count(inside, without));
        format!("{},{length}", if length == 0 { start } else { start + 1 })
    };
    // Writing to a String cannot fail.
    let _ = writeln!(text, "@@ -{} +{} @@", place(Side::New), place(Side::Old));
    for (side, line) in inside {
        let sign = match side {
            Side::Both => ' ',
            Side::Old => '-',
            Side::New => '+',
        };
        let _ = writeln!(text, "{sign}{line}");
    }
}

/// Every line of both, those of both once.
fn align<'t>(old: &[&'t str], new: &[&'t str]) -> Vec<(Side, &'t str)> {
    let head = old.iter().zip(new).take_while(|(old, new)| old == new).count();
    let (mine, theirs) = (&old[head..], &new[head..]);
    let tail = mine.iter().rev().zip(theirs.iter().rev()).take_while(|(old, new)| old == new).count();
    let (mine, theirs) = (&mine[..mine.len() - tail], &theirs[..theirs.len() - tail]);
    let mut lines: Vec<(Side, &str)> = old[..head].iter().map(|line| (Side::Both, *line)).collect();
    if mine.len().saturating_mul(theirs.len()) > PAIRS {
        lines.extend(mine.iter().map(|line| (Side::Old, *line)));
        lines.extend(theirs.iter().map(|line| (Side::New, *line)));
    } else {
        common(mine, theirs, &mut lines);
    }
    lines.extend(old[old.len() - tail..].iter().map(|line| (Side::Both, *line)));
    lines
}

/// Along the longest common subsequence.
fn common<'t>(old: &[&'t str], new: &[&'t str], lines: &mut Vec<(Side, &'t str)>) {
    let width = new.len() + 1;
    let mut longest = vec![0u32; (old.len() + 1) * width];
    for i in (0..old.len()).rev() {
        for j in (0..new.len()).rev() {
            longest[i * width + j] = if old[i] == new[j] {
                longest[(i + 1) * width + j + 1] + 1
            } else {
                longest[(i + 1) * width + j].max(longest[i * width + j + 1])
            };
        }
    }
    let (mut i, mut j) = (0, 0);
    while i < old.len() || j < new.len() {
        if i < old.len() && j < new.len() && old[i] == new[j] {
            lines.push((Side::Both, old[i]));
            (i, j) = (i + 1, j + 1);
        } else if j >= new.len()
            || (i < old.len() && longest[(i + 1) * width + j] >= longest[i * width + j + 1])
        {
            lines.push((Side::Old, old[i]));
            i += 1;
        } else {
            lines.push((Side::New, new[j]));
            j += 1;
        }
    }
}
