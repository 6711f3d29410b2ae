//! Someone types SMTP into `openssl s_client`.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::Duration;

use crate::bench::{Bench, Ended};
use crate::clients::OPENSSL;
use crate::order::{ENVID, Feature, Mechanism, NOTIFY, ORCPT, Order, RET, Way};

/// What would stand on the terminal. `-crlf` makes CRLF of the line ends that are typed.
struct Terminal {
    child: Child,
    typed: ChildStdin,
    shown: BufReader<ChildStdout>,
    told: String,
    /// Dropped when the program has ended.
    _watched: Sender<()>,
}

impl Terminal {
    fn open(order: &Order<'_>) -> Self {
        let mut command = Command::new(order.program);
        command.args(["s_client", "-quiet", "-crlf", "-connect", &format!("127.0.0.1:{}", order.port)]);
        if order.way == Way::StartTls {
            let protocol = if order.feature == Feature::Lmtp { "lmtp" } else { "smtp" };
            command.args(["-starttls", protocol, "-name", "client.example"]);
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let (typed, shown) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        let pid = rustix::process::Pid::from_child(&child);
        let (watched, watch) = channel();
        std::thread::spawn(move || {
            if watch.recv_timeout(Duration::from_secs(60)) == Err(RecvTimeoutError::Timeout) {
                let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
            }
        });
        Self { child, typed, shown, told: format!("{command:?}\n"), _watched: watched }
    }

    /// Types something, and waits for a reply of that code.
    fn say(&mut self, text: &str, code: &str) -> Option<()> {
        self.told.extend(["> ", text, "\n"]);
        self.typed.write_all(text.as_bytes()).ok()?;
        self.typed.write_all(b"\n").ok()?;
        self.wait_for(code)
    }

    fn wait_for(&mut self, code: &str) -> Option<()> {
        loop {
            let begin = self.told.len();
            self.shown.read_line(&mut self.told).ok().filter(|&n| n > 0)?;
            let line = &self.told[begin..];
            line.strip_prefix(code)?;
            if line.as_bytes().get(3) != Some(&b'-') {
                return Some(());
            }
        }
    }

    /// The whole dialogue, as far as it goes.
    fn deliver(&mut self, order: &Order<'_>) -> Option<()> {
        if order.way == Way::Tls {
            self.wait_for("220")?;
        }
        let lmtp = order.feature == Feature::Lmtp;
        self.say(if lmtp { "LHLO client.example" } else { "EHLO client.example" }, "250")?;
        let right = order.feature != Feature::WrongPassword;
        match order.mechanism() {
            None => {}
            Some(Mechanism::Plain) => {
                let message = if right { "AGFkYQBvcGVuIHNlc2FtZQ==" } else { "AGFkYQBndWVzc2Vk" };
                self.say(&format!("AUTH PLAIN {message}"), "235")?;
            }
            Some(Mechanism::Login) => {
                self.say("AUTH LOGIN", "334 VXNlcm5hbWU6")?;
                self.say("YWRh", "334 UGFzc3dvcmQ6")?;
                self.say("b3BlbiBzZXNhbWU=", "235")?;
            }
            Some(other) => panic!("nobody does {} in his head", other.name()),
        }
        let (mail, rcpt) = match order.feature {
            Feature::Utf8 => (" SMTPUTF8 BODY=8BITMIME".to_owned(), String::new()),
            Feature::Dsn => (format!(" BODY=8BITMIME {RET} {ENVID}"), format!(" {NOTIFY} {ORCPT}")),
            _ => (" BODY=8BITMIME".to_owned(), String::new()),
        };
        self.say(&format!("MAIL FROM:<{}>{mail}", order.from()), "250")?;
        for to in order.to() {
            self.say(&format!("RCPT TO:<{to}>{rcpt}"), "250")?;
        }
        if order.feature == Feature::Bdat {
            // Two chunks, the first of which ends within a line. What is typed gets its CR on the way, so the sizes are of what arrives.
            let letter = order.letter();
            let (first, second) = letter.split_at(letter.find("hidden").expect("a word of the letter"));
            self.type_raw(&format!("BDAT {}\n{}", first.len(), first.replace("\r\n", "\n")))?;
            self.wait_for("250")?;
            self.type_raw(&format!("BDAT {} LAST\n{}", second.len(), second.replace("\r\n", "\n")))?;
        } else {
            self.say("DATA", "354")?;
            self.type_raw(&order.stuffed().replace("\r\n", "\n"))?;
        }
        for _ in 0..if lmtp { 2 } else { 1 } {
            self.wait_for("250")?;
        }
        self.say("QUIT", "221")
    }

    fn type_raw(&mut self, text: &str) -> Option<()> {
        self.typed.write_all(text.as_bytes()).ok()?;
        self.typed.flush().ok()
    }
}

fn openssl(order: &Order<'_>) -> Ended {
    let mut terminal = Terminal::open(order);
    let well = terminal.deliver(order).is_some();
    let Terminal { mut child, typed, told, .. } = terminal;
    drop(typed);
    if !well {
        let _ = child.kill();
    }
    let status = child.wait().unwrap();
    // It has been hung up on, and says so by its status or not, as its version likes it.
    Ended { well, told: format!("{told}{status}"), lacks: None }
}

#[test]
fn a_hand_on_openssl_delivers() {
    let Some(bench) = Bench::of(&OPENSSL) else { return };
    bench.judge(openssl);
}
