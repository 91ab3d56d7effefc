//! The file and its directory: made, opened, refused.
//!
//! A new store is made under another name and takes its own when it is complete. Whatever carries
//! the name and is not a whole store, an empty file too, has therefore been damaged. It is refused:
//! to begin anew in its place would forget every revocation without a word.

use std::fs;
use std::fs::DirBuilder;
use std::fs::File;
use std::fs::OpenOptions;
use std::fs::TryLockError;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::path::PathBuf;

use redb::Builder;
use redb::Database;
use redb::ReadableDatabase;
use redb::TableError;
use redb::backends::FileBackend;
use thiserror::Error;

use super::DOCUMENTS;
use super::EXPIRIES;
use super::META;
use super::backend::HeldBack;

const NAME: &str = "entrada.redb";

/// A store in the making.
const NEW_NAME: &str = "entrada.redb.new";

/// The key in [`META`], and which tables and records this program reads and writes.
const FORMAT_KEY: &str = "format";
const FORMAT: u64 = 1;

/// Bytes of pages that redb keeps in memory.
const CACHE: usize = 64 << 20;

/// Why a store was not opened.
#[derive(Debug, Error)]
pub enum OpenError {
    /// Another process has it open, or this one has.
    #[error(
        "the store {} is in use by another process; stop that one, or give this one a data directory of its own",
        path.display()
    )]
    Locked { path: PathBuf },
    /// It is not what was written there.
    #[error(
        "the store {} is damaged: {what}; it has been left as it is: put a backup in its place, or move it away \
         to begin with an empty store, which ends every session",
        path.display()
    )]
    Corrupt { path: PathBuf, what: String },
    /// Another version of this program wrote it.
    #[error(
        "the store {} has format {found}, and this version of Entrada reads format {known}; it has been left as it \
         is: run the version that wrote it",
        path.display()
    )]
    Format { path: PathBuf, found: u64, known: u64 },
    /// The system refused.
    #[error(
        "cannot {action} {}: {error}; check the path, its permissions and the space on its disk",
        path.display()
    )]
    Io { action: &'static str, path: PathBuf, error: io::Error },
}

impl OpenError {
    pub(super) fn io(action: &'static str, path: &Path, error: io::Error) -> Self {
        Self::Io { action, path: path.to_owned(), error }
    }

    fn corrupt(path: &Path, what: impl Into<String>) -> Self {
        Self::Corrupt { path: path.to_owned(), what: what.into() }
    }

    fn database(action: &'static str, path: &Path, error: redb::Error) -> Self {
        match error {
            redb::Error::DatabaseAlreadyOpen | redb::Error::LockProtocolMismatch => {
                Self::Locked { path: path.to_owned() }
            }
            // redb reports a file that is not its own, or ends too early, as an I/O error.
            redb::Error::Io(error)
                if !matches!(error.kind(), io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof) =>
            {
                Self::io(action, path, error)
            }
            error => Self::corrupt(path, error.to_string()),
        }
    }
}

/// Opens the store in this directory, or makes it.
pub(super) fn open(data_dir: &Path) -> Result<Database, OpenError> {
    let path = data_dir.join(NAME);
    match OpenOptions::new().read(true).write(true).open(&path) {
        Ok(file) => existing(file, &path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => create(data_dir, &path),
        Err(error) => Err(OpenError::io("open", &path, error)),
    }
}

fn existing(file: File, path: &Path) -> Result<Database, OpenError> {
    let len = file.metadata().map_err(|error| OpenError::io("open", path, error))?.len();
    if len == 0 {
        // redb would take it for a new one.
        return Err(OpenError::corrupt(path, "the file is empty"));
    }
    let failed = |error: redb::Error| OpenError::database("open", path, error);
    let file = HeldBack::new(FileBackend::new(file).map_err(|error| failed(error.into()))?);
    let database = builder().create_with_backend(file.clone()).map_err(|error| failed(error.into()))?;
    check_format(&database, path)?;
    file.release().map_err(|error| OpenError::io("write to", path, error))?;
    Ok(database)
}

fn create(data_dir: &Path, path: &Path) -> Result<Database, OpenError> {
    create_directory(data_dir).map_err(|error| OpenError::io("create", data_dir, error))?;
    let new_path = data_dir.join(NEW_NAME);
    let failed = |error: io::Error| OpenError::io("create", &new_path, error);
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&new_path)
        .map_err(failed)?;
    file.try_lock().map_err(|error| match error {
        TryLockError::WouldBlock => OpenError::Locked { path: path.to_owned() },
        TryLockError::Error(error) => failed(error),
    })?;
    // Between our looking and our locking somebody else may have made the store, and what we hold
    // may even be it, under its former name. The lock tells: it was theirs until they were done.
    if path.try_exists().map_err(failed)? {
        drop(file);
        return open(data_dir);
    }
    file.set_len(0).map_err(failed)?;
    let database = initialise(file).map_err(|error| OpenError::database("create", &new_path, error))?;
    fs::rename(&new_path, path).map_err(failed)?;
    sync_directory(data_dir).map_err(failed)?;
    Ok(database)
}

/// Makes an empty store, whose lock is the file's own: it holds from here on.
fn initialise(file: File) -> Result<Database, redb::Error> {
    let database = builder().create_with_backend(FileBackend::new(file)?)?;
    let transaction = database.begin_write()?;
    transaction.open_table(DOCUMENTS)?;
    transaction.open_table(EXPIRIES)?;
    transaction.open_table(META)?.insert(FORMAT_KEY, FORMAT)?;
    transaction.commit()?;
    Ok(database)
}

fn builder() -> Builder {
    let mut builder = Database::builder();
    // Without the check redb trusts a file that was closed cleanly: a damaged page then goes
    // unnoticed, or is a panic at some later time.
    builder.set_cache_size(CACHE).set_check_integrity_on_open(true);
    builder
}

fn check_format(database: &Database, path: &Path) -> Result<(), OpenError> {
    match read_format(database) {
        Ok(Some(FORMAT)) => Ok(()),
        Ok(Some(found)) => Err(OpenError::Format { path: path.to_owned(), found, known: FORMAT }),
        Ok(None) => Err(OpenError::corrupt(path, "it is a redb database, but no store of Entrada")),
        Err(error) => Err(OpenError::database("read", path, error)),
    }
}

fn read_format(database: &Database) -> Result<Option<u64>, redb::Error> {
    let transaction = database.begin_read()?;
    let meta = match transaction.open_table(META) {
        Ok(meta) => meta,
        Err(TableError::TableDoesNotExist(_)) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let format = meta.get(FORMAT_KEY)?.map(|format| format.value());
    if format == Some(FORMAT) {
        transaction.open_table(DOCUMENTS)?;
        transaction.open_table(EXPIRIES)?;
    }
    Ok(format)
}

/// Creates what is missing of this path, to stay: an acknowledged write must not vanish with its directory.
fn create_directory(directory: &Path) -> io::Result<()> {
    let missing: Vec<&Path> = directory
        .ancestors()
        .take_while(|ancestor| !ancestor.as_os_str().is_empty() && !ancestor.exists())
        .collect();
    DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    missing.iter().filter_map(|created| created.parent()).try_for_each(sync_directory)
}

fn sync_directory(directory: &Path) -> io::Result<()> {
    let directory = if directory.as_os_str().is_empty() { Path::new(".") } else { directory };
    File::open(directory)?.sync_all()
}
