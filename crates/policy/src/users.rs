//! Who can authenticate: names with verifiers of passwords, never passwords.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant, SystemTime};

use ehlo_tokio::auth::{Attempt, AuthDecision, Authenticator};
use ehlo_tokio::ehlo_sasl::{
    Answer, InvalidCredentials, Mechanism, Request, ScramCredentials, ScramHash, Secret, UnknownUsers, prepare_name,
};
use ring::rand::{SecureRandom as _, SystemRandom};
use tokio::sync::Semaphore;

/// Iterations of a new verifier: what OWASP advises for SHA-256, some tenths of a second's work for whoever tries a password.
pub const ITERATIONS: u32 = 600_000;

/// Octets of a salt that is made here; those of users who do not exist have as many.
const SALT: usize = 16;

/// How long a file of users is not looked at again.
const FRESH: Duration = Duration::from_secs(1);

/// Octets of a file of users.
const MAX_FILE: u64 = 64 * 1024 * 1024;

/// What stands in the file for a password: a verifier for SCRAM-SHA-256 (RFC 5803), from which nobody learns the password but by trying.
/// Takes a while.
///
/// # Errors
///
/// If the password is empty, has characters that no password may have (RFC 4013), or the system gives no random numbers.
pub fn hash_password(password: &str, iterations: u32) -> Result<Secret, InvalidCredentials> {
    let mut salt = [0; SALT];
    SystemRandom::new().fill(&mut salt).map_err(|_| InvalidCredentials)?;
    ScramCredentials::derive(ScramHash::Sha256, password, &salt, iterations).map(|credentials| credentials.to_text())
}

/// Names with what verifies their passwords.
pub(crate) type UserTable = HashMap<String, ScramCredentials>;

/// Reads the lines `NAME:VERIFIER` of a file; empty ones, and those that begin with `#`, are none.
///
/// # Errors
///
/// What is wrong, and in which line. Nothing of a line's content is told.
pub(crate) fn read_users(path: &Path) -> Result<UserTable, String> {
    let told = |error: io::Error| format!("{} cannot be read: {error}", path.display());
    if fs::metadata(path).map_err(told)?.len() > MAX_FILE {
        return Err(format!("{} is too large", path.display()));
    }
    let text = fs::read_to_string(path).map_err(told)?;
    let mut users = HashMap::new();
    for (index, line) in text.lines().enumerate() {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let wrong = |what: &str| format!("{}:{}: {what}", path.display(), index + 1);
        let (name, verifier) = line.split_once(':').ok_or_else(|| wrong("a line is NAME:VERIFIER"))?;
        let name = prepare_name(name).ok_or_else(|| wrong("that is no name of a user"))?;
        let verifier = ScramCredentials::from_text(verifier)
            .map_err(|_| wrong("that is no verifier of a password; `ehlo passwd` makes one"))?;
        if users.insert(name, verifier).is_some() {
            return Err(wrong("that user is there already"));
        }
    }
    Ok(users)
}

/// A file of users that is read again when it has changed.
#[derive(Debug)]
struct UsersFile {
    path: PathBuf,
    looked: Option<Instant>,
    changed: Option<SystemTime>,
}

/// Everybody who can authenticate. What is in it can be [replaced](Self::replace) while a server asks it.
#[derive(Debug)]
pub(crate) struct Users {
    mechanisms: Vec<Mechanism>,
    secret: Option<Secret>,
    /// Those of the configuration, and those of the file.
    fixed: RwLock<Arc<UserTable>>,
    from_file: RwLock<Arc<UserTable>>,
    file: Mutex<Option<UsersFile>>,
    /// Passwords are tried by this many threads at the most: each costs what makes guessing expensive.
    verifications: Arc<Semaphore>,
    /// Whom a password is compared with where there is no such user, so that it takes as long.
    nobody: RwLock<Arc<ScramCredentials>>,
    iterations: u32,
}

impl Users {
    /// Without anybody yet.
    pub(crate) fn new(mechanisms: Vec<Mechanism>, secret: Option<Secret>, max_verifications: usize) -> Self {
        let nobody =
            ScramCredentials::derive(ScramHash::Sha256, "nobody", &[0; SALT], 1).expect("a password and a salt");
        Self {
            mechanisms,
            secret,
            fixed: RwLock::default(),
            from_file: RwLock::default(),
            file: Mutex::default(),
            verifications: Arc::new(Semaphore::new(max_verifications)),
            nobody: RwLock::new(Arc::new(nobody)),
            iterations: 0,
        }
    }

