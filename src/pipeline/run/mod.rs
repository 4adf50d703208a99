//! Pipelines from the beginning to the end: what is run, in which order, and what is written down.

mod models;
mod one_run;
mod plan;
mod publish;
mod record;
mod runner;
mod selection;

pub use plan::{ModelPlan, PipelinePlan, SourcePlan};
pub use runner::Runner;
