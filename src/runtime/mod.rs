//! What a process has once: its clock, its way to be stopped, its memory.

mod clock;
mod memory;
mod stop;

pub use clock::{Clock, Timestamp};
pub use memory::{Memory, parse_size};
pub use stop::Stop;
