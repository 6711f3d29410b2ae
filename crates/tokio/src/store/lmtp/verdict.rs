//! What a client is told of what an LMTP server has said.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ehlo_client::codec::ReplyView;
use ehlo_client::{BeginError, BodyError, CloseReason, RecipientOutcome, Stage};
use ehlo_server::codec::{EnhancedCode, Reply, ReplyClass, ReplyCode};

use crate::client::{Observed, Observer, SendError};

/// Characters of a text that are passed on.
const MAX_TEXT: usize = 200;

/// What becomes of one recipient's copy: it was delivered, or this is the reply for it.
pub(super) type Fate = Result<(), Reply>;

pub(super) const UNREACHABLE: Reply =
    Reply::fixed(451, Some((4, 4, 1)), "The mailbox server does not answer; try again later");
const LOST: Reply =
    Reply::fixed(451, Some((4, 4, 2)), "The connection to the mailbox server was lost; try again later");
const UNSERVED: Reply = Reply::fixed(451, Some((4, 3, 2)), "The mailbox server takes no mail now; try again later");
const CONFUSED: Reply = Reply::fixed(451, Some((4, 5, 0)), "The mailbox server is not understood; try again later");
const TOO_LARGE: Reply = Reply::fixed(552, Some((5, 3, 4)), "The message is larger than the mailbox server takes");
pub(super) const NOT_8BIT: Reply =
    Reply::fixed(554, Some((5, 6, 3)), "The mailbox server takes no message of that kind");
const NOT_UTF8: Reply = Reply::fixed(550, Some((5, 6, 7)), "The mailbox server takes no internationalized mail");
const LINE_ENDS: Reply = Reply::fixed(550, Some((5, 6, 0)), "A CR or LF stands alone in the message");
const OTHERS: Reply = Reply::fixed(451, Some((4, 3, 0)), "Not delivered, since another recipient was refused");
const REFUSED: Reply = Reply::fixed(554, None, "Refused by the mailbox server");
const DEFERRED: Reply = Reply::fixed(451, None, "Deferred by the mailbox server");

/// The texts of an LMTP server's refusals, by recipient; at 0 that for all of them.
#[derive(Clone, Debug, Default)]
pub(super) struct Texts(Arc<Mutex<Vec<Option<String>>>>);

