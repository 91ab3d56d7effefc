//! The root key in a file of its own, which nobody but its owner can read.

use std::ffi::OsString;
use std::fs::File;
use std::fs::OpenOptions;
use std::io;
use std::io::ErrorKind;
use std::io::Read;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::zeroize::Zeroizing;

use crate::adapters::root_key_text;
use crate::domain::keys::RootKey;
use crate::ports::root_key::Place;
use crate::ports::root_key::RootKeyError;
use crate::ports::root_key::RootKeyStore;

const HEADING: &str = "# Entrada root key. Whoever reads this can forge every token. \
                       Keep a copy of it away from the store's backups.";
/// Some hundred generations, with room for comments.
const MAX_FILE: u64 = 64 * 1024;
/// Permission bits of the group and of everybody else.
const OTHERS: u32 = 0o077;

/// How long the copies of a file may take to every replica.
const COPIED: Duration = Duration::from_secs(24 * 60 * 60);

/// A text file with a line for each generation, its number and 32 bytes in base64url, as in `1 mVx…`.
/// Empty lines and lines that begin with `#` are comments.
///
/// It is small, and read and written rarely: on the thread that asks.
#[derive(Debug)]
pub struct RootKeyFile {
    path: PathBuf,
    /// Whether other replicas have copies.
    copied: bool,
}

impl RootKeyFile {
    /// The file at `path`, which need not exist yet.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), copied: false }
    }

    /// A file of which every replica has a copy. None of them makes it: two would make two.
    #[must_use]
    pub fn copied(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), copied: true }
    }

    /// The text of the file; `None` when there is none.
    fn text(&self) -> Result<Option<Zeroizing<String>>, RootKeyError> {
        let file = match File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(self.error(&format!("cannot be opened ({error})"))),
        };
        self.check(&file)?;
        let mut text = Zeroizing::new(String::with_capacity(4096));
        file.take(MAX_FILE).read_to_string(&mut text).map_err(|error| {
            let why = if error.kind() == ErrorKind::InvalidData {
                "it is not text".into()
            } else {
                error.to_string()
            };
            self.error(&format!("cannot be read ({why})"))
        })?;
        Ok(Some(text))
    }

    fn read(&self) -> Result<Vec<RootKey>, RootKeyError> {
        self.text()?.map_or_else(|| Ok(Vec::new()), |text| self.parse(&text))
    }

    /// Looks at the file that was opened, not at the path, which may lead elsewhere a moment later.
    fn check(&self, file: &File) -> Result<(), RootKeyError> {
        let found = file.metadata().map_err(|error| self.error(&format!("cannot be examined ({error})")))?;
        if !found.is_file() {
            return Err(self.error("is not a file"));
        }
        if found.len() > MAX_FILE {
            return Err(self.error("is too large to be a root key"));
        }
        let mode = found.permissions().mode();
        if mode & OTHERS != 0 {
            let path = self.path.display();
            let mode = mode & 0o777;
            let what = format!(
                "can be used by other accounts of this machine (its mode is {mode:03o}): run `chmod 600 {path}`, \
                 and make a new key if one of them may have read it"
            );
            return Err(self.error(&what));
        }
        Ok(())
    }

    fn parse(&self, text: &str) -> Result<Vec<RootKey>, RootKeyError> {
        let mut keys: Vec<RootKey> = Vec::new();
        for (number, line) in (1..).zip(text.lines()) {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let key =
                root_key_text::read(line).map_err(|what| self.error(&format!("{what} in line {number}")))?;
            if keys.iter().any(|other| other.generation == key.generation) {
                return Err(self.error(&format!("repeats a generation in line {number}")));
            }
            keys.push(key);
        }
        if keys.is_empty() {
            return Err(self.error("holds no key; if no key was ever made, delete the file"));
        }
        Ok(keys)
    }

    /// Writes the whole file under another name, then lets `place` give it its own: at no moment does a part of a
    /// key lie there.
    fn write(
        &self,
        text: &str,
        key: &RootKey,
        place: fn(&Path, &Path) -> io::Result<()>,
    ) -> Result<(), RootKeyError> {
        let directory = match self.path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let draft = self.draft(key);
        // What a crash may have left of this one.
        std::fs::remove_file(&draft).ok();
        let written = write_draft(&draft, text)
            .and_then(|()| place(&draft, &self.path))
            .and_then(|()| File::open(directory)?.sync_all());
        // Gone or not, the draft is nobody's key: the error that counts is the one before.
        std::fs::remove_file(&draft).ok();
        written.map_err(|error| match error.kind() {
            ErrorKind::AlreadyExists => self.error("exists already"),
            ErrorKind::NotFound => self.error("cannot be made: its directory does not exist"),
            ErrorKind::Unsupported => self.error("cannot be made: its file system has no hard links"),
            _ => self.error(&format!(
                "cannot be written ({error}): run this where the file may be written, as the user that owns it, and then \
                 give it to whoever has a copy"
            )),
        })
    }

    /// Replaces the text of the file, which has to be there.
    fn rewrite(
        &self,
        key: &RootKey,
        change: impl FnOnce(&str) -> Zeroizing<String>,
    ) -> Result<(), RootKeyError> {
        let text = self.text()?.ok_or_else(|| self.error("does not exist"))?;
        // Where a link leads, not in the place of the link.
        let path = std::fs::canonicalize(&self.path);
        let path = path.map_err(|error| self.error(&format!("cannot be found ({error})")))?;
        let there = Self { path, copied: self.copied };
        there.write(&change(&text), key, |draft, path| std::fs::rename(draft, path))
    }

    /// A name in the same directory that no other key's draft has: part of the check value, which may be
    /// known to everybody.
    fn draft(&self, key: &RootKey) -> PathBuf {
        let mut name = OsString::from(".");
        name.push(self.path.file_name().unwrap_or_default());
        name.push(format!(".{}", URL_SAFE_NO_PAD.encode(&key.check_value()[..12])));
        self.path.with_file_name(name)
    }

    fn error(&self, what: &str) -> RootKeyError {
        RootKeyError::Wrong(format!("the root key file {} {what}", self.path.display()))
    }
}

