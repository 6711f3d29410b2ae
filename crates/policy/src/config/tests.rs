//! Reading files, and finding all that is wrong with them.

use std::path::Path;

use crate::testing::Folder;
use crate::{EXAMPLE, Loaded, Places};

fn problems(text: &str) -> Vec<String> {
    match Loaded::parse("f", text, Path::new("/nowhere"), &Places::default()) {
        Ok(_) => Vec::new(),
        // The line that is shown below each of them is tested elsewhere.
        Err(problems) => {
            problems.to_string().lines().filter(|line| line.starts_with("f:")).map(str::to_owned).collect()
        }
    }
}

/// What is wrong, each as the beginning of its line.
#[track_caller]
fn expect(text: &str, expected: &[&str]) {
    let found = problems(text);
    let same =
        found.len() == expected.len() && found.iter().zip(expected).all(|(found, expected)| found.contains(expected));
    assert!(same, "{text}\nfound: {found:#?}\nexpected: {expected:#?}");
}

const DOMAIN: &str = "server.postmaster = 'ada@a.example'\nstore.place = 'discard'\n[[domain]]\nname = 'a.example'\nmailboxes = ['ada']\n";

#[test]
fn the_example_is_a_good_file() {
    let folder = Folder::new();
    let loaded = Loaded::parse("example.toml", EXAMPLE, &folder.0, &Places::default());
    let loaded = loaded.unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(loaded.session().hostname(), "mx.example.org");
    assert_eq!(loaded.listen().map(<[_]>::len), Some(1));
    assert!(loaded.tls().is_some() && !loaded.accepts_all());
    assert_eq!(std::fs::read_dir(&folder.0).unwrap().count(), 0, "checking makes nothing");
}

#[test]
fn nothing_but_defaults_is_a_good_file() {
    expect("", &[]);
    expect(DOMAIN, &[]);
    expect("accept_all = true", &[]);
}

#[test]
fn all_that_is_wrong_is_told_at_once_with_its_place() {
    let text = "acept_all = true\n[server]\nhostname = 'a b'\nlisten = ['localhost:25']\nprotocol = 'uucp'\n[limits]\nrecipients = 'many'\n\
                message_size = '1Q'\n[[domain]]\nmailboxes = ['ada']\n[[domain]]\nname = 'b.example'\nnickname = 'b'\n[[rate]]\nof = 'connections'\n\
                per = 'network'\nlimit = 0\nevery = '1m'\nreply = 250\n";
    expect(
        text,
        &[
            "f:1:1: there is no key acept_all here; the keys are accept_all, server, ",
            "f:3:12: \"a b\" is no name of a host",
            "f:4:11: invalid socket address syntax; ",
            "f:5:12: \"uucp\" is none of the values; they are smtp",
            "f:7:14: this is string \"many\"; write u32",
            "f:8:16: a number of bytes is an integer, or a text",
            "f:9:1: the key name is missing; add it",
            "f:13:1: there is no key nickname here; the keys are name, ",
            "f:17:9: 0 is out of range; write 1 to ",
            "f:19:9: the reply of this rate can't be 250, which refuses nothing; write 421",
        ],
    );
}

#[test]
fn broken_syntax_is_told_with_its_place() {
    expect("[server\nhostname = 'x'\n", &["f:1:8: this is no TOML: "]);
    let found = problems("a = \nb = 2 2\n");
    assert!(found.len() >= 2 && found[0].starts_with("f:1:") && found[1].starts_with("f:2:"), "{found:?}");
    assert!(problems("server.hostname = 'a'\nserver.hostname = 'b'\n")[0].contains("duplicate key"));
}

#[test]
fn what_follows_from_another_problem_is_not_told() {
    expect(
        "server.postmaster = 'ada@a.example'\nstore.place = 'discard'\n[[domain]]\nname = 'a.example'\nmailboxes = 7\n[[alias]]\naddress = 'x@a.example'\nto = ['ada@a.example']\n",
        &["f:5:13: this is integer `7`; write a sequence"],
    );
}

