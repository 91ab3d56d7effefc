//! Colours, and whether what is written in them can be read (WCAG 2.2).

use std::fmt;

/// The contrast that text needs with what it stands on (success criterion 1.4.3).
pub const READABLE: f64 = 4.5;

/// An sRGB colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Colour([u8; 3]);

impl Colour {
    /// The darkest there is.
    pub const BLACK: Self = Self([0; 3]);
    /// The brightest there is.
    pub const WHITE: Self = Self([255; 3]);

    /// A colour by its six hexadecimal digits, as in `0x0b57d0`.
    #[must_use]
    pub const fn of(digits: u32) -> Self {
        let [_, red, green, blue] = digits.to_be_bytes();
        Self([red, green, blue])
    }

    /// Reads `#rrggbb`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix('#').filter(|digits| digits.len() == 6)?;
        // from_str_radix would read a sign.
        let hex = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        u32::from_str_radix(digits, 16).ok().filter(|_| hex).map(Self::of)
    }

    /// The contrast ratio of two colours, from 1 to 21.
    #[must_use]
    pub fn contrast(self, other: Self) -> f64 {
        let (a, b) = (self.luminance(), other.luminance());
        (a.max(b) + 0.05) / (a.min(b) + 0.05)
    }

    /// Black or white, whichever is read more easily on this colour. It is always [`READABLE`].
    #[must_use]
    pub fn ink(self) -> Self {
        if self.contrast(Self::BLACK) >= self.contrast(Self::WHITE) { Self::BLACK } else { Self::WHITE }
    }

    /// The first shade on the way to the ink of `paper` that is [`READABLE`] on it.
    #[must_use]
    pub fn readable_on(self, paper: Self) -> Self {
        let shades = (0..=u8::MAX).map(|part| self.mixed(paper.ink(), part));
        shades.into_iter().find(|shade| shade.contrast(paper) >= READABLE).unwrap_or(paper.ink())
    }

    /// This colour with so many parts in 255 of another.
    fn mixed(self, other: Self, part: u8) -> Self {
        let channel = |own: u8, others: u8| {
            let sum = u16::from(own) * u16::from(255 - part) + u16::from(others) * u16::from(part);
            u8::try_from(sum / 255).unwrap_or(u8::MAX)
        };
        let ([r, g, b], [other_r, other_g, other_b]) = (self.0, other.0);
        Self([channel(r, other_r), channel(g, other_g), channel(b, other_b)])
    }

    /// The relative luminance, from 0 to 1.
    fn luminance(self) -> f64 {
        let [red, green, blue] = self.0.map(|channel| {
            let part = f64::from(channel) / 255.0;
            if part <= 0.04045 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) }
        });
        0.2126 * red + 0.7152 * green + 0.0722 * blue
    }
}

/// As CSS writes it.
impl fmt::Display for Colour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [red, green, blue] = self.0;
        write!(f, "#{red:02x}{green:02x}{blue:02x}")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn contrasts_are_those_that_are_published() {
        for (a, b, ratio) in [
            (0x00_0000, 0xff_ffff, 21.0),
            (0xff_ffff, 0xff_ffff, 1.0),
            (0x76_7676, 0xff_ffff, 4.54),
            (0x77_7777, 0xff_ffff, 4.48),
            (0xff_0000, 0xff_ffff, 4.0),
            (0x00_00ff, 0x00_0000, 2.44),
        ] {
            let (a, b) = (Colour::of(a), Colour::of(b));
            assert!((a.contrast(b) - ratio).abs() < 0.005, "{a} on {b}: {}", a.contrast(b));
            assert!((a.contrast(b) - b.contrast(a)).abs() < 1e-9);
        }
    }

    #[test]
    fn only_six_digits_after_a_hash_are_a_colour() {
        assert_eq!(Colour::parse("#0B57d0").map(|colour| colour.to_string()).as_deref(), Some("#0b57d0"));
        for text in ["", "#", "0b57d0", "#0b57d", "#0b57d00", "#+b57d0", "#0b57g0", "#0b57é", "red"] {
            assert_eq!(Colour::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_shade_that_can_be_read_stays_as_it_is() {
        let blue = Colour::of(0x0b_57d0);
        assert_eq!(blue.readable_on(Colour::WHITE), blue);
        assert_eq!(Colour::of(0xff_ff00).ink(), Colour::BLACK);
        assert_eq!(blue.ink(), Colour::WHITE);
    }

    proptest! {
        #[test]
        fn whatever_the_colours_it_can_be_read(colour in 0u32..0x100_0000, paper in 0u32..0x100_0000) {
            let (colour, paper) = (Colour::of(colour), Colour::of(paper));
            prop_assert!(colour.contrast(colour.ink()) >= READABLE);
            prop_assert!(colour.readable_on(paper).contrast(paper) >= READABLE);
        }
    }
}
