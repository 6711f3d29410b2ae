//! Goes through what a client can do, and judges each delivery.

use std::cell::OnceCell;
use std::fs;
use std::io::Write as _;
use std::path::PathBuf;

use crate::clients::{Changes, Client};
use crate::common::{Folder, peer};
use crate::order::{ENVID, Feature, NOTIFY, ORCPT, Order, RET, Way, cell};
use crate::stored::Stored;
use crate::target::Target;
use crate::wire::Transaction;

/// How a client ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) well: bool,
    /// What it said.
    pub(crate) told: String,
    /// What it was built without, so that this delivery says nothing of the server.
    pub(crate) lacks: Option<String>,
}

/// A client with servers for it.
pub(crate) struct Bench {
    pub(crate) client: &'static Client,
    pub(crate) program: PathBuf,
    folder: Folder,
    smtp: Target,
    /// Started when it is needed.
    lmtp: OnceCell<Target>,
}

impl Bench {
    /// Nothing, and a word on the standard error, if the client cannot be run here.
    pub(crate) fn of(client: &'static Client) -> Option<Self> {
        let program = peer(client.name)?;
        if client.root && !rustix::process::geteuid().is_root() {
            not_judged(&format!("{} can only be run by root", client.title));
            return None;
        }
        Some(Self { client, program, folder: Folder::new(), smtp: Target::start(&[]), lmtp: OnceCell::new() })
    }

    fn target(&self, feature: Feature) -> &Target {
        if feature == Feature::Lmtp { self.lmtp.get_or_init(|| Target::start(&["--lmtp"])) } else { &self.smtp }
    }

