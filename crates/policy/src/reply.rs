//! The replies of a policy. Enhanced codes by RFC 3463 and RFC 5248.

use std::time::Duration;

use ehlo_tokio::ehlo_server::codec::{EnhancedCode, Reply, ReplyCode};

macro_rules! replies {
    ($($name:ident = $code:literal ($class:literal, $subject:literal, $detail:literal) $text:literal;)*) => {
        $(pub(crate) const $name: Reply = Reply::fixed($code, Some(($class, $subject, $detail)), $text);)*
    };
}

replies! {
    NO_SUCH_MAILBOX = 550 (5, 1, 1) "No such mailbox here";
    SOURCE_ROUTE = 550 (5, 7, 1) "Relaying denied: the local part names a way over other hosts";
    NULL_DOMAIN = 556 (5, 1, 10) "Domain does not accept mail";
    NO_ROUTE = 550 (5, 4, 4) "No route leads from here to that domain";
    OTHER_PLACE = 452 (4, 5, 3) "Mail for that recipient goes another way; send it in another transaction";
    NAME_FORBIDDEN = 553 (5, 1, 3) "Mailbox name not allowed";

    NO_SUCH_SENDER = 550 (5, 1, 7) "No such sender here";
    NOT_YOUR_SENDER = 550 (5, 7, 1) "You may not send as that sender";
    SENDER_NULL_MX = 550 (5, 7, 27) "The sender's domain does not accept mail";
    SENDER_UNKNOWN_YET = 451 (4, 4, 3) "The sender's domain cannot be looked up at the moment";

    LIST_NOT_FOR_YOU = 550 (5, 7, 2) "Lists are not shown to you";
    NO_SUCH_LIST = 550 (5, 1, 1) "No such list here";
    NOTHING_WAITS = 251 (2, 0, 0) "Ok, no messages are waiting";
    ETRN_NOT_FOR_YOU = 459 (4, 7, 1) "Node not allowed: no queue is run for you here";

    STORE_FULL = 452 (4, 3, 1) "Insufficient system storage";
    NEVER_FITS = 552 (5, 3, 4) "Message is larger than all there is to keep mail in";
    NOT_STORED = 451 (4, 3, 0) "The message could not be stored; try again later";
    CHANGED = 451 (4, 3, 5) "What is accepted here has just changed; try again";
}

/// A reply whose code is in the file. Its class is that of the code.
pub(crate) fn reply(code: u16, subject: u16, detail: u16, text: impl Into<String>) -> Reply {
    let made = ReplyCode::new(code).zip(EnhancedCode::new(code / 100, subject, detail));
    // The codes were checked along with the file, and the texts are printable and short.
    made.and_then(|(code, enhanced)| Reply::new(code, Some(enhanced), text.into()).ok()).unwrap_or(NOT_STORED)
}

/// How long to wait, in words.
pub(crate) fn wait(time: Duration) -> String {
    let seconds = time.as_secs() + u64::from(time.subsec_nanos() > 0);
    match seconds {
        0..=1 => "try again in a second".to_owned(),
        2..=119 => format!("try again in {seconds} seconds"),
        _ => format!("try again in {} minutes", seconds.div_ceil(60)),
    }
}
