//! What a final delivery puts on top of a message (RFC 5321 §4.4).

use std::io::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, SystemTime};

/// What the lines tell.
#[derive(Clone, Copy, Debug)]
pub(super) struct Trace<'a> {
    /// The reverse-path without brackets.
    pub(super) from: &'a str,
    /// The name that the client gave itself: a domain or an address literal.
    pub(super) client: Option<&'a str>,
    /// Whether it said EHLO.
    pub(super) extended: bool,
    /// Where it connected from.
    pub(super) peer: SocketAddr,
    /// This server.
    pub(super) hostname: &'a str,
    /// The message's name here.
    pub(super) id: &'a str,
    /// When it came.
    pub(super) time: SystemTime,
}

impl Trace<'_> {
    /// Appends the header fields, each line ended by CRLF.
    ///
    /// There is no `for` clause: it would show one recipient to another (RFC 5321 §7.2).
    pub(super) fn write_to<'r>(&self, recipients: impl Iterator<Item = &'r str>, out: &mut Vec<u8>) {
        // A Vec takes everything; there is no error to hand on.
        let _ = write!(out, "Return-Path: <{}>\r\nReceived: from ", self.from);
        let ip = self.peer.ip().to_canonical();
        let address = match ip {
            IpAddr::V4(ip) => format!("[{ip}]"),
            IpAddr::V6(ip) => format!("[IPv6:{ip}]"),
        };
        let _ = match self.client {
            Some(name) => write!(out, "{name} ({address})"),
            None => write!(out, "{address} ({address})"),
        };
        let protocol = if self.extended { "ESMTP" } else { "SMTP" };
        let date = Date(self.time);
        let _ = write!(out, "\r\n\tby {} with {protocol} id {};\r\n\t{date}\r\n", self.hostname, self.id);
        for recipient in recipients {
            let _ = write!(out, "X-Envelope-To: <{recipient}>\r\n");
        }
    }
}

/// A time in the form of RFC 5322 §3.3, in UTC. Written by hand: the one format that is needed is not worth a crate.
struct Date(SystemTime);

impl std::fmt::Display for Date {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
        const MONTHS: [&str; 12] = ["Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec", "Jan", "Feb"];
        // A clock that stands before 1970 is wrong anyway.
        let seconds = self.0.duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs();
        let (days, second) = (seconds / 86_400, seconds % 86_400);
        // Count from 1 March of the year 0, so that a leap day is the last of its year: eras of 400 years have 146,097 days.
        let shifted = days + 719_468;
        let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
        let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * month + 2) / 5 + 1;
        let year = era * 400 + year_of_era + u64::from(month >= 10);
        write!(
            f,
            "{}, {day} {} {year} {:02}:{:02}:{:02} +0000",
            DAYS[(days % 7) as usize],
            MONTHS[month as usize],
            second / 3_600,
            second / 60 % 60,
            second % 60,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (seconds, date) in [
            (0, "Thu, 1 Jan 1970 00:00:00 +0000"),
            (951_782_399, "Mon, 28 Feb 2000 23:59:59 +0000"),
            (951_782_400, "Tue, 29 Feb 2000 00:00:00 +0000"),
            (951_868_800, "Wed, 1 Mar 2000 00:00:00 +0000"),
            (1_735_689_599, "Tue, 31 Dec 2024 23:59:59 +0000"),
            (1_709_208_000, "Thu, 29 Feb 2024 12:00:00 +0000"),
            (4_107_542_400, "Mon, 1 Mar 2100 00:00:00 +0000"),
        ] {
            assert_eq!(Date(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)).to_string(), date);
        }
    }

    fn trace<'a>(client: Option<&'a str>, peer: &str) -> Trace<'a> {
        Trace {
            from: "ada@example.org",
            client,
            extended: client.is_some(),
            peer: peer.parse().unwrap(),
            hostname: "mx.example",
            id: "1.M2P3",
            time: SystemTime::UNIX_EPOCH,
        }
    }

    #[test]
    fn the_trace_lines_have_the_form_of_rfc_5321() {
        let mut out = Vec::new();
        trace(Some("client.example"), "192.0.2.1:99").write_to(["bob@a", "eve@b"].into_iter(), &mut out);
        let expected = "Return-Path: <ada@example.org>\r\n\
            Received: from client.example ([192.0.2.1])\r\n\
            \tby mx.example with ESMTP id 1.M2P3;\r\n\
            \tThu, 1 Jan 1970 00:00:00 +0000\r\n\
            X-Envelope-To: <bob@a>\r\n\
            X-Envelope-To: <eve@b>\r\n";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    #[test]
    fn addresses_of_version_6_are_tagged_and_mapped_ones_are_not() {
        for (peer, from) in [
            ("[2001:db8::1]:9", "[IPv6:2001:db8::1]"),
            ("[::ffff:192.0.2.7]:9", "[192.0.2.7]"),
            ("192.0.2.7:9", "[192.0.2.7]"),
        ] {
            let mut out = Vec::new();
            trace(None, peer).write_to(std::iter::empty(), &mut out);
            let text = String::from_utf8(out).unwrap();
            assert!(text.contains(&format!("from {from} ({from})\r\n\tby mx.example with SMTP id")), "{text}");
        }
    }
}
