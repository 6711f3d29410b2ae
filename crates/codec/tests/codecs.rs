//! The codecs of the feature `tokio-util`: the same items however the stream is cut, nothing kept without a bound, and nothing sent that
//! would be read as something else.

use bytes::{Bytes, BytesMut};
use ehlo_codec::{
    BodyPiece, CodecError, Command, CommandCodec, CommandFrame, LineFault, Reply, ReplyCodec, ReplyFault, ReplyLimits,
    SyntaxError,
};
use futures_util::{SinkExt, StreamExt};
use proptest::prelude::*;
use tokio_util::codec::{Decoder, Encoder, Framed};

const MAX_LINE: usize = 64;

/// All items of a stream, pieces of bodies joined, and the error that ended it. A script says what is expected behind which command.
fn items(pieces: &[&[u8]]) -> Vec<String> {
    let (mut codec, mut buffer, mut seen) = (CommandCodec::new(MAX_LINE), BytesMut::new(), Vec::new());
    let mut body: Option<Vec<u8>> = None;
    for piece in pieces {
        buffer.extend_from_slice(piece);
        loop {
            let item = match codec.decode(&mut buffer) {
                Ok(None) => break,
                Ok(Some(item)) => item,
                Err(error) => {
                    seen.push(format!("{error:?}"));
                    return seen;
                }
            };
            match &item {
                CommandFrame::Body(piece) => {
                    assert!(!piece.is_empty(), "an empty piece");
                    body.get_or_insert_default().extend_from_slice(piece);
                    continue;
                }
                CommandFrame::Command(command) => match command.as_command() {
                    Command::Data => codec.expect_data(),
                    Command::Auth { .. } => codec.expect_line(),
                    _ => {}
                },
                CommandFrame::Line(line) => seen.push(line.escape_ascii().to_string()),
                _ => {}
            }
            seen.extend(body.take().map(|body| body.escape_ascii().to_string()));
            seen.push(format!("{item:?}"));
        }
        // Lines and bodies are taken out of the buffer, whole or not: what is kept is in the framer, under its cap.
        assert!(buffer.is_empty(), "{} octets are left in the buffer", buffer.len());
    }
    seen.extend(body.take().map(|body| body.escape_ascii().to_string()));
    if let Err(error) = codec.decode_eof(&mut buffer) {
        seen.push(format!("{error:?}"));
    }
    seen
}

fn in_any_pieces(stream: &[u8]) -> Vec<String> {
    let whole = items(&[stream]);
    for cut in 0..=stream.len() {
        assert_eq!(items(&[&stream[..cut], &stream[cut..]]), whole, "cut at {cut}");
    }
    let bytes: Vec<&[u8]> = stream.chunks(1).collect();
    assert_eq!(items(&bytes), whole, "one octet at a time");
    whole
}

#[test]
fn a_session_is_the_same_in_any_pieces() {
    let stream = b"EHLO a\r\nMAIL FROM:<a@b>\r\nDATA\r\n..a\r\n.b\r\n.\r\r\n.\r\nBDAT 5\r\n.\r\n\0\nBDAT 0 LAST\r\nAUTH PLAIN\r\nx y\r\nQUIT\r\n";
    let seen = in_any_pieces(stream);
    let seen: Vec<&str> = seen.iter().map(String::as_str).collect();
    assert_eq!(
        seen[2..6],
        [
            "Command(CommandBuf(Data))",
            r".a\r\nb\r\n\r\r\n",
            "DataEnd(DataFaults { bare_cr: true, bare_lf: false, nul: false })",
            "Command(CommandBuf(Bdat { size: 5, last: false }))",
        ]
    );
    assert_eq!(seen[6..9], [r".\r\n\x00\n", "ChunkEnd", "Command(CommandBuf(Bdat { size: 0, last: true }))"]);
    assert_eq!(
        seen[9..],
        [
            "ChunkEnd",
            "Command(CommandBuf(Auth { mechanism: MechanismName(\"PLAIN\"), initial_response: None }))",
            "x y",
            "Line(3 octets)",
            "Command(CommandBuf(Quit))",
        ]
    );
}