#[test]
fn addresses_that_lead_nowhere_or_round_are_told() {
    let alias = |address: &str, to: &str| format!("[[alias]]\naddress = '{address}@a.example'\nto = ['{to}']\n");
    expect(
        &(DOMAIN.to_owned() + &alias("x", "x@a.example")),
        &["f:8:7: x@a.example leads back to x@a.example; take one"],
    );
    let circle = alias("x", "Y+tag@a.example") + &alias("y", "z@a.example") + &alias("z", "x@a.example");
    let found = problems(&(DOMAIN.to_owned() + &circle));
    assert_eq!(found.len(), 3, "{found:?}");
    assert!(
        found[1].starts_with("f:11:7: ") && found[1].contains("y@a.example leads to z@a.example leads to x@a.example"),
        "{found:?}"
    );
    expect(&(DOMAIN.to_owned() + &alias("x", "nobody@a.example")), &["f:8:7: there is no address nobody@a.example"]);
    expect(
        &(DOMAIN.to_owned() + &alias("x", "who@b.example")),
        &["f:8:7: mail for b.example has no place to go; add a [[route]]"],
    );
    expect(&(DOMAIN.to_owned() + &alias("ADA", "ada@a.example")), &["f:7:11: ada@a.example is there already"]);
    let moved = |to: &str, forward: bool| {
        format!("{DOMAIN}[[moved]]\naddress = 'old@a.example'\nto = '{to}'\nforward = {forward}\n")
    };
    expect(&moved("old@a.example", false), &["f:8:6: the mailbox has moved to itself"]);
    expect(&moved("new@b.example", true), &["f:8:6: mail for b.example has no place to go"]);
    expect(&moved("new@b.example", false), &[]);
    expect(&moved("ada@a.example", true), &[]);
    expect(
        &format!("{DOMAIN}[[mailbox]]\naddress = 'x@c.example'\n"),
        &["f:7:11: c.example is no domain of this server"],
    );
    expect(
        "store.place = 'discard'\n[[domain]]\nname = 'a.example'\n",
        &["f:3:8: mail for postmaster@a.example has no place to go, and must"],
    );
    expect(
        "server.postmaster = 'ada@a.example'\n[[domain]]\nname = 'a.example'\nmailboxes = ['ada']\n",
        &["f:1:21: there is no address", "f:4:14: there is no place for mail"],
    );
}

#[test]
fn each_place_is_looked_at() {
    let place = |place: &str| {
        format!(
            "store.place = '{place}'\nserver.postmaster = 'a@a.example'\n[[domain]]\nname = 'a.example'\nmailboxes = ['a', 'b']\n"
        )
    };
    for good in ["discard", "memory:64M", "maildir:mail/{domain}/{local}", "maildir:/var/mail/all", "maildir:x/{local}"]
    {
        expect(&place(good), &[]);
    }
    for (wrong, what) in [
        ("", "there is no kind of place"),
        ("mail", "there is no kind of place \"mail\""),
        ("memory", "memory:BYTES"),
        ("maildir:", "the path is empty"),
        ("maildir:/x/{user}", "only {domain} and {local}"),
        ("maildir:/x/../{local}", ".."),
    ] {
        assert!(
            problems(&place(wrong)).iter().any(|problem| problem.starts_with("f:1:15: ") && problem.contains(what)),
            "{wrong}: {:?}",
            problems(&place(wrong))
        );
    }
    let quota = place("maildir:mail/all").replace("[[domain]]", "store.quota_bytes = 5\n[[domain]]");
    assert!(problems(&quota)[0].contains("a quota needs a maildir for each mailbox"), "{:?}", problems(&quota));
    expect(
        "accept_all = true\nstore.place = 'maildir:x/{local}'\n",
        &["f:2:15: this place takes mail for any address"],
    );
    expect(&format!("accept_all = true\n{DOMAIN}"), &["f:5:8: with accept_all, domain means nothing"]);
}

#[test]
fn nobody_becomes_an_open_relay_by_a_slip() {
    let route = "[[route]]\ndomain = '*'\nplace = 'discard'\nopen = true\n";
    expect(route, &["f:2:10: a route for all domains that is open to anybody is an open relay"]);
    expect("relay.networks = ['0.0.0.0/0', '::/0']\n", &["f:1:19: that is everybody", "f:1:32: that is everybody"]);
    expect("relay.networks = ['10.0.0.1/8']\n", &["f:1:19: the address has bits behind its prefix"]);
    expect("relay.denied = 530\n", &["f:1:16: 530 asks for authentication, and nobody can authenticate"]);
    expect("relay.denied = 354\n", &["f:1:16: the reply to who may not relay can't be 354, which refuses nothing"]);
}

