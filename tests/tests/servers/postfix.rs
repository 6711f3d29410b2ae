//! Postfix: its smtpd, and its own delivery to maildirs.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::judge::{Server, USERS, judge};
use crate::process::{Folder, Process, free_port, peer_of_root};
use crate::rows::POSTFIX;

/// Debian's mail and games; the latter has nothing to do, but Postfix wants a group that is nobody else's.
const MAIL: u32 = 8;
const GAMES: u32 = 60;

const DAEMONS: &str = "\
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
proxymap unix - - n - - proxymap
virtual unix - n n - - virtual
discard unix - - n - - discard
error unix - - n - - error
retry unix - - n - - error
postlog unix-dgram n - n - 1 postlogd
tlsmgr unix - - n 1000? 1 tlsmgr
";

/// Makes the folders that it wants, with the owners that it wants. Gives that of its configuration.
fn folders(base: &Path) -> PathBuf {
    let spool = base.join("spool");
    let private =
        ["active", "bounce", "corrupt", "defer", "deferred", "flush", "hold", "incoming", "private", "saved", "trace"];
    let make = |sub: &str, group: Option<u32>, mode: u32| {
        let path = spool.join(sub);
        fs::create_dir_all(&path).unwrap();
        chown(&path, Some(MAIL), group).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    };
    private.iter().for_each(|sub| make(sub, None, 0o700));
    make("maildrop", Some(GAMES), 0o730);
    make("public", Some(GAMES), 0o710);
    let (data, conf, store) = (base.join("data"), base.join("conf"), base.join("store"));
    for path in [&spool.join("pid"), &data, &conf, &store] {
        fs::create_dir_all(path).unwrap();
    }
    chown(&data, Some(MAIL), None).unwrap();
    chown(&store, Some(MAIL), None).unwrap();
    conf
}

fn start(program: &Path) -> Server {
    let folder = Folder::new();
    let base = folder.0.display();
    let conf = folders(&folder.0);
    let (chain, key) = folder.certificate();
    let (clear, tls) = (free_port(), free_port());
    let paths = Command::new(program).arg("paths").output().unwrap();
    let mailboxes: String = USERS.iter().map(|user| format!("{{ {user}@mx.example = {user}/ }} ")).collect();
    let main = format!(
        "compatibility_level = 3.6\nqueue_directory = {base}/spool\ndata_directory = {base}/data\nmeta_directory = {base}/conf\n\
         mail_owner = mail\nsetgid_group = games\ndefault_privs = nobody\nmaillog_file = {base}/maillog\n\
         maillog_file_prefixes = {base}\nimport_environment = MAIL_CONFIG TZ LD_LIBRARY_PATH\n\
         export_environment = TZ LD_LIBRARY_PATH\ninet_interfaces = 127.0.0.1\ninet_protocols = ipv4\nmydestination =\n\
         myhostname = mx.example\nalias_maps =\nalias_database =\nlocal_recipient_maps =\nmynetworks =\n\
         virtual_mailbox_domains = mx.example\nvirtual_mailbox_base = {base}/store\nvirtual_mailbox_limit = 0\n\
         virtual_mailbox_maps = inline:{{ {mailboxes} }}\nvirtual_uid_maps = static:{MAIL}\nvirtual_gid_maps = static:{MAIL}\n\
         virtual_minimum_uid = 1\ndefault_transport = discard\nsmtpd_relay_restrictions = reject_unauth_destination\n\
         smtpd_recipient_restrictions = check_recipient_access inline:{{ {{ later@mx.example = 450 4.2.1 Greylisted }} }}\n\
         smtpd_peername_lookup = no\nsmtpd_error_sleep_time = 0\nin_flow_delay = 0\nlocal_header_rewrite_clients =\n\
         smtpd_client_connection_count_limit = 0\nsmtpd_tls_security_level = may\nsmtpd_tls_chain_files = {key}, {chain}\n{paths}",
        key = key.display(),
        chain = chain.display(),
        paths = String::from_utf8_lossy(&paths.stdout),
    );
    fs::write(conf.join("main.cf"), main).unwrap();
    let own = format!("{clear} inet n - n - - smtpd\n{tls} inet n - n - - smtpd -o smtpd_tls_wrappermode=yes\n");
    fs::write(conf.join("master.cf"), format!("{DAEMONS}{own}")).unwrap();
    let mut command = Command::new(program);
    command.arg("-c").arg(&conf).args(["-d", "-e", "300"]).env("MAIL_CONFIG", &conf);
    let process = Process::start(&mut command, &folder.0.join("said"), clear);
    let log = || fs::read_to_string(folder.0.join("maillog")).unwrap_or_default();
    let process = process.unwrap_or_else(|(_, said)| panic!("Postfix does not start: {said}{}", log()));
    Server { process, clear, tls: Some(tls), chain, folder }
}

#[test]
fn postfix_gets_what_was_sent() {
    let Some(program) = peer_of_root("postfix") else { return };
    judge(&POSTFIX, &start(&program));
}
