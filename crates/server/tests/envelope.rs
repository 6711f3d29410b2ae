//! An envelope with other recipients than those that the client named.

#![expect(clippy::disallowed_methods, reason = "a test is its own driver, and begins with some instant")]

use ehlo_server::codec::{ForwardPath, RcptParams};
use ehlo_server::{Config, Peer, Session};
use std::sync::Arc;
use std::time::Instant;

#[test]
fn other_recipients_take_the_place_of_those_and_all_else_stays() {
    let now = Instant::now();
    let mut session = Session::new(now, Arc::new(Config::new("mx.test").unwrap()), Peer::new(1));
    let mut input =
        &b"EHLO client.test\r\nMAIL FROM:<ada@a.test> SIZE=7 RET=HDRS\r\nRCPT TO:<one@b.test> NOTIFY=NEVER\r\n\
                       RCPT TO:<two@b.test>\r\n"[..];
    loop {
        let step = session.handle_input(now, input);
        input = &input[step.used..];
        if step.event.is_none() {
            break;
        }
    }
    let before = session.envelope();
    assert_eq!(before.recipient_count(), 2);
    let mut other = before.without_recipients();
    assert_eq!(other.view().recipient_count(), 0);
    let first = before.recipients().next().unwrap();
    let (alias, _) = ForwardPath::parse_prefix(b"<three@c.test>").unwrap();
    other.push(alias, &first.params);
    let (postmaster, _) = ForwardPath::parse_prefix(b"<Postmaster>").unwrap();
    other.push(postmaster, &RcptParams::default());
    let view = other.view();
    assert_eq!(view.client_name().map(|name| name.as_str()), Some("client.test"));
    assert_eq!(view.reverse_path_text(), "<ada@a.test>");
    assert_eq!(view.mail_params().as_str(), before.mail_params().as_str());
    assert_eq!((view.declared_size(), view.is_extended()), (Some(7), true));
    let recipients: Vec<String> = view.recipients().map(|it| format!("{} {}", it.path, it.params.as_str())).collect();
    assert_eq!(recipients, ["<three@c.test> NOTIFY=NEVER", "<Postmaster> "]);
}
