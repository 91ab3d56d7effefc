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

use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::ExposeSecret;
use secrecy::SecretBox;
use secrecy::zeroize::Zeroizing;

use crate::domain::keys::Generation;
use crate::domain::keys::RootKey;
use crate::ports::root_key::RootKeyError;
use crate::ports::root_key::RootKeyStore;

const HEADING: &str = "# Entrada root key. Whoever reads this can forge every token. \
                       Keep a copy of it away from the store's backups.";
/// Some hundred generations, with room for comments.
const MAX_FILE: u64 = 64 * 1024;
/// Permission bits of the group and of everybody else.
const OTHERS: u32 = 0o077;

/// A text file with a line for each generation, its number and 32 bytes in base64url, as in `1 mVx…`.
/// Empty lines and lines that begin with `#` are comments.
///
/// It is read and written at start-up only, on the thread that asks.
#[derive(Debug)]
pub struct RootKeyFile {
    path: PathBuf,
}

impl RootKeyFile {
    /// The file at `path`, which need not exist yet.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    fn read(&self) -> Result<Vec<RootKey>, RootKeyError> {
        let file = match File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
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
        self.parse(&text)
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
            let key = parse_line(line).map_err(|what| self.error(&format!("{what} in line {number}")))?;
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

    /// Writes the whole file under another name and links it to its own, which fails if there is one: at
    /// no moment does a part of a key lie there, and two programs that start at once keep one key.
    fn write(&self, key: &RootKey) -> Result<(), RootKeyError> {
        let directory = match self.path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let draft = self.draft(key);
        let written = write_draft(&draft, key)
            .and_then(|()| std::fs::hard_link(&draft, &self.path))
            .and_then(|()| File::open(directory)?.sync_all());
        // Gone or not, the draft is nobody's key: the error that counts is the one before.
        std::fs::remove_file(&draft).ok();
        written.map_err(|error| match error.kind() {
            ErrorKind::AlreadyExists => self.error("exists already"),
            ErrorKind::NotFound => self.error("cannot be made: its directory does not exist"),
            ErrorKind::Unsupported => self.error("cannot be made: its file system has no hard links"),
            _ => self.error(&format!("cannot be made ({error})")),
        })
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
        RootKeyError(format!("the root key file {} {what}", self.path.display()))
    }
}

#[async_trait]
impl RootKeyStore for RootKeyFile {
    async fn load(&self) -> Result<Vec<RootKey>, RootKeyError> {
        self.read()
    }

    async fn create(&self, key: &RootKey) -> Result<(), RootKeyError> {
        self.write(key)
    }

    fn place(&self) -> String {
        format!("the file {}", self.path.display())
    }
}

