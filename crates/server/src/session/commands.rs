//! Command lines: which are allowed, and what they do.

use super::body::Source;
use super::overriding::Spot;
use super::{Kind, Phase, Session};
use crate::config::Protocol;
use crate::count::CommandCounts;
use crate::event::{AbortReason, CloseReason, Event};
use crate::extension::{check_mail, check_rcpt, is_offered, line_limit};
use crate::question::{
    DataToken, EtrnToken, ExpnToken, HelloToken, MailToken, Question, Questions, RcptToken, VrfyToken,
};
use crate::replies;
use crate::table::{self, Cell, State};
use ehlo_codec::{
    BodyType, ClientId, Command, CommandLine, DataDecoder, Extension, ForwardPath, Framed, LineFault, LineFramer,
    MailParams, ParamFault, Priority, RcptParams, Reply, ReplyCode, ReversePath, SyntaxError, Verb,
};
use std::time::Instant;

/// The methods of HTTP (RFC 9110 §9.3, RFC 5789 §2). Postfix closes at CONNECT, GET and POST.
const METHODS: &[&[u8]] = &[b"CONNECT", b"DELETE", b"GET", b"HEAD", b"OPTIONS", b"PATCH", b"POST", b"PUT", b"TRACE"];

impl Session {
    /// Takes bytes of a command line, and obeys it if they complete it; gives how many were used.
    pub(super) fn handle_line(&mut self, now: Instant, input: &[u8], commands: &mut CommandCounts) -> usize {
        // The line may lie in the framer, so the framer is set aside while the session acts on it.
        let mut framer = std::mem::replace(&mut self.framer, LineFramer::new(0));
        let (used, frame) = framer.next(input);
        if frame != Framed::NeedMore {
            // What was to be said in place of a reply that did not come.
            self.overriding = None;
        }
        match frame {
            Framed::NeedMore => {}
            Framed::Line(line) if self.asks_override() => {
                self.keep_subject(line);
                let response = self.phase == Phase::Authenticating;
                if !response {
                    commands.count(CommandLine::split(line).verb);
                }
                self.ask_override(now, if response { Spot::Response } else { Spot::Command });
            }
            Framed::Line(line) if self.phase == Phase::Authenticating => self.handle_response(now, line),
            Framed::Line(line) => {
                commands.count(CommandLine::split(line).verb);
                self.handle_command(now, line);
            }
            Framed::Fault(fault) if self.phase == Phase::Authenticating => self.handle_response_fault(now, fault),
            Framed::Fault(fault) => {
                commands.count(None);
                self.go_on(now);
                self.bad_command(now, fault_reply(fault));
            }
            Framed::Hopeless => {
                if self.phase == Phase::Authenticating {
                    self.defer_auth(now, &replies::AUTH_LINE_TOO_LONG);
                }
                self.close_with(now, &replies::ENDLESS_LINE, CloseReason::Endless);
            }
        }
        self.framer = framer;
        used
    }

    pub(super) fn handle_command(&mut self, now: Instant, line: &[u8]) {
        let Phase::Command(state) = self.phase else { return };
        self.go_on(now);
        let command = CommandLine::split(line);
        let length = line.len() + "\r\n".len();
        if length > self.config.limits.command_line && length > line_limit(self.offer(), command.verb) {
            if command.verb == Some(Verb::Bdat) && self.config.chunking {
                // Its chunk may be on its way.
                return self.close_with(now, &replies::LINE_TOO_LONG, CloseReason::OutOfStep);
            }
            return self.refuse_command(now, command.verb, &replies::LINE_TOO_LONG);
        }
        let Some(verb) = command.verb else {
            if command.argument.is_some() && METHODS.contains(&command.keyword) {
                return self.close_with(now, &replies::ANOTHER_PROTOCOL, CloseReason::AnotherProtocol);
            }
            return self.bad_command(now, &SyntaxError::UnknownCommand.reply());
        };
        let Some(row) = table::row_of(verb).filter(|_| self.is_on(verb)) else {
            return self.refuse_unknown(now, verb);
        };
        let refusal = match row.cells[state as usize] {
            _ if self.needs_tls(verb) && state != State::Refused => Some(replies::TLS_FIRST),
            // RFC 3207 §4.2: a client must not, and the RFC names no reply.
            _ if verb == Verb::Starttls && self.tls.is_some() => Some(replies::TLS_ACTIVE),
            // RFC 4954 §4: once in a session.
            _ if verb == Verb::Auth && self.identity().is_some() => Some(replies::AUTHENTICATED_ALREADY),
            Cell::Allow if self.needs_auth(verb) => Some(replies::AUTH_REQUIRED),
            Cell::Allow => None,
            Cell::WithinTransaction => Some(replies::WITHIN_TRANSACTION),
            Cell::NeedsHello if self.config.protocol == Protocol::Lmtp => Some(replies::LHLO_FIRST),
            Cell::NeedsHello => Some(replies::HELLO_FIRST),
            Cell::NeedsMail => Some(replies::MAIL_FIRST),
            Cell::Nested => Some(replies::NESTED_MAIL),
            Cell::NeedsRecipient => Some(replies::NO_RECIPIENTS),
            Cell::NeedsQuit if self.takes_no_mail => Some(replies::NEVER_TAKES_MAIL),
            Cell::WithinChunks => Some(replies::WITHIN_CHUNKS),
            Cell::NeedsReset => Some(replies::CHUNK_FAILED),
            Cell::NeedsQuit => Some(replies::REFUSED_SESSION),
        };
        if verb == Verb::Mail {
            self.temper.mail(&self.config.limits);
        }
        if verb == Verb::Bdat {
            return self.bdat(now, &command, state, refusal);
        }
        if let Some(reply) = refusal {
            return if matches!(verb, Verb::Rcpt | Verb::Data) {
                self.refuse_follower(now, &reply);
            } else {
                self.refuse_command(now, Some(verb), &reply);
            };
        }
        if row.idle && self.temper.idle_command() {
            return self.close_with(now, &replies::TOO_MANY_COMMANDS, CloseReason::TooManyCommands);
        }
        match self.read(&command, line) {
            Ok(command) => self.obey(now, line, state, &command),
            Err(error) => self.refuse_command(now, Some(verb), &error.reply()),
        }
    }

