//! Sparse sets of line numbers, made to be intersected.
//!
//! A summary has a bit for each word of 64 lines that is not empty; only those words are kept. Intersecting looks at
//! summaries first, so the cost is that of the lines in common, not of all lines.

use std::collections::HashMap;

use super::book::{Class, Members};

/// A set of line numbers.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub(super) struct Bits {
    summary: Box<[u64]>,
    /// Bits in the summary words before each.
    before: Box<[u32]>,
    words: Box<[u64]>,
}

impl Bits {
    /// From line numbers in ascending order, all below `count`.
    pub(super) fn new(lines: &[u32], count: usize) -> Bits {
        let mut summary = vec![0u64; count.div_ceil(64 * 64)];
        let mut words: Vec<u64> = Vec::new();
        let mut current = usize::MAX;
        for line in lines {
            let word = *line as usize / 64;
            if word != current {
                current = word;
                words.push(0);
                summary[word / 64] |= 1 << (word % 64);
            }
            if let Some(last) = words.last_mut() {
                *last |= 1 << (line % 64);
            }
        }
        let before = summary
            .iter()
            .scan(0, |sum, bits| {
                let before = *sum;
                *sum += bits.count_ones();
                Some(before)
            })
            .collect();
        Bits { summary: summary.into(), before, words: words.into() }
    }

    #[inline]
    fn summary(&self, at: usize) -> u64 {
        self.summary.get(at).copied().unwrap_or(0)
    }

    /// The word that bit `bit` of summary `at` stands for.
    #[inline]
    fn word(&self, at: usize, bit: u32) -> u64 {
        let summary = self.summary(at);
        if summary >> bit & 1 == 0 {
            return 0;
        }
        let rank = self.before[at] + (summary & ((1 << bit) - 1)).count_ones();
        self.words[rank as usize]
    }
}

/// What one field of a packet says: the lines that do not look at the field, and those that its class satisfies.
#[derive(Clone, Copy)]
pub(super) struct Say<'a> {
    any: &'a Bits,
    some: &'a Bits,
}

/// The lines that match, by the class of one field.
#[derive(Debug)]
pub(super) struct Rows {
    any: Bits,
    rows: Box<[Bits]>,
    of_class: Box<[u32]>,
}

impl Rows {
    /// `lines` has for each line its set, or `None` when it does not look at the field; a line that is not in force
    /// here is left out.
    pub(super) fn new(
        lines: impl IntoIterator<Item = (u32, Option<u32>)>,
        sets: usize,
        members: &Members,
        count: usize,
    ) -> Rows {
        let mut any = Vec::new();
        let mut of_set: Vec<Vec<u32>> = vec![Vec::new(); sets];
        for (line, set) in lines {
            match set {
                None => any.push(line),
                Some(set) => of_set[set as usize].push(line),
            }
        }
        let mut known: HashMap<Vec<u32>, u32> = HashMap::new();
        let mut rows = Vec::new();
        let of_class = members
            .iter()
            .map(|sets| {
                let mut lines: Vec<u32> =
                    sets.iter().flat_map(|set| of_set[*set as usize].iter().copied()).collect();
                lines.sort_unstable();
                *known.entry(lines).or_insert_with_key(|lines| {
                    rows.push(Bits::new(lines, count));
                    rows.len() as u32 - 1
                })
            })
            .collect();
        Rows { any: Bits::new(&any, count), rows: rows.into(), of_class }
    }

    /// What a class says.
    #[inline]
    pub(super) fn say(&self, class: Class) -> Say<'_> {
        let row = self.of_class.get(class as usize).and_then(|row| self.rows.get(*row as usize));
        Say { any: &self.any, some: row.unwrap_or(&self.any) }
    }
}

/// Shows the lines that all fields agree on, in order, until told to stop.
#[inline]
pub(super) fn intersect<const N: usize>(says: &[Say<'_>; N], mut show: impl FnMut(u32) -> bool) {
    let length = says[0].any.summary.len();
    for at in 0..length {
        let mut live =
            says.iter().fold(u64::MAX, |live, say| live & (say.any.summary(at) | say.some.summary(at)));
        while live != 0 {
            let bit = live.trailing_zeros();
            live &= live - 1;
            let mut lines = says
                .iter()
                .fold(u64::MAX, |lines, say| lines & (say.any.word(at, bit) | say.some.word(at, bit)));
            while lines != 0 {
                let line = (at as u32 * 64 + bit) * 64 + lines.trailing_zeros();
                lines &= lines - 1;
                if !show(line) {
                    return;
                }
            }
        }
    }
}
