//! Whether everything can be read: WCAG 2.2, computed from the style sheets as they are served.

use std::collections::BTreeMap;

use entrada::domain::brand::Brand;
use entrada::domain::colour::Colour;
use entrada::http::Look;

use super::all;
use super::style;

/// What is written in which colour on which, and edges by which a control is seen.
const OURS: &[(&str, &str)] = &[
    ("ink", "paper"),
    ("ink", "ground"),
    ("soft", "paper"),
    ("soft", "ground"),
    ("link", "paper"),
    ("link", "ground"),
    ("on-accent", "accent"),
    ("warning-ink", "warning-paper"),
];
const IDP: &[(&str, &str)] = &[
    ("ink", "paper"),
    ("ink", "fill"),
    ("soft", "paper"),
    ("soft", "fill"),
    ("edge", "paper"),
    ("edge", "fill"),
    ("focus", "paper"),
    ("on-band", "band"),
];

type Variables<'a> = BTreeMap<&'a str, &'a str>;

/// The variables of the first `:root` after `start`.
fn variables<'a>(style: &'a str, start: &str) -> Variables<'a> {
    let (_, rest) = style.split_once(start).unwrap();
    let (block, _) = rest.split_once('}').unwrap();
    block.split(';').filter_map(|line| line.trim().strip_prefix("--")?.split_once(':')).collect()
}

/// Light, and dark.
fn schemes(style: &str) -> [Variables<'_>; 2] {
    let light = variables(style, ":root{");
    let mut dark = light.clone();
    dark.append(&mut variables(style, "@media (prefers-color-scheme:dark){:root{"));
    assert_ne!(light, dark);
    [light, dark]
}

fn luminance(colour: &str) -> f64 {
    let digits = colour.strip_prefix('#').unwrap();
    let channel = |at: usize, weight: f64| {
        let part = f64::from(u8::from_str_radix(&digits[at..at + 2], 16).unwrap()) / 255.0;
        weight * if part <= 0.04045 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) }
    };
    channel(0, 0.2126) + channel(2, 0.7152) + channel(4, 0.0722)
}

fn contrast(a: &str, b: &str) -> f64 {
    let (a, b) = (luminance(a), luminance(b));
    (a.max(b) + 0.05) / (a.min(b) + 0.05)
}

fn can_be_read(style: &str, pairs: &[(&str, &str)], what: &str) {
    for scheme in schemes(style) {
        for (text, paper) in pairs {
            let ratio = contrast(scheme[text], scheme[paper]);
            assert!(ratio >= 4.5, "{what}: {text} {} on {paper} {}: {ratio:.2}", scheme[text], scheme[paper]);
        }
    }
}

#[tokio::test]
async fn everything_can_be_read_in_light_and_in_dark() {
    for page in &all().await {
        let pairs = if page.name.starts_with("idp-") { IDP } else { OURS };
        can_be_read(style(page), pairs, &page.name);
    }
}

#[test]
fn no_accent_makes_anything_unreadable() {
    for accent in [
        "#ffff00", "#ffffff", "#000000", "#777777", "#808080", "#ff0000", "#00ff00", "#0000ff", "#1b1f24",
        "#f3f4f6", "#fefefe", "#010101",
    ] {
        let brand = Brand { accent: Colour::parse(accent).unwrap(), ..Brand::default() };
        let look = Look::new(&brand);
        can_be_read(&look.style, OURS, accent);
        // What the operator chose is what is filled.
        assert!(schemes(&look.style).iter().all(|scheme| scheme["accent"] == accent), "{accent}");
    }
}

/// What the rules paint is what the pairs above are about.
#[tokio::test]
async fn no_rule_brings_a_colour_of_its_own() {
    for page in &all().await {
        let style = style(page);
        let (_, rest) = style.split_once("@media (prefers-color-scheme:dark){:root{").unwrap();
        let (_, rules) = rest.split_once("}}").unwrap();
        // White behind a logo, whatever the scheme.
        let rules = rules.replace("background:#fff;", "");
        assert!(
            !rules.contains('#') && !rules.contains("rgb") && !rules.contains("opacity"),
            "{}",
            page.name
        );
    }
}
