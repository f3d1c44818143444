//! What stands above a line: comments that belong to it, and comments that stand for themselves.

use toml_edit::Decor;

/// What stands for itself, which is all up to the last empty line behind a comment, and what belongs to the line below.
pub(super) fn split(above: &str) -> (&str, &str) {
    let (mut at, mut commented, mut end) = (0, false, 0);
    for line in above.split_inclusive('\n') {
        at += line.len();
        match line.trim() {
            "" if commented => end = at,
            "" => {}
            _ => commented = true,
        }
    }
    above.split_at(end)
}

/// Puts this above everything that stands there.
pub(super) fn prepend(decor: &mut Decor, text: &str) {
    let below = decor.prefix().and_then(|prefix| prefix.as_str()).unwrap_or_default();
    let whole =
        format!("{text}{}", below.strip_prefix('\n').filter(|_| text.ends_with("\n\n")).unwrap_or(below));
    decor.set_prefix(whole);
}

/// What stands above, as a text.
pub(super) fn above(decor: &Decor) -> &str {
    decor.prefix().and_then(|prefix| prefix.as_str()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_title_stands_for_itself_and_a_remark_belongs_to_its_line() {
        for (above, title, remark) in [
            ("", "", ""),
            ("\n", "", "\n"),
            ("\n# remark\n", "", "\n# remark\n"),
            ("\n# title\n\n", "\n# title\n\n", ""),
            ("\n# title\n\n# remark\n", "\n# title\n\n", "# remark\n"),
            ("# a\n\n# b\n  \n\n# c\n", "# a\n\n# b\n  \n\n", "# c\n"),
        ] {
            assert_eq!(split(above), (title, remark), "{above:?}");
        }
    }
}
