//! The file, and what is wrong with it.

use std::fs::Permissions;
use std::fs::read_dir;
use std::fs::read_to_string;
use std::fs::set_permissions;
use std::fs::write;

use secrecy::ExposeSecret;
use secrecy::SecretBox;
use tempfile::TempDir;

use super::*;
use crate::domain::keys::Generation;

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
        assert!(error.to_string().contains(&path), "it names the file: {error}");
        error.to_string().replace(&path, "FILE")
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
    assert!(error.to_string().ends_with("exists already"), "{error}");
    assert_eq!(*file.load().await.unwrap()[0].bytes.expose_secret(), [7; 32]);
    assert_eq!(read_dir(directory.path()).unwrap().count(), 1, "the draft is gone");
}

#[tokio::test]
async fn a_generation_is_added_and_the_others_are_dropped() {
    let (directory, file) = place();
    file.create(&key(1, 7)).await.unwrap();
    let text = read_to_string(&file.path).unwrap();
    write(&file.path, format!("# of the operator\n{}", text.trim_end())).unwrap();
    file.add(&key(2, 8)).await.unwrap();
    file.add(&key(3, 9)).await.unwrap();
    let generations = |keys: Vec<RootKey>| keys.iter().map(|key| key.generation.0).collect::<Vec<_>>();
    assert_eq!(generations(file.load().await.unwrap()), [1, 2, 3]);

    write(file.draft(&key(2, 8)), "# what a crash left").unwrap();
    file.keep_only(&key(2, 8)).await.unwrap();
    let loaded = file.load().await.unwrap();
    assert_eq!((loaded.len(), *loaded[0].bytes.expose_secret()), (1, [8; 32]));
    assert!(read_to_string(&file.path).unwrap().starts_with("# of the operator\n# Entrada root key."));
    assert_eq!(file.path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(read_dir(directory.path()).unwrap().count(), 1, "no draft is left");
    let error = file.keep_only(&key(9, 8)).await.unwrap_err();
    assert!(error.to_string().ends_with("has no generation 9"), "{error}");
    assert_eq!(generations(file.load().await.unwrap()), [2]);
}

#[tokio::test]
async fn of_a_file_that_has_copies_none_is_made_in_passing() {
    let (_directory, made) = place();
    let copied = RootKeyFile::copied(&made.path);
    let error = copied.create(&key(1, 7)).await.unwrap_err();
    assert!(error.to_string().contains("`entrada keys init`"), "{error}");
    assert!(copied.load().await.unwrap().is_empty());
    let error = copied.add(&key(2, 8)).await.unwrap_err();
    assert!(error.to_string().ends_with("does not exist"), "{error}");
    assert!(copied.delay() > made.delay());
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
    assert!(error.to_string().ends_with("its directory does not exist"), "{error}");
}

#[tokio::test]
async fn a_file_that_others_can_use_is_refused_with_the_command_that_helps() {
    let (_directory, file) = place();
    file.create(&key(1, 7)).await.unwrap();
    for mode in [0o640, 0o620, 0o604, 0o601, 0o660, 0o644, 0o610] {
        set_permissions(&file.path, Permissions::from_mode(mode)).unwrap();
        let error = file.load().await.unwrap_err();
        assert!(
            error.to_string().contains(&format!("chmod 600 {}", file.path.display())),
            "{mode:o}: {error}"
        );
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
        (format!("1 {good}\n1 {good}").into_bytes(), "the root key file FILE repeats a generation in line 2"),
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
    assert!(error.to_string().ends_with("is not a file"), "{error}");
}
