//! What `loadtest` shares with the drivers of other systems in `peers`: how load is made, what is measured, and how a driver
//! is spoken to.
//!
//! A system under test is reached by a [driver::Driver]: it connects simulated homes and sends them commands. Each driver runs
//! in a process of its own, driven over standard input and output ([driver::serve]), so that one comparison holds systems whose
//! clients could never be linked into one program.

pub mod driver;
pub mod generator;
pub mod latencies;
pub mod sample;
pub mod usage;
