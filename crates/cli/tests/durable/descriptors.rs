//! A process without a free file descriptor.

use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use crate::common::{Folder, Server, ehlo, files};
use crate::load::{Sender, check};

/// The most files that the server may have open.
const LIMIT: usize = 64;

fn wait(mut holds: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !holds() {
        assert!(begin.elapsed() < Duration::from_secs(20), "it does not come to hold");
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn without_a_free_descriptor_mail_is_deferred_and_then_taken_again() {
    let folder = Folder::new();
    let mut command = Command::new("sh");
    command.args(["-c", &format!("ulimit -n {LIMIT}; exec \"$0\" \"$@\"")]).arg(ehlo().get_program());
    command.args(["serve", "--listen", "127.0.0.1:0", "--log-level", "off"]);
    command.args(["--store", &format!("maildir:{}", folder.0.display())]);
    let server = Server::start_command(command);
    // The limit is one on their numbers: one above it that was handed down is none of these.
    let number = |path: &std::path::PathBuf| path.file_name()?.to_str()?.parse::<usize>().ok();
    let open = || {
        let all = files(format!("/proc/{}/fd", server.pid()).as_ref());
        all.iter().filter_map(number).filter(|&number| number < LIMIT).count()
    };
    let mut first = Sender::connect(server.address).unwrap();
    assert!(first.send(1).unwrap().starts_with("250"));
    // The threads that store it keep nothing open. From here on each connection takes one descriptor, to the last.
    let others: Vec<_> = (open()..LIMIT).map(|_| Sender::connect(server.address).unwrap()).collect();
    wait(|| open() == LIMIT);
    for id in 2..5 {
        let reply = first.send(id).unwrap();
        assert!(reply.starts_with("451 4.3.0 "), "{reply}");
    }
    assert!(first.say("RSET\r\n").unwrap().starts_with("250"));
    drop(others);
    wait(|| open() < LIMIT - 4);
    assert!(first.send(5).unwrap().starts_with("250"));
    assert!(first.say("QUIT\r\n").unwrap().starts_with("221"));
    assert_eq!(server.stop().0, Some(0));
    let stored: Vec<_> = files(&folder.0.join("new")).iter().map(|path| check(path)).collect();
    assert_eq!(stored, [1, 5]);
    assert_eq!(files(&folder.0.join("tmp")).len(), 0);
}
