//! The pages: what they show, to whom, and what cannot get into them.

mod states;

use std::fs;
use std::path::Path;

use states::Page;

async fn all() -> Vec<Page> {
    let mut pages = states::of_entrada().await;
    pages.append(&mut states::of_the_identity_provider().await);
    pages
}

/// `PAGES=DIR cargo test --test it pages::` leaves them there as files, for `docs/pages.md`.
#[tokio::test]
async fn every_state_has_a_page() {
    let pages = all().await;
    for page in &pages {
        assert!(page.html.starts_with("<!doctype html>"), "{}", page.name);
    }
    if let Some(directory) = std::env::var_os("PAGES") {
        for page in &pages {
            fs::write(Path::new(&directory).join(format!("{}.html", page.name)), &page.html).unwrap();
        }
    }
}