#[async_trait]
impl RootKeyStore for RootKeyFile {
    async fn load(&self) -> Result<Vec<RootKey>, RootKeyError> {
        self.read()
    }

    async fn create(&self, key: &RootKey) -> Result<(), RootKeyError> {
        if self.copied {
            return Err(self.error(
                "does not exist. Every replica of this store needs the same one, so none of them makes it: make it once \
                 with `entrada keys init`, and give each replica a copy",
            ));
        }
        // Linked, which fails where there is one: two programs that start at once keep one key.
        let text = Zeroizing::new(format!("{HEADING}\n{}", *line(key)));
        self.write(&text, key, |draft, path| std::fs::hard_link(draft, path))?;
        let file = self.path.display();
        tracing::info!(%file, "made the root key; keep a copy of it apart from the store's backups");
        Ok(())
    }

    async fn add(&self, key: &RootKey) -> Result<(), RootKeyError> {
        self.rewrite(key, |text| {
            let end = if text.ends_with('\n') { "" } else { "\n" };
            Zeroizing::new(format!("{text}{end}{}", *line(key)))
        })
    }

    /// What the store does not name counts for nothing, and the next one has another number.
    async fn withdraw(&self, _: &RootKey) -> Result<(), RootKeyError> {
        Ok(())
    }

    async fn keep_only(&self, kept: &RootKey) -> Result<(), RootKeyError> {
        let generation = kept.generation;
        let keys = self.read()?;
        let key = keys.iter().find(|key| key.generation == generation);
        let key = key.ok_or_else(|| self.error(&format!("has no generation {}", generation.0)))?;
        self.rewrite(key, |text| {
            let others = |line: &&str| {
                root_key_text::read(line.trim()).is_ok_and(|other| other.generation != generation)
            };
            let mut kept = Zeroizing::new(String::with_capacity(text.len() + 1));
            for line in text.lines().filter(|line| !others(line)) {
                kept.push_str(line);
                kept.push('\n');
            }
            kept
        })
    }

    fn delay(&self) -> Duration {
        if self.copied { COPIED } else { Duration::ZERO }
    }

    fn place(&self) -> Place {
        Place::File(self.path.display().to_string())
    }
}

fn write_draft(draft: &Path, text: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(draft)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

fn line(key: &RootKey) -> Zeroizing<String> {
    Zeroizing::new(format!("{}\n", *root_key_text::written(key)))
}

#[cfg(test)]
mod tests;
