//! Clients that submit one message.

use std::process::Command;

use crate::common::{Folder, peer};
use crate::{Target, Way, body, letter, path, succeed};

#[test]
fn curl_delivers() {
    let Some(program) = peer("curl") else { return };
    let (target, folder, letter) = (Target::start(&[]), Folder::new(), letter());
    let file = folder.write("letter.eml", &letter);
    for way in Way::ALL {
        let scheme = if way == Way::Tls { "smtps" } else { "smtp" };
        let mut command = Command::new(&program);
        command.args(["--silent", "--show-error", "--insecure", "--max-time", "30"]);
        command.arg(format!("{scheme}://127.0.0.1:{}/client.example", target.port(way)));
        if way == Way::StartTls {
            command.arg("--ssl-reqd");
        }
        command.args([
            "--mail-from",
            "ada@client.example",
            "--mail-rcpt",
            "bob@mx.example",
            "--upload-file",
            path(&file),
        ]);
        succeed(&mut command, b"");
    }
    target.has(3, &letter);
}

/// The dialogue of `smtplib` and of `aiosmtplib`, which has its names and waits for each.
fn python(target: &Target, way: Way, asynchronous: bool) -> String {
    let (module, class, wait) = if asynchronous { ("aiosmtplib", "SMTP", "await ") } else { ("smtplib", "SMTP", "") };
    let port = target.port(way);
    let verify = "ssl._create_unverified_context()";
    let connect = match (asynchronous, way) {
        (false, Way::Tls) => {
            format!("s = smtplib.SMTP_SSL('127.0.0.1', {port}, 'client.example', context={verify}, timeout=30)")
        }
        (false, _) => format!("s = smtplib.SMTP('127.0.0.1', {port}, 'client.example', timeout=30)"),
        (true, _) => {
            let tls = if way == Way::Tls { "True" } else { "False" };
            format!(
                "s = aiosmtplib.{class}(hostname='127.0.0.1', port={port}, local_hostname='client.example', use_tls={tls}, \
                 start_tls=False, tls_context={verify}, timeout=30)\n    await s.connect()"
            )
        }
    };
    let starttls = match (asynchronous, way) {
        (false, Way::StartTls) => format!("s.starttls(context={verify})"),
        (true, Way::StartTls) => format!("await s.starttls(tls_context={verify}, validate_certs=False)"),
        _ => "pass".to_owned(),
    };
    let options = "['BODY=8BITMIME']";
    let begin = if asynchronous { "import asyncio\nasync def main():" } else { "def main():" };
    let end = if asynchronous { "asyncio.run(main())" } else { "main()" };
    format!(
        "import {module}, ssl, sys\n{begin}\n    letter = sys.stdin.buffer.read()\n    {connect}\n    {starttls}\n    \
         r = {wait}s.sendmail('ada@client.example', ['bob@mx.example', 'carol@mx.example'], letter, mail_options={options})\n    \
         {wait}s.quit()\n{end}\n"
    )
}

#[test]
fn smtplib_delivers() {
    let Some(program) = peer("smtplib") else { return };
    let (target, letter) = (Target::start(&[]), letter());
    for way in Way::ALL {
        succeed(Command::new(&program).args(["-c", &python(&target, way, false)]), letter.as_bytes());
    }
    target.has(3, &letter);
}

#[test]
fn aiosmtplib_delivers() {
    let Some(program) = peer("aiosmtplib") else { return };
    let (target, letter) = (Target::start(&[]), letter());
    for way in Way::ALL {
        succeed(Command::new(&program).args(["-c", &python(&target, way, true)]), letter.as_bytes());
    }
    target.has(3, &letter);
}

#[test]
fn swaks_delivers() {
    let Some(program) = peer("swaks") else { return };
    let (target, folder, letter) = (Target::start(&[]), Folder::new(), letter());
    // It takes lines that end in LF, and ends them in CRLF itself.
    let file = folder.write("letter.eml", letter.replace("\r\n", "\n"));
    for way in Way::ALL {
        let mut command = Command::new(&program);
        command.args(["--server", "127.0.0.1", "--port", &target.port(way), "--helo", "client.example"]);
        command.args([
            "--from",
            "ada@client.example",
            "--to",
            "bob@mx.example",
            "--data",
            &format!("@{}", path(&file)),
        ]);
        match way {
            Way::Clear => {}
            Way::StartTls => drop(command.arg("--tls")),
            Way::Tls => drop(command.arg("--tls-on-connect")),
        }
        succeed(&mut command, b"");
    }
    // swaks ends what it sends with an empty line of its own.
    target.has(3, "end\r\n\r\n");
}

#[test]
fn msmtp_delivers() {
    let Some(program) = peer("msmtp") else { return };
    let (target, letter) = (Target::start(&[]), letter());
    let input = letter.replace("\r\n", "\n");
    for way in Way::ALL {
        let mut command = Command::new(&program);
        command.args(["--file=/dev/null", "--host=127.0.0.1", &format!("--port={}", target.port(way)), "--timeout=30"]);
        command.args(["--domain=client.example", "--from=ada@client.example", "--tls-certcheck=off"]);
        match way {
            Way::Clear => drop(command.arg("--tls=off")),
            Way::StartTls => drop(command.args(["--tls=on", "--tls-starttls=on"])),
            Way::Tls => drop(command.args(["--tls=on", "--tls-starttls=off"])),
        }
        succeed(command.arg("bob@mx.example"), input.as_bytes());
    }
    target.has(3, body(&letter));
}

#[test]
fn nodemailer_delivers() {
    let Some(program) = peer("nodemailer") else { return };
    let (target, letter) = (Target::start(&[]), letter());
    for way in Way::ALL {
        let script = format!(
            "const chunks = []; process.stdin.on('data', c => chunks.push(c)); process.stdin.on('end', async () => {{\n\
             const t = require('nodemailer').createTransport({{ host: '127.0.0.1', port: {}, name: 'client.example',\n\
             secure: {}, requireTLS: {}, ignoreTLS: {}, tls: {{ rejectUnauthorized: false }} }});\n\
             const r = await t.sendMail({{ envelope: {{ from: 'ada@client.example', to: ['bob@mx.example'], use8BitMime: true }},\n\
             raw: Buffer.concat(chunks) }});\n\
             if (r.accepted.length !== 1) process.exit(1); }});",
            target.port(way),
            way == Way::Tls,
            way == Way::StartTls,
            way == Way::Clear,
        );
        succeed(Command::new(&program).args(["-e", &script]), letter.as_bytes());
    }
    target.has(3, &letter);
}
