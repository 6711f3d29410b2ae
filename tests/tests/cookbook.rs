//! The page `docs/src/guide/cookbook.md` has a rule for each reply code of the registry, in each of its meanings; and each of them, in front of a
//! server, has a client told that reply: at the stage of the rule, and at the others that the page names.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use ehlo_policy::{Ruled, Rules};
use ehlo_server::codec::ReplyCode;
use ehlo_tokio::store::Discard;
use ehlo_tokio::{AcceptAll, Server};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// A rule of the page.
#[derive(Debug)]
struct Recipe {
    code: u16,
    text: String,
    /// Other stages where its reply has this meaning.
    also_at: Vec<String>,
    /// Replies that can stand in its place.
    others: Vec<String>,
}

impl Recipe {
    fn value(&self, key: &str) -> Option<&str> {
        let line = self.text.lines().filter_map(|line| line.strip_prefix(key)?.strip_prefix(" = ")).next_back()?;
        line.strip_prefix('"')?.strip_suffix('"')
    }

    fn stage(&self) -> &str {
        self.value("stage").unwrap_or_else(|| panic!("no stage: {}", self.text))
    }

    /// The same with another value.
    fn with(&self, key: &str, value: &str) -> String {
        let old = format!("{key} = \"{}\"", self.value(key).unwrap_or_default());
        let (before, after) = self.text.rsplit_once(&old).unwrap_or_else(|| panic!("no {old}: {}", self.text));
        // There is a response only to a challenge.
        let challenge = value == "auth-response" && !before.contains("334");
        let challenge = if challenge { "[[rule]]\nstage = \"auth\"\nreply = \"334 VXNlcm5hbWU6\"\n" } else { "" };
        format!("{challenge}{before}{key} = \"{value}\"{after}")
    }
}

fn page(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/src/guide").join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn recipes() -> Vec<Recipe> {
    let page = page("cookbook.md");
    let (mut recipes, mut code, mut open) = (Vec::<Recipe>::new(), 0, None::<String>);
    for line in page.lines() {
        if let Some(text) = &mut open {
            if line == "```" {
                recipes.push(Recipe { code, text: std::mem::take(text), also_at: Vec::new(), others: Vec::new() });
                open = None;
            } else {
                *text += &format!("{line}\n");
            }
        } else if line == "```toml" {
            open = Some(String::new());
        } else if let Some(heading) = line.strip_prefix("### ") {
            code = heading[..3].parse().unwrap_or_else(|_| panic!("{line}"));
        } else if let (Some(stages), Some(recipe)) = (line.strip_prefix("Also at "), recipes.last_mut()) {
            recipe.also_at = stages.split('`').skip(1).step_by(2).map(str::to_owned).collect();
        } else if let (Some(reply), Some(recipe)) = (line.strip_prefix("- `reply = \""), recipes.last_mut()) {
            recipe.others.push(reply.split('"').next().unwrap_or_default().to_owned());
        }
    }
    recipes
}

#[test]
fn each_code_of_the_registry_has_a_rule_for_each_of_its_meanings() {
    let recipes = recipes();
    for info in ReplyCode::registered() {
        let mine: Vec<&Recipe> = recipes.iter().filter(|recipe| recipe.code == info.code.get()).collect();
        // What is no SMTP reply has no meaning in a session.
        let meanings = if info.code.get() < 200 { 1 } else { info.meanings.len() };
        assert_eq!(mine.len(), meanings, "{}: {mine:?}", info.code);
        let enhanced: usize = mine.iter().map(|recipe| recipe.others.len()).sum();
        let registered = if matches!(info.code.get() / 100, 2 | 4 | 5) { info.enhanced.len() } else { 0 };
        assert_eq!(enhanced, registered, "{}", info.code);
        for recipe in mine {
            let said = recipe.value("reply").or(recipe.value("raw")).unwrap_or_default();
            assert!(said.starts_with(&info.code.to_string()), "{recipe:?}");
        }
    }
    assert!(recipes.iter().all(|recipe| ReplyCode::new(recipe.code).and_then(ReplyCode::info).is_some()));
}

