//! The known name that an unknown one was probably meant to be.

/// The candidate nearest to `unknown`, if any is near. Names are paths whose parts `separator` parts: a
/// name in the wrong section is as near as its last part.
pub(super) fn nearest<'a>(
    unknown: &str,
    candidates: impl IntoIterator<Item = &'a str>,
    separator: &str,
) -> Option<&'a str> {
    candidates
        .into_iter()
        .filter_map(|candidate| {
            let whole = distance(unknown, candidate);
            let name = last(candidate, separator);
            let allowed = (name.len() / 3).max(2);
            let least = whole.min(distance(last(unknown, separator), name));
            (least <= allowed).then_some(((least, whole), candidate))
        })
        .min_by_key(|(rank, _)| *rank)
        .map(|(_, candidate)| candidate)
}

fn last<'a>(name: &'a str, separator: &str) -> &'a str {
    name.rsplit(separator).next().unwrap_or(name)
}

/// Levenshtein's distance, whatever the case.
pub(super) fn distance(a: &str, b: &str) -> usize {
    let (a, b) = (a.to_lowercase(), b.to_lowercase());
    let mut row: Vec<usize> = (0..=b.chars().count()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.chars().enumerate() {
            let replaced = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.chars().count()]
}
