//! The examples of the book's page on sending from a program. Each takes `host:port` of a server that takes everything.
//!
//! ```text
//! cargo run --package ehlo-tokio --example guide -- localhost:2525
//! ```

use std::error::Error;
use std::io::Write as _;

use ehlo_tokio::client::{Client, Envelope, Login, Recipient, SeekReader, Tls, Trust};
use ehlo_tokio::dns::Zone;
use ehlo_tokio::ehlo_client::Fate;
use ehlo_tokio::pool::{Pool, Target};
use ehlo_tokio::route::Router;

type Done = Result<(), Box<dyn Error>>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Done {
    let target = std::env::args().nth(1).ok_or("usage: guide HOST:PORT")?;
    first(&target).await?;
    outcomes(&target).await?;
    many(&target).await?;
    pool(&target).await?;
    // What is not there at every server, is told of and no more.
    let file = std::env::temp_dir().join("ehlo-guide.eml");
    std::fs::write(&file, "Subject: a file\r\n\r\n")?;
    let file = file.to_string_lossy().into_owned();
    for (name, done) in [
        ("streaming", streaming(&target, &file).await),
        ("login", login(&target).await),
        ("domain", domain("127.0.0.1 2525").await),
    ] {
        if let Err(error) = done {
            writeln!(std::io::stderr(), "{name}: {error}")?;
        }
    }
    Ok(())
}

async fn first(target: &str) -> Done {
    // ANCHOR: first
    let to = [Recipient::parse("bob@mx.example")?];
    let envelope = Envelope::parse("ada@client.example", &to)?;
    let mut client = Client::connect(target).await?;
    let report = client.send(&envelope, b"Subject: hi\r\n\r\nHello.\r\n").await?;
    client.quit().await?;
    // ANCHOR_END: first
    assert!(report.all_accepted());
    Ok(())
}

async fn outcomes(target: &str) -> Done {
    // ANCHOR: outcomes
    let names = ["bob@mx.example", "eve@mx.example"];
    let to = names.map(Recipient::parse).into_iter().collect::<Result<Vec<_>, _>>()?;
    let mut client = Client::connect(target).await?;
    let report = client.send(&Envelope::parse("ada@client.example", &to)?, b"Subject: hi\r\n\r\n").await?;
    for (name, fate) in names.iter().zip(report.iter()) {
        match fate {
            Fate::Accepted(reply) => writeln!(std::io::stdout(), "{name} has it: {reply}")?,
            Fate::Unknown => writeln!(std::io::stdout(), "{name} may have it")?,
            fate if fate.is_transient() => writeln!(std::io::stdout(), "{name} later again: {fate}")?,
            fate => writeln!(std::io::stdout(), "{name} never: {fate}")?,
        }
    }
    // ANCHOR_END: outcomes
    Ok(())
}

async fn login(target: &str) -> Done {
    // ANCHOR: login
    let client = Client::builder()
        .tls(Tls::Required(Trust::builder().build()?))
        .login(Login::password("ada", "correct horse"))
        .connect(target)
        .await?;
    // ANCHOR_END: login
    client.quit().await?;
    Ok(())
}

async fn streaming(target: &str, file: &str) -> Done {
    let to = [Recipient::parse("bob@mx.example")?];
    let envelope = Envelope::parse("ada@client.example", &to)?;
    // ANCHOR: streaming
    let mut client = Client::connect(target).await?;
    let mut body = SeekReader::new(std::io::Cursor::new(std::fs::read(file)?)).await?;
    let report = client.send_body(&envelope, &mut body).await?;
    // ANCHOR_END: streaming
    assert!(report.all_accepted());
    Ok(())
}

async fn many(target: &str) -> Done {
    let to = [Recipient::parse("bob@mx.example")?];
    let envelope = Envelope::parse("ada@client.example", &to)?;
    // ANCHOR: many
    let mut client = Client::builder().ahead(10).connect(target).await?;
    let messages = [(envelope, &b"Subject: one\r\n\r\n"[..]), (envelope, b"Subject: two\r\n\r\n")];
    let mut accepted = 0;
    client.send_all(&messages, |_number, report| accepted += report.accepted()).await?;
    // ANCHOR_END: many
    assert_eq!(accepted, 2);
    Ok(())
}

async fn pool(target: &str) -> Done {
    let to = [Recipient::parse("bob@mx.example")?];
    let envelope = Envelope::parse("ada@client.example", &to)?;
    // ANCHOR: pool
    let pool = Pool::builder().connections(4).build();
    let target = Target::new(target);
    let report = pool.send(&target, &envelope, b"Subject: hi\r\n\r\n").await?;
    // ANCHOR_END: pool
    assert!(report.all_accepted());
    Ok(())
}

async fn domain(host: &str) -> Done {
    let (address, port) = host.split_once(' ').unwrap_or((host, "25"));
    let resolver: Zone = format!("mx.example MX 10 a.mx.example\na.mx.example A {address}").parse()?;
    let router = Router::builder(resolver).port(port.parse()?).allow_loopback(true).build();
    let trust = Trust::builder().accept_unverified().build()?;
    // ANCHOR: domain
    let mut attempts = router.attempts("mx.example").await?;
    let connected = attempts.next().await?;
    let name = connected.host.server_name();
    let client = Client::builder().tls(Tls::Opportunistic(trust)).over(connected.stream, &name).await?;
    // ANCHOR_END: domain
    client.quit().await?;
    Ok(())
}
