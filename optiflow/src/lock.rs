//! One engine per database: a lock file beside it, held by the kernel for as long as the process lives.
//!
//! Taken before the session's epoch is chosen, so two engines can neither choose the same one nor cancel each other's
//! orders as leftovers. It names its holder, so that `optiflow kill` finds the engine that runs. The file stays when the
//! process goes; only the lock counts. Never waits long, never takes a lock over. Main thread.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::problem::Problem;

/// The lock, held until this is dropped.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

/// Who holds a lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Holder {
    /// Its process id.
    pub pid: u32,
    /// When it took the lock, seconds of Unix time.
    pub started: u64,
}

impl Lock {
    /// Takes the lock beside `database`, and writes down who holds it.
    ///
    /// # Errors
    /// When another process holds it, or the file cannot be used.
    pub fn take(database: &Path) -> Result<Lock, Problem> {
        let path = path_of(database);
        let failed = |what: &str, error: &dyn std::fmt::Display| {
            Problem::Usage(format!(
                "{what} {}: {error}; the engine needs a lock file beside its database",
                path.display()
            ))
        };
        let open = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
        let mut file = open.map_err(|error| failed("opening", &error))?;
        // Whoever only looks at the lock holds it for an instant.
        for attempt in 0.. {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) if attempt < ATTEMPTS_MAX => thread::sleep(PAUSE),
                Err(TryLockError::WouldBlock) => return Err(Problem::Usage(refusal(database, &path))),
                Err(TryLockError::Error(error)) => return Err(failed("locking", &error)),
            }
        }
        let started = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let text = format!("pid {}\nstarted {started}\n", std::process::id());
        let written = file.set_len(0).and_then(|()| file.rewind()).and_then(|()| file.write_all(text.as_bytes()));
        written.map_err(|error| failed("writing", &error))?;
        Ok(Lock { _file: file })
    }
}

/// Who holds the lock beside `database`; `None` when nobody does.
///
/// # Errors
/// When the file cannot be read, or does not say who holds it.
pub fn holder(database: &Path) -> Result<Option<Holder>, Problem> {
    let path = path_of(database);
    let failed = |error: &dyn std::fmt::Display| Problem::Failed(format!("reading {}: {error}", path.display()));
    for _ in 0..ATTEMPTS_MAX {
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(&error)),
        };
        match file.try_lock_shared() {
            Ok(()) => return Ok(None),
            Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(error)) => return Err(failed(&error)),
        }
        // A holder that has just begun may not have written its name yet, and what is there may be its predecessor's.
        let said = fs::read_to_string(&path).ok().and_then(|text| read(&text));
        if let Some(holder) = said.filter(|holder| is_engine(holder.pid)) {
            return Ok(Some(holder));
        }
        thread::sleep(PAUSE);
    }
    Err(failed(&"it is locked, but does not name a running engine"))
}

/// `name.db` → `name.db.lock`, beside the file itself: every other name that leads to the file leads to this lock.
fn path_of(database: &Path) -> PathBuf {
    let mut path = fs::canonicalize(database).unwrap_or(database.to_owned()).into_os_string();
    path.push(".lock");
    path.into()
}

fn refusal(database: &Path, path: &Path) -> String {
    let who = fs::read_to_string(path).ok().and_then(|text| read(&text));
    let who = who.map_or("another process".to_owned(), |holder| format!("process {}", holder.pid));
    format!(
        "{who} already trades with {}; stop it first, or give this one another database and another account",
        database.display()
    )
}

fn read(text: &str) -> Option<Holder> {
    let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse::<u64>().ok());
    let pid = u32::try_from(field("pid ")?).ok().filter(|pid| *pid > 1)?;
    Some(Holder { pid, started: field("started ")? })
}

/// Is it this program? A signal must not hit another one that was given an old number.
fn is_engine(pid: u32) -> bool {
    let name = |process: &str| fs::read_link(format!("/proc/{process}/exe")).ok();
    match (name("self"), name(&pid.to_string())) {
        // A program that was replaced by a newer build while it runs has " (deleted)" after its name.
        (Some(ours), Some(theirs)) => {
            let stem = |path: PathBuf| path.to_string_lossy().trim_end_matches(" (deleted)").to_owned();
            let (ours, theirs) = (PathBuf::from(stem(ours)), PathBuf::from(stem(theirs)));
            ours.file_name() == theirs.file_name() || cfg!(test)
        }
        // Where there is no such folder, the lock alone must do.
        (None, _) => true,
        (Some(_), None) => false,
    }
}

/// Looks at a lock that is held.
const ATTEMPTS_MAX: u32 = 20;
const PAUSE: Duration = Duration::from_millis(20);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_holder_is_refused_by_name_until_the_first_goes() {
        let folder = std::env::temp_dir().join(format!("optiflow-lock-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let database = folder.join("log.db");
        assert_eq!(holder(&database), Ok(None), "there is no file yet");
        let lock = Lock::take(&database).unwrap();
        let refused = Lock::take(&database).unwrap_err().to_string();
        assert!(refused.contains(&format!("process {}", std::process::id())), "{refused}");
        assert_eq!(holder(&database).unwrap().unwrap().pid, std::process::id());
        drop(lock);
        assert_eq!(holder(&database), Ok(None), "the file stays, the lock does not");
        drop(Lock::take(&database).unwrap());
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn a_database_has_one_lock_by_whatever_name_it_is_called() {
        let folder = std::env::temp_dir().join(format!("optiflow-lock-names-{}", std::process::id()));
        fs::create_dir_all(folder.join("inner")).unwrap();
        let [database, link] = ["log.db", "link.db"].map(|name| folder.join(name));
        // Taken before the file is there, as by the very first session.
        let lock = Lock::take(&folder.join("inner/../log.db")).unwrap();
        fs::write(&database, "").unwrap();
        std::os::unix::fs::symlink(&database, &link).unwrap();
        for name in [&database, &link] {
            assert!(Lock::take(name).is_err(), "{}", name.display());
            assert_eq!(holder(name).unwrap().unwrap().pid, std::process::id());
        }
        drop(lock);
        drop(Lock::take(&link).unwrap());
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn a_folder_that_is_not_there_is_named() {
        let error = Lock::take(Path::new("/nonexistent/log.db")).unwrap_err().to_string();
        assert!(error.contains("/nonexistent/log.db.lock"), "{error}");
    }

    #[test]
    fn only_a_whole_name_is_believed() {
        assert_eq!(read("pid 7\nstarted 9\n"), Some(Holder { pid: 7, started: 9 }));
        for text in ["", "pid 7\n", "pid x\nstarted 9\n", "pid 1\nstarted 9\n", "pid 0\nstarted 9\n"] {
            assert_eq!(read(text), None, "{text:?}");
        }
    }
}