    /// With as many iterations for users who do not exist as these have.
    pub(crate) fn with_iterations_of(mut self, tables: [&UserTable; 2]) -> Self {
        let most = tables.into_iter().flat_map(HashMap::values).map(ScramCredentials::iterations).max();
        self.iterations = most.unwrap_or(ITERATIONS);
        self
    }

    /// Has these users from now on, and those of the file, which were read from it.
    pub(crate) fn replace(&self, fixed: UserTable, file: Option<(PathBuf, UserTable)>) {
        let iterations = fixed.values().chain(file.iter().flat_map(|(_, table)| table.values()));
        let iterations = iterations.map(ScramCredentials::iterations).max().unwrap_or(1);
        // Keys that no password has: what is compared is thrown away, too.
        if let Ok(nobody) = ScramCredentials::from_keys(ScramHash::Sha256, &[0; SALT], iterations, &[0; 32], &[0; 32]) {
            *self.nobody.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(nobody);
        }
        *self.fixed.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(fixed);
        let (path, table) = file.map_or((None, UserTable::new()), |(path, table)| (Some(path), table));
        let changed = path.as_deref().and_then(changed);
        *self.file.lock().unwrap_or_else(PoisonError::into_inner) =
            path.map(|path| UsersFile { path, looked: None, changed });
        *self.from_file.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(table);
    }

    /// Whether the file has to be looked at before anybody is looked up.
    fn is_stale(&self, now: Instant) -> bool {
        let file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.as_ref()
            .is_some_and(|file| file.looked.is_none_or(|looked| now.saturating_duration_since(looked) >= FRESH))
    }

    /// Reads the file if it has changed. One that is wrong changes nothing. Blocks.
    fn refresh(&self, now: Instant) {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(file) = file.as_mut() else { return };
        file.looked = Some(now);
        let changed = changed(&file.path);
        if changed == file.changed {
            return;
        }
        file.changed = changed;
        match read_users(&file.path) {
            Ok(table) => {
                tracing::info!(file = %file.path.display(), users = table.len(), "the users were read again");
                *self.from_file.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(table);
            }
            Err(error) => tracing::error!(%error, "the users are kept as they were"),
        }
    }

    fn find(&self, name: &str) -> Option<ScramCredentials> {
        let table = |table: &RwLock<Arc<UserTable>>| Arc::clone(&table.read().unwrap_or_else(PoisonError::into_inner));
        table(&self.fixed).get(name).cloned().or_else(|| table(&self.from_file).get(name).cloned())
    }

    /// The answer, once the file was looked at.
    async fn decide(self: Arc<Self>, request: Request) -> AuthDecision {
        match request {
            Request::Password { authentication_id, password } => {
                let found = self.find(&authentication_id);
                let nobody = Arc::clone(&self.nobody.read().unwrap_or_else(PoisonError::into_inner));
                // Closed never, as it is here.
                let Ok(permit) = Arc::clone(&self.verifications).acquire_owned().await else {
                    return Answer::Unavailable.into();
                };
                let verified = tokio::task::spawn_blocking(move || {
                    let _permit = permit;
                    let verified = found.as_ref().unwrap_or(&nobody).verify(&password);
                    verified & found.is_some()
                });
                match verified.await {
                    Ok(true) => Answer::Accept,
                    Ok(false) => Answer::Reject,
                    Err(_) => Answer::Unavailable,
                }
                .into()
            }
            Request::Scram { authentication_id, hash } => match self.find(&authentication_id) {
                Some(credentials) if credentials.hash() == hash => Answer::Scram(credentials).into(),
                _ => Answer::Reject.into(),
            },
            // No secrets are kept, no tokens known, and nobody may act for anybody else.
            _ => Answer::Reject.into(),
        }
    }
}

fn changed(path: &Path) -> Option<SystemTime> {
    fs::metadata(path).and_then(|metadata| metadata.modified()).ok()
}

/// The authenticator of a server: users that are shared with whoever replaces them.
#[derive(Clone, Debug)]
pub(crate) struct SharedUsers(pub(crate) Arc<Users>);

impl Authenticator for SharedUsers {
    fn mechanisms(&self) -> Vec<Mechanism> {
        self.0.mechanisms.clone()
    }

    fn unknown_users(&self) -> Option<UnknownUsers> {
        let secret = self.0.secret.clone().or_else(|| {
            let mut drawn = [0; 32];
            SystemRandom::new().fill(&mut drawn).ok()?;
            Some(drawn.as_slice().into())
        })?;
        let mut unknown = UnknownUsers::new(secret);
        unknown.iterations = self.0.iterations;
        unknown.salt_length = SALT;
        Some(unknown)
    }

