//! Mail systems that pass a message on.

use std::fs;
use std::io::Write as _;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::common::{Folder, peer, send, text};
use crate::{Target, Way, body, letter, path, succeed};

/// Whether this process may become other users, as mail systems do; says so if it may not.
fn is_root(what: &str) -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        let line = format!("\nnot judged: {what} can only be run by root\n");
        let _ = std::io::stderr().write_all(line.as_bytes());
    }
    root
}

#[test]
fn exim_delivers() {
    let Some(program) = peer("exim") else { return };
    if !is_root("exim") {
        return;
    }
    let (target, letter) = (Target::start(&[]), letter());
    let mut count = 0;
    for way in Way::ALL {
        for chunking in [false, true] {
            let folder = Folder::new();
            let spool = folder.0.join("spool");
            fs::create_dir(&spool).unwrap();
            // The user that setup.sh invents for it.
            chown(&spool, Some(65533), Some(65533)).unwrap();
            let protocol = if way == Way::Tls { "  protocol = smtps\n" } else { "" };
            let (tls, plain) = if way == Way::Clear { ("", "*") } else { ("*", "") };
            let configuration = format!(
                "exim_path = {program}\nexim_user = 65533\nexim_group = 65533\nspool_directory = {spool}\nlog_file_path = {spool}/%slog\n\
                 primary_hostname = client.example\ntrusted_users = root\nkeep_environment =\naccept_8bitmime = true\n\
                 begin routers\nall:\n  driver = manualroute\n  route_list = * 127.0.0.1::{port} byname\n  self = send\n  transport = out\n\
                 begin transports\nout:\n  driver = smtp\n{protocol}  hosts_require_tls = {tls}\n  hosts_avoid_tls = {plain}\n  \
                 hosts_try_chunking = {chunking}\n  tls_verify_hosts =\n  tls_try_verify_hosts =\nbegin retry\n* * F,1h,1m\n",
                program = path(&program),
                spool = path(&spool),
                port = target.port(way),
                chunking = if chunking { "*" } else { "" },
            );
            let file = folder.write("exim.conf", configuration);
            let input = letter.replace("\r\n", "\n");
            let mut command = Command::new(&program);
            command.args(["-C", path(&file), "-odf", "-oi", "-f", "ada@client.example", "bob@mx.example"]);
            succeed(&mut command, input.as_bytes());
            count += 1;
            let log = fs::read_to_string(spool.join("mainlog")).unwrap_or_default();
            assert_eq!(target.wait_for(count).len(), count, "{way:?}, chunking {chunking}: {log}");
        }
    }
    target.has(count, body(&letter));
}

/// A Postfix of a test's own.
struct Postfix {
    child: Child,
    port: u16,
    folder: Folder,
}

