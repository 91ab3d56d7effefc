use super::*;

/// A case of problems.txt.
struct Case<'a> {
    title: &'a str,
    toml: String,
    env: Vec<(&'a str, &'a str)>,
    expected: Vec<&'a str>,
}

impl<'a> Case<'a> {
    fn new(text: &'a str) -> Self {
        let (title, body) = text.split_once('\n').unwrap();
        let mut case = Case { title, toml: String::new(), env: Vec::new(), expected: Vec::new() };
        for line in body.lines() {
            if let Some(variable) = line.strip_prefix("$ ") {
                case.env.push(variable.split_once('=').unwrap());
            } else if let Some(sentence) = line.strip_prefix("> ") {
                case.expected.push(sentence);
            } else {
                case.toml += &format!("{line}\n");
            }
        }
        case
    }
}

#[test]
fn every_problem_has_its_sentence() {
    let cases = include_str!("problems.txt").split("== ").skip(1).map(Case::new);
    let mut different = String::new();
    for case in cases {
        assert!(!case.expected.is_empty(), "{}", case.title);
        let found = problems(&case.toml, &case.env);
        if found != case.expected {
            different += &format!("== {}\n> {}\n", case.title, found.join("\n> "));
        }
    }
    assert!(different.is_empty(), "{different}");
}
