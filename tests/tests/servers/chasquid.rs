//! chasquid, which hands what it got to a program.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use crate::judge::{PASSWORD, Server, USER, USERS, judge};
use crate::process::{Folder, Process, free_port, peer};
use crate::rows::CHASQUID;

/// A file for each message, in a folder for each recipient. It is there as a whole or not at all.
const DELIVER: &str = "#!/bin/sh\nmkdir -p \"$1\" && cat >\"$1/.$$\" && mv \"$1/.$$\" \"$1/$$\"\n";

fn start(program: &Path, util: &Path) -> Server {
    let folder = Folder::new();
    let (chain, key) = folder.certificate();
    let (clear, tls) = (free_port(), free_port());
    let base = folder.0.display();
    let conf = folder.0.join("conf");
    let certificates = conf.join("certs/mx.example");
    for sub in [&certificates, &conf.join("domains/mx.example"), &folder.0.join("data"), &folder.0.join("store")] {
        fs::create_dir_all(sub).unwrap();
    }
    fs::copy(&chain, certificates.join("fullchain.pem")).unwrap();
    fs::copy(&key, certificates.join("privkey.pem")).unwrap();
    let deliver = folder.0.join("deliver");
    fs::write(&deliver, DELIVER).unwrap();
    fs::set_permissions(&deliver, fs::Permissions::from_mode(0o755)).unwrap();
    let configuration = format!(
        "hostname: \"mx.example\"\nsmtp_address: \"{clear}\"\nsubmission_address: \"{other}\"\nsubmission_over_tls_address: \"{tls}\"\n\
         mail_delivery_agent_bin: \"{base}/deliver\"\nmail_delivery_agent_args: \"{base}/store/%to_user%\"\n\
         data_dir: \"{base}/data\"\nmail_log_path: \"{base}/mail.log\"\n",
        other = free_port(),
    );
    fs::write(conf.join("chasquid.conf"), configuration).unwrap();
    let mailboxes = USERS.iter().map(|user| format!("{user}@mx.example"));
    for user in mailboxes.chain([USER.to_owned()]) {
        let mut command = Command::new(util);
        command.arg(format!("--configdir={}", conf.display())).args(["user-add", &user]);
        let output = command.arg(format!("--password={PASSWORD}")).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    }
    let mut command = Command::new(program);
    command.arg(format!("--config_dir={}", conf.display()));
    let process = Process::start(&mut command, &folder.0.join("said"), clear);
    let process = process.unwrap_or_else(|(_, said)| panic!("chasquid does not start: {said}"));
    Server { process, clear, tls: Some(tls), chain, folder }
}

#[test]
fn chasquid_gets_what_was_sent() {
    let (Some(program), Some(util)) = (peer("chasquid"), peer("chasquid-util")) else { return };
    judge(&CHASQUID, &start(&program, &util));
}
