//! Which scopes a tool needs, and which scopes stand for others.

use std::collections::HashSet;

use crate::protocol::scope::Scopes;

/// The names of tools that a rule is about: every `*` in it stands for any text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToolPattern(String);

impl ToolPattern {
    /// Reads a pattern; every text is one.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// Whether the rule is about this tool. Names are compared as they stand: `Delete` is not `delete`.
    #[must_use]
    pub fn matches(&self, tool: &str) -> bool {
        let mut parts = self.0.split('*');
        let Some(rest) = parts.next().and_then(|first| tool.strip_prefix(first)) else { return false };
        let Some(last) = parts.next_back() else { return rest.is_empty() };
        // Whatever stands between two asterisks is found as early as it can be, which leaves the most to what follows.
        let after = |rest: &str, part: &str| rest.find(part).map(|at| at + part.len());
        let between = parts.try_fold(rest, |rest, part| after(rest, part).map(|end| &rest[end..]));
        between.is_some_and(|rest| rest.ends_with(last))
    }
}

/// The scopes of a resource's tools.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ToolScopes(pub Vec<(ToolPattern, Scopes)>);

impl ToolScopes {
    /// Whether no tool needs anything.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What a call of this tool needs: the scopes of every rule that is about it.
    #[must_use]
    pub fn needed(&self, tool: &str) -> Scopes {
        let rules = self.0.iter().filter(|(pattern, _)| pattern.matches(tool));
        rules.flat_map(|(_, scopes)| scopes.iter()).collect()
    }
}

/// Scopes that stand for others as well: who may write may read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImpliedScopes(pub Vec<(String, Scopes)>);

impl ImpliedScopes {
    /// These scopes, and all that they stand for, however far that leads.
    #[must_use]
    pub fn with_implied(&self, scopes: &Scopes) -> Scopes {
        let mut all: Vec<&str> = scopes.iter().collect();
        let mut seen: HashSet<&str> = all.iter().copied().collect();
        let mut at = 0;
        while let Some(&scope) = all.get(at) {
            let implied =
                self.0.iter().filter(|(name, _)| name == scope).flat_map(|(_, implied)| implied.iter());
            all.extend(implied.filter(|scope| seen.insert(scope)));
            at += 1;
        }
        all.into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_asterisk_stands_for_any_text_and_everything_else_for_itself() {
        for (pattern, tool, expected) in [
            ("delete_*", "delete_all", true),
            ("delete_*", "delete_", true),
            ("delete_*", "delete", false),
            ("delete_*", "undelete_all", false),
            ("delete_*", "Delete_all", false),
            ("*_delete", "x_delete", true),
            ("*_delete", "x_delete_y", false),
            ("*", "", true),
            ("*", "anything", true),
            ("a*b*c", "abc", true),
            ("a*b*c", "aXbXbYc", true),
            ("a*b*c", "ac", false),
            ("a*a", "a", false),
            ("a*a", "aa", true),
            ("read", "read", true),
            ("read", "reader", false),
            ("a.b", "aXb", false),
            ("**", "x", true),
            ("ü*", "über", true),
        ] {
            assert_eq!(ToolPattern::new(pattern).matches(tool), expected, "{pattern} {tool}");
        }
    }

    #[test]
    fn every_rule_about_a_tool_counts() {
        let rule = |pattern, scopes| (ToolPattern::new(pattern), Scopes::parse(scopes));
        let tools =
            ToolScopes(vec![rule("*", "read"), rule("delete_*", "write"), rule("*_all", "admin write")]);
        for (tool, needed) in
            [("list", "read"), ("delete_one", "read write"), ("delete_all", "read write admin")]
        {
            let scopes: HashSet<String> = tools.needed(tool).iter().map(str::to_owned).collect();
            let expected: HashSet<String> = needed.split(' ').map(str::to_owned).collect();
            assert_eq!(scopes, expected, "{tool}");
        }
    }

    #[test]
    fn what_is_implied_is_followed_to_its_end_in_circles_too() {
        let implied = ImpliedScopes(vec![
            ("admin".to_owned(), Scopes::parse("write")),
            ("write".to_owned(), Scopes::parse("read admin")),
        ]);
        assert_eq!(implied.with_implied(&Scopes::parse("admin")), Scopes::parse("admin write read"));
        assert_eq!(implied.with_implied(&Scopes::parse("read")), Scopes::parse("read"));
    }
}
