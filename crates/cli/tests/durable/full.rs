//! A disk that is full, for real: a file system of a megabyte in memory.
//!
//! To mount one takes root, or a name space in which one is root. So the test runs itself once more inside of one.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use crate::common::{Folder, Server, files};
use crate::load::{Sender, check, check_text, message};

/// Names the folder in which the file systems are mounted, to the test inside.
const VARIABLE: &str = "EHLO_TEST_FULL_DISK";

const MOUNT: &str = "set -e
mount -t tmpfs -o size=1m,mode=700 ehlo-test \"$0/bytes\"
mount -t tmpfs -o size=8m,nr_inodes=30,mode=700 ehlo-test \"$0/files\"
exec \"$@\"";

#[test]
fn a_full_disk_defers_mail_harms_nothing_else_and_recovers_by_itself() {
    let folder = Folder::new();
    for name in ["bytes", "files"] {
        fs::create_dir(folder.0.join(name)).unwrap();
    }
    let inside = |program: &Path, arguments: &[&str]| {
        let mut command = Command::new("unshare");
        command.args(["--map-root-user", "--mount", "sh", "-c", MOUNT]).arg(&folder.0).arg(program).args(arguments);
        command.env(VARIABLE, &folder.0).output()
    };
    let able = inside(Path::new("true"), &[]);
    if !able.as_ref().is_ok_and(|output| output.status.success()) {
        let why = able.map_or_else(|error| error.to_string(), |output| String::from_utf8_lossy(&output.stderr).into());
        // Not by a macro: of a test that passes, its text would not be shown.
        let line = format!("\nnot judged: no small file system can be mounted here: {}\n", why.trim());
        let _ = std::io::stderr().write_all(line.as_bytes());
        return;
    }
    let test = ["full::inside", "--exact", "--ignored", "--nocapture", "--test-threads=1"];
    let output = inside(&std::env::current_exe().unwrap(), &test).unwrap();
    let (told, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{told}\n{errors}");
    assert!(told.contains("1 passed"), "{told}\n{errors}");
}

#[test]
#[ignore = "it is run by the test above, where there are file systems that can be filled"]
fn inside() {
    let Some(root) = std::env::var_os(VARIABLE).map(PathBuf::from) else { return };
    for disk in ["bytes", "files"] {
        maildir(&root.join(disk).join("mail"));
    }
    mbox(&root.join("bytes"));
}

/// Fills it over several connections; gives what was acknowledged, and a connection that was told that it is full.
fn fill(server: &Server, first: u64) -> (BTreeSet<u64>, Sender) {
    let work = |number: u64| {
        let mut taken = BTreeSet::new();
        let mut sender = Sender::connect(server.address).unwrap();
        for id in (first + number..).step_by(8) {
            let reply = sender.send(id).unwrap();
            if reply.starts_with("452") {
                assert_eq!(reply, "452 4.3.1 Insufficient system storage\r\n");
                return (taken, sender);
            }
            assert!(reply.starts_with("250 2.0.0 Stored as "), "{reply}");
            taken.insert(id);
        }
        unreachable!("it is full some time");
    };
    thread::scope(|scope| {
        let senders: Vec<_> = (0..8).map(|number| scope.spawn(move || work(number))).collect();
        let mut ended: Vec<_> = senders.into_iter().map(|sender| sender.join().unwrap()).collect();
        let (mut taken, sender) = ended.pop().unwrap();
        taken.extend(ended.into_iter().flat_map(|(taken, _)| taken));
        (taken, sender)
    })
}

/// What is answered while it is full.
fn still_serves(server: &Server, sender: &mut Sender) {
    // A large one does not fit in any case; all of it is read before it is refused, or it would be taken for commands.
    let large = (0..).find(|id| message(*id).len() > 130_000).unwrap();
    let reply = sender.send(large).unwrap();
    assert!(reply.starts_with("452 4.3.1") || reply.starts_with("250"), "{reply}");
    for (line, code) in [("NOOP\r\n", "250"), ("MAIL FROM:<a@b.example>\r\n", "250"), ("RSET\r\n", "250")] {
        let reply = sender.say(line).unwrap();
        assert!(reply.starts_with(code), "{line}{reply}");
    }
    let mut other = Sender::connect(server.address).unwrap();
    assert!(other.say("RSET\r\n").unwrap().starts_with("250"));
    assert!(other.say("QUIT\r\n").unwrap().starts_with("221"));
}

fn maildir(path: &Path) {
    let server = Server::start(&["--store", &format!("maildir:{}", path.display()), "--log-level", "off"]);
    let (tmp, new) = (path.join("tmp"), path.join("new"));
    for round in 0..3 {
        let (taken, mut sender) = fill(&server, round * 1_000_000);
        assert!(!taken.is_empty());
        let stored: Vec<_> = files(&new).iter().map(|path| check(path)).collect();
        assert_eq!(stored.len(), taken.len(), "each once, and nothing else");
        assert!(stored.iter().all(|id| taken.contains(id)));
        let begin = Instant::now();
        while !files(&tmp).is_empty() {
            assert!(begin.elapsed() < Duration::from_secs(20), "{:?}", files(&tmp));
            thread::sleep(Duration::from_millis(5));
        }
        still_serves(&server, &mut sender);
        // Someone reads the mail. The same connection can go on.
        for path in files(&new) {
            fs::remove_file(path).unwrap();
        }
        let reply = sender.send(7).unwrap();
        assert!(reply.starts_with("250"), "{reply}");
        fs::remove_file(&files(&new)[0]).unwrap();
    }
    assert_eq!(server.stop().0, Some(0));
    fs::remove_dir_all(path).unwrap();
}

fn mbox(disk: &Path) {
    let path = disk.join("box");
    let server = Server::start(&["--store", &format!("mbox:{}", path.display()), "--log-level", "off"]);
    for round in 0..3 {
        let (taken, mut sender) = fill(&server, round * 1_000_000);
        assert!(!taken.is_empty());
        let text = fs::read_to_string(&path).unwrap();
        let mut stored = BTreeSet::new();
        for (number, message) in text.split("From a@b.example ").skip(1).enumerate() {
            // Without the rest of the first line, and the empty line at the end.
            let (_, message) = message.strip_suffix("\n\n").unwrap().split_once('\n').unwrap();
            let message = format!("{message}\n").replace('\n', "\r\n");
            assert!(stored.insert(check_text(&message, &format!("entry {number}"))));
        }
        assert!(stored.is_superset(&taken) && stored.len() == taken.len(), "each once, and nothing else");
        still_serves(&server, &mut sender);
        // As a reader of mail does: a new file in the place of the old one.
        fs::remove_file(&path).unwrap();
        let reply = sender.send(7).unwrap();
        assert!(reply.starts_with("250"), "{reply}");
        fs::remove_file(&path).unwrap();
    }
    assert_eq!(server.stop().0, Some(0));
}