impl Postfix {
    /// Starts one that sends all mail to the port, by its own `main.cf` lines.
    fn start(program: &PathBuf, relay: &str, more: &str) -> Self {
        let folder = Folder::new();
        let base = path(&folder.0).to_owned();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let paths = Command::new(program).arg("paths").output().unwrap();
        let (spool, data, conf) = (folder.0.join("spool"), folder.0.join("data"), folder.0.join("conf"));
        // Debian's mail and games; the latter has nothing to do, but Postfix wants a group that is nobody else's.
        let (mail, games) = (8, 60);
        for sub in [
            "active", "bounce", "corrupt", "defer", "deferred", "flush", "hold", "incoming", "private", "saved",
            "trace",
        ] {
            let path = spool.join(sub);
            fs::create_dir_all(&path).unwrap();
            chown(&path, Some(mail), None).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
        }
        for (sub, mode) in [("maildrop", 0o730), ("public", 0o710)] {
            let path = spool.join(sub);
            fs::create_dir_all(&path).unwrap();
            chown(&path, Some(mail), Some(games)).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        }
        for path in [&spool.join("pid"), &data, &conf] {
            fs::create_dir_all(path).unwrap();
        }
        chown(&data, Some(mail), None).unwrap();
        let main = format!(
            "compatibility_level = 3.6\nqueue_directory = {base}/spool\ndata_directory = {base}/data\n\
             meta_directory = {base}/conf\nmail_owner = mail\nsetgid_group = games\ndefault_privs = nobody\n\
             maillog_file = {base}/maillog\nmaillog_file_prefixes = {base}\nrelayhost = {relay}\n\
             inet_interfaces = 127.0.0.1\ninet_protocols = ipv4\nmydestination =\nmyhostname = client.example\n\
             import_environment = MAIL_CONFIG TZ LD_LIBRARY_PATH\nexport_environment = TZ LD_LIBRARY_PATH\n\
             alias_maps =\nalias_database =\nlocal_recipient_maps =\nsmtp_dns_support_level = disabled\n\
             smtp_host_lookup = native\nmynetworks = 127.0.0.0/8\n\
             smtpd_relay_restrictions = permit_mynetworks, reject\nsmtpd_peername_lookup = no\n{}{more}",
            text(&paths.stdout)
        );
        fs::write(conf.join("main.cf"), main).unwrap();
        let master = "pickup unix n - n 60 1 pickup\ncleanup unix n - n - 0 cleanup\nqmgr unix n - n 300 1 qmgr\n\
             rewrite unix - - n - - trivial-rewrite\nbounce unix - - n - 0 bounce\ndefer unix - - n - 0 bounce\n\
             trace unix - - n - 0 bounce\nverify unix - - n - 1 verify\nflush unix n - n 1000? 0 flush\n\
             proxymap unix - - n - - proxymap\nsmtp unix - - n - - smtp\nrelay unix - - n - - smtp\n\
             lmtp unix - - n - - lmtp\nshowq unix n - n - - showq\nerror unix - - n - - error\nretry unix - - n - - error\n\
             discard unix - - n - - discard\nscache unix - - n - 1 scache\npostlog unix-dgram n - n - 1 postlogd\n\
             tlsmgr unix - - n 1000? 1 tlsmgr\n";
        fs::write(conf.join("master.cf"), format!("{master}127.0.0.1:{port} inet n - n - - smtpd\n")).unwrap();
        let child = Command::new(program)
            .args(["-c", path(&conf), "-d", "-e", "60"])
            .env("MAIL_CONFIG", &conf)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let postfix = Self { child, port, folder };
        let begin = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(begin.elapsed() < Duration::from_secs(20), "{}", postfix.log());
            std::thread::sleep(Duration::from_millis(50));
        }
        postfix
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.0.join("maillog")).unwrap_or_default()
    }
}

impl Drop for Postfix {
    fn drop(&mut self) {
        // Its daemons end with their master.
        let _ =
            rustix::process::kill_process(rustix::process::Pid::from_child(&self.child), rustix::process::Signal::TERM);
        let _ = self.child.wait();
    }
}

#[test]
fn postfix_delivers() {
    let Some(program) = peer("postfix") else { return };
    if !is_root("postfix") {
        return;
    }
    let (target, letter) = (Target::start(&[]), letter());
    let file = target.folder.write("letter.eml", &letter);
    let mut count = 0;
    for way in Way::ALL {
        let tls = match way {
            Way::Clear => "smtp_tls_security_level = none\n",
            Way::StartTls => "smtp_tls_security_level = encrypt\n",
            Way::Tls => "smtp_tls_security_level = encrypt\nsmtp_tls_wrappermode = yes\n",
        };
        let relay = format!("[127.0.0.1]:{}", target.port(way));
        let postfix = Postfix::start(&program, &relay, tls);
        let to = format!("127.0.0.1:{}", postfix.port);
        let options =
            ["--from", "ada@client.example", "--to", "bob@mx.example", "--to", "carol@mx.example", &to, path(&file)];
        let output = send(&options);
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        count += 1;
        assert_eq!(target.wait_for(count).len(), count, "{way:?}: {}", postfix.log());
    }
    target.has(count, body(&letter));
}
