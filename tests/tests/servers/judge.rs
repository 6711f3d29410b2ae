//! What is asked of the client with each server.

use std::net::SocketAddr;
use std::path::PathBuf;

use ehlo_tokio::client::{Envelope, Login, LoginError, Recipient, Report, SendError, Tls, Trust};
use ehlo_tokio::ehlo_client::codec::{BodyType, MailParams, RcptParams};
use ehlo_tokio::ehlo_sasl::Mechanism;

use crate::both::{Client, DRIVERS, Driver, Wanted};
use crate::letter;
use crate::process::{Folder, Process};
use crate::rows::{KEYWORDS, LongLine, Row, Way};
use crate::stored::{Mailboxes, without_trace};

pub(crate) const USER: &str = "ada@mx.example";
pub(crate) const PASSWORD: &str = "correct-horse-4711";

/// Mailboxes that every server has. `later` is answered by 4yz where that can be had, and anybody else by 5yz.
pub(crate) const USERS: [&str; 3] = ["bob", "eve", "jos\u{e9}"];

/// A server that runs. It ends before its folder goes.
pub(crate) struct Server {
    pub(crate) process: Process,
    pub(crate) clear: SocketAddr,
    pub(crate) tls: Option<SocketAddr>,
    pub(crate) chain: PathBuf,
    pub(crate) folder: Folder,
}

/// A way to send: which driver, how protected, by BDAT if that is offered, and ahead of replies likewise.
#[derive(Clone, Copy, Debug)]
struct Cell {
    driver: Driver,
    way: Way,
    chunking: bool,
    pipelining: bool,
}

impl Cell {
    /// Everything with one driver; as it comes, with the other.
    fn all(row: &'static Row) -> impl Iterator<Item = Self> {
        let flags = [(true, true), (true, false), (false, true), (false, false)];
        let cells = row.ways.iter().flat_map(move |&way| {
            DRIVERS.into_iter().flat_map(move |driver| {
                flags.into_iter().map(move |(chunking, pipelining)| Self { driver, way, chunking, pipelining })
            })
        });
        cells.filter(|cell| {
            let same = |asked: bool, offered: bool| asked || offered;
            same(cell.chunking, row.offers("CHUNKING"))
                && same(cell.pipelining, row.offers("PIPELINING"))
                && (cell.driver == Driver::Tokio || (cell.chunking && cell.pipelining))
        })
    }
}

struct Judge<'a> {
    row: &'static Row,
    server: &'a Server,
    mailboxes: Mailboxes,
}

/// Goes through all that a row says.
pub(crate) fn judge(row: &'static Row, server: &Server) {
    let judge = Judge { row, server, mailboxes: Mailboxes(server.folder.0.join("store")) };
    for cell in Cell::all(row) {
        judge.recipients(cell);
        judge.as_it_was(cell);
        judge.streamed(cell);
    }
    let plain = |driver| Cell { driver, way: row.ways[0], chunking: true, pipelining: true };
    for driver in DRIVERS {
        judge.beyond_ascii(plain(driver));
        judge.reports(plain(driver));
        judge.too_long(plain(driver));
        if !row.auth.is_empty() {
            judge.log_in(driver);
        }
    }
    assert!(judge.mailboxes.are_empty(), "{}: something was stored twice", row.title);
}

