//! What the client reads, and what policy and sink tell.

use std::io::ErrorKind;

use super::policy::Told;
use super::{Run, tick};

impl Run<'_> {
    /// Reads what has come.
    pub(super) fn fill(&mut self) -> Result<(), String> {
        if !self.reading {
            return Ok(());
        }
        let mut buffer = [0; 4096];
        while let (Some(client), false) = (&mut self.client, self.ended) {
            match client.try_read(&mut buffer) {
                Ok(0) => self.ended = true,
                Ok(length) => self.received.extend(&buffer[..length]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::ConnectionReset => self.ended = true,
                Err(error) => return Err(error.to_string()),
            }
        }
        Ok(())
    }

    /// The next line of a reply.
    pub(super) async fn line(&mut self) -> Result<String, String> {
        for _ in 0..self.patience {
            self.fill()?;
            if let Some(end) = self.received.iter().position(|&b| b == b'\n') {
                let line: Vec<u8> = self.received.drain(..=end).collect();
                let line = line.strip_suffix(b"\r\n").unwrap_or(&line);
                return Ok(String::from_utf8_lossy(line).into_owned());
            }
            if self.ended {
                return Err(self.script.describe("closed", "a reply"));
            }
            tick().await;
        }
        // Whatever else has happened tells more than that nothing was written.
        let other = match self.next_told().await {
            Ok(told) => told.shown(),
            Err(_) => "nothing".to_owned(),
        };
        Err(self.script.describe(&other, "a reply"))
    }

    /// What policy or sink tell next, but for the beginning of messages and the end of connections, which are noted.
    pub(super) async fn next_told(&mut self) -> Result<Told, String> {
        for _ in 0..self.patience {
            self.hear();
            if let Some(told) = self.heard.pop_front() {
                return Ok(told);
            }
            tick().await;
        }
        Err(self.script.describe("nothing", "a question, or an abort"))
    }

    /// Hears what there is to hear.
    pub(super) fn hear(&mut self) {
        while let Ok(told) = self.told.try_recv() {
            self.heard.push_back(told);
        }
        loop {
            match self.heard.pop_front() {
                Some(Told::Begin(envelope)) => self.envelope = Some(envelope),
                Some(Told::Gone) => self.gone = true,
                Some(told) => return self.heard.push_front(told),
                None => return,
            }
        }
    }

    /// Waits until the connection is closed.
    pub(super) async fn closed(&mut self) -> Result<(), String> {
        for _ in 0..self.patience {
            self.fill()?;
            if let Some(end) = self.received.iter().position(|&b| b == b'\n') {
                let line: Vec<u8> = self.received.drain(..=end).collect();
                return Err(self
                    .script
                    .describe(&format!("S: {}", String::from_utf8_lossy(&line).trim_end()), "closed"));
            }
            if self.ended {
                return Ok(());
            }
            if self.client.is_none() {
                return self.until_gone().await;
            }
            tick().await;
        }
        Err(self.script.describe("nothing", "closed"))
    }

    /// Waits until the driver has let go of the connection.
    pub(super) async fn until_gone(&mut self) -> Result<(), String> {
        for _ in 0..self.patience {
            self.hear();
            // What the end causes is of no more interest.
            self.gone |= self.heard.drain(..).any(|told| matches!(told, Told::Gone));
            if self.gone {
                return Ok(());
            }
            tick().await;
        }
        Err(self.script.describe("nothing", "the end of the connection in the server"))
    }
}
