//! Postfix, which takes messages over SMTP and passes them on.

use std::fs;
use std::io::BufReader;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::bench::{Bench, Ended};
use crate::clients::POSTFIX;
use crate::common::{Client, Folder, text};
use crate::exim::submission;
use crate::order::{Feature, Order, USER, Way};

/// Debian's mail and games; the latter has nothing to do, but Postfix wants a group that is nobody else's.
const MAIL: u32 = 8;
const GAMES: u32 = 60;

/// The daemons that it is made of, but for those that send.
const DAEMONS: &str = "\
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
tlsmgr unix - - n 1000? 1 tlsmgr
";

/// A Postfix of a test's own, which has a transport for each order, chosen by the domain of the recipients.
struct Postfix {
    child: Child,
    port: u16,
    folder: Folder,
}

/// The line of `master.cf` that carries out an order: the service has the order's name.
fn transport(order: &Order<'_>) -> String {
    let kind = if order.feature == Feature::Lmtp { "lmtp" } else { "smtp" };
    let level = if order.way == Way::Clear { "none" } else { "encrypt" };
    let mut line = format!("{} unix - - n - - {kind} -o {kind}_tls_security_level={level}", order.cell());
    if order.way == Way::Tls {
        line += &format!(" -o {kind}_tls_wrappermode=yes");
    }
    if let Some(mechanism) = order.mechanism() {
        line += &format!(" -o {kind}_sasl_auth_enable=yes -o {kind}_sasl_mechanism_filter={}", mechanism.name());
        line += &format!(" -o {{ {kind}_sasl_password_maps = static:{{{USER}:{}}} }}", order.password());
    }
    line + "\n"
}

impl Postfix {
    fn start(bench: &Bench) -> Self {
        let folder = Folder::new();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let (mut routes, mut transports) = (String::new(), String::new());
        bench.each(|order| {
            routes += &format!("{{ {cell}.example = {cell}:[127.0.0.1]:{} }} ", order.port, cell = order.cell());
            transports += &transport(order);
        });
        let conf = folders(&folder.0);
        let paths = Command::new(&bench.program).arg("paths").output().unwrap();
        let main = format!(
            "compatibility_level = 3.6\nqueue_directory = {base}/spool\ndata_directory = {base}/data\n\
             meta_directory = {base}/conf\nmail_owner = mail\nsetgid_group = games\ndefault_privs = nobody\n\
             maillog_file = {base}/maillog\nmaillog_file_prefixes = {base}\ntransport_maps = inline:{{ {routes} }}\n\
             inet_interfaces = 127.0.0.1\ninet_protocols = ipv4\nmydestination =\nmyhostname = client.example\n\
             import_environment = MAIL_CONFIG TZ LD_LIBRARY_PATH SASL_PATH\nexport_environment = TZ LD_LIBRARY_PATH SASL_PATH\n\
             alias_maps =\nalias_database =\nlocal_recipient_maps =\nsmtp_dns_support_level = disabled\n\
             smtp_host_lookup = native\nlmtp_dns_support_level = disabled\nlmtp_host_lookup = native\nmynetworks = 127.0.0.0/8\n\
             smtpd_relay_restrictions = permit_mynetworks, reject\nsmtpd_peername_lookup = no\n\
             smtp_sasl_security_options =\n{}",
            text(&paths.stdout),
            base = folder.0.display(),
        );
        fs::write(conf.join("main.cf"), main).unwrap();
        let own = format!("127.0.0.1:{port} inet n - n - - smtpd\n");
        fs::write(conf.join("master.cf"), format!("{DAEMONS}{transports}{own}")).unwrap();
        let child = Command::new(&bench.program)
            .args(["-c".as_ref(), conf.as_os_str(), "-d".as_ref(), "-e".as_ref(), "300".as_ref()])
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
            std::thread::sleep(Duration::from_millis(20));
        }
        postfix
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.0.join("maillog")).unwrap_or_default()
    }

    /// Hands it the message, and waits until it says what became of both recipients.
    fn deliver(&self, order: &Order<'_>) -> Ended {
        let known = self.log().len();
        let stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let mut client = Client { stream: BufReader::new(stream) };
        client.expect("220");
        for line in submission(order) {
            client.say(&line, if line == "DATA\r\n" { "354" } else { "2" });
        }
        let begin = Instant::now();
        loop {
            let log = self.log();
            let new = log.get(known..).unwrap_or_default();
            let count = |what: &str| new.matches(what).count();
            let (sent, other) = (count("status=sent"), count("status=deferred") + count("status=bounced"));
            if sent + other >= order.to().len() || begin.elapsed() > Duration::from_secs(20) {
                // Cyrus SASL has its mechanisms from plug-ins. A server that does not offer one is told in other words.
                let lacks = new.lines().find(|line| line.contains("no mechanism available"));
                let lacks = lacks.and_then(|line| line.rsplit_once('(')).map(|(_, why)| why.trim_end_matches(')'));
                return Ended { well: sent == order.to().len(), told: new.to_owned(), lacks: lacks.map(str::to_owned) };
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

/// Makes the folders that it wants, with the owners that it wants. Gives that of its configuration.
fn folders(base: &Path) -> std::path::PathBuf {
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
    let (data, conf) = (base.join("data"), base.join("conf"));
    for path in [&spool.join("pid"), &data, &conf] {
        fs::create_dir_all(path).unwrap();
    }
    chown(&data, Some(MAIL), None).unwrap();
    conf
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
    let Some(bench) = Bench::of(&POSTFIX) else { return };
    let postfix = Postfix::start(&bench);
    bench.judge(|order| postfix.deliver(order));
}
