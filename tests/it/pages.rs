//! The pages: what they show, to whom, and what cannot get into them.

mod colours;
mod states;

use std::fs;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use entrada::app;
use entrada::config;
use entrada::domain::brand::Brand;
use entrada::protocol::registration::is_invisible;
use sha2::Digest;
use sha2::Sha256;

use crate::support::browser::Browser;
use crate::support::client::Client;
use crate::support::entrada::Entrada;
use crate::support::entrada::Setup;
use states::Page;

/// All that pages are made of: nothing here runs, and only what a person presses leads anywhere.
const ELEMENTS: &str = "a b bdi body button code dd div dl dt footer form h1 h2 head header html img input li link \
                        main meta p span strong style title ul";
const ATTRIBUTES: &str = "action alt charset class content href lang method name rel src type value";

struct Tag<'a> {
    name: &'a str,
    attributes: Vec<(&'a str, &'a str)>,
    /// What follows, up to its end.
    content: &'a str,
}

impl<'a> Tag<'a> {
    /// The elements of a page. Whatever was put in is escaped, so that a `<` begins a tag.
    fn all(html: &'a str) -> Vec<Self> {
        let starts = html.match_indices('<').map(|(at, _)| &html[at + 1..]);
        starts.filter(|rest| !rest.starts_with(['/', '!'])).map(Self::read).collect()
    }

    fn read(rest: &'a str) -> Self {
        let (tag, after) = rest.split_once('>').expect("a tag ends");
        let (name, attributes) = tag.split_once(' ').unwrap_or((tag, ""));
        let pieces: Vec<_> = attributes.split('"').collect();
        let pairs = pieces.chunks_exact(2).map(|pair| (pair[0].trim().trim_end_matches('='), pair[1]));
        let content = after.split_once(&format!("</{name}>")).map_or("", |(content, _)| content);
        Self { name, attributes: pairs.collect(), content }
    }

    fn attribute(&self, name: &str) -> Option<&'a str> {
        self.attributes.iter().find(|(attribute, _)| *attribute == name).map(|(_, value)| *value)
    }

    /// What it says, without the tags in it.
    fn text(&self) -> String {
        let parts = self.content.split('<').enumerate();
        let text =
            parts.map(|(n, part)| if n == 0 { part } else { part.split_once('>').map_or("", |(_, t)| t) });
        text.collect::<String>().trim().to_owned()
    }
}

async fn all() -> Vec<Page> {
    let mut pages = states::of_entrada().await;
    pages.append(&mut states::of_the_identity_provider().await);
    pages
}

fn style(page: &Page) -> &str {
    Tag::all(&page.html).into_iter().find(|tag| tag.name == "style").map(|tag| tag.content).unwrap()
}

fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for c in text.chars() {
        if "&<>\"'".contains(c) { escaped += &format!("&#{};", u32::from(c)) } else { escaped.push(c) }
    }
    escaped
}

/// `PAGES=DIR cargo test --test it pages::` leaves them there as files, for docs/pages.md.
#[tokio::test]
async fn every_state_has_a_page_for_everybody() {
    for page in &all().await {
        let (name, tags) = (&page.name, Tag::all(&page.html));
        assert!(page.html.starts_with("<!doctype html>\n<html lang=\"en\">"), "{name}");
        assert!(page.html.contains("content=\"width=device-width, initial-scale=1\""), "{name}");
        for once in ["title", "main", "h1"] {
            let texts: Vec<_> = tags.iter().filter(|tag| tag.name == once).map(Tag::text).collect();
            assert!(texts.len() == 1 && !texts[0].is_empty(), "{name}: {once}: {texts:?}");
        }
        for tag in &tags {
            match tag.name {
                "a" | "button" => assert!(!tag.text().is_empty(), "{name}: a control without a name"),
                "input" => assert_eq!(tag.attribute("type"), Some("hidden"), "{name}: it would need a label"),
                // Beside its name.
                "img" => assert_eq!(tag.attribute("alt"), Some(""), "{name}"),
                "form" => assert_eq!(tag.attribute("method"), Some("post"), "{name}"),
                _ => {}
            }
        }
        if let Some(directory) = std::env::var_os("PAGES") {
            fs::write(Path::new(&directory).join(format!("{name}.html")), &page.html).unwrap();
        }
    }
}

#[tokio::test]
async fn no_page_runs_or_loads_anything() {
    for page in &all().await {
        let name = &page.name;
        for tag in Tag::all(&page.html) {
            assert!(ELEMENTS.split_whitespace().any(|known| known == tag.name), "{name}: {}", tag.name);
            for (attribute, value) in &tag.attributes {
                let known = ATTRIBUTES.split_whitespace().any(|known| known == *attribute);
                assert!(known, "{name}: {} {attribute}", tag.name);
                let expected: &[&str] = match (tag.name, *attribute) {
                    ("link", "href") => &["data:,"],
                    (_, "src") => &["data:image/svg+xml;base64,"],
                    ("a", "href") => &["https://", "http://127.0.0.1:", "cursor://"],
                    (_, "action") => &["/consent", "http://127.0.0.1:"],
                    _ => continue,
                };
                assert!(
                    expected.iter().any(|start| value.starts_with(start)),
                    "{name}: {attribute}: {value}"
                );
            }
        }
        let style = style(page);
        for loading_or_moving in ["url(", "@import", "image-set", "animation", "transition"] {
            assert!(!style.contains(loading_or_moving), "{name}: {loading_or_moving}");
        }
        let hash = STANDARD.encode(Sha256::digest(style));
        let begin = format!("default-src 'none'; style-src 'sha256-{hash}'; ");
        assert!(page.policy.starts_with(&begin), "{name}: {}", page.policy);
        assert!(page.policy.ends_with("base-uri 'none'; frame-ancestors 'none'"), "{name}: {}", page.policy);
    }
}