#[test]
fn what_is_no_command_is_told_and_the_next_one_is_read() {
    let seen = in_any_pieces(b"XYZZY\r\nNOOP a\0b\r\nNOOP a\nRSET\r\nDATA x\r\n\r\nQUIT\r\n");
    assert_eq!(
        seen,
        [
            format!("{:?}", CommandFrame::Refused(SyntaxError::UnknownCommand)),
            format!("{:?}", CommandFrame::Fault(LineFault::Nul)),
            format!("{:?}", CommandFrame::Fault(LineFault::BareLf)),
            format!("{:?}", CommandFrame::Refused(SyntaxError::UnexpectedArgument)),
            format!("{:?}", CommandFrame::Refused(SyntaxError::UnknownCommand)),
            "Command(CommandBuf(Quit))".to_owned(),
        ]
    );
}

#[test]
fn a_line_of_a_login_that_was_thrown_away_is_not_waited_for_again() {
    // The answer to it is 500, which ends the exchange (RFC 4954 §4): what follows is a command.
    let long = [b'x'; 2 * MAX_LINE];
    for (line, fault) in [
        (&b"x\0y"[..], LineFault::Nul),
        (b"x\ry", LineFault::BareCr),
        (b"x\ny", LineFault::BareLf),
        (&long, LineFault::TooLong),
    ] {
        let seen = in_any_pieces(&[b"AUTH PLAIN\r\n", line, b"\r\nQUIT\r\n"].concat());
        assert_eq!(seen[1..], [format!("{:?}", CommandFrame::Fault(fault)), "Command(CommandBuf(Quit))".to_owned()]);
    }
}

#[test]
fn nothing_is_read_behind_a_chunk_whose_length_is_not_known() {
    for (line, error) in [
        (&b"BDAT 99999999999999999999"[..], SyntaxError::ChunkSize),
        (b"bdat -1 LAST", SyntaxError::ChunkSize),
        (b"BDAT 12 LATS", SyntaxError::EndMarker),
        (b"BDAT", SyntaxError::MissingArgument),
    ] {
        let seen = in_any_pieces(&[line, b"\r\nMAIL FROM:<>\r\n"].concat());
        assert_eq!(seen, [format!("{:?}", CommandFrame::Refused(error)), "Hopeless".to_owned()]);
    }
}

#[test]
fn an_end_in_the_middle_is_an_error() {
    for stream in [&b"NOOP"[..], b"NOOP\r", b"DATA\r\n", b"DATA\r\na\r\n.", b"BDAT 2\r\nx", b"NOOP a\nb"] {
        assert_eq!(
            in_any_pieces(stream).last().map(String::as_str),
            Some("UnexpectedEnd"),
            "{}",
            stream.escape_ascii()
        );
    }
    assert_eq!(in_any_pieces(b"BDAT 1\r\nx").last().map(String::as_str), Some("ChunkEnd"));
    assert_eq!(in_any_pieces(b""), [""; 0]);
}

#[test]
fn a_line_without_end_ends_the_stream() {
    let long = vec![b'x'; ehlo_codec::LineFramer::DEFAULT_DISCARD + 1];
    assert_eq!(items(&[&long]), ["Hopeless"]);
    assert_eq!(items(&long.chunks(4096).collect::<Vec<_>>()), ["Hopeless"]);
    let long = [&vec![b'x'; 200][..], b"\r\nQUIT\r\n"].concat();
    assert_eq!(in_any_pieces(&long), ["Fault(TooLong)", "Command(CommandBuf(Quit))"]);
}

