//! What the pages show of whoever runs the server.

use crate::domain::colour::Colour;

/// Everything that is unset is not shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Brand {
    /// Of the organisation or product.
    pub name: Option<String>,
    /// Stands beside the name, and never without it: it says nothing to those who cannot see it.
    pub logo: Option<Logo>,
    /// The colour of buttons and links.
    pub accent: Colour,
    /// Where people get help: an https URL or a mailto address.
    pub support_url: Option<String>,
}

impl Default for Brand {
    fn default() -> Self {
        Self { name: None, logo: None, accent: Colour::of(0x0b_57d0), support_url: None }
    }
}

/// A picture. Pages show it in an `<img>`, where nothing in it can run or be loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Logo {
    pub media_type: &'static str,
    pub bytes: Vec<u8>,
}