#[tokio::test]
async fn the_brand_is_on_every_page_and_the_style_is_its_own() {
    let pages = states::of_entrada().await;
    let (with, without): (Vec<_>, Vec<_>) = pages
        .iter()
        .filter(|page| !page.name.starts_with("hostile-"))
        .partition(|page| page.name.starts_with("brand-"));
    assert_eq!((with.len(), without.len()), (20, 20));
    let logo = format!("src=\"data:image/svg+xml;base64,{}\"", STANDARD.encode(states::LOGO));
    let help = "href=\"https://help.contoso.example/mcp?from=a&#38;to=b\"";
    for page in with {
        let tags = Tag::all(&page.html);
        let of = |name: &str| tags.iter().find(|tag| tag.name == name).unwrap();
        assert_eq!(of("header").text(), "Contoso Tools");
        assert!(of("header").content.contains(&logo), "{}", page.name);
        assert!(of("title").text().ends_with(" · Contoso Tools"), "{}", page.name);
        let footer = of("footer");
        assert!(footer.text().contains("Contoso Tools") && footer.content.contains(help), "{}", page.name);
        let failed = !page.name.starts_with("brand-consent") && !page.name.contains("handover");
        assert_eq!(of("main").content.contains(help), failed, "{}", page.name);
        assert!(style(page).contains("--accent:#0f6e56;"), "{}", page.name);
    }
    for page in without {
        for absent in ["<header", "<footer", "<img", "Contoso"] {
            assert!(!page.html.contains(absent), "{}: {absent}", page.name);
        }
        assert!(style(page).contains("--accent:#0b57d0;"), "{}", page.name);
    }
}

#[tokio::test]
async fn a_name_is_text_whatever_is_in_it() {
    let pages = states::of_entrada().await;
    for (n, name) in states::hostile_names().iter().enumerate() {
        for (kind, links) in [("consent", 1), ("error", 3)] {
            let page = pages.iter().find(|page| page.name == format!("hostile-{kind}-{n}")).unwrap();
            // Isolated, so that it cannot turn around what stands beside it.
            let seen: String = name.chars().filter(|c| !is_invisible(*c)).collect();
            assert!(page.html.contains(&format!("<bdi>{}</bdi>", escaped(&seen))), "{}", page.name);
            let tags = Tag::all(&page.html);
            assert_eq!(tags.iter().filter(|tag| tag.name == "a").count(), links, "{}", page.name);
        }
    }
    let brand = Brand { name: Some("<b>\"R&D\"</b>".to_owned()), ..Brand::default() };
    let entrada = Entrada::with(Setup { brand, ..Setup::default() }).await;
    let page = entrada.get("/nothing").await;
    assert_eq!(page.body.matches("&#60;b&#62;&#34;R&#38;D&#34;&#60;/b&#62;").count(), 3, "{}", page.body);
    assert!(!page.body.contains("<b>"), "{}", page.body);
}

#[tokio::test]
async fn the_person_is_told_what_is_known_of_the_application_and_who_signs_them_in() {
    let entrada =
        Entrada::with(Setup { sign_in_with: "login.example.com".to_owned(), ..Setup::default() }).await;
    let client = Client::register(&entrada).await;
    let page = Browser::default().open(&entrada, &client.authorize(&[])).await;
    for words in [
        "<bdi>Test Client</bdi>",
        "It calls itself that. Nobody has verified the name.",
        "Any program on this computer can ask like this.",
        "you sign in with <bdi>login.example.com</bdi> next",
    ] {
        assert!(page.body.contains(words), "{words}: {}", page.body);
    }
    let buttons: Vec<_> = Tag::all(&page.body).into_iter().filter(|tag| tag.name == "button").collect();
    let choices: Vec<_> = buttons.iter().map(|tag| (tag.attribute("value").unwrap(), tag.content)).collect();
    assert_eq!(choices, [("deny", "Decline"), ("approve", "Allow, and sign in")]);
}

#[test]
fn only_microsoft_is_called_microsoft() {
    let known_as = |settings: &[(&str, &str)]| {
        let required = [
            ("PUBLIC_URL", "http://localhost:8000"),
            ("UPSTREAM__CLIENT_ID", "entrada"),
            ("UPSTREAM__CLIENT_SECRET", "secret"),
            ("RESOURCE", r#"[{path="/mcp", scopes={"mcp.read"="Read"}}]"#),
        ];
        let all = required.iter().chain(settings);
        let env = all.map(|(name, value)| (format!("ENTRADA_{name}").into(), (*value).into()));
        let config = config::load(None, env).unwrap();
        app::policy::policy(&config).ok().unwrap().sign_in_with
    };
    let tenant = ("UPSTREAM__TENANT", "11111111-2222-3333-4444-555555555555");
    assert_eq!(known_as(&[tenant]), "Microsoft");
    let authority = |origin| known_as(&[tenant, ("UPSTREAM__AUTHORITY", origin)]);
    assert_eq!(authority("https://login.microsoftonline.us"), "Microsoft");
    assert_eq!(authority("http://127.0.0.1:9400"), "127.0.0.1:9400");
    assert_eq!(
        authority("https://login.microsoftonline.com.example.net"),
        "login.microsoftonline.com.example.net"
    );
    let oidc = [("UPSTREAM__KIND", "oidc"), ("UPSTREAM__ISSUER", "https://login.example.com/realms/a")];
    assert_eq!(known_as(&oidc), "login.example.com");
}
