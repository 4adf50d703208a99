//! What differs between two texts, line by line.

/// How many lines that are the same are shown around those that differ.
const AROUND: usize = 2;
/// Beyond so many lines on either side what differs is shown as a whole.
const MOST_LINES: usize = 2000;

/// The lines of both texts: those of `before` alone behind `-`, those of `after` alone behind `+`, and
/// some of those that are the same around them.
pub(super) fn difference(before: &str, after: &str) -> String {
    let lines = compared(&before.lines().collect::<Vec<_>>(), &after.lines().collect::<Vec<_>>());
    let is_near = |at: usize| {
        let mut near =
            lines.iter().skip(at.saturating_sub(AROUND)).take(at.min(AROUND) + AROUND + 1);
        near.any(|(mark, _)| *mark != ' ')
    };
    let mut shown = Vec::new();
    let mut is_left_out = false;
    for (at, (mark, line)) in lines.iter().enumerate() {
        if is_near(at) {
            shown.push(format!("{mark} {line}").trim_end().to_owned());
        } else if !is_left_out {
            shown.push("  …".to_owned());
        }
        is_left_out = !is_near(at);
    }
    shown.join("\n")
}

/// Each line with what it is.
fn compared<'a>(before: &[&'a str], after: &[&'a str]) -> Vec<(char, &'a str)> {
    let same = before.iter().zip(after).take_while(|(left, right)| left == right).count();
    let (head, before) = before.split_at(same);
    let after = after.get(same..).unwrap_or_default();
    let ends = before.iter().rev().zip(after.iter().rev());
    let same = ends.take_while(|(left, right)| left == right).count();
    let (before, tail) = before.split_at(before.len() - same);
    let after = after.get(..after.len() - same).unwrap_or_default();
    let mut lines: Vec<_> = head.iter().map(|line| (' ', *line)).collect();
    match before.len().max(after.len()) > MOST_LINES {
        true => {
            lines.extend(before.iter().map(|line| ('-', *line)));
            lines.extend(after.iter().map(|line| ('+', *line)));
        }
        false => lines.extend(longest_common(before, after)),
    }
    lines.extend(tail.iter().map(|line| (' ', *line)));
    lines
}

/// The same, with as many lines as can be that are in both.
fn longest_common<'a>(before: &[&'a str], after: &[&'a str]) -> Vec<(char, &'a str)> {
    let width = after.len() + 1;
    // How many lines are common from a place in each on.
    let mut common = vec![0u32; (before.len() + 1) * width];
    let at = |common: &[u32], left: usize, right: usize| {
        common.get(left * width + right).copied().unwrap_or_default()
    };
    for (left, old) in before.iter().enumerate().rev() {
        for (right, new) in after.iter().enumerate().rev() {
            let count = match old == new {
                true => at(&common, left + 1, right + 1) + 1,
                false => at(&common, left + 1, right).max(at(&common, left, right + 1)),
            };
            if let Some(cell) = common.get_mut(left * width + right) {
                *cell = count;
            }
        }
    }
    let (mut lines, mut left, mut right) = (Vec::new(), 0, 0);
    loop {
        let skips_old = at(&common, left + 1, right) >= at(&common, left, right + 1);
        match (before.get(left), after.get(right)) {
            (Some(old), Some(new)) if old == new => {
                lines.push((' ', *old));
                (left, right) = (left + 1, right + 1);
            }
            (Some(old), new) if new.is_none() || skips_old => {
                lines.push(('-', *old));
                left += 1;
            }
            (_, Some(new)) => {
                lines.push(('+', *new));
                right += 1;
            }
            (_, None) => return lines,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_differ_are_shown_with_some_around_them() {
        let before = "1\n2\n3\n4\n5\n6\n7\n8\n9";
        let after = "1\n2\n3\n4\nfive\n6\n7\n8\n9\n10";
        let shown = "  …\n  3\n  4\n- 5\n+ five\n  6\n  7\n  8\n  9\n+ 10";
        assert_eq!(difference(before, after), shown);
        assert_eq!(difference("a\nb\nc", "c"), "- a\n- b\n  c");
        assert_eq!(difference("", "a"), "+ a");
        assert_eq!(difference("a\nx\nb", "a\nb\ny"), "  a\n- x\n  b\n+ y");
    }
}
