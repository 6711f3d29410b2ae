//! `ehlo sendmail` as a process, as programs call it.

mod common;

use std::fs::{self, Permissions};
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Output, Stdio};

use common::{Folder, Server, ehlo, files, text};

struct Place {
    folder: Folder,
    server: Server,
}

impl Place {
    fn new(options: &[&str]) -> Self {
        let folder = Folder::new();
        let store = format!("maildir:{}", folder.0.join("mail").display());
        let server = Server::start(&[&["--store", store.as_str()], options].concat());
        Self { folder, server }
    }

    /// By the server's address in the environment, and no file.
    fn run(&self, arguments: &[&str], message: &str) -> Output {
        let mut command = ehlo();
        command.arg("sendmail").args(arguments).env("EHLO_SMTP", self.server.address.to_string());
        with_input(&self.folder, command, message)
    }

    fn stored(&self) -> Vec<String> {
        files(&self.folder.0.join("mail/new")).iter().map(|path| text(&fs::read(path).unwrap())).collect()
    }

    /// The only message, and whom it was for and from.
    fn only(&self) -> (String, String) {
        let stored = self.stored();
        assert_eq!(stored.len(), 1, "{stored:?}");
        let header = stored[0].split("\r\n\r\n").next().unwrap().to_owned();
        (header, stored[0].clone())
    }
}

/// Nothing of whoever runs the tests gets in.
fn with_input(folder: &Folder, mut command: Command, message: &str) -> Output {
    if command.get_envs().all(|(name, _)| name != "EHLO_SENDMAIL_CONFIG" && name != "HOME") {
        command.env("EHLO_SENDMAIL_CONFIG", folder.write("empty.toml", ""));
    }
    let mut child = command
        .env_remove("XDG_CONFIG_HOME")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // It may have ended without reading.
    let _ = child.stdin.take().unwrap().write_all(message.as_bytes());
    child.wait_with_output().unwrap()
}

fn silent(output: &Output) {
    assert_eq!(
        (output.status.code(), text(&output.stdout), text(&output.stderr)),
        (Some(0), String::new(), String::new())
    );
}

#[test]
fn a_message_goes_to_those_of_the_header_and_of_the_command_line() {
    let place = Place::new(&[]);
    let message = "From x@y Mon\nTo: Ada <a@x.example>,\n \"b, c\" <b@x.example>\nCc: friends: c@x.example;\nBcc: d@x.example\n\
                   Subject: s\n\nhello\n.\nnever\n";
    let output = place.run(&["-t", "-f", "me@x.example", "e@x.example", "a@x.example", "-v"], message);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert!(output.stdout.is_empty());
    let dialogue = text(&output.stderr);
    let said: Vec<&str> = dialogue
        .lines()
        .filter_map(|line| line.strip_prefix("C: "))
        .filter(|line| line.starts_with("MAIL") || line.starts_with("RCPT"))
        .map(|line| line.split_once('<').and_then(|(_, rest)| rest.split_once('>')).unwrap().0)
        .collect();
    assert_eq!(said, ["me@x.example", "e@x.example", "a@x.example", "b@x.example", "c@x.example", "d@x.example"]);
    let (header, whole) = place.only();
    // Above is what the server wrote, with whom it was for.
    let sent = &whole[whole.find("Date: ").unwrap()..];
    for absent in ["Bcc", "d@x.example", "From x@y", "never"] {
        assert!(!sent.contains(absent), "{absent}: {sent}");
    }
    for there in ["\r\nDate: ", "\r\nMessage-ID: <", "\r\nFrom: me@x.example\r\n", "\r\nCc: friends: c@x.example;"] {
        assert!(header.contains(there), "{there:?}: {header}");
    }
    assert!(whole.ends_with("Subject: s\r\n\r\nhello\r\n"), "{whole}");
}

#[test]
fn what_cron_and_mail_programs_say_is_understood() {
    let place = Place::new(&[]);
    silent(&place.run(&["-FCronDaemon", "-i", "-B8BITMIME", "-oem", "root"], "Subject: x\n\na\n.\nb\r\n..c\n"));
    let (header, whole) = place.only();
    assert!(header.contains("\r\nFrom: CronDaemon <"), "{header}");
    assert!(whole.ends_with("\r\n\r\na\r\n.\r\nb\r\n..c\r\n"), "{whole}");
}

#[test]
fn text_without_a_header_is_a_body() {
    let place = Place::new(&[]);
    silent(&place.run(&["-f", "<>", "a@b"], "no header here\nnor here: x\n"));
    let (header, whole) = place.only();
    assert!(header.contains("Return-Path: <>"), "{header}");
    assert!(whole.ends_with("\r\n\r\nno header here\r\nnor here: x\r\n"), "{whole}");
}

