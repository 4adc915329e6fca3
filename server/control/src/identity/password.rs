//! Passwords: argon2id, as OWASP's Password Storage Cheat Sheet asks (19 MiB, two passes, one lane).
//!
//! Hashing is slow on purpose, so it runs off the async threads and few at a time; when too many wait, more are told to
//! come again, since each takes memory. Somebody who guesses passwords takes only a share of the places to wait: the
//! share of their address and that of the name they guess at.

use std::net::IpAddr;
use std::sync::Arc;

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};
use portolan_shared::refusal::Refusal;
use portolan_sources::{Random, Workers};
use tokio::sync::Semaphore;

use crate::places::{Place, Places};

/// Fewest characters of a password.
pub const PASSWORD_MIN: usize = 8;
/// Most bytes of a password: longer ones only cost time.
pub const PASSWORD_MAX: usize = 1024;

/// What hashing a password costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cost {
    /// KiB of memory.
    pub memory: u32,
    /// Passes over it.
    pub passes: u32,
}

impl Cost {
    /// What OWASP recommends for argon2id.
    pub const OWASP: Self = Self {
        memory: 19 * 1024,
        passes: 2,
    };
    /// As little as argon2 allows, for tests of everything else.
    pub const TESTS: Self = Self { memory: 8, passes: 1 };
}

/// Who wants a password checked.
#[derive(Debug, Clone, Copy)]
pub struct Asker<'a> {
    /// Where the connection is from; `None` where there is none.
    pub address: Option<IpAddr>,
    /// The name that is logged in with, known or not.
    pub user: &'a str,
}

/// Whose share of the places a log-in takes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Share {
    All,
    Address(IpAddr),
    User(String),
}

/// One address has a quarter of the places to wait, one name a sixteenth, but each at least one.
const ADDRESS_SHARE: usize = 4;
const USER_SHARE: usize = 16;

/// Hashes and checks passwords, a few at a time.
pub struct Passwords {
    hasher: Argon2<'static>,
    random: Arc<dyn Random>,
    workers: Workers,
    gate: Arc<Semaphore>,
    /// Who waits or is being served.
    places: Places<Share>,
    most_waiting: usize,
    /// Hash of a password that nobody knows. An unknown user is checked against it, so that a log-in takes as long as
    /// for a known one.
    nobody: Arc<str>,
}

impl Passwords {
    /// Hashes `at_once` passwords at a time by `workers`, and lets `most_waiting` wait.
    pub fn new(cost: Cost, at_once: usize, most_waiting: usize, random: Arc<dyn Random>, workers: Workers) -> Self {
        let params = Params::new(cost.memory, cost.passes, 1, None).expect("both costs are within argon2's bounds");
        let hasher = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let mut unknown = [0_u8; 32];
        random.fill(&mut unknown);
        let nobody = hash(&hasher, &*random, &unknown);
        Self {
            hasher,
            random,
            workers,
            gate: Arc::new(Semaphore::new(at_once)),
            places: Places::default(),
            most_waiting,
            nobody: nobody.into(),
        }
    }

    /// The PHC string of a new password.
    ///
    /// # Errors
    /// If too many wait already.
    pub async fn hash(&self, password: &str) -> Result<String, Refusal> {
        let (hasher, random) = (self.hasher.clone(), Arc::clone(&self.random));
        let password = password.to_owned();
        self.run(Vec::new(), move || hash(&hasher, &*random, password.as_bytes()))
            .await
    }

    /// Whether `password` is the one `known` was made of; `None` is nobody's, and takes as long.
    ///
    /// # Errors
    /// If too many wait already: in all, from the asker's address, or for its name.
    pub async fn verify(&self, password: &str, known: Option<&str>, asker: Asker<'_>) -> Result<bool, Refusal> {
        let hasher = self.hasher.clone();
        let exists = known.is_some() && password.len() <= PASSWORD_MAX;
        let known: Arc<str> = known.map_or_else(|| Arc::clone(&self.nobody), Into::into);
        let password = password
            .get(..PASSWORD_MAX.min(password.len()))
            .unwrap_or_default()
            .to_owned();
        let right = move || {
            PasswordHash::new(&known).is_ok_and(|known| hasher.verify_password(password.as_bytes(), &known).is_ok())
        };
        let mut shares = vec![Share::User(portolan_shared::check::shortened(asker.user))];
        shares.extend(asker.address.map(Share::Address));
        Ok(self.run(shares, right).await? && exists)
    }

    /// A place to wait, unless all or those of one of the shares are taken.
    fn place(&self, shares: Vec<Share>) -> Result<Place<Share>, Refusal> {
        let most = |share: &Share| match share {
            Share::All => self.most_waiting,
            Share::Address(_) => (self.most_waiting / ADDRESS_SHARE).max(1),
            Share::User(_) => (self.most_waiting / USER_SHARE).max(1),
        };
        let shares = std::iter::once(Share::All).chain(shares);
        self.places
            .take(shares.map(|share| (share.clone(), most(&share))))
            .map_err(|_| Refusal::AuthBusy {})
    }

