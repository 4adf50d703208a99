#![doc = include_str!("ARCHITECTURE.md")]

pub mod cli;
pub mod engine;
pub mod error;
pub mod generate;
pub mod infer;
pub mod lake;
pub mod name;
pub mod ops;
pub mod pipeline;
pub mod project;
pub mod rewrite;
pub mod runtime;
pub mod source;
