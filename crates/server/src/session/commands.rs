//! Command lines: which are allowed, and what they do.

use super::{Kind, Phase, Session};
use crate::event::{CloseReason, Event};
use crate::extension::read_mail_params;
use crate::question::{DataToken, HelloToken, MailToken, Question, Questions, RcptToken, VrfyToken};
use crate::replies;
use crate::table::{self, Cell, State};
use ehlo_codec::{
    ClientId, Command, CommandLine, ForwardPath, Framed, LineFault, LineFramer, MailParams, RcptParams, Reply,
    ReversePath, Verb,
};
use std::time::Instant;

const HELP: Reply =
    Reply::fixed(214, Some((2, 0, 0)), "Commands: EHLO HELO MAIL RCPT DATA RSET NOOP QUIT VRFY HELP\nSee RFC 5321");

impl Session {
    /// Takes bytes of a command line, and obeys it if they complete it; gives how many were used.
    pub(super) fn handle_line(&mut self, now: Instant, input: &[u8]) -> usize {
        // The line may lie in the framer, so the framer is set aside while the session acts on it.
        let mut framer = std::mem::replace(&mut self.framer, LineFramer::new(0));
        let (used, frame) = framer.next(input);
        match frame {
            Framed::NeedMore => {}
            Framed::Line(line) => self.handle_command(now, line),
            Framed::Fault(fault) => {
                self.go_on(now);
                self.bad_command(now, fault_reply(fault));
            }
            Framed::Hopeless => self.close_with(now, &replies::ENDLESS_LINE, CloseReason::Endless),
        }
        self.framer = framer;
        used
    }

