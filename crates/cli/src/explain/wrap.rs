//! Lines of at most 80 columns.

/// Columns of a line.
const WIDTH: usize = 80;

/// Writes `label` at column `indent`, and `text` from column `column` on, broken at spaces. A word that is longer than a line stands alone.
/// "RFC" stays with its number.
pub(crate) fn entry(out: &mut String, indent: usize, label: &str, column: usize, text: &str) {
    out.extend(std::iter::repeat_n(' ', indent));
    out.push_str(label);
    let mut at = indent + label.chars().count();
    let mut first = true;
    let text = text.replace("RFC ", "RFC\u{a0}");
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        let length = word.chars().count();
        if first {
            // A label that reaches into the text's column pushes the text on.
            let gap = if at == 0 || at < column { column.saturating_sub(at) } else { 1 };
            out.extend(std::iter::repeat_n(' ', gap));
            at += gap;
        } else if at + 1 + length > WIDTH {
            out.push('\n');
            out.extend(std::iter::repeat_n(' ', column));
            at = column;
        } else {
            out.push(' ');
            at += 1;
        }
        out.extend(word.chars().map(|c| if c == '\u{a0}' { ' ' } else { c }));
        at += length;
        first = false;
    }
    out.push('\n');
}

/// Writes `text` from column `indent` on.
pub(crate) fn text(out: &mut String, indent: usize, text: &str) {
    entry(out, 0, "", indent, text);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_broken_at_spaces_and_indented() {
        let mut out = String::new();
        entry(&mut out, 2, "label", 12, &"word ".repeat(30));
        let lines: Vec<&str> = out.lines().collect();
        assert_eq!(lines.len(), 3);
        assert!(lines[0].starts_with("  label     word word"));
        assert!(lines[1].starts_with("            word"));
        assert!(lines.iter().all(|line| line.chars().count() <= WIDTH));
        assert_eq!(out.split_whitespace().count(), 31);
    }

    #[test]
    fn a_long_word_stands_alone_and_a_long_label_pushes_the_text_on() {
        let mut out = String::new();
        entry(&mut out, 0, "a-long-label", 4, &format!("x {} y", "z".repeat(100)));
        let lines: Vec<&str> = out.lines().collect();
        assert_eq!(lines[0], "a-long-label x");
        assert_eq!(lines[1].len(), 104);
        assert_eq!(lines[2], "    y");
    }

    #[test]
    fn a_document_is_not_torn_from_its_number() {
        let mut out = String::new();
        text(&mut out, 0, &format!("{} RFC 5321 says so", "x".repeat(75)));
        assert_eq!(out.lines().nth(1), Some("RFC 5321 says so"));
    }

    #[test]
    fn no_text_leaves_the_label() {
        let mut out = String::new();
        entry(&mut out, 2, "label", 12, "");
        assert_eq!(out, "  label\n");
    }
}
