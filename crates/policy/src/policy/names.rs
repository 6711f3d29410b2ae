//! VRFY, EXPN and ETRN.

use ehlo_tokio::Decision;
use ehlo_tokio::ehlo_server::codec::{EnhancedCode, Mailbox, MailboxBuf, Reply, ReplyCode};
use ehlo_tokio::store::FileOps;

use super::asking::Asker;
use super::refuse;
use crate::address::compose;
use crate::config::Asking;
use crate::directory::{Entry, Hit};
use crate::reply;

/// Mailboxes that one reply to VRFY names, where a name is that of several.
const MAX_CHOICES: usize = 20;

/// A reply with an address in it.
fn told(code: u16, enhanced: (u16, u16, u16), text: String) -> Option<Reply> {
    let (class, subject, detail) = enhanced;
    let (code, enhanced) = ReplyCode::new(code).zip(EnhancedCode::new(class, subject, detail))?;
    Reply::new_utf8(code, Some(enhanced), text).ok()
}

/// The address in what VRFY or EXPN was given: `local@domain`, perhaps in brackets, or a local part alone.
fn address(text: &str) -> Result<Mailbox<'_>, String> {
    let inner = text.strip_prefix('<').and_then(|rest| rest.strip_suffix('>')).unwrap_or(text);
    Mailbox::parse_utf8(inner).map_err(|_| inner.to_lowercase())
}

impl<F: FileOps> Asker<F> {
    /// Whether an answer is for this client. What takes a look-up does not count here.
    fn may_ask(&self, asking: Asking) -> bool {
        match asking {
            Asking::Nobody => false,
            Asking::Anybody => true,
            Asking::Trusted => self.is_trusted().unwrap_or(false),
        }
    }

    /// All addresses here with that local part.
    fn by_local_part(&self, local: &str) -> Vec<MailboxBuf> {
        let domains = &self.plan.directory.domains;
        let mut found: Vec<MailboxBuf> = domains
            .iter()
            .filter(|(_, domain)| domain.entries.contains_key(local))
            .filter_map(|(domain, _)| compose(local, domain))
            .collect();
        found.sort();
        found
    }

    pub(super) fn vrfy(&self, text: &str) -> Decision {
        if !self.may_ask(self.plan.vrfy) || self.plan.accept_all.is_some() {
            return Decision::Accept;
        }
        match address(text) {
            Ok(mailbox) => self.verify(&mailbox.into()),
            Err(local) => match &self.by_local_part(&local)[..] {
                [] => refuse(reply::NO_SUCH_MAILBOX),
                [only] => self.verify(only),
                // RFC 5321 §3.5.1: the choices may be told.
                several => {
                    let choices = several.iter().take(MAX_CHOICES).map(|address| format!("\n<{address}>"));
                    let text = choices.fold("User ambiguous; possibilities are".to_owned(), |text, line| text + &line);
                    refuse(told(553, (5, 1, 4), text).unwrap_or(reply::NO_SUCH_MAILBOX))
                }
            },
        }
    }

    fn verify(&self, address: &MailboxBuf) -> Decision {
        let found = match self.plan.directory.find_mailbox(address.as_mailbox()) {
            Hit::Entry(Entry::Moved(new)) => told(551, (5, 1, 6), format!("User not local; please try <{new}>")),
            Hit::Entry(Entry::Forwarded(_, new)) => {
                told(251, (2, 1, 5), format!("User not local; will forward to <{new}>"))
            }
            Hit::Entry(_) | Hit::Targets(_) => told(250, (2, 1, 5), format!("<{address}>")),
            Hit::Unknown => return refuse(reply::NO_SUCH_MAILBOX),
            Hit::SourceRoute => return refuse(reply::SOURCE_ROUTE),
            // VRFY knows no 556, and nothing is known of addresses elsewhere.
            Hit::NullDomain => return refuse(reply::NO_SUCH_MAILBOX),
            Hit::Elsewhere(_) => None,
        };
        match found {
            Some(reply) if reply.code().get() < 300 => Decision::AcceptWith(reply),
            Some(reply) => refuse(reply),
            None => Decision::Accept,
        }
    }

    pub(super) fn expn(&self, text: &str) -> Decision {
        if !self.may_ask(self.plan.expn) {
            return refuse(reply::LIST_NOT_FOR_YOU);
        }
        let found = match address(text) {
            Ok(mailbox) => Some(MailboxBuf::from(mailbox)),
            Err(local) => self.by_local_part(&local).into_iter().next(),
        };
        let hit = found.as_ref().map(|address| self.plan.directory.find_mailbox(address.as_mailbox()));
        let Some(Hit::Entry(Entry::List(_, members))) = hit else { return refuse(reply::NO_SUCH_LIST) };
        let lines: Vec<String> = members.iter().map(|member| format!("<{member}>")).collect();
        told(250, (2, 1, 5), lines.join("\n")).map_or(Decision::Accept, Decision::AcceptWith)
    }

    pub(super) fn etrn(&self) -> Decision {
        if !self.may_ask(self.plan.etrn) {
            return refuse(reply::ETRN_NOT_FOR_YOU);
        }
        // What is accepted is with its place already: nothing ever waits here (RFC 1985 §5.1).
        Decision::AcceptWith(reply::NOTHING_WAITS)
    }
}
