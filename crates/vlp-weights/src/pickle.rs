//! Scans a pickle without executing it, to bound its length and number of opcodes beforehand.

use std::io::{self, BufRead, Read};

use crate::limits::{PICKLE_BYTES, PICKLE_OPCODES};

/// Opcodes and bytes that remain for the pickles of a file.
#[derive(Debug)]
pub(crate) struct Budget {
    opcodes: u64,
    bytes: u64,
}

impl Default for Budget {
    fn default() -> Self {
        Self {
            opcodes: PICKLE_OPCODES,
            bytes: PICKLE_BYTES,
        }
    }
}

/// Error of scanning a pickle.
#[derive(Debug)]
pub(crate) enum PickleError {
    /// The pickle ends early or cannot be read.
    Io(io::Error),
    /// Not an opcode.
    Opcode(u8),
    /// The pickle has more bytes or opcodes than the budget.
    TooLong,
}

/// Argument that follows an opcode (see CPython's `pickletools`).
enum Argument {
    /// This many bytes.
    Bytes(u64),
    /// This many lines.
    Lines(u32),
    /// A length in this many bytes, then data of that length.
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

/// Moves `reader` past one pickle and subtracts it from the budget.
pub(crate) fn scan(reader: &mut impl BufRead, budget: &mut Budget) -> Result<(), PickleError> {
    loop {
        let [opcode] = read_bytes(reader, budget)?;
        budget.opcodes = budget.opcodes.checked_sub(1).ok_or(PickleError::TooLong)?;
        match argument(opcode).ok_or(PickleError::Opcode(opcode))? {
            Argument::Bytes(count) => skip(reader, budget, count)?,
            Argument::Lines(lines) => {
                for _ in 0..lines {
                    while read_bytes::<1>(reader, budget)? != [b'\n'] {}
                }
            }
            Argument::Counted(1) => {
                let count = read_bytes::<1>(reader, budget)?;
                skip(reader, budget, count[0].into())?;
            }
            Argument::Counted(4) => {
                let count = u32::from_le_bytes(read_bytes(reader, budget)?);
                skip(reader, budget, count.into())?;
            }
            Argument::Counted(_) => {
                let count = u64::from_le_bytes(read_bytes(reader, budget)?);
                skip(reader, budget, count)?;
            }
        }
        if opcode == b'.' {
            return Ok(());
        }
    }
}

fn read_bytes<const N: usize>(
    reader: &mut impl Read,
    budget: &mut Budget,
) -> Result<[u8; N], PickleError> {
    spend(budget, N as u64)?;
    let mut bytes = [0; N];
    reader.read_exact(&mut bytes).map_err(PickleError::Io)?;
    Ok(bytes)
}

fn skip(reader: &mut impl Read, budget: &mut Budget, count: u64) -> Result<(), PickleError> {
    spend(budget, count)?;
    let skipped = io::copy(&mut reader.take(count), &mut io::sink()).map_err(PickleError::Io)?;
    if skipped == count {
        Ok(())
    } else {
        Err(PickleError::Io(io::ErrorKind::UnexpectedEof.into()))
    }
}

fn spend(budget: &mut Budget, count: u64) -> Result<(), PickleError> {
    budget.bytes = budget
        .bytes
        .checked_sub(count)
        .ok_or(PickleError::TooLong)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn scan_all(bytes: &[u8]) -> Result<usize, PickleError> {
        let mut rest = bytes;
        scan(&mut rest, &mut Budget::default()).map(|()| bytes.len() - rest.len())
    }

    #[test]
    fn scan_ends_after_the_stop_opcode() {
        // `pickle.dumps({"a": [1, 2.5, b"x", "ü"], "n": None, "t": (True,)}, protocol=P) + b"rest"`
        let protocol_0 = b"(dp0\nVa\np1\n(lp2\nI1\naF2.5\na.rest";
        assert_eq!(scan_all(protocol_0).unwrap(), protocol_0.len() - 4);
        let protocol_2 = b"\x80\x02}q\0(X\x01\0\0\0aq\x01]q\x02(K\x01G@\x04\0\0\0\0\0\0ccollections\nOrderedDict\nq\x03)Re.rest";
        assert_eq!(scan_all(protocol_2).unwrap(), protocol_2.len() - 4);
        let protocol_4 =
            b"\x80\x04\x95\x0a\0\0\0\0\0\0\0\x8c\x01a\x94\x8d\x02\0\0\0\0\0\0\0.(\x94.rest";
        assert_eq!(scan_all(protocol_4).unwrap(), protocol_4.len() - 4);
    }

    #[test]
    fn invalid_pickles_are_rejected() {
        assert!(matches!(
            scan_all(b"\x80\x02\xff."),
            Err(PickleError::Opcode(0xff))
        ));
        assert!(matches!(scan_all(b"\x80\x02}"), Err(PickleError::Io(_))));
        // A string of 2^63 bytes exceeds the budget before it is read.
        assert!(matches!(
            scan_all(b"\x8d\0\0\0\0\0\0\0\x80a."),
            Err(PickleError::TooLong)
        ));
        let too_many = vec![b'}'; PICKLE_OPCODES as usize + 1];
        assert!(matches!(scan_all(&too_many), Err(PickleError::TooLong)));
    }
}
