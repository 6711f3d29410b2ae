//! `ehlo serve --rules`.

mod common;

use common::{Folder, Server, ehlo, text};

const RULES: &str = "\
[[rule]]
name = \"greylist\"
stage = \"rcpt\"
per = \"recipient\"
first = 1
reply = \"450 4.7.1 Greylisted\"

[[rule]]
stage = \"mail\"
probability = 0.5
reply = \"452 4.3.1\"
";

#[test]
fn it_answers_by_the_rules_of_the_file_and_tells_how_often() {
    let folder = Folder::new();
    let rules = folder.write("rules.toml", RULES);
    let run = |seed: &str| {
        let server = Server::start(&["--rules", rules.to_str().unwrap(), "--seed", seed]);
        let mut client = server.connect();
        client.expect("220");
        client.say("HELO client.example\r\n", "250");
        let mail = |client: &mut common::Client| loop {
            let reply = client.say("MAIL FROM:<a@b>\r\n", "");
            if reply.starts_with("250") {
                return;
            }
            assert_eq!(reply, "452 4.3.1 Mail system full\r\n");
        };
        mail(&mut client);
        assert_eq!(client.say("RCPT TO:<c@d>\r\n", "450"), "450 4.7.1 Greylisted\r\n");
        client.say("RCPT TO:<c@d>\r\n", "250");
        let mut story = String::new();
        for _ in 0..40 {
            client.say("RSET\r\n", "250");
            story += &client.say("MAIL FROM:<a@b>\r\n", "")[..1];
        }
        drop(client);
        let (status, errors) = server.stop();
        assert_eq!(status, Some(0));
        assert!(errors.contains("rule 1 (greylist): applied 1 times of the 2 that it fitted\n"), "{errors}");
        assert!(errors.contains("rule 2: applied "), "{errors}");
        story
    };
    let story = run("7");
    assert!(story.contains('2') && story.contains('4'), "{story}");
    assert_eq!(run("7"), story);
    assert_ne!(run("8"), story);
}

#[test]
fn what_is_wrong_in_the_file_is_told_with_its_place() {
    let folder = Folder::new();
    let rules = folder.write("rules.toml", "[[rule]]\nstage = \"rcpt\"\nreply = \"5x0\"\n");
    for extra in [&[][..], &["--check-rules"]] {
        let output =
            ehlo().args(["serve", "--listen", "127.0.0.1:0", "--rules"]).arg(&rules).args(extra).output().unwrap();
        assert_eq!(output.status.code(), Some(2));
        let errors = text(&output.stderr);
        assert!(errors.starts_with("ehlo serve: --rules ") && errors.contains("line 3, column 9"), "{errors}");
        assert!(errors.contains("code of three digits"), "{errors}");
    }
    let output = ehlo().args(["serve", "--rules", "/nonexistent/rules.toml"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("/nonexistent/rules.toml: No such file"));
    for lonely in ["--seed=1", "--check-rules"] {
        let output = ehlo().args(["serve", lonely]).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{lonely}");
        assert!(text(&output.stderr).contains("--rules <FILE>"), "{}", text(&output.stderr));
    }
}

#[test]
fn what_is_unusual_in_the_file_is_told_on_demand() {
    let folder = Folder::new();
    let rules = folder.write("rules.toml", "\n[[rule]]\nstage = \"rcpt\"\nreply = \"354 Go on\"\n");
    let output = ehlo().args(["serve", "--check-rules", "--rules"]).arg(&rules).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert_eq!(text(&output.stdout), format!("{}: 1 rules\n", rules.display()));
    let remark = format!(
        "ehlo serve: {}: line 2, rule 1: 354 at RCPT: no RFC has this reply here (RFC 5321 §4.3.2)\n",
        rules.display()
    );
    assert_eq!(text(&output.stderr), remark);
}
