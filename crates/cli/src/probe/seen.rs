//! What a session has shown.

use std::sync::{Arc, Mutex, PoisonError};

use ehlo_tokio::client::{Observed, Observer};
use ehlo_tokio::ehlo_client::codec::{Capabilities, ReplyView};
use ehlo_tokio::ehlo_client::{Stage, TlsInfo};

use super::shown::{MOST_LINES, octets};

/// A reply that is shown as it came.
#[derive(Clone, Debug)]
pub(super) struct Reply {
    pub(super) code: u16,
    pub(super) lines: Vec<String>,
}

impl Reply {
    fn of(view: &ReplyView<'_>) -> Self {
        Self { code: view.code().get(), lines: view.lines().take(MOST_LINES).map(octets).collect() }
    }

    /// In one line.
    pub(super) fn text(&self) -> String {
        format!("{} {}", self.code, self.lines.join(" / "))
    }
}

/// What a server offers at one moment.
#[derive(Clone, Debug)]
pub(super) struct Offer {
    /// The command that was answered.
    pub(super) command: &'static str,
    pub(super) reply: Reply,
    pub(super) capabilities: Capabilities,
}

impl Offer {
    /// Each keyword, in capitals, with what stands behind it.
    pub(super) fn keywords(&self) -> impl Iterator<Item = (String, &str)> {
        self.reply.lines.iter().skip(1).map(|line| {
            let (keyword, rest) = line.split_once([' ', '=']).unwrap_or((line, ""));
            (keyword.to_ascii_uppercase(), rest.trim())
        })
    }

    pub(super) fn has(&self, keyword: &str) -> bool {
        self.keywords().any(|(found, _)| found == keyword)
    }

    /// The mechanisms of AUTH.
    pub(super) fn mechanisms(&self) -> Vec<String> {
        let auth = self.capabilities.auth();
        auth.map(|auth| auth.mechanisms().take(MOST_LINES).map(super::shown::shown).collect()).unwrap_or_default()
    }
}

/// What one connection has shown.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    pub(super) greeting: Option<Reply>,
    /// The answer to EHLO, if it offers nothing.
    pub(super) refusal: Option<Reply>,
    pub(super) clear: Option<Offer>,
    /// STARTTLS was said.
    pub(super) asked: bool,
    /// The answer.
    pub(super) starttls: Option<Reply>,
    pub(super) tls: Option<TlsInfo>,
    pub(super) inside: Option<Offer>,
}

/// Watches a connection.
#[derive(Clone, Debug, Default)]
pub(super) struct Watch(Arc<Mutex<Seen>>);

impl Watch {
    pub(super) fn observer(&self) -> Observer {
        let watch = self.clone();
        Box::new(move |observed| {
            let mut seen = watch.0.lock().unwrap_or_else(PoisonError::into_inner);
            match observed {
                Observed::Sent(b"STARTTLS\r\n") => seen.asked = true,
                Observed::Reply(stage, view) => seen.reply(stage, &view),
                Observed::Tls(info) => seen.tls = Some(info),
                _ => {}
            }
        })
    }

    pub(super) fn seen(&self) -> Seen {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Seen {
    fn reply(&mut self, stage: Stage, view: &ReplyView<'_>) {
        let reply = Reply::of(view);
        let command = match stage {
            Stage::Greeting => {
                self.greeting = Some(reply);
                return;
            }
            Stage::StartTls => {
                self.starttls = Some(reply);
                return;
            }
            Stage::Ehlo => "EHLO",
            Stage::Helo => "HELO",
            Stage::Lhlo => "LHLO",
            _ => return,
        };
        if reply.code != 250 {
            self.refusal = Some(reply);
            return;
        }
        let offer = Offer { command, reply, capabilities: Capabilities::from_reply(view) };
        if self.tls.is_some() { self.inside = Some(offer) } else { self.clear = Some(offer) }
    }
}
