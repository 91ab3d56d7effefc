//! What the pages show of the operator: `[brand]`.

use url::Url;

use super::file;
use super::syntax;
use super::values::Values;
use crate::domain::brand::Brand;
use crate::domain::brand::Logo;
use crate::domain::colour::Colour;

/// It is part of every page.
const MAX_LOGO: usize = 64 * 1024;

const PICTURES: &str = "an SVG, PNG, JPEG or WebP file";
const SVG: &str = "http://www.w3.org/2000/svg";

pub(super) fn read(values: &mut Values<'_>) -> Option<Brand> {
    let name = values.text("brand.name", |name| Ok(name.to_owned()));
    let logo = values.text("brand.logo", logo);
    let accent = values.text("brand.accent", accent);
    let support_url = values.text("brand.support_url", support_url);
    if logo.is_some() && !values.is_set("brand.name") {
        let sentence = "A logo says nothing to those who cannot see it. Write brand.name beside it.";
        values.problem::<()>("brand.logo", sentence);
    }
    Some(Brand { name, logo, accent: accent?, support_url })
}

fn accent(text: &str) -> Result<Colour, String> {
    Colour::parse(text).ok_or_else(|| "This is not a colour. Write it as in \"#0b57d0\".".to_owned())
}

/// Where people get help.
fn support_url(text: &str) -> Result<String, String> {
    let example = "Write it as in \"https://help.example.com\" or \"mailto:help@example.com\".";
    let url = Url::parse(text).ok().filter(|url| match url.scheme() {
        "https" => true,
        "mailto" => {
            url.path().split_once('@').is_some_and(|(name, host)| !name.is_empty() && !host.is_empty())
        }
        _ => false,
    });
    let url = url.ok_or_else(|| format!("This is neither an https URL nor a mailto address. {example}"))?;
    syntax::without_user(&url)?;
    Ok(url.into())
}

/// The picture in the file at `path`, known by its content.
fn logo(path: &str) -> Result<Logo, String> {
    let bytes = file::read(path, MAX_LOGO, PICTURES)?
        .ok_or("The file is larger than 64 KiB, and every page carries it. Name a smaller one.")?;
    let media_type = media_type(&bytes).ok_or_else(|| format!("The file is no picture. Name {PICTURES}."))?;
    if media_type == "image/svg+xml" && !contains(&bytes, SVG.as_bytes()) {
        return Err(format!(
            "Browsers show an SVG only in its namespace. Write xmlns=\"{SVG}\" into its svg element."
        ));
    }
    Ok(Logo { media_type, bytes })
}

fn media_type(bytes: &[u8]) -> Option<&'static str> {
    match bytes {
        [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', ..] => Some("image/png"),
        [0xff, 0xd8, 0xff, ..] => Some("image/jpeg"),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Some("image/webp"),
        _ => str::from_utf8(bytes).is_ok_and(is_svg).then_some("image/svg+xml"),
    }
}

/// Whether the first element is `svg`, after what XML lets stand before it.
fn is_svg(text: &str) -> bool {
    let mut rest = text.trim_start_matches('\u{feff}').trim_start();
    while let Some(after) = after_prolog(rest) {
        rest = after.trim_start();
    }
    rest.strip_prefix("<svg").is_some_and(|rest| rest.starts_with([' ', '\t', '\r', '\n', '>', '/']))
}

/// What follows an instruction, a comment, or a document type with or without declarations in it.
fn after_prolog(text: &str) -> Option<&str> {
    let within = |open: &str, close: &str| Some(text.strip_prefix(open)?.split_once(close)?.1);
    let instruction_or_comment = within("<?", "?>").or_else(|| within("<!--", "-->"));
    instruction_or_comment.or_else(|| {
        let (head, after) = text.strip_prefix("<!")?.split_once('>')?;
        if head.contains('[') {
            text.split_once(']')?.1.split_once('>').map(|(_, after)| after)
        } else {
            Some(after)
        }
    })
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}
