//! Where expenses are kept.

use std::fs::DirBuilder;
use std::fs::File;
use std::io;
use std::io::ErrorKind;
use std::io::Write;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::path::PathBuf;

use async_trait::async_trait;
use sha2::Digest;
use sha2::Sha256;
use tokio::task::spawn_blocking;

use crate::caller::Caller;
use crate::expense::Expense;

/// Everybody's expenses, each person's apart.
///
/// Its methods take a [`Caller`], never a name: whose expenses they are is what the token says, not what
/// a model writes.
#[async_trait]
pub trait Ledger: Send + Sync + 'static {
    /// Adds one to the caller's, wholly or not at all. Nothing that was acknowledged is lost.
    async fn add(&self, caller: &Caller, expense: Expense) -> io::Result<()>;

    /// All of the caller's, in the order in which they were added.
    async fn all(&self, caller: &Caller) -> io::Result<Vec<Expense>>;
}

/// A JSON file for each person. Several processes may share the directory.
pub struct FileLedger {
    directory: PathBuf,
}

impl FileLedger {
    /// Makes the directory, for this user's eyes only, if there is none.
    pub fn open(directory: impl Into<PathBuf>) -> io::Result<Self> {
        let directory = directory.into();
        DirBuilder::new().recursive(true).mode(0o700).create(&directory)?;
        Ok(Self { directory })
    }

    /// A hash for a name: whatever `sub` holds, the file lies in the directory, and the names in a
    /// listing tell nobody's identity.
    fn file_of(&self, caller: &Caller) -> PathBuf {
        self.directory.join(format!("{:x}.json", Sha256::digest(&caller.claims().sub)))
    }
}

#[async_trait]
impl Ledger for FileLedger {
    async fn add(&self, caller: &Caller, expense: Expense) -> io::Result<()> {
        let file = self.file_of(caller);
        // Off the async threads, and to its end even if the client hangs up.
        spawn_blocking(move || add(&file, expense)).await?
    }

    async fn all(&self, caller: &Caller) -> io::Result<Vec<Expense>> {
        let file = self.file_of(caller);
        spawn_blocking(move || read(&file)).await?
    }
}

fn add(file: &Path, expense: Expense) -> io::Result<()> {
    // One writer for each person at a time; the lock ends with `lock`. Readers need none: a rename shows
    // them the old file or the new one.
    let lock = File::create(file.with_extension("lock"))?;
    lock.lock()?;
    let mut expenses = read(file)?;
    expenses.push(expense);
    let draft = file.with_extension("draft");
    let mut written = File::create(&draft)?;
    written.write_all(&serde_json::to_vec(&expenses)?)?;
    written.sync_all()?;
    std::fs::rename(&draft, file)
}

fn read(file: &Path) -> io::Result<Vec<Expense>> {
    match std::fs::read(file) {
        Ok(bytes) => Ok(serde_json::from_slice(&bytes)?),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}
