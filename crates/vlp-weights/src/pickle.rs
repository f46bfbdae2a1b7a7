//! Walks over a pickle without acting on it, to know its length and number of steps beforehand.

use std::io::{self, BufRead, Read};

use crate::limits::{PICKLE_BYTES, PICKLE_STEPS};

/// What is left of the steps and bytes that the pickles of one file may take.
#[derive(Debug)]
pub(crate) struct Budget {
    steps: u64,
    bytes: u64,
}

impl Default for Budget {
    fn default() -> Self {
        Self {
            steps: PICKLE_STEPS,
            bytes: PICKLE_BYTES,
        }
    }
}

/// Why a pickle is not taken.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// It ends early or cannot be read.
    Io(io::Error),
    /// It holds a byte that is no step of a pickle.
    Opcode(u8),
    /// It has more bytes or steps than the budget.
    TooLong,
}

/// What follows an opcode (CPython's `pickletools`).
enum Argument {
    Bytes(u64),
    Lines(u32),
    /// A length of so many bytes, then as many bytes.
    Counted(usize),
}

fn argument(opcode: u8) -> Option<Argument> {
    Some(match opcode {
        b'(' | b'.' | b'0' | b'1' | b'2' | b'N' | b'Q' | b'R' | b'b' | b'd' | b'l' | b'o'
        | b't' | b's' | b'a' | b')' | b']' | b'}' | b'e' | b'u' => Argument::Bytes(0),
        0x81 | 0x85..=0x89 | 0x8f..=0x94 | 0x97 | 0x98 => Argument::Bytes(0),
        b'K' | b'h' | b'q' | 0x80 | 0x82 => Argument::Bytes(1),
        b'M' | 0x83 => Argument::Bytes(2),
        b'J' | b'j' | b'r' | 0x84 => Argument::Bytes(4),
        b'G' | 0x95 => Argument::Bytes(8),
        b'I' | b'L' | b'F' | b'V' | b'S' | b'g' | b'p' | b'P' => Argument::Lines(1),
        b'c' | b'i' => Argument::Lines(2),
        b'U' | b'C' | 0x8a | 0x8c => Argument::Counted(1),
        b'T' | b'X' | b'B' | 0x8b => Argument::Counted(4),
        0x8d | 0x8e | 0x96 => Argument::Counted(8),
        _ => return None,
    })
}

/// Moves `reader` past the pickle that starts there and takes it from the budget.
pub(crate) fn walk(reader: &mut impl BufRead, budget: &mut Budget) -> Result<(), Refusal> {
    loop {
        let [opcode] = take(reader, budget)?;
        budget.steps = budget.steps.checked_sub(1).ok_or(Refusal::TooLong)?;
        match argument(opcode).ok_or(Refusal::Opcode(opcode))? {
            Argument::Bytes(count) => skip(reader, budget, count)?,
            Argument::Lines(lines) => {
                for _ in 0..lines {
                    while take::<1>(reader, budget)? != [b'\n'] {}
                }
            }
            Argument::Counted(1) => {
                let count = take::<1>(reader, budget)?;
                skip(reader, budget, count[0].into())?;
            }
            Argument::Counted(4) => {
                let count = u32::from_le_bytes(take(reader, budget)?);
                skip(reader, budget, count.into())?;
            }
            Argument::Counted(_) => {
                let count = u64::from_le_bytes(take(reader, budget)?);
                skip(reader, budget, count)?;
            }
        }
        if opcode == b'.' {
            return Ok(());
        }
    }
}

fn take<const N: usize>(reader: &mut impl Read, budget: &mut Budget) -> Result<[u8; N], Refusal> {
    spend(budget, N as u64)?;
    let mut bytes = [0; N];
    reader.read_exact(&mut bytes).map_err(Refusal::Io)?;
    Ok(bytes)
}

fn skip(reader: &mut impl Read, budget: &mut Budget, count: u64) -> Result<(), Refusal> {
    spend(budget, count)?;
    let found = io::copy(&mut reader.take(count), &mut io::sink()).map_err(Refusal::Io)?;
    if found == count {
        Ok(())
    } else {
        Err(Refusal::Io(io::ErrorKind::UnexpectedEof.into()))
    }
}

fn spend(budget: &mut Budget, count: u64) -> Result<(), Refusal> {
    budget.bytes = budget.bytes.checked_sub(count).ok_or(Refusal::TooLong)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn walked(bytes: &[u8]) -> Result<usize, Refusal> {
        let mut rest = bytes;
        walk(&mut rest, &mut Budget::default()).map(|()| bytes.len() - rest.len())
    }

    #[test]
    fn a_pickle_ends_at_its_stop() {
        // `pickle.dumps({"a": [1, 2.5, b"x", "ü"], "n": None, "t": (True,)}, protocol=P) + b"rest"`
        let zero = b"(dp0\nVa\np1\n(lp2\nI1\naF2.5\na.rest";
        assert_eq!(walked(zero).unwrap(), zero.len() - 4);
        let two = b"\x80\x02}q\0(X\x01\0\0\0aq\x01]q\x02(K\x01G@\x04\0\0\0\0\0\0ccollections\nOrderedDict\nq\x03)Re.rest";
        assert_eq!(walked(two).unwrap(), two.len() - 4);
        let four = b"\x80\x04\x95\x0a\0\0\0\0\0\0\0\x8c\x01a\x94\x8d\x02\0\0\0\0\0\0\0.(\x94.rest";
        assert_eq!(walked(four).unwrap(), four.len() - 4);
    }

    #[test]
    fn what_is_no_pickle_is_refused() {
        assert!(matches!(
            walked(b"\x80\x02\xff."),
            Err(Refusal::Opcode(0xff))
        ));
        assert!(matches!(walked(b"\x80\x02}"), Err(Refusal::Io(_))));
        // A string of 2^63 bytes is over the budget before anything is read.
        assert!(matches!(
            walked(b"\x8d\0\0\0\0\0\0\0\x80a."),
            Err(Refusal::TooLong)
        ));
        let many = vec![b'}'; PICKLE_STEPS as usize + 1];
        assert!(matches!(walked(&many), Err(Refusal::TooLong)));
    }
}