#[test]
fn a_link_by_that_name_is_the_command() {
    let place = Place::new(&[]);
    let link = place.folder.0.join("sendmail");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_ehlo"), &link).unwrap();
    let mut command = Command::new(&link);
    command.args(["-ti"]).env("EHLO_SMTP", place.server.address.to_string());
    silent(&with_input(&place.folder, command, "To: a@b\n\nx\n"));
    assert_eq!(place.stored().len(), 1);
    let help = Command::new(&link).arg("--help").output().unwrap();
    assert!(help.status.success() && text(&help.stdout).contains("-t "), "{}", text(&help.stdout));
}

#[test]
fn long_messages_arrive_whole() {
    let place = Place::new(&[]);
    let body: String = (0..60_000).map(|n| format!("line {n} of many, each of some length\n")).collect();
    silent(&place.run(&["a@b"], &format!("Subject: x\n\n{body}")));
    assert!(place.only().1.ends_with(&format!("\r\n\r\n{}", body.replace('\n', "\r\n"))));
}

#[test]
fn what_cannot_be_done_is_said_and_nothing_is_sent() {
    let place = Place::new(&[]);
    for (arguments, message, status, words) in [
        (&["-bs"][..], "", 64, "-bs: there is not SMTP on the standard input"),
        (&["-bp"], "", 64, "a queue"),
        (&["-bt"], "", 64, "address tests"),
        (&["-Z"], "", 64, "no option that is known here"),
        (&[], "x\n", 64, "there is no recipient"),
        (&["-N", "sometimes", "a@b"], "x\n", 64, "-N sometimes"),
        (&["-R", "some", "a@b"], "x\n", 64, "-R some"),
        (&["-f", "a@b, c@d", "a@b"], "x\n", 64, "not one address"),
        (&["a b"], "x\n", 64, "that is no address"),
        (&["a@b\r\nRCPT TO:<c@d>"], "x\n", 64, "that is no address"),
        (&["-t"], "Subject: x\n\nTo: a@b\n", 65, "names no recipient"),
        (&["-t", "a@b"], "To: Ada Lovelace, a@b\n\nx\n", 65, "To: that is no address in \"Ada Lovelace\""),
        (&["-t"], "To: (a@b\n\nx\n", 65, "a comment is not closed"),
        (&["-t"], "To: a@b c\n\nx\n", 65, "that is no address"),
    ] {
        let output = place.run(arguments, message);
        assert_eq!(output.status.code(), Some(status), "{arguments:?}: {}", text(&output.stderr));
        assert!(text(&output.stderr).starts_with("ehlo sendmail: "), "{}", text(&output.stderr));
        assert!(text(&output.stderr).contains(words), "{}", text(&output.stderr));
    }
    silent(&place.run(&["-q"], ""));
    assert!(place.stored().is_empty());
}

#[test]
fn the_exit_status_is_that_of_sysexits() {
    let folder = Folder::new();
    let run = |server: &str| {
        let mut command = ehlo();
        command.args(["sendmail", "a@b"]).env("EHLO_SMTP", server);
        with_input(&folder, command, "Subject: x\n\nx\n")
    };
    for (reply, status) in
        [("550 5.1.1 nobody\r\n", 67), ("550 5.7.1 no\r\n", 69), ("554 no\r\n", 69), ("451 4.3.0 later\r\n", 75)]
    {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = listener.local_addr().unwrap().to_string();
        let thread = std::thread::spawn(move || {
            let (stream, _) = listener.accept().unwrap();
            let mut writer = stream.try_clone().unwrap();
            writer.write_all(b"220 mx\r\n").unwrap();
            for line in BufReader::new(stream).lines().map_while(Result::ok) {
                let answer = if line.starts_with("RCPT") { reply } else { "250 ok\r\n" };
                if writer.write_all(answer.as_bytes()).is_err() || line.starts_with("QUIT") {
                    break;
                }
            }
        });
        let output = run(&server);
        assert_eq!(output.status.code(), Some(status), "{reply}");
        assert!(output.stdout.is_empty());
        assert_eq!(text(&output.stderr), format!("ehlo sendmail: message: {}\n", reply.trim_end()));
        thread.join().unwrap();
    }
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let output = run(&free);
    assert_eq!(output.status.code(), Some(75));
    assert!(text(&output.stderr).contains("cannot connect to"), "{}", text(&output.stderr));
}

