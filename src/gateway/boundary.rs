//! Where one event of a stream ends and the next has not begun (WHATWG HTML §9.2.5): only there may something be said
//! between them.

/// What an idle stream is kept open with: a comment, which nobody is told of (WHATWG HTML §9.2.7 advises one every 15 s
/// or so).
pub const KEEP_ALIVE: &[u8] = b": keep-alive\n\n";

/// The end of what has gone by. A boundary is the beginning, or an empty line: no more than four bytes tell.
#[derive(Clone, Debug, Default)]
pub struct Tail {
    bytes: [u8; 4],
    length: usize,
}

impl Tail {
    /// Takes note of the next piece.
    pub fn push(&mut self, piece: &[u8]) {
        let piece = &piece[piece.len().saturating_sub(4)..];
        let kept = (4 - piece.len()).min(self.length);
        self.bytes.copy_within(self.length - kept..self.length, 0);
        self.bytes[kept..kept + piece.len()].copy_from_slice(piece);
        self.length = kept + piece.len();
    }

    /// Whether an event has just ended, or none has begun.
    #[must_use]
    pub fn is_boundary(&self) -> bool {
        let tail = &self.bytes[..self.length];
        let without = |ending: &[u8]| tail.strip_suffix(ending);
        // The last line ending, of which there are three, and what stands before it.
        let before = without(b"\r\n").or_else(|| without(b"\n")).or_else(|| without(b"\r"));
        tail.is_empty() || before.is_some_and(|before| matches!(before.last(), None | Some(b'\n' | b'\r')))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_ends_with_an_empty_line_however_it_comes() {
        for (text, expected) in [
            ("", true),
            ("data: x", false),
            ("data: x\n", false),
            ("data: x\r\n", false),
            ("data: x\r", false),
            ("data: x\n\n", true),
            ("data: x\r\n\r\n", true),
            ("data: x\r\r", true),
            ("data: x\n\r\n", true),
            ("data: x\r\n\n", true),
            ("data: x\n\ndata: y", false),
            ("data: x\n\ndata: y\n", false),
            ("\n", true),
            ("x\n", false),
            (": keep-alive\n\n", true),
        ] {
            for size in 1..=5 {
                let mut tail = Tail::default();
                for piece in text.as_bytes().chunks(size) {
                    tail.push(piece);
                }
                assert_eq!(tail.is_boundary(), expected, "{text:?} in pieces of {size}");
            }
        }
    }
}