fn replies(pieces: &[&[u8]]) -> Vec<String> {
    let limits = ReplyLimits { line: 64, total: 200, lines: 8 };
    let (mut codec, mut buffer, mut seen) = (ReplyCodec::new(limits), BytesMut::new(), Vec::new());
    for piece in pieces {
        buffer.extend_from_slice(piece);
        loop {
            match codec.decode(&mut buffer) {
                Ok(None) => break,
                Ok(Some(reply)) => {
                    assert_eq!(reply.view().code(), reply.code());
                    seen.push(reply.to_string());
                }
                Err(error) => {
                    seen.push(format!("{error:?}"));
                    return seen;
                }
            }
        }
        assert!(buffer.is_empty());
    }
    if let Err(error) = codec.decode_eof(&mut buffer) {
        seen.push(format!("{error:?}"));
    }
    seen
}

#[test]
fn replies_are_read_and_kept() {
    assert_eq!(replies(&[b"220 mx\r\n250-a\r\n25", b"0 b\r\n"]), ["220 mx", "250-a\n250 b"]);
    assert_eq!(replies(&[b"250-a\r\n251 b\r\n"]), [format!("{:?}", CodecError::Reply(ReplyFault::CodesDiffer))]);
    assert_eq!(replies(&[b"250-a\r\n"]), ["UnexpectedEnd"]);
    assert_eq!(replies(&[b"250 a"]), ["UnexpectedEnd"]);
}

fn encoded(codec: &mut ReplyCodec, piece: BodyPiece) -> Result<Bytes, CodecError> {
    let mut out = BytesMut::from(&b"before "[..]);
    let done = codec.encode(piece, &mut out);
    if done.is_err() {
        assert_eq!(out, "before ", "nothing was written");
    }
    done.map(|()| out.freeze().slice(7..))
}

#[test]
fn nothing_is_sent_that_would_be_read_as_something_else() {
    let mut codec = ReplyCodec::default();
    let mut out = BytesMut::new();
    codec.encode(Command::Bdat { size: 3, last: true }, &mut out).expect("a command");
    assert_eq!((&out[..], codec.chunk_remaining()), (&b"BDAT 3 LAST\r\n"[..], 3));
    assert!(matches!(codec.encode(Command::Quit, &mut out), Err(CodecError::BodyOpen)), "two octets are missing");
    assert!(matches!(encoded(&mut codec, BodyPiece::DataEnd), Err(CodecError::BodyOpen)));
    assert!(matches!(encoded(&mut codec, BodyPiece::Chunk("abcd".into())), Err(CodecError::ChunkOverrun)));
    assert_eq!(encoded(&mut codec, BodyPiece::Chunk(".\r\n".into())).ok(), Some(".\r\n".into()));
    assert!(matches!(encoded(&mut codec, BodyPiece::Chunk("x".into())), Err(CodecError::ChunkOverrun)));

    assert_eq!(encoded(&mut codec, BodyPiece::Data(".a".into())).ok(), Some("..a".into()));
    assert!(matches!(codec.encode(Command::Quit, &mut out), Err(CodecError::BodyOpen)), "the message has no end");
    assert!(matches!(encoded(&mut codec, BodyPiece::Chunk("x".into())), Err(CodecError::BodyOpen)));
    assert!(matches!(encoded(&mut codec, BodyPiece::Data("ok\r\nbare\n".into())), Err(CodecError::Stuff(_))));
    let before = out.clone();
    assert!(codec.encode(BodyPiece::Data("ok\r\n.dot\r\n.bare\n".into()), &mut out).is_err());
    assert_eq!(out, before, "not even what stands before the fault");
    assert_eq!(encoded(&mut codec, BodyPiece::Data("b\r".into())).ok(), Some("b\r".into()));
    assert!(matches!(encoded(&mut codec, BodyPiece::DataEnd), Err(CodecError::Stuff(_))), "a CR alone at the end");
    assert_eq!(encoded(&mut codec, BodyPiece::Data("\n".into())).ok(), Some("\n".into()));
    assert_eq!(encoded(&mut codec, BodyPiece::DataEnd).ok(), Some(".\r\n".into()));
    assert_eq!(encoded(&mut codec, BodyPiece::DataEnd).ok(), Some(".\r\n".into()), "the empty message");
    assert!(codec.encode(Command::Quit, &mut out).is_ok());
}