/// With a file of that text, in the folder of its password.
fn by_file(folder: &Folder, config: &str, arguments: &[&str]) -> Output {
    let file = folder.write("sendmail.toml", config);
    let mut command = ehlo();
    command.arg("sendmail").args(arguments).env("EHLO_SENDMAIL_CONFIG", file).env_remove("EHLO_SMTP");
    with_input(folder, command, "Subject: x\n\nx\n")
}

fn secret(folder: &Folder, name: &str, mode: u32) {
    let path = folder.write(name, "correct horse\n");
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

#[test]
fn the_file_names_the_server_and_who_logs_in() {
    let folder = Folder::new();
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let chain = folder.write("cert.pem", made.cert.pem());
    let key = folder.write("key.pem", made.signing_key.serialize_pem());
    let tls = format!("{},{}", chain.display(), key.display());
    let place = Place::new(&["--tls", &tls, "--user", "ada:correct horse", "--require-auth"]);
    secret(&folder, "password", 0o600);
    let config = format!(
        "server = \"{}\"\ntls_ca = \"cert.pem\"\nauth_user = \"ada\"\nauth_password_file = \"password\"\n\
         from = \"ada@x.example\"\nhello = \"client.example\"\n",
        place.server.address
    );
    let output = by_file(&folder, &config, &["-v", "bob"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let dialogue = text(&output.stderr);
    for line in
        ["C: EHLO client.example", "server verified)", "C: MAIL FROM:<ada@x.example>", "C: RCPT TO:<bob@x.example>"]
    {
        assert!(dialogue.contains(line), "{line}: {dialogue}");
    }
    assert!(!dialogue.contains("correct horse"));
    // A password goes to a server that is verified, and to no other.
    let output = by_file(&folder, &config.replace("tls_ca = \"cert.pem\"\n", "tls = \"off\"\n"), &["bob"]);
    assert_eq!(output.status.code(), Some(77), "{}", text(&output.stderr));
    assert_eq!(place.stored().len(), 1);
}

#[test]
fn a_file_that_is_wrong_is_an_error_with_its_place() {
    let folder = Folder::new();
    secret(&folder, "open", 0o644);
    let nobody = "server = \"127.0.0.1:1\"\n";
    for (config, words) in [
        ("from = \"a@b\"\n".to_owned(), "no server is known"),
        (format!("{nobody}\nauth_password = \"x\"\n"), "line 3: unknown field `auth_password`"),
        (format!("{nobody}tls = \"maybe\"\n"), "tls maybe"),
        (format!("{nobody}hello = \"a b\"\n"), "hello a b"),
        (format!("{nobody}from = \"a b\"\n"), "from a b"),
        (format!("{nobody}auth_user = \"a\"\n"), "auth_user wants auth_password_file"),
        (format!("{nobody}auth_user = \"a\"\nauth_password_file = \"open\"\n"), "everybody on this host"),
        (format!("{nobody}auth_user = \"a\"\nauth_password_file = \"none\"\n"), "none"),
        (format!("{nobody}tls_ca = \"none\"\n"), "none"),
        ("server = \"a:b\"\n".to_owned(), "not HOST:PORT"),
    ] {
        let output = by_file(&folder, &config, &["a@b"]);
        assert_eq!(output.status.code(), Some(78), "{config}: {}", text(&output.stderr));
        assert!(text(&output.stderr).contains(words), "{words}: {}", text(&output.stderr));
        assert!(text(&output.stderr).contains("sendmail.toml: "), "{}", text(&output.stderr));
    }
}

#[test]
fn the_users_file_is_found_and_the_environment_wins_over_it() {
    let place = Place::new(&[]);
    let home = place.folder.0.join("home");
    let folder = home.join(".config/ehlo");
    fs::create_dir_all(&folder).unwrap();
    let run = |server: &str, environment: Option<&str>| {
        fs::write(folder.join("sendmail.toml"), format!("server = \"{server}\"\nfrom = \"ada@x.example\"\n")).unwrap();
        let mut command = ehlo();
        command.args(["sendmail", "a@b"]).env("HOME", &home).env_remove("EHLO_SENDMAIL_CONFIG").env_remove("EHLO_SMTP");
        if let Some(server) = environment {
            command.env("EHLO_SMTP", server);
        }
        with_input(&place.folder, command, "x\n")
    };
    let address = place.server.address.to_string();
    silent(&run(&address, None));
    silent(&run("127.0.0.1:1", Some(&address)));
    let stored = place.stored();
    assert_eq!(stored.len(), 2);
    assert!(stored.iter().all(|stored| stored.contains("Return-Path: <ada@x.example>")));
}
