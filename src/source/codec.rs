//! How a file is compressed: told by its first bytes, never by its name.

const GZIP: [u8; 2] = [0x1f, 0x8b];
pub(super) const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// The widest window that zstd itself knows: files made with `--long` need it.
pub(super) const ZSTD_WINDOW_LOG: u32 = 31;

/// How a file is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Codec {
    Gzip,
    Zstd,
}

impl Codec {
    /// The codec of a file that begins with `head`; None when it is not compressed.
    pub(super) fn of(head: &[u8]) -> Option<Self> {
        // The last ones are frames that zstd skips.
        let is_zstd = head.starts_with(&ZSTD) || matches!(head, [0x50..=0x5f, 0x2a, 0x4d, 0x18]);
        match (head.starts_with(&GZIP), is_zstd) {
            (true, _) => Some(Self::Gzip),
            (_, true) => Some(Self::Zstd),
            _ => None,
        }
    }
}
