//! Where the test keys and the CA certificate lie: a folder of the user's choice, or a temporary one that goes away.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::PathBuf;

use super::ExchangeError;

/// The folder; a temporary one is removed when this is dropped.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    temporary: bool,
}

impl Folder {
    /// Opens the folder, made if missing.
    pub fn open(wanted: Option<PathBuf>) -> Result<Folder, ExchangeError> {
        let temporary = wanted.is_none();
        let path = wanted.unwrap_or_else(temporary_path);
        let made = DirBuilder::new().recursive(!temporary).mode(0o700).create(&path);
        made.map_err(|error| ExchangeError::Folder { path: path.clone(), error })?;
        Ok(Folder { path, temporary })
    }

    /// Writes a file that only its owner may read.
    pub fn write(&self, name: &str, text: &str) -> Result<PathBuf, ExchangeError> {
        let path = self.path.join(name);
        let write = || -> io::Result<()> {
            // Made anew, so that an older file's mode is not inherited.
            match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                Ok(()) | Err(_) => {}
            }
            OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?.write_all(text.as_bytes())
        };
        write().map_err(|error| ExchangeError::Folder { path: path.clone(), error })?;
        Ok(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if self.temporary {
            // Nothing depends on it any more; what cannot be removed is the system's to clean.
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}

fn temporary_path() -> PathBuf {
    let unique: String = (0..TEMPORARY_NAME_LEN).map(|_| fastrand::alphanumeric()).collect();
    std::env::temp_dir().join(format!("optiflow-exchange-{unique}"))
}

const TEMPORARY_NAME_LEN: usize = 12;

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_temporary_folder_is_private_and_goes_away() {
        let folder = Folder::open(None).unwrap();
        let file = folder.write("key.pem", "one").unwrap();
        let file_again = folder.write("key.pem", "two").unwrap();
        assert_eq!(fs::read_to_string(&file_again).unwrap(), "two");
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::metadata(&folder.path).unwrap().permissions().mode() & 0o777, 0o700);
        let path = folder.path.clone();
        drop(folder);
        assert!(!path.exists());
    }

    #[test]
    fn a_folder_that_was_named_stays() {
        let outer = Folder::open(None).unwrap();
        let named = outer.path.join("a/b");
        drop(Folder::open(Some(named.clone())).unwrap());
        assert!(named.exists());
        assert!(Folder::open(Some(PathBuf::from("/proc/nowhere"))).is_err());
    }
}