    /// Gives each order that the client can carry out, one after the other.
    pub(crate) fn each(&self, mut visit: impl FnMut(&Order<'_>)) {
        for (way, feature) in self.client.cells() {
            let folder = self.folder.0.join(cell(way, feature));
            fs::create_dir_all(&folder).unwrap();
            let port = self.target(feature).port(way);
            visit(&Order { program: &self.program, way, feature, port, folder: &folder });
        }
    }

    /// Has each order carried out, judges it, and looks at the servers' own account at the end.
    pub(crate) fn judge(self, mut deliver: impl FnMut(&Order<'_>) -> Ended) {
        let (mut smtp, mut lmtp, mut logins, mut guesses) = (0, 0, 0, 0);
        self.each(|order| {
            let target = self.target(order.feature);
            let ended = deliver(order);
            if let Some(why) = &ended.lacks {
                not_judged(&format!("{}, {}: {why}", self.client.title, order.cell()));
                return;
            }
            let said = if order.way == Way::Clear { target.relay.said() } else { String::new() };
            let context =
                || format!("{}, {}\nit told: {}\nit said: {said}", self.client.title, order.cell(), ended.told);
            if order.feature == Feature::WrongPassword {
                // That nothing was stored shows at the next delivery, and at the end.
                assert!(!ended.well, "{}", context());
                guesses += 1;
                return;
            }
            assert!(ended.well, "{}", context());
            let file = target.take().unwrap_or_else(|| panic!("nothing was stored: {}", context()));
            let stored = Stored::of(&file, order.to().len());
            judge_stored(self.client, order, &stored, &context);
            if order.way == Way::Clear {
                let sent = target.relay.take();
                assert_eq!(sent.len(), 1, "messages on the wire: {}", context());
                judge_wire(self.client, order, &sent[0], &stored, &context);
            }
            *(if order.feature == Feature::Lmtp { &mut lmtp } else { &mut smtp }) += 1;
            logins += u32::from(order.mechanism().is_some());
        });
        let summary = self.smtp.stop();
        assert!(summary.contains(&format!("ehlo serve: {smtp} messages accepted")), "{summary}");
        assert!(summary.contains(" 0 refused, 0 broken off"), "{summary}");
        assert!(!summary.contains("handshakes failed") || summary.contains(" 0 handshakes failed"), "{summary}");
        let nobody = logins == 0 && guesses == 0;
        assert!(nobody || summary.contains(&format!(", {logins} log-ins, {guesses} failed")), "{summary}");
        if let Some(target) = self.lmtp.into_inner() {
            let summary = target.stop();
            assert!(summary.contains(&format!("ehlo serve: {lmtp} messages accepted")), "{summary}");
        }
    }
}

/// What was stored is what was ordered.
fn judge_stored(client: &Client, order: &Order<'_>, stored: &Stored<'_>, context: &dyn Fn() -> String) {
    // A client may know the domain by its A-labels only (RFC 5890).
    let from = order.from();
    let ascii = from.replace("b\u{fc}cher", "xn--bcher-kva");
    assert!(stored.from == from || stored.from == ascii, "the sender is {:?}: {}", stored.from, context());
    let (mut to, mut wanted) = (stored.to.clone(), order.to());
    to.sort();
    wanted.sort();
    assert_eq!(to, wanted, "the recipients: {}", context());
    assert_eq!(stored.with, with(order), "the protocol: {}", context());
    let letter = order.letter();
    let message = stored.message;
    let same = match client.changes {
        Changes::Nothing => message == letter.as_bytes(),
        Changes::EmptyLine => message.strip_suffix(b"\r\n") == Some(letter.as_bytes()),
        // All fields are there, in their order and nothing but whole fields between them, and the body is the same.
        Changes::Fields => {
            let (header, body) = letter.split_at(letter.find("\r\n\r\n").expect("a header") + 2);
            message.strip_suffix(body.as_bytes()).is_some_and(|mut rest| {
                header.split_inclusive("\r\n").all(|field| {
                    let found = rest.windows(field.len()).position(|window| window == field.as_bytes());
                    let begins = found.is_some_and(|at| at == 0 || rest[..at].ends_with(b"\r\n"));
                    rest = &rest[found.map_or(0, |at| at + field.len())..];
                    begins
                })
            })
        }
    };
    let show = |bytes: &[u8]| bytes[..bytes.len().min(1500)].escape_ascii().to_string();
    assert!(
        same,
        "stored, {} octets: {}\nsent, {} octets: {}\n{}",
        message.len(),
        show(message),
        letter.len(),
        show(letter.as_bytes()),
        context()
    );
}

/// The word behind `with` (RFC 3848, RFC 6531 §4.3).
fn with(order: &Order<'_>) -> String {
    let protocol = match order.feature {
        Feature::Utf8 => "UTF8SMTP",
        Feature::Lmtp => "LMTP",
        _ => "ESMTP",
    };
    let tls = if order.way == Way::Clear { "" } else { "S" };
    let auth = if order.mechanism().is_some() { "A" } else { "" };
    format!("{protocol}{tls}{auth}")
}

/// What was stored is, octet by octet, what went over the wire, and that is what the order is about.
fn judge_wire(
    client: &Client,
    order: &Order<'_>,
    sent: &Transaction,
    stored: &Stored<'_>,
    context: &dyn Fn() -> String,
) {
    assert!(sent.message == stored.message, "stored are not the octets of the wire: {}", context());
    let (feature, mail, rcpt) = (order.feature, &sent.mail, &sent.rcpt);
    assert_eq!(sent.hello, if feature == Feature::Lmtp { "LHLO" } else { "EHLO" }, "{}", context());
    assert_eq!(sent.by, if feature == Feature::Bdat { "BDAT" } else { "DATA" }, "{}", context());
    assert_eq!(sent.auth.as_deref(), order.mechanism().map(|mechanism| mechanism.name()), "{}", context());
    let has = |command: &str, parameter: &str| command.split(' ').any(|word| word.eq_ignore_ascii_case(parameter));
    assert_eq!(has(mail, "SMTPUTF8"), feature == Feature::Utf8, "{mail}: {}", context());
    for parameter in [RET, ENVID, NOTIFY, ORCPT] {
        let keyword = parameter.split('=').next().expect("a keyword");
        let wanted = feature == Feature::Dsn && client.dsn.is_ok_and(|keywords| keywords.contains(&keyword));
        if parameter == RET || parameter == ENVID {
            assert_eq!(has(mail, parameter), wanted, "{parameter} in {mail}: {}", context());
        } else {
            assert!(rcpt.iter().all(|rcpt| has(rcpt, parameter) == wanted), "{parameter} in {rcpt:?}: {}", context());
        }
    }
}

/// Past the capture of tests that pass, and whole, since other tests write, too.
pub(crate) fn not_judged(what: &str) {
    let _ = std::io::stderr().write_all(format!("\nnot judged: {what}\n").as_bytes());
}
