//! What the replies of a session may be, and what they change.

use super::{Dialogue, Message, Mode, Says};
use ehlo_codec::ReplyClass;
use ehlo_codec::codes::{ReplyCode, Stage, Verb};
use ehlo_server::TlsMode;

impl Dialogue {
    /// The session put out these bytes.
    pub(crate) fn written(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.reply_line.push(byte);
            if !self.reply_line.ends_with(b"\r\n") {
                continue;
            }
            let line = std::mem::take(&mut self.reply_line);
            let digits = line[..3].try_into().ok().and_then(ReplyCode::from_digits);
            let code = digits.unwrap_or_else(|| panic!("no reply: {}", line.escape_ascii()));
            // RFC 4954 §4: challenges are longer than other replies.
            let most = if code == ReplyCode::AUTH_CHALLENGE { 12_288 + 6 } else { 512 };
            assert!(line.len() <= most, "a reply line of {} octets", line.len());
            assert!(self.within.is_none_or(|within| within == code), "two codes in one reply");
            match line[3] {
                b' ' => {
                    self.within = None;
                    self.replied(code, &line[4..line.len() - 2]);
                    self.reply_lines.clear();
                }
                b'-' => {
                    self.within = Some(code);
                    self.reply_lines.push(line[4..line.len() - 2].to_vec());
                }
                _ => panic!("no reply: {}", line.escape_ascii()),
            }
        }
    }

    fn replied(&mut self, code: ReplyCode, text: &[u8]) {
        assert!(!self.over, "{code} behind the last reply");
        assert!(!self.handshaking, "{code} in place of a handshake");
        self.pass_silent();
        let closing = code == ReplyCode::SERVICE_NOT_AVAILABLE;
        let at = self.answered;
        self.replies.push(code);
        // A response without end gets its 500 when it is given up, and then 421.
        assert!(closing || !self.hopeless, "{code} where only 421 may come");
        if at == self.owed.len() && self.mode == Mode::Response && code == ReplyCode::SYNTAX_ERROR {
            self.hopeless = true;
            self.owe(Stage::AuthResponse, Says::Fault);
        }
        let Some(owed) = self.owed.get_mut(at) else {
            // RFC 5321 §3.8: a server that gives up says 421, asked or not.
            assert!(closing, "{code} answers nothing");
            self.over = true;
            return;
        };
        let stage = owed.stage;
        let message = matches!(owed.says, Says::Message(_) | Says::Chunk { last: true, .. });
        if message && self.shape.lmtp && self.more == 0 {
            self.more = self.envelope.to.len();
        }
        self.more = self.more.saturating_sub(1);
        if message && self.decided.is_some() {
            return self.decision_told(stage, code);
        }
        if closing {
            // A 421 may be repeated for each recipient, but nothing else follows it.
            self.hopeless = true;
            assert!(self.decided.is_none(), "a message was decided on, and the peer is told something else");
            self.over = self.more == 0;
            return;
        }
        assert_eq!(code == ReplyCode::AUTHENTICATED, std::mem::take(&mut self.granted), "{code} to {stage:?}");
        let fault = matches!(owed.says, Says::Fault) && matches!(code.get(), 500 | 501);
        assert!(fault || stage.permits(code), "{code} is no reply to {stage:?}");
        if self.more > 0 {
            assert_ne!(code.class(), ReplyClass::Completion, "{code} for one of the recipients before the commit");
            return;
        }
        self.answered += 1;
        let says = std::mem::replace(&mut owed.says, Says::Other);
        self.over = stage == Stage::Verb(Verb::Quit) && code.class() == ReplyClass::Completion;
        self.moved(stage, says, code, text);
    }

    /// A reply to a message that the application has decided on: the one that it wants, and under LMTP the one for the next of the
    /// recipients in their order (RFC 2033 §4.2).
    fn decision_told(&mut self, stage: Stage, code: ReplyCode) {
        let decided = self.decided.as_mut().expect("a decision");
        let expected = decided.pop_front().expect("a reply for each recipient");
        assert_eq!(code, expected, "not what the application has said");
        assert!(stage.permits(code), "{code} is no reply to {stage:?}");
        self.leaves |= code == ReplyCode::SERVICE_NOT_AVAILABLE;
        assert_eq!(self.more == 0, decided.is_empty(), "one reply too many, or too few");
        if self.more > 0 {
            return;
        }
        self.decided = None;
        if self.leaves {
            (self.hopeless, self.over) = (true, true);
            return;
        }
        self.owed[self.answered].says = Says::Other;
        self.answered += 1;
        self.end_transaction();
    }

    /// What a reply changes, and whether it may have come at all.
    fn moved(&mut self, stage: Stage, says: Says, code: ReplyCode, text: &[u8]) {
        let yes = code.class() == ReplyClass::Completion;
        let no = matches!(code.class(), ReplyClass::TransientFailure | ReplyClass::PermanentFailure);
        self.check_tls(stage, code, no);
        if code == ReplyCode::AUTH_CHALLENGE {
            assert!(self.held.is_empty(), "334 comes late");
            self.mode = Mode::Response;
            return self.challenge_told(stage, says, text);
        }
        if no && matches!(stage, Stage::Verb(Verb::Auth) | Stage::AuthResponse) {
            self.auth_refused(stage, &says, code);
        }
        let sender = self.envelope.from.is_some();
        match says {
            Says::Astray => self.over = true,
            Says::Fault => assert!(!yes, "{code} for what is no line"),
            Says::Hello if yes => {
                assert!(!self.refused, "a session that was refused is greeted");
                self.greeted = true;
                self.end_transaction();
                let lines = self.reply_lines.iter().map(Vec::as_slice).chain([text]).skip(1);
                self.offered = Some(lines.map(|line| String::from_utf8_lossy(line).into_owned()).collect());
            }
            Says::Mail(from, binary) if yes => {
                self.binary = binary;
                assert!(self.identified || !self.shape.needs_identity, "MAIL is taken of nobody");
                assert!(self.greeted && !sender, "MAIL out of sequence is taken");
                self.envelope.from = Some(from);
            }
            Says::Rcpt(to) if yes => {
                assert!(sender && self.chunks.is_none() && !self.failed, "RCPT out of sequence is taken");
                self.envelope.to.push(to);
            }
            Says::Rset if yes => self.end_transaction(),
            Says::Noop => assert!(yes || self.refused, "{code} to NOOP"),
            Says::Message(message) => self.message_refused(&message, true, code),
            Says::Chunk { octets, last } => {
                // Out of sequence it is read over, and nothing else changes.
                if self.envelope.to.is_empty() || (self.failed && !last) {
                    assert!(!yes, "a chunk out of sequence is taken");
                    return;
                }
                assert!(!yes || !self.failed, "a chunk is taken behind one that was refused");
                let body = self.chunks.get_or_insert_default();
                body.extend_from_slice(&octets);
                if last {
                    let text = std::mem::take(body);
                    self.message_refused(&Message::new(text, self.binary, &self.shape), false, code);
                } else if !yes {
                    (self.chunks, self.failed) = (None, true);
                }
            }
            _ if code == ReplyCode::AUTHENTICATED => {
                assert!(self.greeted && !sender, "AUTH out of sequence is taken");
                self.identified = true;
            }
            _ if stage == Stage::Connect => self.refused = !yes,
            _ if stage == Stage::Verb(Verb::Data) && code == ReplyCode::START_MAIL_INPUT => {
                assert!(!self.envelope.to.is_empty(), "354 without a recipient");
                assert!(self.chunks.is_none() && !self.failed && !self.binary, "354 out of sequence");
                assert!(self.held.is_empty(), "354 comes late");
                self.mode = Mode::Body;
            }
            // What these do is modelled above: a command that was not understood may not have done it.
            _ => {
                let moves = [Verb::Ehlo, Verb::Helo, Verb::Mail, Verb::Rcpt, Verb::Rset].map(Stage::Verb);
                assert!(!yes || !moves.contains(&stage), "{code} to a malformed {stage:?}");
            }
        }
    }

    /// What only TLS allows, and how it begins (RFC 3207 §4).
    fn check_tls(&mut self, stage: Stage, code: ReplyCode, no: bool) {
        let Stage::Verb(verb) = stage else { return };
        let early = matches!(verb, Verb::Noop | Verb::Ehlo | Verb::Lhlo | Verb::Starttls | Verb::Quit);
        assert!(no || early || self.inside || self.shape.tls != TlsMode::Required, "{code} to {stage:?} before TLS");
        if verb == Verb::Starttls {
            assert!(code.get() != 454 || !self.tls_available, "454 to STARTTLS, and a handshake could be done");
            let may = self.shape.tls.has_starttls() && self.tls_available && !self.inside;
            assert!(no || may, "{code} to STARTTLS");
            self.handshaking = !no;
        }
    }

    /// A reply to a message that the application has not decided on: the session refuses it, and for a reason.
    fn message_refused(&mut self, message: &Message, by_data: bool, code: ReplyCode) {
        let shape = &self.shape;
        let fits = match code.get() {
            550 => message.bare,
            552 => message.body.len() as u64 > shape.message_size,
            // What the application says to DATA, it says to the first chunk behind its end.
            554 if by_data => shape.received.is_some_and(|most| message.received > most as usize),
            452 => self.not_stored,
            451 if by_data => self.undecided,
            503 | 554 | 451 => !by_data,
            _ => false,
        };
        assert!(fits, "a message is refused with {code}, and there is no reason");
        self.end_transaction();
    }
}
