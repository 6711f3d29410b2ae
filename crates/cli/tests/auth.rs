//! `ehlo serve` and AUTH: by hand, and with other people's clients where there are some.

mod common;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Output};

use common::{Server, ehlo, text};

/// `\0ada\0secret`.
const ADA: &str = "AUTH PLAIN AGFkYQBzZWNyZXQ=\r\n";

fn in_clear(more: &[&str]) -> Server {
    Server::start(&[&["--user", "ada:secret", "--user", "bob:hidden", "--allow-plaintext-auth"], more].concat())
}

/// Tells that something was not there to test with.
fn not_judged(what: &str) {
    let _ = std::io::stderr()
        .write_all(format!("\nnot judged: there is no {what} (see tests/peers/README.md)\n").as_bytes());
}

#[test]
fn users_log_in_and_others_do_not() {
    let server = in_clear(&["--require-auth", "--log-level", "trace"]);
    let mut client = server.connect();
    client.expect("220");
    let ehlo = client.say("EHLO client.example\r\n", "250");
    assert!(!ehlo.contains("CRAM-MD5"), "{ehlo}");
    client.say("MAIL FROM:<a@b.example>\r\n", "530 5.7.0");
    client.say("AUTH PLAIN AGFkYQBoaWRkZW4=\r\n", "535 5.7.8");
    client.say(ADA, "235 2.7.0");
    client.say("MAIL FROM:<a@b.example>\r\n", "250");
    client.say("QUIT\r\n", "221");
    drop(client);
    let (status, errors) = server.stop();
    assert_eq!(status, Some(0));
    assert!(errors.contains("1 log-ins, 1 failed"), "{errors}");
    for secret in ["secret", "hidden", "AGFkYQ"] {
        assert!(!errors.contains(secret), "{errors}");
    }
}

#[test]
fn inside_of_tls_only_unless_that_is_waived() {
    let output = ehlo().args(["serve", "--listen", "127.0.0.1:0", "--user", "ada:secret"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let told = text(&output.stderr);
    assert!(told.contains("--allow-plaintext-auth") && !told.contains("secret"), "{told}");
    let server = Server::start(&["--tls", "self-signed", "--user", "ada:secret"]);
    let mut client = server.connect();
    client.expect("220");
    client.say("EHLO client.example\r\n", "250");
    client.say(ADA, "504 5.5.4");
    drop(client);
    assert_eq!(server.stop().0, Some(0));
}

#[test]
fn a_wrong_user_is_told_without_the_password() {
    for wrong in ["secret", ":secret", "secret:", "a\u{7}da:secret"] {
        let output = ehlo().args(["serve", "--allow-plaintext-auth", "--user", wrong]).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{wrong}");
        let told = text(&output.stderr);
        assert!(told.contains("--user") && !told.contains("secret"), "{told}");
    }
    let output = ehlo().args(["serve", "--allow-plaintext-auth", "--user", "ada:secret\u{7}"]).output().unwrap();
    let told = text(&output.stderr);
    assert!(told.contains("--user ada") && told.contains("SASLprep") && !told.contains("secret"), "{told}");
    let output = ehlo().args(["serve", "--require-auth"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn smtplib_logs_in_by_each_of_its_mechanisms() {
    if !Command::new("python3").arg("--version").output().is_ok_and(|output| output.status.success()) {
        return not_judged("python3");
    }
    let server = in_clear(&["--cram-md5", "--require-auth"]);
    let script = "import smtplib, sys\n\
        for name in ['PLAIN', 'LOGIN', 'CRAM_MD5']:\n    \
            for password, initial in [('secret', True), ('secret', False), ('wrong', True)]:\n        \
                s = smtplib.SMTP('127.0.0.1', int(sys.argv[1]), timeout=20)\n        \
                s.ehlo()\n        \
                s.user, s.password = 'ada', password\n        \
                try:\n            \
                    code = s.auth(name.replace('_', '-'), getattr(s, 'auth_' + name.lower()), initial_response_ok=initial)[0]\n            \
                    s.sendmail('a@b.example', ['c@d.example'], 'Subject: hi\\r\\n\\r\\nhello\\r\\n')\n        \
                except smtplib.SMTPAuthenticationError as error:\n            \
                    code = error.smtp_code\n        \
                print(name, initial, code)\n        \
                s.quit()\n";
    let output = Command::new("python3").args(["-c", script, &server.address.port().to_string()]).output().unwrap();
    let told = text(&output.stdout);
    let lines: Vec<&str> = told.lines().collect();
    let mut expected = Vec::new();
    for name in ["PLAIN", "LOGIN", "CRAM_MD5"] {
        expected.extend([format!("{name} True 235"), format!("{name} False 235"), format!("{name} True 535")]);
    }
    assert_eq!(lines, expected, "{}", text(&output.stderr));
    assert!(server.stop().1.contains("6 messages accepted"));
}

/// The peer's program, if `tests/peers/setup.sh` has unpacked it.
fn swaks() -> Option<PathBuf> {
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache")));
    let folder = std::env::var_os("EHLO_PEERS").map(PathBuf::from).or_else(|| Some(cache?.join("ehlo-peers")))?;
    Some(folder.join("bin/swaks")).filter(|program| program.exists())
}

#[test]
fn swaks_logs_in_and_delivers() {
    let Some(program) = swaks() else { return not_judged("swaks") };
    let server = in_clear(&["--require-auth"]);
    let run = |mechanism: &str, password: &str| -> Output {
        Command::new(&program)
            .args(["--server", &server.address.to_string(), "--from", "a@b.example", "--to", "c@d.example"])
            .args(["--auth", mechanism, "--auth-user", "ada", "--auth-password", password, "--timeout", "20"])
            .output()
            .unwrap()
    };
    for mechanism in ["PLAIN", "LOGIN"] {
        let output = run(mechanism, "secret");
        assert!(output.status.success(), "{mechanism}: {}{}", text(&output.stdout), text(&output.stderr));
        // 28: its own code for a failed authentication.
        assert_eq!(run(mechanism, "wrong").status.code(), Some(28));
    }
    assert!(server.stop().1.contains("2 messages accepted"));
}
