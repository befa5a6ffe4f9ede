//! Judging a value by a [`Demand`]. Pure.

use crate::document::Demand;

impl Demand {
    /// Whether a value is as demanded. White space at its ends does not count.
    pub fn judge(&self, actual: &str) -> bool {
        let actual = actual.trim();
        let number = || actual.parse::<i64>().ok();
        let words = words(actual);
        let among = |list: &[String], word: &str| list.iter().any(|w| w.trim() == word);
        self.equals.as_ref().is_none_or(|v| v.trim() == actual)
            && (self.one_of.is_empty() || among(&self.one_of, actual))
            && self
                .at_least
                .is_none_or(|n| number().is_some_and(|a| a >= n))
            && self
                .at_most
                .is_none_or(|n| number().is_some_and(|a| a <= n))
            && !words.iter().any(|w| among(&self.none_of, w))
            && (self.subset_of.is_empty()
                || (!words.is_empty() && words.iter().all(|w| among(&self.subset_of, w))))
            && self.has.iter().all(|w| words.contains(&w.trim()))
            && self.matches.as_ref().is_none_or(|m| {
                // One that cannot be compiled is told by `problems`, and lets nothing pass here.
                regex(m).is_ok_and(|r| r.is_match(actual))
            })
    }

    /// What is demanded, for a person.
    pub fn describe(&self) -> String {
        if let Some(words) = &self.expected {
            return words.clone();
        }
        let mut parts = Vec::new();
        if let Some(v) = &self.equals {
            parts.push(if v.is_empty() {
                "an empty value".into()
            } else {
                v.clone()
            });
        }
        let lists = [
            ("one of ", &self.one_of),
            ("none of ", &self.none_of),
            ("only words of ", &self.subset_of),
            ("with ", &self.has),
        ];
        match (self.at_least, self.at_most) {
            (Some(low), Some(high)) => parts.push(format!("{low} to {high}")),
            (Some(low), None) => parts.push(format!("at least {low}")),
            (None, Some(high)) => parts.push(format!("at most {high}")),
            (None, None) => {}
        }
        for (label, list) in lists {
            if !list.is_empty() {
                parts.push(format!("{label}{}", list.join(", ")));
            }
        }
        if let Some(m) = &self.matches {
            parts.push(format!("matching /{m}/"));
        }
        parts.join(" and ")
    }

    /// The words of a value that may not be in it.
    pub fn forbidden<'v>(&self, actual: &'v str) -> Vec<&'v str> {
        let none_of = |word: &&str| self.none_of.iter().any(|w| w.trim() == *word);
        words(actual).into_iter().filter(none_of).collect()
    }

    /// What `apply` writes, if the demand says it.
    pub fn to_set(&self) -> Option<String> {
        self.set
            .as_ref()
            .map(|words| words.joined(","))
            .or_else(|| self.equals.clone())
    }

    /// What is wrong with the demand itself; whole sentences.
    pub fn problems(&self) -> Vec<String> {
        let mut out = Vec::new();
        if self.expected.as_ref().is_some_and(|w| w.trim().is_empty()) {
            out.push("`expected` must not be empty: it is what people read".into());
        }
        let demands_something = self.equals.is_some()
            || self.at_least.is_some()
            || self.at_most.is_some()
            || self.matches.is_some()
            || [&self.one_of, &self.none_of, &self.subset_of, &self.has]
                .iter()
                .any(|list| !list.is_empty());
        if !demands_something {
            out.push(
                "nothing is demanded: give a text, or one of equals, one_of, at_least, at_most, \
                 none_of, subset_of, has, matches"
                    .into(),
            );
        }
        if let Some(Err(error)) = self.matches.as_deref().map(regex) {
            out.push(format!("`matches` is not a regular expression: {error}"));
        } else if let Some(set) = self.to_set().filter(|_| demands_something)
            && !self.judge(&set)
        {
            out.push(format!(
                "what `apply` would write, `{set}`, is not as demanded: {}",
                self.describe()
            ));
        }
        if let (Some(low), Some(high)) = (self.at_least, self.at_most)
            && low > high
        {
            out.push(format!("no number is at least {low} and at most {high}"));
        }
        out
    }

    /// As [`Demand::problems`], for resources that write the value: it must be known.
    pub fn problems_to_write(&self) -> Vec<String> {
        let mut out = self.problems();
        if out.is_empty() && self.to_set().is_none() {
            out.push("`set` is missing: what is `apply` to write?".into());
        }
        out
    }

    /// A text that is equal exactly where demands are: what a `Claim` compares.
    pub fn to_claim(&self) -> String {
        match (&self.equals, self == &exactly(&self.equals)) {
            (Some(value), true) => value.clone(),
            // How a demand is worded makes it no other demand.
            _ => format!(
                "{:?}",
                Demand {
                    expected: None,
                    ..self.clone()
                }
            ),
        }
    }
}

fn exactly(value: &Option<String>) -> Demand {
    Demand {
        equals: value.clone(),
        ..Demand::default()
    }
}

/// The words of a value: separated by commas or white space.
fn words(text: &str) -> Vec<&str> {
    text.split(|c: char| c == ',' || c.is_whitespace())
        .filter(|w| !w.is_empty())
        .collect()
}

