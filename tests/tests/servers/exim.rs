//! Exim: its daemon, and its own delivery to maildirs.

use std::fs;
use std::os::unix::fs::chown;
use std::path::Path;
use std::process::Command;

use crate::judge::{PASSWORD, Server, USER, USERS, judge};
use crate::process::{Folder, Process, free_port, peer_of_root};
use crate::rows::EXIM;

/// The user that setup.sh invents for it.
const OWNER: u32 = 65533;

fn start(program: &Path) -> Server {
    let folder = Folder::new();
    let (chain, key) = folder.certificate();
    let (clear, tls) = (free_port(), free_port());
    for sub in ["spool", "store"] {
        let path = folder.0.join(sub);
        fs::create_dir(&path).unwrap();
        chown(&path, Some(OWNER), Some(OWNER)).unwrap();
    }
    chown(&key, Some(OWNER), None).unwrap();
    let configuration = format!(
        "exim_path = {program}\nexim_user = {OWNER}\nexim_group = {OWNER}\nspool_directory = {base}/spool\n\
         log_file_path = {base}/spool/%slog\npid_file_path = {base}/spool/pid\nprimary_hostname = mx.example\nkeep_environment =\n\
         local_interfaces = <; 127.0.0.1.{clear} ; 127.0.0.1.{tls}\ntls_on_connect_ports = {tls}\ntls_advertise_hosts = *\n\
         tls_certificate = {chain}\ntls_privatekey = {key}\nacl_smtp_rcpt = rcpt\ndsn_advertise_hosts = *\nhost_lookup =\n\
         rfc1413_query_timeout = 0s\nqueue_run_in_order = true\nmessage_size_limit = 64M\nauth_advertise_hosts = *\n\
         smtp_accept_max = 0\nprdr_enable = true\nallow_utf8_domains = true\n\
         begin acl\nrcpt:\n  defer local_parts = later\n  message = Greylisted\n  accept local_parts = {users}\n  \
         domains = mx.example\n  deny message = No such user\n\
         begin routers\nall:\n  driver = accept\n  domains = mx.example\n  transport = store\nnone:\n  driver = accept\n  transport = none\n\
         begin transports\nstore:\n  driver = appendfile\n  directory = {base}/store/${{lookup{{$local_part}}lsearch{{{base}/users}}}}\n  maildir_format\n  create_directory\n  \
         delivery_date_add\n  envelope_to_add\n  return_path_add\n  user = {OWNER}\n  group = {OWNER}\nnone:\n  driver = appendfile\n  file = /dev/null\n  user = {OWNER}\n  group = {OWNER}\n\
         begin retry\n* * F,1h,1m\nbegin authenticators\n\
         plain:\n  driver = plaintext\n  public_name = PLAIN\n  server_prompts = :\n  server_set_id = $auth2\n  \
         server_condition = ${{if and{{{{eq{{$auth2}}{{{USER}}}}}{{eq{{$auth3}}{{{PASSWORD}}}}}}}}}\n\
         login:\n  driver = plaintext\n  public_name = LOGIN\n  server_prompts = Username:: : Password::\n  \
         server_condition = ${{if and{{{{eq{{$auth1}}{{{USER}}}}}{{eq{{$auth2}}{{{PASSWORD}}}}}}}}}\n  server_set_id = $auth1\n\
         cram:\n  driver = cram_md5\n  public_name = CRAM-MD5\n  server_secret = ${{if eq{{$auth1}}{{{USER}}}{{{PASSWORD}}}fail}}\n  server_set_id = $auth1\n",
        program = program.display(),
        base = folder.0.display(),
        clear = clear.port(),
        tls = tls.port(),
        chain = chain.display(),
        key = key.display(),
        users = USERS.join(" : "),
    );
    // What comes from outside may not name a file; what is looked up may.
    let users: String = USERS.iter().map(|user| format!("{user}: {user}\n")).collect();
    fs::write(folder.0.join("users"), users).unwrap();
    let file = folder.0.join("exim.conf");
    fs::write(&file, configuration).unwrap();
    let mut command = Command::new(program);
    command.arg("-C").arg(&file).arg("-bdf");
    let process = Process::start(&mut command, &folder.0.join("said"), clear);
    let log = || fs::read_to_string(folder.0.join("spool/paniclog")).unwrap_or_default();
    let process = process.unwrap_or_else(|(_, said)| panic!("Exim does not start: {said}{}", log()));
    Server { process, clear, tls: Some(tls), chain, folder }
}

#[test]
fn exim_gets_what_was_sent() {
    let Some(program) = peer_of_root("exim") else { return };
    judge(&EXIM, &start(&program));
}