    fn handle_command(&mut self, now: Instant, line: &[u8]) {
        let Phase::Command(state) = self.phase else { return };
        self.go_on(now);
        let command = CommandLine::split(line);
        let mail = command.verb == Some(Verb::Mail);
        if line.len() + 2 > self.config.limits.command_line && !mail {
            return self.refuse_command(now, command.verb, &replies::LINE_TOO_LONG);
        }
        let Some(verb) = command.verb else {
            return self.bad_command(now, &ehlo_codec::SyntaxError::UnknownCommand.reply());
        };
        let row = table::row_of(verb).filter(|_| verb != Verb::Starttls || self.config.tls.has_starttls());
        let Some(row) = row else { return self.bad_command(now, &replies::NOT_IMPLEMENTED) };
        let refusal = match row.cells[state as usize] {
            _ if self.needs_tls(verb) && state != State::Refused => Some(replies::TLS_FIRST),
            // RFC 3207 §4.2: a client must not, and the RFC names no reply.
            _ if verb == Verb::Starttls && self.tls.is_some() => Some(replies::TLS_ACTIVE),
            Cell::Allow => None,
            Cell::WithinTransaction => Some(replies::WITHIN_TRANSACTION),
            Cell::NeedsHello => Some(replies::HELLO_FIRST),
            Cell::NeedsMail => Some(replies::MAIL_FIRST),
            Cell::Nested => Some(replies::NESTED_MAIL),
            Cell::NeedsRecipient => Some(replies::NO_RECIPIENTS),
            Cell::NeedsQuit => Some(replies::REFUSED_SESSION),
        };
        if mail {
            self.temper.mail(&self.config.limits);
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
        match command.parse() {
            Ok(command) => self.obey(now, line, state, &command),
            Err(error) => self.refuse_command(now, Some(verb), &error.reply()),
        }
    }

    fn obey(&mut self, now: Instant, line: &[u8], state: State, command: &Command<'_>) {
        match command {
            Command::Ehlo(name) => self.hello(now, line, *name, true),
            Command::Helo(name) => self.hello(now, line, *name, false),
            Command::Mail { from, params } => self.mail(now, line, *from, params),
            Command::Rcpt { to, params } => self.rcpt(now, line, *to, params),
            Command::Data => {
                if self.config.questions.contains(Questions::DATA) {
                    let token = self.ask(now, Kind::Data);
                    self.events.push(Event::Ask(Question::Data(DataToken(token))));
                } else {
                    self.start_body(now);
                }
            }
            Command::Rset => {
                self.envelope.clear();
                self.reply(now, &replies::OK);
                self.enter(now, if state == State::Greeted { State::Greeted } else { State::Ready });
            }
            Command::Noop(_) => self.reply(now, &replies::OK),
            Command::Help(_) => self.reply(now, &HELP),
            Command::Vrfy { .. } => {
                if self.config.questions.contains(Questions::VRFY) {
                    self.keep_subject(line);
                    let token = self.ask(now, Kind::Vrfy);
                    self.events.push(Event::Ask(Question::Vrfy(VrfyToken(token))));
                } else {
                    self.reply(now, &replies::CANNOT_VERIFY);
                }
            }
            Command::Quit => self.close_with(now, &replies::BYE, CloseReason::Quit),
            Command::StartTls => self.start_tls(now),
            // Verbs without a row do not come here.
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
        if let Err(reply) = read_mail_params(self.offer(), self.envelope.extended, params) {
            return self.bad_command(now, &reply);
        }
        if self.config.questions.contains(Questions::MAIL) {
            self.keep_subject(line);
            let token = self.ask(now, Kind::Mail);
            self.events.push(Event::Ask(Question::Mail(MailToken(token))));
        } else {
            self.open_transaction(now, from, params);
        }
    }

    /// MAIL is accepted.
    pub(super) fn open_transaction(&mut self, now: Instant, from: ReversePath<'_>, params: &MailParams<'_>) {
        // They were read without a fault before the question was asked.
        let params = read_mail_params(self.offer(), self.envelope.extended, params).unwrap_or_default();
        self.envelope.set_sender(from, params);
        self.reply(now, &replies::SENDER_OK);
        self.enter(now, State::Sender);
    }

    fn rcpt(&mut self, now: Instant, line: &[u8], to: ForwardPath<'_>, params: &RcptParams<'_>) {
        // No extension on offer has a parameter for RCPT.
        if !params.is_empty() {
            return self.bad_command(now, &replies::UNKNOWN_PARAMETER);
        }
        let limits = &self.config.limits;
        let full = self.envelope.recipients() >= limits.recipients
            || self.envelope.len() + to.as_str().len() + "<>".len() > limits.envelope;
        if full {
            return self.refuse_follower(now, &replies::TOO_MANY_RECIPIENTS);
        }
        if self.config.questions.contains(Questions::RCPT) {
            self.keep_subject(line);
            let token = self.ask(now, Kind::Rcpt);
            self.events.push(Event::Ask(Question::Rcpt(RcptToken(token))));
        } else {
            self.envelope.push_recipient(to);
            self.reply(now, &replies::RECIPIENT_OK);
            self.enter(now, State::Recipients);
        }
    }

    /// Refuses a command for what happened before it in its batch: not the peer's fault, within bounds.
    fn refuse_follower(&mut self, now: Instant, reply: &Reply) {
        self.reply(now, reply);
        self.count_follower(now);
    }

    /// A RCPT or DATA was refused, by the application or for what happened before it.
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

    /// Refuses a command, and the session if that was one too many. No reply to EHLO or HELO has an enhanced code (RFC 2034 §4).
    fn refuse_command(&mut self, now: Instant, verb: Option<Verb>, reply: &Reply) {
        if matches!(verb, Some(Verb::Ehlo | Verb::Helo)) {
            self.reply_plain(now, reply);
        } else {
            self.reply(now, reply);
        }
        if self.temper.bad_command() {
            self.close_with(now, &replies::TOO_MANY_ERRORS, CloseReason::TooManyErrors);
        }
    }

    fn bad_command(&mut self, now: Instant, reply: &Reply) {
        self.refuse_command(now, None, reply);
    }
}

const fn fault_reply(fault: LineFault) -> &'static Reply {
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
