//! A client and a server in one program, with no socket between them: `cargo run -p ehlo-codec --example dialogue`.
//!
//! Both sides are as small as they can be: the server takes everything, and keeps no order of commands.
#![expect(clippy::print_stdout, reason = "an example for the command line")]

use ehlo_codec::{
    BodyType, Command, DataDecoder, DataStep, Domain, EhloReply, ForwardPath, Framed, LineFramer, MailParam,
    MailParamsBuf, RcptParams, Reply, ReplyLimits, ReplyReader, ReplyStep, ReversePath, Stuffer, write_ehlo_reply,
};
use std::error::Error;

/// What the server does with bytes: it takes some from the front and answers.
struct Server {
    framer: LineFramer,
    data: Option<DataDecoder>,
    message: Vec<u8>,
}

impl Server {
    fn answer(&mut self, mut input: &[u8], out: &mut Vec<u8>) -> Result<(), Box<dyn Error>> {
        loop {
            if let Some(decoder) = &mut self.data {
                let (used, step) = decoder.next(input);
                input = &input[used..];
                match step {
                    DataStep::NeedMore => return Ok(()),
                    DataStep::Body(piece) => self.message.extend_from_slice(piece),
                    DataStep::End => {
                        self.data = None;
                        Reply::fixed(250, None, "It is safe").write_to(out, true);
                    }
                }
                continue;
            }
            let (used, frame) = self.framer.next(input);
            input = &input[used..];
            match frame {
                Framed::NeedMore => return Ok(()),
                Framed::Line(line) => match Command::parse(line) {
                    Ok(Command::Ehlo(_)) => write_ehlo_reply(out, "mx.example.net", ["SIZE 1000000", "8BITMIME"])?,
                    Ok(Command::Data) => {
                        self.data = Some(DataDecoder::new());
                        Reply::fixed(354, None, "Go ahead").write_to(out, true);
                    }
                    Ok(Command::Quit) => Reply::fixed(221, None, "Bye").write_to(out, true),
                    Ok(_) => Reply::fixed(250, None, "OK").write_to(out, true),
                    Err(error) => error.reply().write_to(out, true),
                },
                Framed::Fault(_) => Reply::fixed(500, Some((5, 5, 2)), "That is no line").write_to(out, true),
                Framed::Hopeless => return Err("the line does not end".into()),
            }
        }
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut server = Server { framer: LineFramer::new(512), data: None, message: Vec::new() };
    let mut params = MailParamsBuf::new();
    params.push(MailParam::Size(40))?.push(MailParam::Body(BodyType::EightBitMime))?;
    let (from, _) = ReversePath::parse_prefix(b"<ada@example.org>")?;
    let (to, _) = ForwardPath::parse_prefix(b"<bob@example.net>")?;

    let mut steps: Vec<Vec<u8>> = Vec::new();
    for command in [
        Command::Ehlo(Domain::parse("client.example.org")?),
        Command::Mail { from, params: params.as_params() },
        Command::Rcpt { to, params: RcptParams::NONE },
        Command::Data,
    ] {
        let mut line = Vec::new();
        command.write_to(&mut line);
        steps.push(line);
    }
    let (mut stuffer, mut body) = (Stuffer::new(), Vec::new());
    stuffer.stuff_into(b"Subject: dots\r\n\r\n.profile is missing\r\n", &mut body)?;
    body.extend_from_slice(stuffer.finish()?);
    steps.push(body);
    steps.push(b"QUIT\r\n".to_vec());

    let mut reader = ReplyReader::new(ReplyLimits::default());
    for step in steps {
        print!("{}", String::from_utf8_lossy(&step).lines().map(|line| format!("C: {line}\n")).collect::<String>());
        let mut wire = Vec::new();
        server.answer(&step, &mut wire)?;
        let (_, ReplyStep::Reply(_)) = reader.next(&wire) else { return Err("that is no reply".into()) };
        let reply = reader.reply().ok_or("that is no reply")?;
        print!("{}", reply.to_string().lines().map(|line| format!("S: {line}\n")).collect::<String>());
        if step.starts_with(b"EHLO") {
            let ehlo = EhloReply::from_view(&reply);
            println!("   (the largest message is {:?})", ehlo.max_size());
        }
    }
    println!("   (the server has {} octets)", server.message.len());
    Ok(())
}
