//! Joins that give way to other work.
//!
//! A task that is stopped, or waited for by others on its core, goes on until it gives way by itself.
//! The planner lets whatever reads a table do so. A join may make millions of rows of a few that it
//! has read, and would keep its core until the last of them.

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode as _};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_optimizer::optimizer::PhysicalOptimizer;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::coop::CooperativeExec;

/// The rule of the planner that does the same for what reads a table.
const FOR_TABLES: &str = "EnsureCooperative";

/// The rules by which plans are made ready to be executed, with one for joins. Rules behind it let
/// parts of a plan refer to each other, which a later change would undo.
pub(super) fn planner_rules() -> Vec<Arc<dyn PhysicalOptimizerRule + Send + Sync>> {
    let mut rules = PhysicalOptimizer::new().rules;
    let place = rules.iter().position(|rule| rule.name() == FOR_TABLES);
    rules.insert(place.map_or(rules.len(), |place| place + 1), Arc::new(JoinsGiveWay));
    rules
}

/// Lets everything that reads more than one input give way from time to time.
#[derive(Debug)]
struct JoinsGiveWay;

impl PhysicalOptimizerRule for JoinsGiveWay {
    fn name(&self) -> &'static str {
        "JoinsGiveWay"
    }

    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        _config: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let changed = plan.transform_up(|plan| {
            if plan.children().len() < 2 {
                return Ok(Transformed::no(plan));
            }
            let plan: Arc<dyn ExecutionPlan> = Arc::new(CooperativeExec::new(plan));
            Ok(Transformed::yes(plan))
        })?;
        Ok(changed.data)
    }

    fn schema_check(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use futures::{FutureExt as _, StreamExt as _};

    use super::*;
    use crate::engine::{Engine, Tables};
    use crate::project::Channels;
    use crate::runtime::Memory;

    #[tokio::test]
    async fn a_join_gives_way_while_it_makes_many_rows_of_few() {
        let engine = Engine::new(Memory::new(1 << 30).unwrap(), &Channels::shipped().into());
        // In one part, nothing but the join itself is waited for.
        let engine = engine.unwrap().on_one_core();
        let session = engine.session(Tables::default().into_catalog());
        let side = "SELECT value AS v FROM generate_series(1, 4000)";
        for condition in ["a.v < b.v", "a.v % 2 = b.v % 2"] {
            let sql =
                format!("SELECT sum(a.v + b.v) FROM ({side}) a JOIN ({side}) b ON {condition}");
            let plan = session.plan(&sql).await.unwrap();
            let mut rows = session.execute_all(session.physical(&plan).await.unwrap()).unwrap();
            // One turn is not enough for millions of rows.
            assert!(rows.next().now_or_never().is_none(), "{condition}");
        }
    }

    #[test]
    fn joins_come_behind_tables_and_before_what_refers_to_them() {
        let rules = planner_rules();
        let place = |name| rules.iter().position(|rule| rule.name() == name).unwrap();
        assert_eq!(place("JoinsGiveWay"), place(FOR_TABLES) + 1);
        assert!(place("JoinsGiveWay") + 1 < rules.len());
    }
}
