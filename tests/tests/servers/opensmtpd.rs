//! OpenSMTPD, in a mount namespace of its own, with its own delivery to maildirs.

use std::fs;
use std::os::unix::fs::chown;
use std::path::Path;
use std::process::Command;

use ehlo_tokio::client::{SendError, Tls, Trust};

use crate::both::{DRIVERS, Wanted};
use crate::judge::{Server, USERS, judge};
use crate::process::{Folder, Process, free_port, not_judged, peer_of_root};
use crate::rows::OPENSMTPD;

/// Who owns the mailboxes, as setup.sh has it.
const OWNER: u32 = 65530;

/// What its wrapper ends with if it can't have a namespace.
const NO_NAMESPACE: i32 = 77;

fn start(program: &Path) -> Option<Server> {
    let folder = Folder::new();
    let (chain, key) = folder.certificate();
    let (clear, tls) = (free_port(), free_port());
    let store = folder.0.join("store");
    fs::create_dir(&store).unwrap();
    chown(&store, Some(OWNER), Some(OWNER)).unwrap();
    let users: Vec<String> = USERS.iter().map(|user| format!("\"{user}@mx.example\" = \"store\"")).collect();
    let names: Vec<String> = USERS.iter().map(|user| format!("\"{user}@mx.example\"")).collect();
    let configuration = format!(
        "pki mx.example cert \"{chain}\"\npki mx.example key \"{key}\"\nsmtp max-message-size 64M\n\
         table users {{ {users} }}\ntable names {{ {names} }}\ntable owner {{ \"store\" = \"{OWNER}:{OWNER}:{store}\" }}\n\
         listen on 127.0.0.1 port {clear} tls pki mx.example hostname mx.example\n\
         listen on 127.0.0.1 port {tls} smtps pki mx.example hostname mx.example\n\
         action \"keep\" maildir \"{store}/%{{rcpt.user}}\" virtual <users> userbase <owner>\n\
         match from any for rcpt-to <names> action \"keep\"\n",
        chain = chain.display(),
        key = key.display(),
        store = store.display(),
        users = users.join(", "),
        names = names.join(", "),
        clear = clear.port(),
        tls = tls.port(),
    );
    let file = folder.0.join("smtpd.conf");
    fs::write(&file, configuration).unwrap();
    let mut command = Command::new(program);
    command.arg("-d").arg("-f").arg(&file);
    match Process::start(&mut command, &folder.0.join("said"), clear) {
        Ok(process) => Some(Server { process, clear, tls: Some(tls), chain, folder }),
        Err((Some(NO_NAMESPACE), said)) => {
            not_judged(&format!("OpenSMTPD: no mount namespace is to be had: {said}"));
            None
        }
        Err((_, said)) => panic!("OpenSMTPD does not start: {said}"),
    }
}

#[test]
fn opensmtpd_gets_what_was_sent() {
    let Some(program) = peer_of_root("opensmtpd") else { return };
    let Some(server) = start(&program) else { return };
    judge(&OPENSMTPD, &server);
    // It says that it has TLS. Where it has not, the client says so, and sends nothing.
    for driver in DRIVERS {
        for (address, implicit) in [(server.clear, false), (server.tls.unwrap(), true)] {
            let trust = Trust::builder().authorities(&server.chain).unwrap().build().unwrap();
            let tls = if implicit { Tls::Implicit(trust) } else { Tls::Required(trust) };
            match driver.connect(address, Wanted { tls, ..Wanted::default() }) {
                (Err(SendError::Tls(_) | SendError::Closed(_)), seen) => {
                    assert!(!seen.lock().unwrap().contains("MAIL"), "{driver:?}");
                }
                (Err(error), _) => panic!("{driver:?}: {error}"),
                (Ok(_), _) => not_judged("OpenSMTPD: this one has TLS that works; give its row the ways"),
            }
        }
    }
}