#[test]
fn enhanced_codes_are_written_when_it_is_said() {
    let (mut codec, mut out) = (CommandCodec::new(512), BytesMut::new());
    let reply = Reply::fixed(550, Some((5, 7, 1)), "No");
    codec.encode(&reply, &mut out).expect("a reply");
    codec.set_enhanced_codes(true);
    codec.encode(reply, &mut out).expect("a reply");
    assert_eq!(out, "550 No\r\n550 5.7.1 No\r\n");
}

#[test]
fn no_debug_output_shows_a_body() {
    for shown in [
        format!("{:?}", CommandFrame::Body("secret".into())),
        format!("{:?}", CommandFrame::Line("secret".into())),
        format!("{:?}", BodyPiece::Data("secret".into())),
        format!("{:?}", BodyPiece::Chunk("secret".into())),
    ] {
        assert!(!shown.contains("secret") && shown.contains("6 octets"), "{shown}");
    }
}

#[tokio::test(flavor = "current_thread")]
async fn a_message_in_chunks_goes_over_a_stream_of_any_width() {
    for width in [1, 7, 4096] {
        let (near, far) = tokio::io::duplex(width);
        let (mut client, mut server) =
            (Framed::new(near, ReplyCodec::default()), Framed::new(far, CommandCodec::new(512)));
        let sender = async {
            client.send(Command::Bdat { size: 9, last: false }).await?;
            client.send(BodyPiece::Chunk("one\r\n".into())).await?;
            client.send(BodyPiece::Chunk("two\n".into())).await?;
            client.send(Command::Bdat { size: 0, last: true }).await?;
            client.send(Command::Quit).await?;
            let reply = client.next().await;
            Ok::<_, CodecError>(reply.map(|reply| reply.map(|reply| reply.code().get())))
        };
        let receiver = async {
            let (mut body, mut ends) = (Vec::new(), 0);
            loop {
                match server.next().await {
                    Some(Ok(CommandFrame::Body(piece))) => body.extend_from_slice(&piece),
                    Some(Ok(CommandFrame::ChunkEnd)) => ends += 1,
                    Some(Ok(CommandFrame::Command(command))) if command.as_command() == Command::Quit => break,
                    Some(Ok(CommandFrame::Command(_))) => {}
                    other => panic!("{other:?}"),
                }
            }
            server.send(&Reply::fixed(221, None, "Bye")).await.expect("it is read");
            (body, ends)
        };
        let (sent, received) = tokio::join!(sender, receiver);
        assert_eq!(received, (b"one\r\ntwo\n".to_vec(), 2));
        assert!(matches!(sent, Ok(Some(Ok(221)))), "{sent:?}");
    }
}

proptest! {
    #[test]
    fn any_stream_is_the_same_in_any_pieces(
        words in proptest::collection::vec(
            prop_oneof![
                4 => proptest::sample::select(vec![
                    &b"\r\n"[..], b"\r", b"\n", b".", b"\r\n.\r\n", b"\0", b"DATA\r\n", b"BDAT 3\r\n", b"BDAT 0 LAST\r\n", b"AUTH X\r\n",
                    b"NOOP", b"250 ", b"250-", b"RSET\r\n",
                ]).prop_map(<[u8]>::to_vec),
                1 => proptest::collection::vec(any::<u8>(), 0..80),
            ],
            0..24,
        ),
        cuts in proptest::collection::vec(1_usize..30, 1..6),
    ) {
        let stream = words.concat();
        let (mut rest, mut pieces) = (&stream[..], Vec::new());
        for length in cuts.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (piece, behind) = rest.split_at(rest.len().min(*length));
            pieces.push(piece);
            rest = behind;
        }
        prop_assert_eq!(items(&pieces), items(&[&stream]));
        prop_assert_eq!(replies(&pieces), replies(&[&stream]));
    }
}
