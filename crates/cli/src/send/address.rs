//! Addresses: of options and files, and of header fields.

use ehlo_tokio::ehlo_client::codec::RcptParamsBuf;
use ehlo_tokio::ehlo_client::{Envelope, Recipient};

/// A recipient, kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct To {
    /// The address as it was given.
    pub(crate) text: String,
    pub(crate) params: RcptParamsBuf,
}

impl To {
    /// Checks an address.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        Recipient::parse(text).map_err(|fault| fault.to_string())?;
        Ok(Self { text: text.to_owned(), params: RcptParamsBuf::new() })
    }

    /// Borrowed, with its parameters.
    pub(crate) fn recipient(&self) -> Option<Recipient<'_>> {
        Some(Recipient::parse(&self.text).ok()?.with_params(self.params.as_params()))
    }

    /// As it stands in a command.
    pub(crate) fn path(&self) -> String {
        Recipient::parse(&self.text).map(|recipient| recipient.to.to_string()).unwrap_or_default()
    }
}

/// Checks a sender's address.
pub(crate) fn check_sender(text: &str) -> Result<(), String> {
    Envelope::parse(text, &[]).map(drop).map_err(|fault| fault.to_string())
}

/// The addresses in the value of a header field such as To: `a@b`, `Ada <a@b>`, with comments, quoted names and groups (RFC 5322 §3.4). What is no
/// address is left out.
pub(crate) fn of_field(value: &str) -> Vec<String> {
    let (mut found, mut plain, mut angle) = (Vec::new(), String::new(), None::<String>);
    let (mut quoted, mut comments, mut escaped) = (false, 0_u32, false);
    let mut end = |plain: &mut String, angle: &mut Option<String>| {
        let address = angle.take().unwrap_or_else(|| std::mem::take(plain));
        plain.clear();
        let address = address.trim();
        if !address.is_empty() && Recipient::parse(address).is_ok() {
            found.push(address.to_owned());
        }
    };
    let mut inside = false;
    for c in value.chars() {
        let out = if inside { angle.get_or_insert_default() } else { &mut plain };
        if escaped {
            escaped = false;
            if comments == 0 {
                out.push(c);
            }
            continue;
        }
        match c {
            '\\' if quoted || comments > 0 => {
                escaped = true;
                if comments == 0 {
                    out.push(c);
                }
            }
            '"' if comments == 0 => {
                quoted = !quoted;
                out.push(c);
            }
            _ if quoted => out.push(c),
            '(' => comments += 1,
            ')' if comments > 0 => comments -= 1,
            _ if comments > 0 || matches!(c, '\r' | '\n') => {}
            '<' => {
                inside = true;
                angle = Some(String::new());
            }
            '>' => inside = false,
            ',' | ';' if !inside => end(&mut plain, &mut angle),
            // The name of a group.
            ':' if !inside && !out.contains('@') => out.clear(),
            c if c.is_whitespace() && !inside && out.is_empty() => {}
            c => out.push(c),
        }
    }
    end(&mut plain, &mut angle);
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_with_names_comments_and_groups() {
        for (value, addresses) in [
            ("a@b", &["a@b"][..]),
            (" Ada <a@b>, \"Lovelace, (A.\" <c@d> (me, too), e@f", &["a@b", "c@d", "e@f"]),
            ("Friends: a@b, Bob <c@d>;, e@f", &["a@b", "c@d", "e@f"]),
            ("undisclosed-recipients:;", &[]),
            ("\"a b\"@c", &["\"a b\"@c"]),
            ("Postmaster", &["Postmaster"]),
            ("(x\\) y) a@b\r\n , c@d", &["a@b", "c@d"]),
            ("no address here, <>, a@, @b", &[]),
        ] {
            assert_eq!(of_field(value), addresses, "{value}");
        }
    }
}
