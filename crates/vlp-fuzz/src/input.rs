//! The parts of an input.

/// Separates the files of an input: ASCII's record separator, which is no part of JSON, TOML or a caption.
const SEPARATOR: u8 = 0x1e;

/// The first byte of an input, which says how the rest is read. In a corpus it is a digit.
#[derive(Clone, Copy)]
pub(crate) struct Mode(u8);

impl Mode {
    /// The mode and the rest; `None` of an empty input.
    pub(crate) fn split(input: &[u8]) -> Option<(Self, &[u8])> {
        let (&first, rest) = input.split_first()?;
        Some((Self(first.wrapping_sub(b'0')), rest))
    }

    /// One of `count` readers, which `0`, `1`, .. stand for.
    pub(crate) fn below(self, count: u8) -> u8 {
        (self.0 & 0x3f) % count
    }

    /// A choice that is independent of [`below`](Self::below). No digit has it.
    pub(crate) fn flag(self) -> bool {
        self.0 & 0x40 != 0
    }
}

/// The files of an input; empty ones where it has fewer.
pub(crate) fn files<const N: usize>(input: &[u8]) -> [&[u8]; N] {
    let mut parts = input.splitn(N, |byte| *byte == SEPARATOR);
    std::array::from_fn(|_| parts.next().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_input_is_a_mode_and_files() {
        assert!(Mode::split(b"").is_none());
        let (mode, rest) = Mode::split(b"3one\x1etwo").unwrap_or((Mode(0), b""));
        assert_eq!((mode.below(4), mode.below(2), mode.flag()), (3, 1, false));
        assert_eq!(files(rest), [&b"one"[..], b"two", b""]);
        assert!(Mode::split(b"s").is_some_and(|(mode, _)| mode.flag() && mode.below(8) == 3));
    }
}