    fn obey(&mut self, now: Instant, line: &[u8], state: State, command: &Command<'_>) {
        match command {
            Command::Ehlo(name) | Command::Lhlo(name) => self.hello(now, line, *name, true),
            Command::Helo(name) => self.hello(now, line, *name, false),
            Command::Mail { from, params } => self.mail(now, line, *from, params),
            Command::Rcpt { to, params } => self.rcpt(now, line, *to, params),
            // RFC 3030 §3.
            Command::Data if self.envelope.declared.body == BodyType::BinaryMime => {
                self.refuse_follower(now, &replies::BINARY_BY_BDAT);
            }
            Command::Data => {
                self.source = Source::Data(DataDecoder::new());
                if self.config.questions.contains(Questions::DATA) {
                    let token = self.ask(now, Kind::Data);
                    self.events.push(Event::Ask(Question::Data(DataToken(token))));
                } else {
                    self.start_body(now);
                }
            }
            Command::Rset => {
                self.abort(AbortReason::Reset);
                self.envelope.clear();
                self.reply(now, &replies::OK);
                self.enter(now, if state == State::Greeted { State::Greeted } else { State::Ready });
            }
            Command::Noop(_) => self.reply(now, &replies::OK),
            Command::Help(_) => self.help(now),
            Command::Vrfy { .. } => {
                if self.config.questions.contains(Questions::VRFY) {
                    self.keep_subject(line);
                    let token = self.ask(now, Kind::Vrfy);
                    self.events.push(Event::Ask(Question::Vrfy(VrfyToken(token))));
                } else {
                    self.reply(now, &replies::CANNOT_VERIFY);
                }
            }
            Command::Expn { .. } => {
                self.keep_subject(line);
                let token = self.ask(now, Kind::Expn);
                self.events.push(Event::Ask(Question::Expn(ExpnToken(token))));
            }
            Command::Etrn(_) => {
                self.keep_subject(line);
                let token = self.ask(now, Kind::Etrn);
                self.events.push(Event::Ask(Question::Etrn(EtrnToken(token))));
            }
            Command::Quit => {
                self.abort(AbortReason::Reset);
                self.close_with(now, &replies::BYE, CloseReason::Quit);
            }
            Command::StartTls => self.start_tls(now),
            Command::Auth { mechanism, initial_response } => self.begin_auth(now, *mechanism, *initial_response),
            // Verbs without a row do not come here.
            _ => self.bad_command(now, &replies::NOT_IMPLEMENTED),
        }
    }

    fn refuse_unknown(&mut self, now: Instant, verb: Verb) {
        match verb {
            // RFC 2033 §4.1.
            Verb::Ehlo | Verb::Helo => self.refuse_command(now, Some(verb), &replies::LMTP_ONLY),
            _ => self.bad_command(now, &replies::NOT_IMPLEMENTED),
        }
    }