/// Compiles an expression of a document, with a bound on its size.
pub(crate) fn regex(pattern: &str) -> Result<regex::Regex, String> {
    crate::host::pattern::compile(pattern).map_err(|error| match error {
        regex::Error::CompiledTooBig(_) => "it is too large".to_owned(),
        // The message of a syntax error draws the pattern over several lines.
        other => other
            .to_string()
            .lines()
            .last()
            .unwrap_or("it cannot be read")
            .trim_start_matches("error: ")
            .to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::Words;
    use proptest::prelude::*;

    fn demand(yaml: &str) -> Demand {
        serde_yaml::from_str(yaml).unwrap()
    }

    #[test]
    fn a_plain_text_is_compared_whole() {
        let d = demand("\"0\"");
        assert!(d.judge("0") && d.judge(" 0\n"));
        assert!(!d.judge("00") && !d.judge("0 0") && !d.judge(""));
        assert_eq!(d.describe(), "0");
        assert_eq!(d.to_set().as_deref(), Some("0"));
        assert_eq!(d.to_claim(), "0");
    }

    #[test]
    fn numbers_are_compared_as_integers() {
        let d = demand("{at_least: 2, at_most: 10, set: 4}");
        assert!(d.judge("2") && d.judge("10") && d.judge("9") && d.judge("-0") == d.judge("0"));
        assert!(!d.judge("1") && !d.judge("11") && !d.judge("4m") && !d.judge(""));
        assert!(!d.judge("99999999999999999999"));
        assert_eq!(d.describe(), "2 to 10");
        assert_eq!(d.to_set().as_deref(), Some("4"));
    }

    #[test]
    fn lists_look_at_whole_words() {
        let d = demand("{none_of: [aes128-cbc, 3des-cbc], set: [a, b]}");
        assert!(d.judge("aes256-ctr,aes128-cbcx") && d.judge(""));
        assert!(!d.judge("aes256-ctr, 3des-cbc"));
        assert_eq!(d.forbidden("aes256-ctr, 3des-cbc"), ["3des-cbc"]);
        assert_eq!(d.to_set().as_deref(), Some("a,b"));
        let d = demand("{subset_of: [a, b], set: a}");
        assert!(d.judge("b a") && d.judge("a,b"));
        assert!(!d.judge("") && !d.judge("a,c"));
        let d = demand("{has: [nodev, nosuid], set: x}");
        assert!(d.judge("rw,nosuid,nodev") && !d.judge("rw,nosuid"));
        let d = demand("{one_of: [\"1\", \"2\"], set: \"1\"}");
        assert!(d.judge("2") && !d.judge("1 2"));
    }

    #[test]
    fn expressions_match_anywhere_and_are_bounded() {
        assert!(demand("{matches: '^a.c$'}").judge("abc"));
        assert!(!demand("{matches: '^a.c$'}").judge("xabc"));
        let broken = demand("{matches: '('}");
        assert!(!broken.judge("("));
        assert!(
            broken.problems()[0].contains("unclosed group"),
            "{:?}",
            broken.problems()
        );
        assert!(demand("{matches: '(a{1000}){1000}'}").problems()[0].contains("too large"));
    }

    #[test]
    fn contradictions_are_told() {
        assert!(demand("{set: 4}").problems()[0].contains("nothing is demanded"));
        assert!(demand("{at_most: 4, set: 5}").problems()[0].contains("not as demanded"));
        assert!(demand("{at_least: 5, at_most: 4}").problems()[0].contains("no number"));
        assert!(demand("{at_most: 4}").problems().is_empty());
        assert!(demand("{at_most: 4}").problems_to_write()[0].contains("`set` is missing"));
        assert!(demand("yes").problems_to_write().is_empty());
    }

    #[test]
    fn a_demand_can_be_said_in_words() {
        let d = demand("{matches: '^/', set: /x, expected: a path}");
        assert_eq!(d.describe(), "a path");
        let other = demand("{matches: '^/', set: /x}");
        assert_eq!(other.describe(), "matching /^//");
        assert_eq!(d.to_claim(), other.to_claim());
        assert!(!demand("{at_most: 4, expected: ''}").problems().is_empty());
    }

    #[test]
    fn claims_differ_where_demands_do() {
        assert_ne!(
            demand("{at_most: 4, set: 4}").to_claim(),
            demand("{at_most: 4, set: 3}").to_claim()
        );
        assert_ne!(
            demand("\"4\"").to_claim(),
            demand("{at_most: 4}").to_claim()
        );
    }

    proptest! {
        #[test]
        fn nothing_a_host_sends_makes_it_panic(actual in any::<String>()) {
            for yaml in ["x", "{at_most: 4}", "{subset_of: [a]}", "{matches: 'a|b'}", "{has: a}"] {
                demand(yaml).judge(&actual);
            }
        }

        #[test]
        fn what_is_set_is_as_demanded(word in "[a-z0-9]{1,8}") {
            let d = Demand { equals: Some(word.clone()), ..Demand::default() };
            prop_assert!(d.judge(&d.to_set().unwrap()));
            let d = Demand {
                subset_of: vec![word.clone(), "other".into()],
                set: Some(Words(vec![word, "other".into()])),
                ..Demand::default()
            };
            prop_assert!(d.judge(&d.to_set().unwrap()));
        }
    }
}
