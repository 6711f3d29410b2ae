//! Clients that log in, write to addresses beyond ASCII, or ask for reports.

use std::fs;
use std::process::Command;

use crate::common::{peer, text};
use crate::{Target, Way, letter, run, succeed};

/// A server that takes mail of Ada alone.
fn target() -> Target {
    Target::start(&["--user", "ada:open sesame", "--require-auth"])
}

/// Both ways in which a client may show its password.
const SECURE: [Way; 2] = [Way::StartTls, Way::Tls];

#[test]
fn smtplib_logs_in_by_each_of_its_mechanisms_and_not_without_the_password() {
    let Some(program) = peer("smtplib") else { return };
    let (target, letter) = (target(), letter());
    let script = |way: Way, port: &str, login: &str| {
        let connect = if way == Way::Tls {
            format!(
                "s = smtplib.SMTP_SSL('127.0.0.1', {port}, 'client.example', context=ssl._create_unverified_context(), timeout=30)"
            )
        } else {
            format!(
                "s = smtplib.SMTP('127.0.0.1', {port}, 'client.example', timeout=30)\n\
                 s.starttls(context=ssl._create_unverified_context())"
            )
        };
        format!(
            "import smtplib, ssl, sys\nletter = sys.stdin.buffer.read()\n{connect}\ns.ehlo_or_helo_if_needed()\n{login}\n\
             s.sendmail('ada@client.example', ['bob@mx.example'], letter, mail_options=['BODY=8BITMIME'])\ns.quit()\n"
        )
    };
    let mut count = 0;
    for way in SECURE {
        for mechanism in ["plain", "login"] {
            for initial in ["True", "False"] {
                let login = format!(
                    "s.user, s.password = 'ada', 'open sesame'\n\
                     s.auth('{mechanism}', s.auth_{mechanism}, initial_response_ok={initial})"
                );
                succeed(
                    Command::new(&program).args(["-c", &script(way, &target.port(way), &login)]),
                    letter.as_bytes(),
                );
                count += 1;
            }
        }
    }
    for (login, error) in [("s.login('ada', 'wrong')", "SMTPAuthenticationError: (535"), ("pass", "(530")] {
        let output = run(
            Command::new(&program).args(["-c", &script(Way::StartTls, &target.port(Way::StartTls), login)]),
            letter.as_bytes(),
        );
        assert!(!output.status.success() && text(&output.stderr).contains(error), "{}", text(&output.stderr));
    }
    target.has(count, &letter);
}

#[test]
fn curl_logs_in() {
    let Some(program) = peer("curl") else { return };
    let (target, letter) = (target(), letter());
    let file = target.folder.write("letter.eml", &letter);
    let mut count = 0;
    for way in SECURE {
        for options in ["AUTH=PLAIN", "AUTH=LOGIN", "AUTH=*"] {
            let scheme = if way == Way::Tls { "smtps" } else { "smtp" };
            let mut command = Command::new(&program);
            command.args(["--silent", "--show-error", "--insecure", "--ssl-reqd", "--max-time", "30"]);
            command.args(["--user", "ada:open sesame", "--login-options", options]);
            command.arg(format!("{scheme}://127.0.0.1:{}/client.example", target.port(way)));
            command.args(["--mail-from", "ada@client.example", "--mail-rcpt", "bob@mx.example"]);
            command.args(["--upload-file", crate::path(&file)]);
            succeed(&mut command, b"");
            count += 1;
        }
    }
    target.has(count, &letter);
}

#[test]
fn swaks_logs_in() {
    let Some(program) = peer("swaks") else { return };
    let target = target();
    let mut count = 0;
    for way in SECURE {
        for mechanism in ["PLAIN", "LOGIN"] {
            let mut command = Command::new(&program);
            command.args(["--server", "127.0.0.1", "--port", &target.port(way), "--helo", "client.example"]);
            command.args([
                "--from",
                "ada@client.example",
                "--to",
                "bob@mx.example",
                "--data",
                "Subject: x\\n\\nlogged in\\n",
            ]);
            command.args(["--auth", mechanism, "--auth-user", "ada", "--auth-password", "open sesame"]);
            command.arg(if way == Way::Tls { "--tls-on-connect" } else { "--tls" });
            succeed(&mut command, b"");
            count += 1;
        }
    }
    target.has(count, "logged in\r\n\r\n");
}