    fn hello(&mut self, now: Instant, line: &[u8], name: ClientId<'_>, extended: bool) {
        if self.config.questions.contains(Questions::HELLO) {
            self.keep_subject(line);
            let token = self.ask(now, Kind::Hello { extended });
            self.events.push(Event::Ask(Question::Hello(HelloToken(token))));
        } else {
            self.say_hello(now, name, extended);
        }
    }

    fn mail(&mut self, now: Instant, line: &[u8], from: ReversePath<'_>, params: &MailParams<'_>) {
        if self.config.limits.transactions.is_some_and(|most| self.transactions >= most) {
            return self.close_with(now, &replies::TOO_MANY_TRANSACTIONS, CloseReason::TooManyTransactions);
        }
        if let Err(reply) = check_mail(self.offer(), self.envelope.extended, params) {
            return self.bad_command(now, &reply);
        }
        if !params.smtputf8() {
            if !from.as_bytes().is_ascii() {
                self.reply(now, &replies::NON_ASCII_SENDER);
                return self.in_vain(now);
            }
            if !params.as_str().is_ascii() {
                return self.bad_command(now, &SyntaxError::Params(ParamFault::Syntax).reply());
            }
        }
        if let Some(reply) = self.config.no_soliciting.as_ref().and_then(|kinds| kinds.refusal(params)) {
            self.reply(now, &reply);
            return self.in_vain(now);
        }
        if self.config.questions.contains(Questions::MAIL) {
            self.keep_subject(line);
            let token = self.ask(now, Kind::Mail);
            self.events.push(Event::Ask(Question::Mail(MailToken(token))));
        } else {
            self.open_transaction(now, from, params, None);
        }
    }

    /// MAIL is accepted, with the priority that the application grants.
    ///
    /// Nobody gets a priority above 0 by asking for it alone; a lower one harms nobody but who asks (RFC 6710 §4.1).
    pub(super) fn open_transaction(
        &mut self,
        now: Instant,
        from: ReversePath<'_>,
        params: &MailParams<'_>,
        granted: Option<Priority>,
    ) {
        let asked = params.priority();
        let granted = granted.filter(|_| self.envelope.extended && is_offered(self.offer(), Extension::MtPriority));
        let priority = granted.or_else(|| asked.map(|asked| asked.min(Priority::default())));
        let changed = priority.filter(|_| priority != asked);
        self.transactions = self.transactions.saturating_add(1);
        self.envelope.set_sender(from, params, changed);
        let told = changed.and_then(|priority| {
            // The priority comes first, and a space behind it (RFC 6710 §4.1).
            let text = format!("{priority} is the priority of this message");
            Reply::new(ReplyCode::OK, ehlo_codec::EnhancedCode::new(2, 3, 6), text).ok()
        });
        self.reply(now, told.as_ref().unwrap_or(&replies::SENDER_OK));
        self.enter(now, State::Sender);
    }

    fn rcpt(&mut self, now: Instant, line: &[u8], to: ForwardPath<'_>, params: &RcptParams<'_>) {
        if let Err(reply) = check_rcpt(self.offer(), self.envelope.extended, params) {
            return self.bad_command(now, &reply);
        }
        if !self.envelope.declared.smtputf8 {
            if !to.as_bytes().is_ascii() {
                return self.refuse_follower(now, &replies::NON_ASCII_RECIPIENT);
            }
            if !params.as_str().is_ascii() {
                return self.bad_command(now, &SyntaxError::Params(ParamFault::Syntax).reply());
            }
        }
        let limits = &self.config.limits;
        let full = self.envelope.recipients() >= limits.recipients
            || self.envelope.len() + to.as_str().len() + "<>".len() + params.as_str().len() > limits.envelope;
        if full {
            return self.refuse_follower(now, &replies::TOO_MANY_RECIPIENTS);
        }
        if to.mailbox().is_some_and(|mailbox| self.domains.is_full_for(limits, mailbox.domain().as_str())) {
            return self.refuse_follower(now, &replies::TOO_MANY_DOMAINS);
        }
        if self.config.questions.contains(Questions::RCPT) {
            self.keep_subject(line);
            let token = self.ask(now, Kind::Rcpt);
            self.events.push(Event::Ask(Question::Rcpt(RcptToken(token))));
        } else {
            self.add_recipient(to, params);
            self.reply(now, &replies::RECIPIENT_OK);
            self.enter(now, State::Recipients);
        }
    }

    /// RCPT is accepted.
    pub(super) fn add_recipient(&mut self, to: ForwardPath<'_>, params: &RcptParams<'_>) {
        self.envelope.push_recipient(to, params);
        if let Some(mailbox) = to.mailbox() {
            self.domains.add(&self.config.limits, mailbox.domain().as_str());
        }
    }