impl Texts {
    /// For so many recipients.
    pub(super) fn new(recipients: usize) -> Self {
        Self(Arc::new(Mutex::new(vec![None; recipients + 1])))
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Option<String>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What notes them.
    pub(super) fn observer(&self) -> Observer {
        let texts = self.clone();
        Box::new(move |observed| {
            if let Observed::Reply(stage, reply) = observed {
                texts.note(stage, reply);
            }
        })
    }

    fn note(&self, stage: Stage, reply: ReplyView<'_>) {
        if !matches!(reply.code().class(), ReplyClass::TransientFailure | ReplyClass::PermanentFailure) {
            return;
        }
        let place = match stage {
            Stage::Rcpt(i) | Stage::Delivery(i) => i as usize + 1,
            _ => 0,
        };
        if let Some(text) = self.lock().get_mut(place) {
            *text = Some(plain(reply));
        }
    }

    fn of(&self, recipient: usize) -> Option<String> {
        let texts = self.lock();
        texts.get(recipient + 1).cloned().flatten().or_else(|| texts.first().cloned().flatten())
    }
}

/// A reply's text as it can stand in another one: in one line, without its enhanced code, and of printable ASCII.
fn plain(reply: ReplyView<'_>) -> String {
    let mut text = String::new();
    for line in reply.lines() {
        let line = match reply.enhanced().and_then(|_| EnhancedCode::parse_prefix(line)) {
            Some((_, length)) => &line[length..],
            None => line,
        };
        let line = line.trim_ascii();
        if !text.is_empty() && !line.is_empty() {
            text.push(' ');
        }
        let shown = line.iter().map(|&byte| if matches!(byte, b' '..=b'~') { char::from(byte) } else { '?' });
        text.extend(shown.take(MAX_TEXT.saturating_sub(text.len())));
    }
    text
}

/// A refusal as it is passed on behind the end of the data. Of codes that may not stand there (RFC 5321 §4.3.2) only the class stays: 421, above all, would
/// close the client's connection, which has done nothing.
fn passed_on(code: ReplyCode, enhanced: Option<EnhancedCode>, text: Option<String>) -> Reply {
    let permanent = code.class() == ReplyClass::PermanentFailure;
    let plain = if permanent { REFUSED } else { DEFERRED };
    let code = match code.get() {
        450..=452 | 550 | 552 | 554 => code,
        _ => plain.code(),
    };
    let text = text.filter(|text| !text.is_empty()).unwrap_or_else(|| plain.text().to_owned());
    let enhanced = enhanced.filter(|enhanced| enhanced.agrees_with(code));
    Reply::new(code, enhanced, text).unwrap_or(plain)
}

/// What became of each recipient, and why the connection ended, if it did before that was told.
pub(super) fn fates(recipients: &[RecipientOutcome], closed: Option<CloseReason>, texts: &Texts) -> Vec<Fate> {
    let lost = closed.map_or(LOST, |reason| failure(&SendError::Closed(reason)));
    let fate = |(i, outcome): (usize, &RecipientOutcome)| match *outcome {
        RecipientOutcome::Accepted => Ok(()),
        RecipientOutcome::Refused { code, enhanced } => Err(passed_on(code, enhanced, texts.of(i))),
        RecipientOutcome::Pending => Err(OTHERS),
        RecipientOutcome::Unsent | RecipientOutcome::Unknown => Err(lost.clone()),
    };
    recipients.iter().enumerate().map(fate).collect()
}

/// Why nobody got the message.
pub(super) fn failure(error: &SendError) -> Reply {
    match error {
        SendError::Connect(_) => UNREACHABLE,
        SendError::Closed(CloseReason::Refused(_) | CloseReason::ServiceNotAvailable) | SendError::Refused(..) => {
            UNSERVED
        }
        SendError::Closed(CloseReason::PeerMisbehaved(_)) => CONFUSED,
        SendError::Closed(_) => LOST,
        SendError::Begin(BeginError::TooLarge { .. }) => TOO_LARGE,
        SendError::Begin(BeginError::BodyNotOffered) => NOT_8BIT,
        SendError::Begin(BeginError::Utf8NotOffered) => NOT_UTF8,
        SendError::Begin(_) => CONFUSED,
        SendError::LineEnding(_) | SendError::Body(BodyError::LineEnding(_), _) => LINE_ENDS,
        SendError::Body(BodyError::NotSevenBit { .. }, _) => NOT_8BIT,
        _ => CONFUSED,
    }
}

/// The one reply for all recipients: the worst.
pub(super) fn worst(fates: Vec<Fate>, addresses: &[String]) -> Result<Option<Reply>, Reply> {
    let delivered = fates.iter().filter(|fate| fate.is_ok()).count();
    let several = fates.len() > 1;
    let mut refusals = fates.into_iter().zip(addresses).filter_map(|(fate, address)| Some((fate.err()?, address)));
    let Some(mut worst) = refusals.next() else { return Ok(None) };
    if worst.0.code().class() != ReplyClass::PermanentFailure
        && let Some(worse) = refusals.find(|(reply, _)| reply.code().class() == ReplyClass::PermanentFailure)
    {
        worst = worse;
    }
    let (reply, address) = worst;
    if !several {
        return Err(reply);
    }
    let text = match delivered {
        0 => format!("{address}: {}", reply.text()),
        _ => format!("{delivered} of {} recipients have got it\n{address}: {}", addresses.len(), reply.text()),
    };
    // An address in UTF-8 is not for all clients.
    Err(Reply::new(reply.code(), reply.enhanced(), text).unwrap_or(reply))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(code: u16, enhanced: Option<(u16, u16, u16)>) -> RecipientOutcome {
        let enhanced = enhanced.map(|(class, subject, detail)| EnhancedCode::literal(class, subject, detail));
        RecipientOutcome::Refused { code: ReplyCode::literal(code), enhanced }
    }

    #[test]
    fn codes_that_may_not_answer_the_end_of_data_keep_their_class() {
        use ehlo_server::codec::codes::Stage;
        for code in 400..600 {
            let Err(reply) = fates(&[refused(code, None)], None, &Texts::new(1)).remove(0) else {
                panic!("it was refused")
            };
            assert_eq!(reply.code().get() / 100, code / 100, "{code}");
            assert!(Stage::DataEnd.check(reply.code(), reply.enhanced(), None).is_ok(), "{code}: {reply:?}");
            assert_ne!(reply.code().get(), 421);
        }
        let Err(reply) = fates(&[refused(530, Some((5, 7, 0)))], None, &Texts::new(1)).remove(0) else { panic!() };
        assert_eq!(reply.to_string(), "554 5.7.0 Refused by the mailbox server");
    }

    #[test]
    fn the_worst_answer_counts() {
        let addresses = ["a@x", "b@x", "c@x"].map(str::to_owned);
        let of = |outcomes: [RecipientOutcome; 3]| match worst(fates(&outcomes, None, &Texts::new(3)), &addresses) {
            Ok(_) => "250".to_owned(),
            Err(reply) => reply.to_string(),
        };
        use RecipientOutcome::{Accepted, Pending, Unknown};
        let (later, never) = (refused(452, Some((4, 2, 2))), refused(550, Some((5, 1, 1))));
        assert_eq!(of([Accepted; 3]), "250");
        assert_eq!(
            of([Accepted, later, Accepted]),
            "452-4.2.2 2 of 3 recipients have got it\r\n452 4.2.2 b@x: Deferred by the mailbox server"
        );
        assert_eq!(of([Pending, later, never]), "550 5.1.1 c@x: Refused by the mailbox server");
        assert!(of([Accepted, Unknown, Accepted]).starts_with("451-4.4.2 2 of 3"));
    }
}