#[test]
fn limits_keep_to_the_floors_of_the_rfcs_unless_they_are_for_a_test() {
    let low = "message_size = '1K'\nrecipients = 3\nauth_failures = 1\nreceived = 5\n[timeouts]\ncommand = '1s'\nanswer = '6m'\n";
    expect(
        &format!("[limits]\n{low}"),
        &[
            "f:2:16: that is less than a server has to take (RFC 5321 §4.5.3.1.7)",
            "f:3:14: that is less than a server has to take (RFC 5321 §4.5.3.1.8)",
            "f:4:17: that is less than a server has to take (RFC 4954 §9)",
            "f:5:12: that is less than a server has to take (RFC 5321 §6.3)",
            "f:7:11: 1s is out of range (RFC 5321 §4.5.3.2.7)",
            "f:8:10: 360s is out of range (RFC 5321 §4.5.3.2.2",
        ],
    );
    expect(&format!("[limits]\nbelow_rfc = true\n{}", low.replace("6m", "5m")), &[]);
}

#[test]
fn users_certificates_and_senders_are_looked_at() {
    expect(
        "[[user]]\nname = 'ada'\npassword = 'hunter2'\n[auth]\nallow_plaintext = true\n",
        &["f:3:12: that is no verifier of a password; write what `ehlo passwd` makes"],
    );
    expect("[auth]\n", &["f:1:1: clients authenticate inside of TLS only"]);
    expect(
        "[auth]\nallow_plaintext = true\nmechanisms = ['CRAM-MD5', 'PLAIN']\nusers_file = 'none'\nsecret_file = 'none'\n",
        &[
            "f:3:15: \"CRAM-MD5\" is no mechanism",
            "f:4:14: /nowhere/none cannot be read",
            "f:5:15: the secret cannot be read",
        ],
    );
    expect("[tls]\n", &["f:1:1: there is no certificate"]);
    expect("[tls]\ncertificates = [{ chain = 'a.pem', key = 'b.pem' }]\n", &["f:2:27: TLS can't be spoken with this"]);
    expect("server.listen_tls = ['127.0.0.1:0']\n", &["f:1:22: clients can't begin with TLS without certificates"]);
    expect(
        "server.protocol = 'lmtp'\nserver.listen = ['127.0.0.1:25']\n",
        &["f:2:18: LMTP must not be spoken on port 25"],
    );
    expect(
        &format!("{DOMAIN}[[sender]]\naddress = '@a.example'\n[[sender]]\naddress = '<>'\n"),
        &[
            "f:7:11: a.example is a domain of this server, whose senders must not be refused",
            "f:9:11: \"<>\" is no sender",
        ],
    );
    expect(
        "[[dnsbl]]\nzone = '[1.2.3.4]'\n[[dnsbl]]\nzone = 'bl.example'\nanswers = ['10.0.0.1']\nat = 'connect'\nreply = 550\n",
        &[
            "f:2:8: \"[1.2.3.4]\" is no zone",
            "f:5:12: a list answers within 127.0.0.0/8",
            "f:7:9: the reply to who is listed can't be 550",
        ],
    );
    expect(
        "[names]\nforbid = ['*']\nmin_length = 5\nmax_length = 4\n",
        &["f:2:11: the pattern forbids all names", "f:4:14: 4 is out of range"],
    );
}

#[test]
fn any_text_is_read_without_a_panic() {
    // Every beginning of the example, and the example with each line left out.
    for end in (0..EXAMPLE.len()).filter(|&end| EXAMPLE.is_char_boundary(end)).step_by(37) {
        let _ = problems(&EXAMPLE[..end]).len();
    }
    let lines: Vec<&str> = EXAMPLE.lines().collect();
    for left_out in 0..lines.len() {
        let text: String = lines
            .iter()
            .enumerate()
            .filter(|(index, _)| *index != left_out)
            .map(|(_, line)| format!("{line}\n"))
            .collect();
        let _ = problems(&text).len();
    }
}
