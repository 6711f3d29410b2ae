//! Exim, which takes a message by SMTP on its standard input and passes it on.

use std::fs;
use std::os::unix::fs::chown;
use std::process::Command;

use crate::bench::{Bench, Ended};
use crate::clients::EXIM;
use crate::order::{Feature, Order, USER, Way};
use crate::programs::run;

/// The user that setup.sh invents for it.
const OWNER: u32 = 65533;

/// What it is to do, in its own words.
fn configuration(order: &Order<'_>) -> String {
    let spool = order.folder.join("spool");
    let protocol = match (order.feature, order.way) {
        (Feature::Lmtp, _) => "lmtp",
        (_, Way::Tls) => "smtps",
        _ => "smtp",
    };
    let yes = |it: bool| if it { "*" } else { "" };
    let mechanism = order.mechanism().map_or("", |mechanism| mechanism.name());
    let password = order.password();
    let authenticator = match mechanism {
        "PLAIN" => format!("driver = plaintext\n  client_send = ^{USER}^{password}"),
        "LOGIN" => format!("driver = plaintext\n  client_send = : {USER} : {password}"),
        _ => format!("driver = cram_md5\n  client_name = {USER}\n  client_secret = {password}"),
    };
    let authenticators = if mechanism.is_empty() {
        String::new()
    } else {
        format!("it:\n  public_name = {mechanism}\n  {authenticator}\n")
    };
    format!(
        "exim_path = {program}\nexim_user = {OWNER}\nexim_group = {OWNER}\nspool_directory = {spool}\n\
         log_file_path = {spool}/%slog\nprimary_hostname = client.example\ntrusted_users = root\nkeep_environment =\n\
         smtp_enforce_sync = false\nacl_smtp_rcpt = accept\ndsn_advertise_hosts = *\n\
         begin routers\nall:\n  driver = manualroute\n  route_list = * 127.0.0.1 byname\n  self = send\n  transport = out\n\
         begin transports\nout:\n  driver = smtp\n  protocol = {protocol}\n  port = {port}\n  hosts_require_tls = {tls}\n  hosts_avoid_tls = {clear}\n  \
         hosts_try_chunking = {chunking}\n  hosts_require_auth = {auth}\n  tls_verify_hosts =\n  tls_try_verify_hosts =\n\
         begin retry\n* * F,1h,1m\nbegin authenticators\n{authenticators}",
        program = order.program.display(),
        spool = spool.display(),
        port = order.port,
        tls = yes(order.way != Way::Clear),
        clear = yes(order.way == Way::Clear),
        chunking = yes(order.feature == Feature::Bdat),
        auth = yes(order.mechanism().is_some()),
    )
}

/// The dialogue that hands a message over to a mail system. It is not waited for replies.
pub(crate) fn submission(order: &Order<'_>) -> Vec<String> {
    let (mail, rcpt) = match order.feature {
        Feature::Utf8 => (" SMTPUTF8".to_owned(), String::new()),
        Feature::Dsn => {
            use crate::order::{ENVID, NOTIFY, ORCPT, RET};
            (format!(" {RET} {ENVID}"), format!(" {NOTIFY} {ORCPT}"))
        }
        _ => (String::new(), String::new()),
    };
    let mut lines =
        vec!["EHLO author.example\r\n".to_owned(), format!("MAIL FROM:<{}> BODY=8BITMIME{mail}\r\n", order.from())];
    lines.extend(order.to().map(|to| format!("RCPT TO:<{to}>{rcpt}\r\n")));
    lines.extend(["DATA\r\n".to_owned(), order.stuffed(), "QUIT\r\n".to_owned()]);
    lines
}

fn exim(order: &Order<'_>) -> Ended {
    let spool = order.folder.join("spool");
    fs::create_dir_all(&spool).unwrap();
    chown(&spool, Some(OWNER), Some(OWNER)).unwrap();
    let file = order.folder.join("exim.conf");
    fs::write(&file, configuration(order)).unwrap();
    let mut command = Command::new(order.program);
    command.arg("-C").arg(&file).args(["-odf", "-bs"]);
    let mut ended = run(&mut command, submission(order).concat().as_bytes());
    let log = fs::read_to_string(spool.join("mainlog")).unwrap_or_default();
    ended.told += &log;
    // `K` on the line of a delivery: by chunks.
    let chunks = log.lines().filter(|line| line.contains(" => ")).all(|line| line.contains(" K "));
    ended.well &= log.contains(" => ") && chunks == (order.feature == Feature::Bdat);
    ended
}

#[test]
fn exim_delivers() {
    let Some(bench) = Bench::of(&EXIM) else { return };
    bench.judge(exim);
}
