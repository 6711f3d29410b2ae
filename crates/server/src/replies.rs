//! The replies that a session gives by itself. Enhanced codes by RFC 3463 and RFC 5248.

use ehlo_codec::Reply;

macro_rules! replies {
    ($($name:ident = $code:literal ($class:literal, $subject:literal, $detail:literal) $text:literal;)*) => {
        $(pub(crate) const $name: Reply = Reply::fixed($code, Some(($class, $subject, $detail)), $text);)*
    };
}

replies! {
    OK = 250 (2, 0, 0) "Ok";
    SENDER_OK = 250 (2, 1, 0) "Sender ok";
    RECIPIENT_OK = 250 (2, 1, 5) "Recipient ok";
    QUEUED = 250 (2, 0, 0) "Message accepted";
    CHUNK_TAKEN = 250 (2, 0, 0) "Chunk taken";
    BYE = 221 (2, 0, 0) "Bye";
    CANNOT_VERIFY = 252 (2, 1, 5) "Not verified; send mail and see";

    AUTHENTICATED = 235 (2, 7, 0) "Authentication successful";

    START_TLS = 220 (2, 0, 0) "Ready to start TLS";
    UNAVAILABLE = 421 (4, 3, 2) "Service not available, try again later";
    SHUTTING_DOWN = 421 (4, 3, 2) "Shutting down, try again later";
    OVERLOAD = 421 (4, 3, 2) "Short of memory, try again later";
    IDLE = 421 (4, 4, 2) "Idle for too long, closing";
    SESSION_OVER = 421 (4, 4, 2) "Session has lasted for too long; go on over another connection";
    BODY_STALLED = 421 (4, 4, 2) "Message stopped coming, closing";
    SINK_STALLED = 421 (4, 3, 0) "Message could not be stored in time, try again later";
    TOO_MANY_ERRORS = 421 (4, 7, 0) "Too many errors, closing";
    TOO_MANY_COMMANDS = 421 (4, 7, 0) "Too many commands without a message, closing";
    TOO_MANY_TRANSACTIONS = 421 (4, 7, 0) "Too many messages over one connection; send the rest over another";
    ANOTHER_PROTOCOL = 421 (4, 7, 0) "This is SMTP, not HTTP; closing";
    ENDLESS_LINE = 421 (4, 5, 0) "Line without end, closing";
    ENDLESS_BODY = 421 (4, 3, 0) "Message far beyond the size limit, closing";

    TOO_MANY_AUTH_FAILURES = 421 (4, 7, 0) "Too many failed authentications, closing";
    CLEAR_BEHIND_STARTTLS = 421 (4, 7, 0) "Commands in clear behind STARTTLS, closing";

    LOCAL_ERROR = 451 (4, 3, 0) "Local error, try again later";
    TOO_MANY_RECIPIENTS = 452 (4, 5, 3) "Too many recipients; send the rest in another transaction";
    TOO_MANY_DOMAINS = 452 (4, 5, 3) "Too many domains of recipients; send the rest over another connection";
    AUTH_UNAVAILABLE = 454 (4, 7, 0) "Authentication not available at the moment";
    TLS_NOT_AVAILABLE = 454 (4, 7, 0) "TLS not available at the moment";

    QUEUING = 250 (2, 0, 0) "Queuing started";
    CANNOT_QUEUE = 458 (4, 3, 0) "Unable to queue messages for that node";

    UTF8_NOT_TAKEN = 252 (2, 6, 8) "The answer needs UTF-8, which SMTPUTF8 behind the name asks for";
    UTF8_REFUSAL = 550 (5, 6, 8) "The answer needs UTF-8, which SMTPUTF8 behind the name asks for";
    UTF8_MOVED = 550 (5, 6, 8) "Mailbox has moved to an address that needs UTF-8";
    BARE_LF = 500 (5, 5, 2) "Line ends in LF alone; end it with CRLF";
    BARE_CR = 501 (5, 5, 2) "Line has a CR without LF";
    NUL = 501 (5, 5, 2) "Line has a NUL";
    LINE_TOO_LONG = 500 (5, 5, 2) "Line too long";
    AUTH_LINE_TOO_LONG = 500 (5, 5, 6) "Authentication exchange line is too long";
    NOT_BASE64 = 501 (5, 5, 2) "Response is not base64";
    AUTH_CANCELLED = 501 (5, 7, 0) "Authentication cancelled";
    NO_INITIAL_RESPONSE = 501 (5, 7, 0) "This mechanism has no initial response";
    NOT_IMPLEMENTED = 502 (5, 5, 1) "Command not implemented";
    LMTP_ONLY = 500 (5, 5, 1) "This is LMTP; say LHLO";
    HELLO_FIRST = 503 (5, 5, 1) "Say EHLO or HELO first";
    LHLO_FIRST = 503 (5, 5, 1) "Say LHLO first";
    MAIL_FIRST = 503 (5, 5, 1) "Say MAIL first";
    NESTED_MAIL = 503 (5, 5, 1) "Sender already given; RSET begins anew";
    NO_RECIPIENTS = 503 (5, 5, 1) "No recipient was accepted";
    WITHIN_CHUNKS = 503 (5, 5, 1) "The message is coming by BDAT; RSET gives it up";
    CHUNK_FAILED = 503 (5, 5, 1) "A chunk was refused; RSET begins anew";
    BINARY_BY_BDAT = 503 (5, 5, 1) "A message that is BODY=BINARYMIME comes by BDAT";
    REFUSED_SESSION = 503 (5, 5, 1) "This session was refused; say QUIT";
    WITHIN_TRANSACTION = 503 (5, 5, 1) "Not within a transaction; RSET ends it";
    TLS_ACTIVE = 503 (5, 5, 1) "TLS is active already";
    AUTHENTICATED_ALREADY = 503 (5, 5, 1) "Authenticated already";
    UNKNOWN_MECHANISM = 504 (5, 5, 4) "Mechanism not available";
    AUTH_REQUIRED = 530 (5, 7, 0) "Authentication required";
    CREDENTIALS_INVALID = 535 (5, 7, 8) "Authentication credentials invalid";
    ENCRYPTION_REQUIRED = 504 (5, 5, 4) "Mechanism needs an encrypted connection";
    NEVER_TAKES_MAIL = 521 (5, 3, 2) "Host does not accept mail; say QUIT";
    TLS_FIRST = 530 (5, 7, 0) "Must issue a STARTTLS command first";
    BAD_SUBMITTER = 501 (5, 5, 4) "AUTH must be the xtext of a mailbox, or <>";
    BAD_BODY = 501 (5, 5, 4) "That kind of BODY is not on offer";
    UNKNOWN_PARAMETER = 555 (5, 5, 4) "Parameter not recognized";
    NON_ASCII_SENDER = 550 (5, 6, 7) "Sender address has characters beyond ASCII, and MAIL no SMTPUTF8";
    NON_ASCII_RECIPIENT = 553 (5, 6, 7) "Recipient address has characters beyond ASCII, and MAIL had no SMTPUTF8";
    BY_TOO_SHORT = 555 (5, 5, 4) "BY asks for less time than DELIVERBY names";
    HOLD_TWICE = 501 (5, 5, 4) "HOLDFOR and HOLDUNTIL exclude each other";
    HOLD_TOO_LONG = 501 (5, 5, 4) "The message would be held for longer than FUTURERELEASE names";
    HOLD_BEHIND_BY = 501 (5, 5, 4) "The message would be held beyond the time of BY";
    TOO_LARGE = 552 (5, 3, 4) "Message larger than the limit";
    BARE_LINE_END = 550 (5, 6, 0) "Message has a CR or LF outside of CRLF; it cannot be taken safely";
    REJECTED = 550 (5, 7, 1) "Refused";
    LOOP = 554 (5, 4, 6) "Too many hops: the message goes round in a loop";
    NO_SERVICE = 554 (5, 7, 1) "No SMTP service here";
}

/// 354 carries no enhanced code (RFC 2034 §4: those of classes 2, 4 and 5 do).
pub(crate) const START_MAIL_INPUT: Reply = Reply::fixed(354, None, "Go ahead; end with <CRLF>.<CRLF>");
