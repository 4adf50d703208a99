//! What a process has once: its time and chance, its way to be stopped, its memory, its way to die.

mod clock;
mod failpoint;
mod memory;
mod stop;

pub use clock::{Timestamp, now, random_pause, unique_id};
pub use failpoint::Failpoint;
pub use memory::{Memory, parse_size};
pub use stop::Stop;
