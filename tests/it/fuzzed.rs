//! What is fuzzed (`fuzz/README.md`), with every seed, and with every input that once found something.

#[path = "../../fuzz/src/targets/mod.rs"]
mod targets;

use std::fs;
use std::path::PathBuf;

use targets::ISSUED;
use targets::TARGETS;
use targets::Verdict;

fn fuzz() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fuzz")
}

/// The names and bytes of a target's seeds.
fn seeds(target: &str) -> Vec<(String, Vec<u8>)> {
    let folder = fuzz().join("seeds").join(target);
    let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let files = entries.map(|entry| entry.unwrap().path());
    files
        .map(|file| (file.file_name().unwrap().to_str().unwrap().to_owned(), fs::read(&file).unwrap()))
        .collect()
}

#[test]
fn every_seed_is_what_it_is_called() {
    let mut wrong = Vec::new();
    for (target, run) in TARGETS {
        let mut unseen = vec![Verdict::Accepted, Verdict::Refused];
        for (name, input) in seeds(target) {
            let called = if name.starts_with("accepted-") { Verdict::Accepted } else { Verdict::Refused };
            let verdict = run(&input);
            if verdict != called {
                wrong.push(format!("{target}/{name} is {verdict:?}"));
            }
            unseen.retain(|seen| *seen != verdict);
        }
        assert!(unseen.is_empty(), "no seed of {target} is {unseen:?}");
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// `BLESS=1 cargo test --test it fuzzed` writes them anew, where a change of the format is meant: nothing that was
/// given out before is read afterwards.
#[test]
fn what_is_out_there_is_still_read() {
    for (target, issued) in ISSUED {
        let folder = fuzz().join("seeds").join(target);
        let run = TARGETS.iter().find(|(name, _)| name == target).unwrap().1;
        for (name, input) in issued() {
            let file = folder.join(format!("accepted-{name}"));
            let kept = fs::read(&file).unwrap_or_default();
            if run(&kept) == Verdict::Refused && std::env::var_os("BLESS").is_some() {
                fs::create_dir_all(&folder).unwrap();
                fs::write(&file, &input).unwrap();
                continue;
            }
            assert_eq!(
                run(&kept),
                Verdict::Accepted,
                "{} is {:?}",
                file.display(),
                String::from_utf8_lossy(&input)
            );
        }
    }
}

#[test]
fn each_target_is_there_for_the_fuzzer_and_has_seeds_for_nobody_else() {
    let listed = |folder: &str| {
        let entries = fs::read_dir(fuzz().join(folder)).unwrap().map(|entry| entry.unwrap().path());
        let mut names: Vec<String> =
            entries.map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned()).collect();
        names.sort();
        names
    };
    let names: Vec<&str> = TARGETS.iter().map(|(name, _)| *name).collect();
    assert_eq!(listed("fuzz_targets"), names);
    assert_eq!(listed("seeds"), names);
    let manifest = fs::read_to_string(fuzz().join("Cargo.toml")).unwrap();
    let readme = fs::read_to_string(fuzz().join("README.md")).unwrap();
    for name in names {
        assert!(manifest.contains(&format!("path = \"fuzz_targets/{name}.rs\"")), "{name} is not built");
        assert!(readme.contains(&format!("\n| `{name}` | ")), "nothing says what {name} is");
    }
}
