//! aiosmtpd, with a handler that stores.

use std::path::Path;
use std::process::Command;

use crate::judge::{PASSWORD, Server, USER, USERS, judge};
use crate::process::{Folder, Process, free_port, not_judged, peer};
use crate::rows::AIOSMTPD;

/// It is started by an interpreter that has it.
fn start(python: &Path) -> Result<Server, (Option<i32>, String)> {
    let folder = Folder::new();
    let (chain, key) = folder.certificate();
    let (clear, tls) = (free_port(), free_port());
    let mut command = Command::new(python);
    command
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/servers/store.py"))
        .arg(folder.0.join("store"))
        .args([clear.port().to_string(), tls.port().to_string()])
        .args([&chain, &key])
        .args([USER, PASSWORD])
        .args(USERS);
    let process = Process::start(&mut command, &folder.0.join("said"), clear)?;
    Ok(Server { process, clear, tls: Some(tls), chain, folder })
}

#[test]
fn aiosmtpd_gets_what_was_sent() {
    // The wrapper of aiosmtplib is the interpreter of the environment that both are in.
    let (Some(_), Some(python)) = (peer("aiosmtpd"), peer("aiosmtplib")) else { return };
    match start(&python) {
        Ok(server) => judge(&AIOSMTPD, &server),
        // The shell's 126 and 127: this user may not run the interpreter.
        Err((Some(126 | 127), said)) => not_judged(&format!("aiosmtpd: {said}")),
        Err((_, said)) if said.contains("No module named") => not_judged(&format!("aiosmtpd: {said}")),
        Err((_, said)) => panic!("aiosmtpd does not start: {said}"),
    }
}
