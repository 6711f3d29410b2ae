//! Which command is allowed when: the one place that knows (RFC 5321 §4.1.4).
//!
//! Rules of this file: everything that decides whether a command may come now is here, and nothing else is. The session looks a command
//! up before it reads its arguments, so a command out of sequence is 503 however malformed the rest of it is; but for a BDAT that does not
//! tell where its chunk ends, behind which there is no next command. A verb that has no row is one that this server does not
//! implement: 502. Which of EHLO, HELO and LHLO there are is a question of the protocol, and the rows of STARTTLS and BDAT count where
//! they are switched on.
//!
//! ```text
//!            EHLO/HELO            MAIL             RCPT               DATA, BDAT LAST
//! Greeted ------------> Ready ----------> Sender ---------> Recipients ----> the message
//!  | ^ ^                | ^ ^---- RSET, EHLO --/------------------/  |         | ^
//!  | | '--- STARTTLS ---' '--------------------------------------------|---------' |
//!  | '-- (EHLO refused)                                              | BDAT      | BDAT LAST
//!  |                                                                 '-> Chunks -'
//!  '--> Refused: the greeting was 554 or 521; nothing but QUIT               |
//!                                   Failed: a chunk was refused <------------'
//! ```
//!
//! BDAT is looked up like any command, and its chunk taken off the stream whatever the table says (RFC 3030 §2). RSET and EHLO lead back from
//! Chunks and Failed to Ready, too, and so does the LAST chunk.

use ehlo_codec::Verb;

/// Where a session stands between two commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// The greeting refused service (RFC 5321 §3.1).
    Refused,
    /// Greeted; no EHLO or HELO was accepted.
    Greeted,
    /// No transaction is open.
    Ready,
    /// MAIL was accepted.
    Sender,
    /// MAIL and at least one RCPT were accepted.
    Recipients,
    /// Chunks of the message have come by BDAT, but not the last one (RFC 3030 §2).
    Chunks,
    /// A chunk was refused, and with it the transaction (RFC 3030 §2).
    Failed,
}

impl State {
    /// All of them, in the order of [`Row::cells`].
    pub const ALL: [Self; 7] =
        [Self::Refused, Self::Greeted, Self::Ready, Self::Sender, Self::Recipients, Self::Chunks, Self::Failed];
}

/// What becomes of a command in a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cell {
    /// Its arguments are read.
    Allow,
    /// 503: EHLO or HELO comes first.
    NeedsHello,
    /// 503: MAIL comes first.
    NeedsMail,
    /// 503: a transaction is open already.
    Nested,
    /// 503: no recipient was accepted.
    NeedsRecipient,
    /// 503: not while a transaction is open.
    WithinTransaction,
    /// 503: a message is coming by BDAT.
    WithinChunks,
    /// 503: a chunk was refused.
    NeedsReset,
    /// 503: the session was refused; 521 where the greeting was that (RFC 7504 §3).
    NeedsQuit,
}

/// One verb.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// The verb.
    pub verb: Verb,
    /// For each of [`State::ALL`].
    pub cells: [Cell; 7],
    /// Does nothing for a message; counts against [`Limits::idle_commands`](crate::Limits::idle_commands).
    pub idle: bool,
    /// Must be the last of a pipelined group (RFC 2920 §3.1).
    pub ends_group: bool,
}

use Cell::{
    Allow, NeedsHello, NeedsMail, NeedsQuit, NeedsRecipient, NeedsReset, Nested, WithinChunks, WithinTransaction,
};

/// The verbs that this server implements.
#[rustfmt::skip]
pub const ROWS: &[Row] = &[
    //                              Refused    Greeted     Ready      Sender             Recipients         Chunks             Failed
    row(Verb::Ehlo, true,  true,  [NeedsQuit, Allow,      Allow,     Allow,             Allow,             Allow,             Allow]),
    row(Verb::Helo, true,  false, [NeedsQuit, Allow,      Allow,     Allow,             Allow,             Allow,             Allow]),
    // RFC 2033 §4.1: EHLO under its LMTP name.
    row(Verb::Lhlo, true,  true,  [NeedsQuit, Allow,      Allow,     Allow,             Allow,             Allow,             Allow]),
    row(Verb::Mail, false, false, [NeedsQuit, NeedsHello, Allow,     Nested,            Nested,            WithinChunks,      NeedsReset]),
    row(Verb::Rcpt, false, false, [NeedsQuit, NeedsHello, NeedsMail, Allow,             Allow,             WithinChunks,      NeedsReset]),
    row(Verb::Data, false, true,  [NeedsQuit, NeedsHello, NeedsMail, NeedsRecipient,    Allow,             WithinChunks,      NeedsReset]),
    row(Verb::Bdat, false, false, [NeedsQuit, NeedsHello, NeedsMail, NeedsRecipient,    Allow,             Allow,             NeedsReset]),
    row(Verb::Rset, true,  false, [NeedsQuit, Allow,      Allow,     Allow,             Allow,             Allow,             Allow]),
    row(Verb::Noop, true,  true,  [NeedsQuit, Allow,      Allow,     Allow,             Allow,             Allow,             Allow]),
    row(Verb::Help, true,  false, [NeedsQuit, Allow,      Allow,     Allow,             Allow,             Allow,             Allow]),
    row(Verb::Vrfy, true,  true,  [NeedsQuit, Allow,      Allow,     Allow,             Allow,             Allow,             Allow]),
    row(Verb::Expn, true,  true,  [NeedsQuit, Allow,      Allow,     Allow,             Allow,             Allow,             Allow]),
    // RFC 1985 §5: once a session is established, and not within a transaction.
    row(Verb::Etrn, true,  false, [NeedsQuit, NeedsHello, Allow,     WithinTransaction, WithinTransaction, WithinTransaction, WithinTransaction]),
    // RFC 3207 says nothing of a transaction, which the handshake would end (§4.2): better that the client does it. EHLO comes first, for
    // nothing else tells that there is STARTTLS (RFC 5321 §4.1.1.1).
    row(Verb::Starttls, true, true,
                                  [NeedsQuit, NeedsHello, Allow,     WithinTransaction, WithinTransaction, WithinTransaction, WithinTransaction]),
    // RFC 4954 §4 has it after EHLO, and not within a transaction.
    row(Verb::Auth, true, true,   [NeedsQuit, NeedsHello, Allow,     WithinTransaction, WithinTransaction, WithinTransaction, WithinTransaction]),
    row(Verb::Quit, false, true,  [Allow,     Allow,      Allow,     Allow,             Allow,             Allow,             Allow]),
];

const fn row(verb: Verb, idle: bool, ends_group: bool, cells: [Cell; 7]) -> Row {
    Row { verb, cells, idle, ends_group }
}

/// The row of a verb, by its number, so that a look-up is one load.
const INDEX: [Option<&Row>; 256] = {
    let mut index: [Option<&Row>; 256] = [None; 256];
    let mut i = 0;
    while i < ROWS.len() {
        index[ROWS[i].verb as usize] = Some(&ROWS[i]);
        i += 1;
    }
    index
};

/// The row of a verb, if it is implemented.
#[must_use]
pub const fn row_of(verb: Verb) -> Option<&'static Row> {
    INDEX[verb as usize]
}

/// What becomes of a verb in a state; `None` if it is not implemented.
#[must_use]
pub fn look_up(verb: Verb, state: State) -> Option<Cell> {
    row_of(verb).map(|row| row.cells[state as usize])
}
