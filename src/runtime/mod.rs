//! What a process has once: its clock, its way to be stopped, its memory, its way to die.

mod clock;
mod failpoint;
mod memory;
mod stop;

pub use clock::{Clock, Timestamp};
pub use failpoint::Failpoint;
pub use memory::{Memory, parse_size};
pub use stop::Stop;
