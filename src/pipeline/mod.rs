//! The verb "run": sources into Bronze, models into Silver and Gold, and a record of it all.
//!
//! The order never varies: every SQL of the project is planned before anything is read; then each
//! source lands what is new; then each model, after all that it reads, is brought up to date. What
//! a table was built from is committed with the table, so a run that dies is continued by the next
//! one without anybody's help. At the end the new states of all tables are published together.
//!
//! The folders, from the bottom up; each uses those before it:
//!
//! | folder | what it does |
//! |---|---|
//! | `options`, `context`, `view`, `report`, `progress`, `foreign`, `thresholds` | what the steps of a run share |
//! | `check` | expectations of rows, and totals by which rows are compared |
//! | `land` | files of a source into a batch, a batch into Bronze |
//! | `build` | one model: what has to be done, and the doing of it |
//! | `maintain` | many small files into few |
//! | `verify` | tables against their full rebuilds |
//! | `run` | pipelines from the beginning to the end |

mod build;
mod check;
mod context;
mod foreign;
mod land;
mod maintain;
mod options;
mod progress;
mod report;
mod run;
mod thresholds;
mod verify;
mod view;

pub use maintain::Compacted;
pub use options::{Options, Refresh};
pub use progress::{Progress, Step, Underway};
pub use report::{
    Deliveries, ExpectationReport, PipelineReport, Report, SourceReport, Status, TableReport,
};
pub use run::{ModelPlan, PipelinePlan, Runner, SourcePlan};
pub use verify::{Difference, Verification, VerifyOptions, unclean};