fn recipients<const N: usize>(names: [&'static str; N]) -> [Recipient<'static>; N] {
    names.map(|name| Recipient::parse(name).unwrap())
}

fn fates(report: &Report) -> Vec<String> {
    report.iter().map(|fate| fate.to_string()).collect()
}

impl Judge<'_> {
    /// Connects. What the server offers is what the row says, each time.
    fn connect(&self, cell: Cell, login: Option<Login>) -> (Result<Client, SendError>, String) {
        let trust = || Trust::builder().authorities(&self.server.chain).unwrap().build().unwrap();
        let (address, tls) = match cell.way {
            Way::Clear => (self.server.clear, Tls::Off),
            Way::StartTls => (self.server.clear, Tls::Required(trust())),
            Way::Tls => (self.server.tls.unwrap(), Tls::Implicit(trust())),
        };
        let needed = cell.way == Way::Tls && self.row.tls_wants_login;
        let login = login.or_else(|| needed.then(|| Login::password(USER, PASSWORD)));
        let wanted =
            Wanted { tls, login, no_chunking: !cell.chunking, no_pipelining: !cell.pipelining, ..Wanted::default() };
        let (client, seen) = cell.driver.connect(address, wanted);
        let seen = seen.lock().unwrap().clone();
        (client, seen)
    }

    fn connected(&self, cell: Cell) -> Client {
        let (client, seen) = self.connect(cell, None);
        let client = client.unwrap_or_else(|error| panic!("{} {cell:?}: {error}\n{seen}", self.row.title));
        for keyword in KEYWORDS {
            assert_eq!(seen.contains(keyword), self.row.offers(keyword), "{}, {keyword}: {seen}", self.row.title);
        }
        assert_eq!(client.tls().map(|tls| tls.verified), (cell.way != Way::Clear).then_some(true), "{cell:?}");
        client
    }

    /// That user's one message is this.
    fn has(&self, what: &dyn Fn() -> String, user: &str, text: &[u8]) {
        let verdict = self.mailboxes.take(user).and_then(|stored| without_trace(&stored, text));
        if let Err(why) = verdict {
            panic!("{}, {user}: {why}\nits log:\n{}", what(), self.server.log());
        }
    }

    /// Some are taken, and some are not; each is told of, and a second message over the same connection is not mixed up with the first.
    fn recipients(&self, cell: Cell) {
        let mut client = self.connected(cell);
        let what = || format!("{} {cell:?}, several recipients", self.row.title);
        let second = if self.row.defers { "later@mx.example" } else { "nobody@mx.example" };
        let to = recipients(["bob@mx.example", second, "never@mx.example", "eve@mx.example"]);
        let envelope = Envelope::parse("ada@client.example", &to).unwrap();
        for _ in 0..if self.row.forgives { 2 } else { 1 } {
            let report = client.send(&envelope, &letter::dots()).unwrap();
            let fates = fates(&report);
            let second = if self.row.defers { "deferred: 4" } else { "refused: 5" };
            let begin = ["accepted: 250", second, "refused: 5", "accepted: 250"];
            let right = fates.len() == 4 && fates.iter().zip(begin).all(|(fate, begin)| fate.starts_with(begin));
            assert!(right, "{}: {fates:?}", what());
            self.has(&what, "bob", &letter::dots());
            self.has(&what, "eve", &letter::dots());
            if !self.row.forgives {
                break;
            }
            // Nobody at all: the server must not be left in the middle of a transaction.
            let nobody = recipients(["never@mx.example"]);
            let report = client.send(&Envelope::parse("", &nobody).unwrap(), &letter::dots()).unwrap();
            assert!(self::fates(&report)[0].starts_with("refused: 5"), "{}: {report:?}", what());
        }
        client.quit().unwrap_or_else(|error| panic!("{}: {error}", what()));
    }

    /// Dots, octets above 127 and lines that are as long as they may be.
    fn as_it_was(&self, cell: Cell) {
        let mut client = self.connected(cell);
        let to = recipients(["bob@mx.example"]);
        let envelope = Envelope::parse("", &to).unwrap();
        for (name, text) in [("8BITMIME", letter::eight_bit()), ("long lines", letter::long_lines())] {
            let what = || format!("{} {cell:?}, {name}", self.row.title);
            let report = client.send(&envelope, &text).unwrap();
            assert!(report.all_accepted(), "{}: {:?}", what(), fates(&report));
            self.has(&what, "bob", &text);
        }
        client.quit().unwrap();
    }

    /// 5 MB, read while they are sent: their number told or not, and from what could be read again.
    fn streamed(&self, cell: Cell) {
        let text = letter::big();
        let to = recipients(["bob@mx.example", "never@mx.example"]);
        let envelope = Envelope::parse("", &to).unwrap().with_body(BodyType::EightBitMime);
        for way in ["told", "untold", "seekable"] {
            let mut client = self.connected(cell);
            let what = || format!("{} {cell:?}, 5 MB, {way}", self.row.title);
            let report = match way {
                "told" => client.send_read(&envelope, &text, true),
                "untold" => client.send_read(&envelope, &text, false),
                _ => client.send_seek(&envelope, &text),
            };
            let report = report.unwrap_or_else(|error| panic!("{}: {error}", what()));
            let fates = fates(&report);
            let right = fates[0].starts_with("accepted: 250") && fates[1].starts_with("refused: 5");
            assert!(right, "{}: {fates:?}", what());
            self.has(&what, "bob", &text);
            client.quit().unwrap();
        }
    }

    /// An address beyond ASCII is sent to servers that take it; others are sent nothing.
    fn beyond_ascii(&self, cell: Cell) {
        let mut client = self.connected(cell);
        let what = || format!("{} {cell:?}, SMTPUTF8", self.row.title);
        let to = recipients(["jos\u{e9}@mx.example"]);
        let envelope = Envelope::parse("j\u{fc}rgen@client.example", &to).unwrap();
        let report = client.send(&envelope, &letter::eight_bit()).unwrap();
        if self.row.offers("SMTPUTF8") {
            assert!(report.all_accepted(), "{}: {:?}", what(), fates(&report));
            self.has(&what, USERS[2], &letter::eight_bit());
        } else {
            assert!(fates(&report)[0].starts_with("not sent: "), "{}: {:?}", what(), fates(&report));
        }
        client.quit().unwrap();
    }

    /// Wishes for reports go where they are offered; elsewhere the caller is told that they did not.
    fn reports(&self, cell: Cell) {
        let mut client = self.connected(cell);
        let what = || format!("{} {cell:?}, DSN", self.row.title);
        let params = RcptParams::parse("NOTIFY=SUCCESS,DELAY ORCPT=rfc822;bob+40mx.example").unwrap();
        let to = recipients(["bob@mx.example"]).map(|to| to.with_params(params));
        let envelope = Envelope::parse("", &to).unwrap();
        let envelope = envelope.with_params(MailParams::parse("RET=HDRS ENVID=interop+2D1").unwrap());
        let report = client.send(&envelope, &letter::dots()).unwrap();
        assert!(report.all_accepted(), "{}: {:?}", what(), fates(&report));
        assert_eq!(report.without_dsn, !self.row.offers("DSN"), "{}", what());
        self.has(&what, "bob", &letter::dots());
        client.quit().unwrap();
    }

    /// A line beyond what RFC 5321 allows: the client sends it, and tells what the server says.
    fn too_long(&self, cell: Cell) {
        let mut client = self.connected(cell);
        let what = || format!("{} {cell:?}, a line of 4000 octets", self.row.title);
        let to = recipients(["bob@mx.example"]);
        let envelope = Envelope::parse("", &to).unwrap();
        let text = letter::too_long(4000);
        let report = client.send(&envelope, &text).unwrap();
        let fate = &fates(&report)[0];
        match self.row.long_line {
            LongLine::Refused(begin) => assert!(fate.starts_with(begin), "{}: {fate}", what()),
            LongLine::Kept => {
                assert!(report.all_accepted(), "{}: {fate}", what());
                self.has(&what, "bob", &text);
            }
        }
        // The session is none the worse.
        let report = client.send(&envelope, &letter::dots()).unwrap();
        assert!(report.all_accepted(), "{}: {:?}", what(), fates(&report));
        self.has(&what, "bob", &letter::dots());
        client.quit().unwrap();
    }

    /// By each mechanism, and by a wrong password in vain.
    fn log_in(&self, driver: Driver) {
        let cell = Cell { driver, way: Way::StartTls, chunking: true, pipelining: true };
        for mechanism in [Mechanism::Plain, Mechanism::Login, Mechanism::CramMd5] {
            let what = || format!("{} {cell:?}, {}", self.row.title, mechanism);
            let login = |password: &str| Some(Login::password(USER, password.to_owned()).mechanism(mechanism));
            let (client, seen) = self.connect(cell, login(PASSWORD));
            if !self.row.auth.contains(&mechanism) {
                assert!(matches!(client, Err(SendError::Login(LoginError::NoMechanism))), "{}: {seen}", what());
                continue;
            }
            let mut client = client.unwrap_or_else(|error| panic!("{}: {error}\n{seen}", what()));
            let to = recipients(["bob@mx.example"]);
            let report = client.send(&Envelope::parse("ada@mx.example", &to).unwrap(), &letter::dots()).unwrap();
            assert!(report.all_accepted(), "{}: {:?}", what(), fates(&report));
            self.has(&what, "bob", &letter::dots());
            client.quit().unwrap();
            let (client, seen) = self.connect(cell, login("wrong"));
            assert!(matches!(client, Err(SendError::Login(LoginError::Refused(..)))), "{}: {seen}", what());
        }
    }
}

impl Server {
    /// What it has said, to be shown where it did not do as it should.
    fn log(&self) -> String {
        let mut text = self.process.said();
        for name in ["maillog", "spool/mainlog", "mail.log"] {
            text += &std::fs::read_to_string(self.folder.0.join(name)).unwrap_or_default();
        }
        let from = text.len().saturating_sub(4000);
        text.get(from..).unwrap_or(&text).to_owned()
    }
}