fn write_draft(draft: &Path, key: &RootKey) -> io::Result<()> {
    let bytes = Zeroizing::new(URL_SAFE_NO_PAD.encode(key.bytes.expose_secret()));
    let text = Zeroizing::new(format!("{HEADING}\n{} {}\n", key.generation.0, *bytes));
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(draft)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

fn parse_line(line: &str) -> Result<RootKey, &'static str> {
    let malformed = "has something that is not a generation and its key";
    let (number, encoded) = line.split_once(char::is_whitespace).ok_or(malformed)?;
    let generation = number.parse::<u8>().map_err(|_| malformed)?;
    // Twice the length, so that a key that is too long is told from one that cannot be decoded.
    let mut decoded = Zeroizing::new([0; 64]);
    let wrong_length = "has a key that is not 32 bytes long";
    let length =
        URL_SAFE_NO_PAD.decode_slice(encoded.trim_start(), decoded.as_mut_slice()).map_err(|error| {
            match error {
                base64::DecodeSliceError::OutputSliceTooSmall => wrong_length,
                base64::DecodeSliceError::DecodeError(_) => "has a key that is not base64url without padding",
            }
        })?;
    if length != 32 {
        return Err(wrong_length);
    }
    let bytes = SecretBox::init_with_mut(|bytes: &mut [u8; 32]| bytes.copy_from_slice(&decoded[..32]));
    Ok(RootKey { generation: Generation(generation), bytes })
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::fs::read_dir;
    use std::fs::read_to_string;
    use std::fs::set_permissions;
    use std::fs::write;

    use tempfile::TempDir;

    use super::*;

    fn key(generation: u8, byte: u8) -> RootKey {
        RootKey { generation: Generation(generation), bytes: SecretBox::new(Box::new([byte; 32])) }
    }

    fn place() -> (TempDir, RootKeyFile) {
        let directory = TempDir::new().unwrap();
        let file = RootKeyFile::new(directory.path().join("root.key"));
        (directory, file)
    }

    /// What loading a file with this text says, with its path left out.
    async fn verdict(text: &[u8]) -> Result<Vec<RootKey>, String> {
        let (_directory, file) = place();
        write(&file.path, text).unwrap();
        set_permissions(&file.path, Permissions::from_mode(0o600)).unwrap();
        let path = file.path.display().to_string();
        file.load().await.map_err(|error| {
            assert!(error.0.contains(&path), "it names the file: {error}");
            error.0.replace(&path, "FILE")
        })
    }

    #[tokio::test]
    async fn a_key_comes_back_from_a_file_that_only_its_owner_reads() {
        let (directory, file) = place();
        assert!(file.load().await.unwrap().is_empty());
        file.create(&key(1, 7)).await.unwrap();

        let loaded = file.load().await.unwrap();
        assert_eq!(loaded.len(), 1);
        assert_eq!((loaded[0].generation, *loaded[0].bytes.expose_secret()), (Generation(1), [7; 32]));
        assert_eq!(file.path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert!(read_to_string(&file.path).unwrap().starts_with("# Entrada root key. Whoever reads this"));
        assert_eq!(read_dir(directory.path()).unwrap().count(), 1, "the draft is gone");
    }

    #[tokio::test]
    async fn a_second_key_does_not_replace_the_first() {
        let (directory, file) = place();
        file.create(&key(1, 7)).await.unwrap();
        let error = file.create(&key(1, 8)).await.unwrap_err();
        assert!(error.0.ends_with("exists already"), "{error}");
        assert_eq!(*file.load().await.unwrap()[0].bytes.expose_secret(), [7; 32]);
        assert_eq!(read_dir(directory.path()).unwrap().count(), 1, "the draft is gone");
    }

    #[tokio::test]
    async fn what_a_crash_left_behind_is_not_a_key_and_not_in_the_way() {
        let (_directory, file) = place();
        write(file.draft(&key(1, 9)), "# Entrada ro").unwrap();
        assert!(file.load().await.unwrap().is_empty());
        file.create(&key(1, 7)).await.unwrap();
        assert_eq!(file.load().await.unwrap().len(), 1);
    }

    #[tokio::test]
    async fn a_directory_that_is_not_there_is_said_to_be_missing() {
        let directory = TempDir::new().unwrap();
        let file = RootKeyFile::new(directory.path().join("missing/root.key"));
        assert!(file.load().await.unwrap().is_empty());
        let error = file.create(&key(1, 7)).await.unwrap_err();
        assert!(error.0.ends_with("its directory does not exist"), "{error}");
    }

    #[tokio::test]
    async fn a_file_that_others_can_use_is_refused_with_the_command_that_helps() {
        let (_directory, file) = place();
        file.create(&key(1, 7)).await.unwrap();
        for mode in [0o640, 0o620, 0o604, 0o601, 0o660, 0o644, 0o610] {
            set_permissions(&file.path, Permissions::from_mode(mode)).unwrap();
            let error = file.load().await.unwrap_err();
            assert!(error.0.contains(&format!("chmod 600 {}", file.path.display())), "{mode:o}: {error}");
        }
        set_permissions(&file.path, Permissions::from_mode(0o400)).unwrap();
        assert!(file.load().await.is_ok());
    }

    #[tokio::test]
    async fn several_generations_and_comments_are_read() {
        let (one, two) = (URL_SAFE_NO_PAD.encode([1; 32]), URL_SAFE_NO_PAD.encode([2; 32]));
        let text = format!("# note\n\n1 {one}\r\n  # another\n2\t {two}");
        let keys = verdict(text.as_bytes()).await.unwrap();
        assert_eq!(keys.iter().map(|key| key.generation.0).collect::<Vec<_>>(), [1, 2]);
        assert_eq!(*keys[1].bytes.expose_secret(), [2; 32]);
    }

    #[tokio::test]
    async fn what_is_wrong_is_said_by_line_and_never_shown() {
        let good = URL_SAFE_NO_PAD.encode([1; 32]);
        let line_two = |line: &str| format!("# note\n{line}\n").into_bytes();
        let malformed = "the root key file FILE has something that is not a generation and its key in line 2";
        let length = "the root key file FILE has a key that is not 32 bytes long in line 2";
        let encoding = "the root key file FILE has a key that is not base64url without padding in line 2";
        let cases = [
            (line_two(&good), malformed),
            (line_two("1"), malformed),
            (line_two(&format!("256 {good}")), malformed),
            (line_two(&format!("-1 {good}")), malformed),
            (line_two(&format!("one {good}")), malformed),
            (line_two(&format!("1 {}", URL_SAFE_NO_PAD.encode([1; 31]))), length),
            (line_two(&format!("1 {}", URL_SAFE_NO_PAD.encode([1; 33]))), length),
            (line_two(&format!("1 {}", URL_SAFE_NO_PAD.encode([1; 200]))), length),
            (line_two(&format!("1 {good}=")), encoding),
            (line_two(&format!("1 {good} {good}")), encoding),
            (line_two("1 s3cr3t!"), encoding),
            (
                format!("1 {good}\n1 {good}").into_bytes(),
                "the root key file FILE repeats a generation in line 2",
            ),
            (
                b"# only a note\n".to_vec(),
                "the root key file FILE holds no key; if no key was ever made, delete the file",
            ),
            (vec![0xFF, 0xFE], "the root key file FILE cannot be read (it is not text)"),
            (vec![b'#'; 65 * 1024], "the root key file FILE is too large to be a root key"),
        ];
        for (text, expected) in cases {
            let said = verdict(&text).await.unwrap_err();
            assert_eq!(said, expected);
            assert!(!said.contains(&good) && !said.contains("s3cr3t"));
        }
    }

    #[tokio::test]
    async fn a_directory_is_not_a_key() {
        let directory = TempDir::new().unwrap();
        let error = RootKeyFile::new(directory.path()).load().await.unwrap_err();
        assert!(error.0.ends_with("is not a file"), "{error}");
    }
}