    /// What the operator has to say, or what commands there are (RFC 5321 §4.1.1.8).
    fn help(&mut self, now: Instant) {
        let reply = self.config.help_text.clone().or_else(|| {
            let known = table::ROWS.iter().map(|row| row.verb).filter(|verb| self.is_on(*verb));
            let names: Vec<&str> = known.map(Verb::as_str).collect();
            Reply::new(ReplyCode::HELP, None, format!("Commands: {}\nSee RFC 5321", names.join(" "))).ok()
        });
        self.reply(now, &reply.unwrap_or(Reply::fixed(214, None, "See RFC 5321")));
    }

    /// Whether a verb of the table is switched on.
    fn is_on(&self, verb: Verb) -> bool {
        match verb {
            Verb::Starttls => self.config.tls.has_starttls(),
            Verb::Bdat => self.config.chunking,
            Verb::Ehlo | Verb::Helo => self.config.protocol != Protocol::Lmtp,
            Verb::Lhlo => self.config.protocol == Protocol::Lmtp,
            Verb::Expn => self.config.expn,
            Verb::Etrn => self.config.etrn,
            Verb::Auth => self.has_auth(),
            Verb::Help => self.config.help,
            _ => true,
        }
    }

    /// Reads a line that was kept.
    pub(super) fn read_again<'l>(&self, line: &'l [u8]) -> Result<Command<'l>, SyntaxError> {
        self.read(&CommandLine::split(line), line)
    }

    /// Applies the grammar to a line. Where SMTPUTF8 is on offer, and the client said EHLO, addresses and their parameters, and what VRFY
    /// and EXPN ask for, may have characters beyond ASCII (RFC 6531 §3.3, §3.7.4.2). Within a transaction that says SMTPUTF8 a line of RCPT
    /// without any may have them encoded, in ORCPT.
    fn read<'l>(&self, command: &CommandLine<'l>, line: &[u8]) -> Result<Command<'l>, SyntaxError> {
        let with_utf8 = match command.verb {
            Some(Verb::Mail) => !line.is_ascii(),
            Some(Verb::Rcpt) => self.envelope.declared.smtputf8 || !line.is_ascii(),
            Some(Verb::Vrfy | Verb::Expn) => true,
            _ => false,
        };
        if with_utf8 && self.envelope.extended && is_offered(self.offer(), Extension::SmtpUtf8) {
            command.parse_utf8()
        } else {
            command.parse()
        }
    }

    /// Refuses a command for what happened before it in its batch: not the peer's fault, within bounds.
    fn refuse_follower(&mut self, now: Instant, reply: &Reply) {
        self.reply(now, reply);
        self.count_follower(now);
    }

    /// A RCPT, DATA or BDAT was refused, by the application or for what happened before it.
    pub(super) fn count_follower(&mut self, now: Instant) {
        if self.temper.follower() {
            self.close_with(now, &replies::TOO_MANY_ERRORS, CloseReason::TooManyErrors);
        }
    }

    /// A sender or a message was refused: the peer may try others, but not for ever.
    pub(super) fn in_vain(&mut self, now: Instant) {
        if matches!(self.phase, Phase::Command(_)) && self.temper.idle_command() {
            self.close_with(now, &replies::TOO_MANY_COMMANDS, CloseReason::TooManyCommands);
        }
    }

    /// Refuses a command, and the session if that was one too many. No reply to EHLO, HELO or LHLO has an enhanced code (RFC 2034 §4).
    fn refuse_command(&mut self, now: Instant, verb: Option<Verb>, reply: &Reply) {
        if matches!(verb, Some(Verb::Ehlo | Verb::Helo | Verb::Lhlo)) {
            self.reply_plain(now, reply);
        } else {
            self.reply(now, reply);
        }
        if self.temper.bad_command() {
            self.close_with(now, &replies::TOO_MANY_ERRORS, CloseReason::TooManyErrors);
        }
    }

    pub(super) fn bad_command(&mut self, now: Instant, reply: &Reply) {
        self.refuse_command(now, None, reply);
    }
}

pub(super) const fn fault_reply(fault: LineFault) -> &'static Reply {
    const BARE_LF: &Reply = &replies::BARE_LF;
    const BARE_CR: &Reply = &replies::BARE_CR;
    const NUL: &Reply = &replies::NUL;
    const TOO_LONG: &Reply = &replies::LINE_TOO_LONG;
    match fault {
        LineFault::BareLf => BARE_LF,
        LineFault::BareCr => BARE_CR,
        LineFault::Nul => NUL,
        _ => TOO_LONG,
    }
}