    fn answer(&self, _: &Attempt<'_>, request: Request) -> AuthDecision {
        let users = Arc::clone(&self.0);
        AuthDecision::later(async move {
            let now = tokio::time::Instant::now().into_std();
            if users.is_stale(now) {
                let users = Arc::clone(&users);
                // If it is lost, those who are known are known still.
                let _ = tokio::task::spawn_blocking(move || users.refresh(now)).await;
            }
            users.decide(request).await
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Folder;

    fn verifier(password: &str) -> String {
        hash_password(password, 10).unwrap().as_str().unwrap().to_owned()
    }

    fn password(name: &str, password: &str) -> Request {
        Request::Password { authentication_id: name.to_owned(), password: password.as_bytes().into() }
    }

    async fn ask(users: &Arc<Users>, request: Request) -> bool {
        matches!(Arc::clone(users).decide(request).await, AuthDecision::Answer(Answer::Accept))
    }

    #[test]
    fn a_verifier_says_nothing_of_the_password_and_two_are_not_alike() {
        let (one, two) = (verifier("secret"), verifier("secret"));
        assert!(one.starts_with("SCRAM-SHA-256$10:") && one != two && !one.contains("secret"));
        assert!(hash_password("", 10).is_err() && hash_password("\u{7}", 10).is_err());
    }

    #[tokio::test]
    async fn passwords_are_verified_and_others_are_not() {
        let users = Arc::new(Users::new(vec![Mechanism::Plain], None, 2));
        let table = HashMap::from([("ada".to_owned(), ScramCredentials::from_text(&verifier("correct")).unwrap())]);
        users.replace(table, None);
        assert!(ask(&users, password("ada", "correct")).await);
        assert!(!ask(&users, password("ada", "wrong")).await);
        assert!(!ask(&users, password("eve", "correct")).await);
        let scram = |name: &str, hash| Request::Scram { authentication_id: name.to_owned(), hash };
        let answer = Arc::clone(&users).decide(scram("ada", ScramHash::Sha256)).await;
        assert!(matches!(answer, AuthDecision::Answer(Answer::Scram(_))));
        let answer = Arc::clone(&users).decide(scram("ada", ScramHash::Sha1)).await;
        assert!(matches!(answer, AuthDecision::Answer(Answer::Reject)), "there are no keys of that hash");
    }

    #[tokio::test]
    async fn a_file_is_read_again_when_it_changes_and_not_if_it_is_wrong() {
        let folder = Folder::new();
        let path = folder.write("users", &format!("# users\nada:{}\n", verifier("one")));
        let users = Arc::new(Users::new(vec![Mechanism::Plain], None, 2));
        users.replace(UserTable::new(), Some((path.clone(), read_users(&path).unwrap())));
        assert!(ask(&users, password("ada", "one")).await);
        let now = Instant::now();
        let write = |text: &str, seconds| {
            fs::write(&path, text).unwrap();
            let time = SystemTime::now() + Duration::from_secs(seconds);
            fs::File::options().write(true).open(&path).unwrap().set_modified(time).unwrap();
        };
        write(&format!("ada:{}\n", verifier("two")), 10);
        assert!(users.is_stale(now));
        users.refresh(now);
        assert!(!users.is_stale(now) && users.is_stale(now + FRESH));
        assert!(ask(&users, password("ada", "two")).await && !ask(&users, password("ada", "one")).await);
        write("ada:broken\n", 20);
        users.refresh(now);
        assert!(ask(&users, password("ada", "two")).await, "the old users stay");
    }

    #[test]
    fn a_broken_file_is_told_by_line_and_without_its_content() {
        let folder = Folder::new();
        let good = verifier("x");
        for (text, line, what) in [
            (format!("ada:{good}\nbob\n"), 2, "NAME:VERIFIER"),
            ("ada:hunter2\n".to_owned(), 1, "no verifier"),
            (format!("ada:{good}\n\nada:{good}\n"), 3, "already"),
            (format!("\u{7}:{good}\n"), 1, "no name"),
        ] {
            let path = folder.write("users", &text);
            let error = read_users(&path).unwrap_err();
            assert!(error.contains(&format!("users:{line}: ")) && error.contains(what), "{error}");
            assert!(!error.contains("hunter2"));
        }
        assert!(read_users(&folder.path("nowhere")).unwrap_err().contains("nowhere"));
    }
}
