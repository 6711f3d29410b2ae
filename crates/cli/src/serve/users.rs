//! The users of `ehlo serve`.

use std::fmt;

use ehlo_tokio::auth::Users;
use ehlo_tokio::ehlo_sasl::Mechanism;

use super::{Args, Failure};

/// The value of --user, not looked into yet: of a value that is refused while it is read, the message would show all. Its `Debug`
/// output has nothing of it.
#[derive(Clone)]
pub(super) struct User(String);

impl fmt::Debug for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("User(..)")
    }
}

impl From<String> for User {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl User {
    /// `NAME:PASSWORD`. The name has no colon; the password may.
    fn parts(&self) -> Option<(&str, &str)> {
        self.0.split_once(':').filter(|(name, password)| !name.is_empty() && !password.is_empty())
    }
}

/// What --user and --cram-md5 say; `None` if there is no --user.
pub(super) fn load(args: &Args) -> Result<Option<Users>, Failure> {
    if args.user.is_empty() {
        return Ok(None);
    }
    if args.tls.is_empty() && !args.allow_plaintext_auth {
        return Err(Failure::Usage(
            "clients authenticate inside of TLS only: give --tls, or --allow-plaintext-auth".to_owned(),
        ));
    }
    let mut users = Users::new().map_err(|error| Failure::Start(format!("cannot start: {error}")))?;
    for user in &args.user {
        let (name, password) =
            user.parts().ok_or_else(|| Failure::Usage("--user: a user is NAME:PASSWORD".to_owned()))?;
        users.add(name, password).map_err(|_| {
            Failure::Usage(format!(
                "--user {name}: name and password have up to 1024 octets, and no control character or another one that SASLprep \
                 (RFC 4013) forbids"
            ))
        })?;
    }
    Ok(Some(if args.cram_md5 { users.offer(Mechanism::CramMd5) } else { users }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_a_name_and_a_password() {
        let ada = User::from("ada:correct:horse".to_owned());
        assert_eq!(ada.parts(), Some(("ada", "correct:horse")));
        assert_eq!(format!("{ada:?}"), "User(..)");
        for wrong in ["", "ada", "ada:", ":x"] {
            assert_eq!(User::from(wrong.to_owned()).parts(), None, "{wrong}");
        }
    }
}
