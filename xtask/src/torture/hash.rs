//! A hash of bytes, to tell versions apart.

/// 64-bit FNV-1a.
pub(super) struct Fnv1a(u64);

impl Default for Fnv1a {
    fn default() -> Self {
        Self(0xCBF2_9CE4_8422_2325)
    }
}

impl Fnv1a {
    pub(super) fn add(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01B3);
        }
    }

    /// Sixteen digits.
    pub(super) fn text(&self) -> String {
        format!("{:016x}", self.0)
    }
}
