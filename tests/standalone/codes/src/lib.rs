//! Sorts bounces with the registry alone.

use ehlo_codes::Explanation;

/// Whether it is worth it to send again, if the reply tells.
pub fn try_again(reply: &str) -> Option<bool> {
    Explanation::of(reply.as_bytes()).ok()?.verdict().retry()
}

#[cfg(test)]
mod tests {
    use super::try_again;

    #[test]
    fn replies_are_sorted() {
        assert_eq!(try_again("550 5.1.1 no such user"), Some(false));
        assert_eq!(try_again("452-4.2.2 mailbox full"), Some(true));
        assert_eq!(try_again("hello"), None);
    }
}
