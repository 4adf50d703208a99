//! How much memory the program may use, and who gets which part of it.

use bytesize::ByteSize;

use crate::error::{Error, Kind, Result};

/// The smallest budget that the program can work in.
const SMALLEST: u64 = 256 << 20;

/// The memory budget of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory(u64);

impl Memory {
    /// A budget of `bytes`; refuses less than 256 MiB.
    pub fn new(bytes: u64) -> Result<Self> {
        if bytes < SMALLEST {
            return Err(Error::new(Kind::Invalid, "too little memory to work in")
                .at("memory", ByteSize(bytes).display().iec())
                .hint("give at least 256MiB"));
        }
        Ok(Self(bytes))
    }

    /// Half of what the machine has, or of what the control group allows.
    pub fn half_of_machine() -> Self {
        let mut system = sysinfo::System::new();
        system.refresh_memory();
        let total = system
            .cgroup_limits()
            .map_or(u64::MAX, |limits| limits.total_memory)
            .min(system.total_memory());
        Self((total / 2).max(SMALLEST))
    }

    /// What queries may hold; beyond it they spill. The rest is for what no pool accounts:
    /// decoders, Parquet readers and writers, and the code itself.
    pub fn for_queries(self) -> usize {
        usize::try_from(self.0 / 5 * 2).unwrap_or(usize::MAX)
    }

    /// What a step of a run may hold of keys or rows, out of what queries may.
    pub fn for_held_rows(self) -> usize {
        self.for_queries() / 8
    }

    /// What raw bytes and their decoded rows may hold while a source is read.
    pub fn for_ingest(self) -> usize {
        usize::try_from(self.0 / 4).unwrap_or(usize::MAX)
    }

    /// The whole budget in bytes.
    pub fn bytes(self) -> u64 {
        self.0
    }
}

/// Reads a size as people write it: `1GiB`, `512MB`, `800000000`.
pub fn parse_size(text: &str) -> std::result::Result<u64, String> {
    text.parse::<ByteSize>()
        .map(|size| size.as_u64())
        .map_err(|_| format!("`{text}` is no size: write for instance 512MiB or 2GiB"))
}