    async fn run<T: Send + 'static>(
        &self,
        shares: Vec<Share>,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Refusal> {
        let _place = self.place(shares)?;
        let permit = Arc::clone(&self.gate)
            .acquire_owned()
            .await
            .map_err(|_| Refusal::AuthBusy {})?;
        let done = self.workers.run(move || {
            let _permit = permit;
            work()
        });
        done.await.map_err(|_| Refusal::AuthBusy {})
    }
}

fn hash(hasher: &Argon2<'_>, random: &dyn Random, password: &[u8]) -> String {
    let mut salt = [0_u8; 16];
    random.fill(&mut salt);
    let hash: PasswordHash = hasher
        .hash_password_with_salt(password, &salt)
        .expect("salt and password are within argon2's bounds");
    hash.to_string()
}

/// Whether a text may be a new password.
///
/// # Errors
/// If it is too short or too long.
pub fn check(field: &str, password: &str) -> Result<(), Refusal> {
    let length = password.chars().count();
    if length < PASSWORD_MIN {
        return Err(Refusal::TooShort {
            field: field.to_owned(),
            min: PASSWORD_MIN,
            length,
        });
    }
    if password.len() > PASSWORD_MAX {
        return Err(Refusal::TooLong {
            field: field.to_owned(),
            max: PASSWORD_MAX,
            length,
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use portolan_sources::SystemRandom;

    const ANN: Asker<'_> = Asker {
        address: None,
        user: "ann",
    };

    fn passwords(cost: Cost, waiting: usize) -> Passwords {
        Passwords::new(cost, 1, waiting, Arc::new(SystemRandom::default()), Workers::default())
    }

    #[tokio::test]
    async fn the_right_password_and_no_other() {
        let passwords = passwords(Cost::TESTS, 8);
        let known = passwords.hash("correct horse").await.unwrap();
        assert!(known.starts_with("$argon2id$v=19$m=8,t=1,p=1$"), "{known}");
        assert_eq!(passwords.verify("correct horse", Some(&known), ANN).await, Ok(true));
        assert_eq!(passwords.verify("correct horsf", Some(&known), ANN).await, Ok(false));
        assert_eq!(passwords.verify("correct horse", None, ANN).await, Ok(false));
        assert_eq!(passwords.verify("correct horse", Some("no hash"), ANN).await, Ok(false));
        let long = "x".repeat(PASSWORD_MAX);
        let known = passwords.hash(&long).await.unwrap();
        assert_eq!(
            passwords.verify(&format!("{long}y"), Some(&known), ANN).await,
            Ok(false),
            "cut off is not equal"
        );
    }

    #[tokio::test]
    async fn two_hashes_of_a_password_differ() {
        let passwords = passwords(Cost::TESTS, 8);
        assert_ne!(
            passwords.hash("correct horse").await,
            passwords.hash("correct horse").await
        );
    }

    #[tokio::test]
    async fn nobody_waits_behind_too_many() {
        let passwords = Arc::new(passwords(Cost::TESTS, 2));
        let held = Arc::clone(&passwords.gate).acquire_owned().await.unwrap();
        let mut waiting = tokio::task::JoinSet::new();
        for _ in 0..3 {
            let passwords = Arc::clone(&passwords);
            waiting.spawn(async move { passwords.hash("correct horse").await });
        }
        assert_eq!(waiting.join_next().await.unwrap().unwrap(), Err(Refusal::AuthBusy {}));
        drop(held);
        while let Some(done) = waiting.join_next().await {
            assert!(done.unwrap().is_ok());
        }
        assert!(passwords.hash("correct horse").await.is_ok());
    }

    #[test]
    fn who_guesses_leaves_room_for_others() {
        let passwords = passwords(Cost::TESTS, 64);
        let from = |last: u8, user: &str| vec![Share::User(user.to_owned()), Share::Address([192, 0, 2, last].into())];
        let one_name: Vec<_> = (0..4).map(|n| passwords.place(from(n, "ann"))).collect();
        assert!(one_name.iter().all(Result::is_ok));
        assert!(passwords.place(from(9, "ann")).is_err(), "a fifth for one name");
        let one_address: Vec<_> = (0..16)
            .map(|n| passwords.place(from(7, &format!("user-{n}"))))
            .collect();
        assert!(one_address.iter().all(Result::is_ok));
        assert!(
            passwords.place(from(7, "bob")).is_err(),
            "a seventeenth from one address"
        );
        assert!(passwords.place(from(8, "bob")).is_ok(), "somebody else from elsewhere");
        drop((one_name, one_address));
        assert!(passwords.places.is_empty(), "nobody is remembered");
    }

    #[test]
    fn short_and_endless_passwords_are_refused() {
        assert!(check("password", "1234567").is_err());
        assert!(check("password", "12345678").is_ok());
        assert!(check("password", &"x".repeat(PASSWORD_MAX + 1)).is_err());
    }
}
