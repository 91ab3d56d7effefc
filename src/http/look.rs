//! What all pages have in common: the operator's brand, the style sheet, and the policy that pins it.

use axum::http::HeaderValue;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::Digest;
use sha2::Sha256;

use crate::domain::brand::Brand;
use crate::domain::brand::Logo;
use crate::domain::colour::Colour;

const RULES: &str = include_str!("pages/style.css");

/// The colours of one scheme, light or dark. Each `ink` can be read on what it stands on.
struct Scheme {
    /// Around the sheet.
    ground: Colour,
    /// The sheet itself.
    paper: Colour,
    ink: Colour,
    /// Labels and notes, and edges that have to be seen.
    soft: Colour,
    /// Lines that only please.
    line: Colour,
    warning_paper: Colour,
    warning_ink: Colour,
}

const LIGHT: Scheme = Scheme {
    ground: Colour::of(0xf3_f4f6),
    paper: Colour::of(0xff_ffff),
    ink: Colour::of(0x1b_1f24),
    soft: Colour::of(0x57_606a),
    line: Colour::of(0xd0_d7de),
    warning_paper: Colour::of(0xff_f4d6),
    warning_ink: Colour::of(0x5c_3d00),
};

const DARK: Scheme = Scheme {
    ground: Colour::of(0x10_1317),
    paper: Colour::of(0x1b_1f24),
    ink: Colour::of(0xe6_e8eb),
    soft: Colour::of(0xa3_abb5),
    line: Colour::of(0x3a_424b),
    warning_paper: Colour::of(0x3a_2e10),
    warning_ink: Colour::of(0xff_dd99),
};

/// Made once from the brand; every page refers to it.
pub struct Look {
    /// The one style sheet, which is inline.
    pub style: String,
    /// The operator's name, if it has one to show.
    pub name: Option<String>,
    /// The logo as a `data:` URI: a media type of ours and base64, so that nothing in it needs escaping.
    pub logo: Option<String>,
    /// Where people get help.
    pub support_url: Option<String>,
    policy: HeaderValue,
}

impl Look {
    /// The look of a brand.
    #[must_use]
    pub fn new(brand: &Brand) -> Self {
        let style = style(brand.accent);
        let hash = STANDARD.encode(Sha256::digest(&style));
        // No `form-action`: Chromium applies it to the whole chain of redirects after the form, which
        // leads to the identity provider.
        let policy = format!(
            "default-src 'none'; style-src 'sha256-{hash}'; img-src data:; base-uri 'none'; frame-ancestors 'none'"
        );
        Self {
            style,
            name: brand.name.clone(),
            logo: brand.logo.as_ref().map(data_uri),
            support_url: brand.support_url.clone(),
            policy: HeaderValue::from_str(&policy).expect("the policy is ASCII"),
        }
    }

    /// How many bytes of a page it makes.
    #[must_use]
    pub fn size(&self) -> usize {
        self.style.len() + self.logo.as_ref().map_or(0, String::len)
    }

    /// The value of `Content-Security-Policy` for a page in this look.
    #[must_use]
    pub fn policy(&self) -> HeaderValue {
        self.policy.clone()
    }
}

fn data_uri(logo: &Logo) -> String {
    format!("data:{};base64,{}", logo.media_type, STANDARD.encode(&logo.bytes))
}

fn style(accent: Colour) -> String {
    let (light, dark) = (LIGHT.variables(accent), DARK.variables(accent));
    format!(
        ":root{{color-scheme:light dark;{light}}}\n@media (prefers-color-scheme:dark){{:root{{{dark}}}}}\n{RULES}"
    )
}

impl Scheme {
    /// As custom properties. The accent is kept where it is filled with text of ours, and changed where it
    /// is the text, so that an operator's colour never makes anything hard to read.
    fn variables(&self, accent: Colour) -> String {
        let Self { ground, paper, ink, soft, line, warning_paper, warning_ink } = self;
        let on_accent = accent.ink();
        let link = accent.readable_on(*paper).readable_on(*ground);
        format!(
            "--ground:{ground};--paper:{paper};--ink:{ink};--soft:{soft};--line:{line};\
             --warning-paper:{warning_paper};--warning-ink:{warning_ink};\
             --accent:{accent};--on-accent:{on_accent};--link:{link}"
        )
    }
}