/// What a client says to get to a stage: lines, each sent when the one before was answered.
fn way_to(stage: &str) -> Vec<&'static str> {
    const HELLO: &str = "EHLO client.example\r\n";
    const MAIL: &str = "MAIL FROM:<s@client.example>\r\n";
    const RCPT: &str = "RCPT TO:<bob@mx.example>\r\n";
    const DATA: &str = "DATA\r\n";
    let last = match stage {
        "connect" => return Vec::new(),
        "ehlo" => return vec![HELLO],
        "helo" => return vec!["HELO client.example\r\n"],
        "lhlo" => return vec!["LHLO client.example\r\n"],
        "mail" => return vec![HELLO, MAIL],
        "rcpt" => return vec![HELLO, MAIL, RCPT],
        "data" => return vec![HELLO, MAIL, RCPT, DATA],
        "message" => return vec![HELLO, MAIL, RCPT, DATA, "Subject: x\r\n\r\n.\r\n"],
        "bdat" => return vec![HELLO, MAIL, RCPT, "BDAT 3 LAST\r\nx\r\n"],
        "burl" => return vec![HELLO, MAIL, RCPT, "BURL imap://mx.example/;UID=1 LAST\r\n"],
        "auth-response" => return vec![HELLO, "AUTH LOGIN\r\n", "Ym9i\r\n"],
        "rset" => "RSET\r\n",
        "noop" => "NOOP\r\n",
        "quit" => "QUIT\r\n",
        "help" => "HELP\r\n",
        "vrfy" => "VRFY bob\r\n",
        "expn" => "EXPN list\r\n",
        "etrn" => "ETRN client.example\r\n",
        "atrn" => "ATRN client.example\r\n",
        "turn" => "TURN\r\n",
        "send" => "SEND FROM:<s@client.example>\r\n",
        "soml" => "SOML FROM:<s@client.example>\r\n",
        "saml" => "SAML FROM:<s@client.example>\r\n",
        "starttls" => "STARTTLS\r\n",
        "auth" => "AUTH LOGIN\r\n",
        "unknown" => "XYZZY\r\n",
        other => panic!("the stage {other}"),
    };
    vec![HELLO, last]
}

/// One whole reply, however many lines it has; less at the end of the connection.
async fn reply(stream: &mut TcpStream, rest: &mut Vec<u8>) -> String {
    loop {
        let mut end = 0;
        for line in rest.split_inclusive(|byte| *byte == b'\n') {
            end += line.len();
            if line.ends_with(b"\r\n") && line.get(3) != Some(&b'-') {
                return String::from_utf8_lossy(&rest.drain(..end).collect::<Vec<_>>()).into_owned();
            }
        }
        if stream.read_buf(rest).await.unwrap_or_default() == 0 {
            return String::from_utf8_lossy(&std::mem::take(rest)).into_owned();
        }
    }
}

/// A server with these rules.
async fn serve(rules: &str) -> (SocketAddr, tokio::task::JoinHandle<ehlo_tokio::Summary>) {
    let rules = Rules::from_toml(rules).unwrap_or_else(|error| panic!("{rules}\n{error}"));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = Server::builder(Ruled::new(rules, AcceptAll(Discard)));
    (address, tokio::spawn(server.serve(listener, std::future::pending())))
}

/// Gets to the stage and gives what is said there, and whether the connection then ends.
async fn said(rules: &str, stage: &str) -> (String, bool) {
    let (address, server) = serve(rules).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    let mut rest = Vec::new();
    let mut said = reply(&mut stream, &mut rest).await;
    for line in way_to(stage) {
        stream.write_all(line.as_bytes()).await.unwrap();
        said = reply(&mut stream, &mut rest).await;
    }
    // Whoever goes on after 421 waits for nothing else; others have more to say.
    let ends = if said.starts_with("421") {
        reply(&mut stream, &mut rest).await.is_empty()
    } else {
        stream.write_all(b"\r\n.\r\nNOOP\r\n").await.unwrap();
        reply(&mut stream, &mut rest).await.is_empty()
    };
    server.abort();
    (said, ends)
}

async fn check(rules: &str, stage: &str, expected: &str) -> Result<(), String> {
    let (said, ends) = tokio::time::timeout(Duration::from_secs(30), said(rules, stage))
        .await
        .map_err(|_| format!("nothing is said at {stage} by\n{rules}"))?;
    // A code alone gets a text.
    let fits = match expected.split_once(' ') {
        Some((_, text)) if text.contains(' ') => said == format!("{expected}\r\n"),
        _ => said.starts_with(&format!("{expected} ")) && said.trim_end().len() > expected.len() + 1,
    };
    let should_end = expected.starts_with("421") || (stage == "quit" && expected.starts_with('2'));
    if (fits || said == format!("{expected}\r\n")) && ends == should_end {
        return Ok(());
    }
    Err(format!("{said:?} is said at {stage}, and then the connection ends: {ends}, by\n{rules}"))
}

#[tokio::test]
async fn each_rule_has_a_client_told_its_reply_at_each_of_its_stages() {
    let (mut faults, mut checked) = (Vec::new(), 0);
    for recipe in recipes() {
        let stage = recipe.stage();
        let expected = match (recipe.value("reply"), recipe.value("raw")) {
            (Some(reply), _) => reply.to_owned(),
            (None, Some(raw)) => raw.trim_end_matches("\\r\\n").to_owned(),
            (None, None) => panic!("{recipe:?}"),
        };
        faults.extend(check(&recipe.text, stage, &expected).await.err());
        for other in &recipe.also_at {
            faults.extend(check(&recipe.with("stage", other), other, &expected).await.err());
        }
        for other in &recipe.others {
            faults.extend(check(&recipe.with("reply", other), stage, other).await.err());
        }
        checked += 1 + recipe.also_at.len() + recipe.others.len();
    }
    assert!(faults.is_empty(), "{} of {checked}:\n{}", faults.len(), faults.join("\n\n"));
    assert!(checked > 300, "only {checked} replies were looked at");
}