/// msmtp has SCRAM, from libgsasl: an implementation that is nobody's here.
#[test]
fn msmtp_logs_in_by_scram() {
    let Some(program) = peer("msmtp") else { return };
    let target = target();
    let mut count = 0;
    for way in SECURE {
        for mechanism in ["plain", "login", "scram-sha-1", "scram-sha-256"] {
            let mut command = Command::new(&program);
            command.args([
                "--file=/dev/null",
                "--host=127.0.0.1",
                &format!("--port={}", target.port(way)),
                "--timeout=30",
            ]);
            command.args(["--domain=client.example", "--from=ada@client.example", "--tls-certcheck=off", "--tls=on"]);
            command.arg(if way == Way::Tls { "--tls-starttls=off" } else { "--tls-starttls=on" });
            command.args([&format!("--auth={mechanism}"), "--user=ada", "--passwordeval=echo open sesame"]);
            let output = run(command.arg("bob@mx.example"), b"Subject: x\n\nlogged in\n");
            let errors = text(&output.stderr);
            if errors.contains("support for authentication method") {
                // Built without it.
                eprint_not_judged(&format!("msmtp's {mechanism}: {}", errors.trim()));
                continue;
            }
            assert!(output.status.success(), "{way:?} {mechanism}: {errors}");
            count += 1;
        }
    }
    target.has(count, "logged in\r\n");
}

/// Past the capture of tests that pass.
fn eprint_not_judged(what: &str) {
    let _ = std::io::Write::write_all(&mut std::io::stderr(), format!("\nnot judged: {what}\n").as_bytes());
}

#[test]
fn nodemailer_logs_in() {
    let Some(program) = peer("nodemailer") else { return };
    let (target, letter) = (target(), letter());
    for way in SECURE {
        let script = format!(
            "const chunks = []; process.stdin.on('data', c => chunks.push(c)); process.stdin.on('end', async () => {{\n\
             const t = require('nodemailer').createTransport({{ host: '127.0.0.1', port: {}, name: 'client.example',\n\
             secure: {}, requireTLS: true, tls: {{ rejectUnauthorized: false }}, auth: {{ user: 'ada', pass: 'open sesame' }} }});\n\
             await t.sendMail({{ envelope: {{ from: 'ada@client.example', to: ['bob@mx.example'], use8BitMime: true }},\n\
             raw: Buffer.concat(chunks) }}); }});",
            target.port(way),
            way == Way::Tls,
        );
        succeed(Command::new(&program).args(["-e", &script]), letter.as_bytes());
    }
    target.has(2, &letter);
}

#[test]
fn addresses_beyond_ascii_and_wishes_for_reports_arrive() {
    let Some(program) = peer("smtplib") else { return };
    let (target, letter) = (Target::start(&[]), letter());
    let script = format!(
        "import smtplib, sys\nletter = sys.stdin.buffer.read()\n\
         s = smtplib.SMTP('127.0.0.1', {port}, 'client.example', timeout=30)\n\
         s.ehlo()\n\
         s.command_encoding = 'utf-8'\n\
         assert s.mail('j\u{f6}rg@b\u{fc}cher.example', ['SMTPUTF8', 'BODY=8BITMIME'])[0] == 250\n\
         assert s.rcpt('\u{7528}\u{6237}@mx.example')[0] == 250\n\
         assert s.data(letter)[0] == 250\n\
         s.command_encoding = 'ascii'\n\
         s.sendmail('ada@client.example', ['bob@mx.example'], letter, ['BODY=8BITMIME', 'RET=HDRS', 'ENVID=x+2B1'],\n\
         \x20          ['NOTIFY=SUCCESS,FAILURE', 'ORCPT=rfc822;bob@mx.example'])\n\
         s.quit()\n",
        port = target.port(Way::Clear)
    );
    succeed(Command::new(&program).args(["-c", &script]), letter.as_bytes());
    let senders: Vec<_> = target.wait_for(2).iter().map(|file| fs::read(file).unwrap()).collect();
    let has = |what: &str| senders.iter().any(|bytes| text(bytes).contains(what));
    assert!(has("j\u{f6}rg@b\u{fc}cher.example") && has("\u{7528}\u{6237}@mx.example"));
    target.has(2, &letter);
}