/// Any code at any stage: also those that no RFC has there.
#[tokio::test]
async fn each_code_can_be_said_at_each_stage() {
    const STAGES: [&str; 22] = [
        "connect",
        "ehlo",
        "helo",
        "lhlo",
        "mail",
        "rcpt",
        "data",
        "message",
        "bdat",
        "auth",
        "auth-response",
        "starttls",
        "vrfy",
        "expn",
        "help",
        "noop",
        "rset",
        "quit",
        "etrn",
        "atrn",
        "burl",
        "unknown",
    ];
    let challenge = "[[rule]]\nstage = \"auth\"\nreply = \"334 VXNlcm5hbWU6\"\n";
    for stage in STAGES {
        for code in
            ReplyCode::registered().iter().map(|info| info.code.get()).filter(|code| *code >= 200).chain([299, 599])
        {
            let before = if stage == "auth-response" { challenge } else { "" };
            let rules = format!(
                "{before}[[rule]]\nstage = \"{stage}\"\nreply = \"{code} This and nothing else\"\nobey = false"
            );
            let (said, _) = tokio::time::timeout(Duration::from_secs(30), said(&rules, stage))
                .await
                .unwrap_or_else(|_| panic!("nothing is said at {stage} by\n{rules}"));
            assert_eq!(said, format!("{code} This and nothing else\r\n"), "{stage}");
        }
    }
}

/// The texts of a page that are set as rules.
fn blocks(page: &str) -> Vec<String> {
    page.split("```toml\n").skip(1).filter_map(|rest| Some(rest.split_once("```")?.0.to_owned())).collect()
}

#[test]
fn the_rules_on_the_page_of_rules_can_be_read_and_each_can_be_reached() {
    let blocks = blocks(&page("rules.md"));
    assert!(blocks.len() >= 4, "{blocks:?}");
    for block in blocks {
        assert!(!Rules::from_toml(&block).unwrap_or_else(|error| panic!("{block}\n{error}")).is_empty());
        let remarks = Rules::remarks(&block).unwrap();
        assert!(remarks.iter().all(|remark| !remark.text.contains("never")), "{remarks:?}");
    }
}

/// The rules in the table of what `smtp-sink` does, each as a text and its stage.
fn sink_rules() -> Vec<(String, String)> {
    let page = page("rules.md");
    let rows = page.lines().skip_while(|line| !line.starts_with("| `smtp-sink` |")).skip(2);
    let mut rules = Vec::new();
    for row in rows.take_while(|line| line.starts_with('|')) {
        let here = row.rsplit(" | ").next().unwrap_or_default();
        let mut stage = None;
        for key in here.split('`').skip(1).step_by(2) {
            if let Some(name) = key.strip_prefix("stage = ") {
                stage = Some(name.trim_matches('"').to_owned());
            } else if let (Some(stage), true) = (&stage, key.contains(" = ")) {
                rules.push((format!("[[rule]]\nstage = \"{stage}\"\n{key}\n"), stage.clone()));
            }
        }
    }
    rules
}

#[tokio::test]
async fn the_rules_for_what_smtp_sink_does_do_it() {
    let rules = sink_rules();
    assert!(rules.len() >= 9, "{rules:?}");
    for (rule, stage) in rules {
        assert!(Rules::from_toml(&rule).is_ok(), "{rule}");
        if let Some(reply) = rule.lines().find_map(|line| line.strip_prefix("reply = ")) {
            check(&rule, &stage, reply.trim_matches('"')).await.unwrap_or_else(|error| panic!("{error}"));
        } else if rule.contains("disconnect") {
            assert_eq!(said(&rule, &stage).await, (String::new(), true), "{rule}");
        }
    }
}

#[tokio::test]
async fn a_message_can_be_refused_before_it_has_come() {
    let page = page("rules.md");
    let rule = page.split("{#before-the-message}").nth(1).map(blocks).unwrap_or_default().swap_remove(0);
    let (address, server) = serve(&rule).await;
    let (mut stream, mut rest) = (TcpStream::connect(address).await.unwrap(), Vec::new());
    reply(&mut stream, &mut rest).await;
    for line in way_to("data") {
        stream.write_all(line.as_bytes()).await.unwrap();
        let said = reply(&mut stream, &mut rest).await;
        assert!(said.starts_with(if line == "DATA\r\n" { "354" } else { "250" }), "{said}");
    }
    assert_eq!(reply(&mut stream, &mut rest).await, "550 5.3.0 Error: command failed\r\n");
    assert_eq!(reply(&mut stream, &mut rest).await, "");
    server.abort();
}

#[tokio::test]
async fn a_client_can_be_offered_other_keywords() {
    let page = page("rules.md");
    let rule = page.split("{#other-keywords}").nth(1).map(blocks).unwrap_or_default().swap_remove(0);
    let expected = "250-mx.example\r\n250-SIZE 1000000\r\n250 AUTH PLAIN LOGIN\r\n";
    assert_eq!(said(&rule, "ehlo").await, (expected.to_owned(), false));
}
