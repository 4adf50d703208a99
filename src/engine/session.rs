//! The engine of a process, and the sessions that ask it.

use std::sync::Arc;

use datafusion::catalog::{CatalogProvider, TableProvider};
use datafusion::common::runtime::SpawnedTask;
use datafusion::common::{DFSchema, DataFusionError, Diagnostic, Location, Span, plan_err};
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::{
    FairSpillPool, MemoryConsumer, MemoryReservation, TrackConsumersPool,
};
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::execution::{SendableRecordBatchStream, SessionStateBuilder};
use datafusion::logical_expr::{Expr, LogicalPlan};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{ExecutionPlan, execute_stream};
use datafusion::prelude::{DataFrame, SQLOptions, SessionConfig, SessionContext};
use futures::{StreamExt as _, TryStreamExt as _, stream};

use crate::error::{Error, Kind, Result};
use crate::name::{Layer, TableName, did_you_mean};
use crate::project::{Channels, Mistake, check_nesting};
use crate::runtime::Memory;

use super::check::mistake_of;
use super::expressions::too_long_constant;
use super::failure::{caught, caught_rows, engine_error};
use super::function::{Functions, without_unions};
use super::turns::planner_rules;

/// The name under which a lake is known in SQL.
const CATALOG: &str = "lake";
/// Rows and bytes at a time in a session that has little memory for much.
const SPILLING_ROWS: usize = 1024;
const SPILLING_BYTES: usize = 2 << 20;
/// How many of the hungriest operators an error about memory names.
const NAMED_CONSUMERS: usize = 3;

/// What all sessions share: memory, spill space, cores.
#[derive(Clone)]
pub struct Engine {
    runtime: Arc<RuntimeEnv>,
    cores: usize,
    holding_limit: usize,
    functions: Arc<Functions>,
}

/// Questions to one catalog.
pub struct Session {
    context: SessionContext,
    holding_limit: usize,
}

impl Engine {
    /// An engine whose queries hold at most their part of `memory`; beyond it they spill to the
    /// system's temporary directory. Functions go by the rules of `channels`.
    pub fn new(memory: Memory, channels: &Arc<Channels>) -> Result<Self> {
        let limit =
            std::num::NonZeroUsize::new(NAMED_CONSUMERS).unwrap_or(std::num::NonZeroUsize::MIN);
        let pool = TrackConsumersPool::new(FairSpillPool::new(memory.for_queries()), limit);
        let disk = DiskManagerBuilder::default().with_mode(DiskManagerMode::OsTmpDirectory);
        let runtime = RuntimeEnvBuilder::new()
            .with_memory_pool(Arc::new(pool))
            .with_disk_manager_builder(disk)
            .build_arc()
            .map_err(|e| engine_error("cannot start the query engine", e))?;
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get);
        let functions = Arc::new(Functions::new(channels));
        Ok(Self { runtime, cores, holding_limit: memory.for_held_rows(), functions })
    }

    /// The same engine for a part of the work, of which each core does one.
    pub fn on_one_core(&self) -> Self {
        Self { cores: 1, ..self.clone() }
    }

    /// How many cores work at once.
    pub fn cores(&self) -> usize {
        self.cores
    }

    /// A session over `catalog`.
    pub fn session(&self, catalog: Arc<dyn CatalogProvider>) -> Session {
        self.session_with(catalog, true)
    }

    /// A session whose joins sort and spill instead of holding one side in memory: slower, but
    /// nothing is too large.
    pub fn spilling_session(&self, catalog: Arc<dyn CatalogProvider>) -> Session {
        self.session_with(catalog, false)
    }

    fn session_with(&self, catalog: Arc<dyn CatalogProvider>, prefer_hash_join: bool) -> Session {
        let mut config = SessionConfig::new()
            .with_target_partitions(self.cores)
            .with_information_schema(true)
            .with_default_catalog_and_schema(CATALOG, "gold")
            .with_create_default_catalog_and_schema(false)
            .with_parquet_pruning(true);
        if !prefer_hash_join {
            config = config.with_batch_size(SPILLING_ROWS);
        }
        let options = config.options_mut();
        options.execution.time_zone = Some("UTC".into());
        options.execution.parquet.pushdown_filters = true;
        options.execution.parquet.reorder_filters = true;
        options.execution.parquet.schema_force_view_types = false;
        options.sql_parser.collect_spans = true;
        options.sql_parser.map_string_types_to_utf8view = false;
        options.optimizer.prefer_hash_join = prefer_hash_join;
        if !prefer_hash_join {
            // Sorting wide rows merges what it spilled a batch of each run at a time: small batches
            // are what lets many runs be merged in little memory.
            options.execution.sort_spill_reservation_bytes = SPILLING_BYTES;
        }
        let state = SessionStateBuilder::new()
            .with_default_features()
            .with_config(config)
            .with_runtime_env(Arc::clone(&self.runtime))
            .with_physical_optimizer_rules(planner_rules())
            .build();
        let context = SessionContext::new_with_state(state);
        context.register_catalog(CATALOG, catalog);
        let registered = self.functions.register(&context);
        debug_assert!(registered.is_ok(), "{registered:?}");
        Session { context, holding_limit: self.holding_limit }
    }
}

impl Session {
    /// A reservation of nothing yet in the memory pool that all sessions share.
    pub(super) fn reserve(&self, what: &str) -> MemoryReservation {
        MemoryConsumer::new(what).register(&self.context.runtime_env().memory_pool)
    }

    /// How many bytes of rows a step of a run may hold at a time.
    pub fn holding_limit(&self) -> usize {
        self.holding_limit
    }

    /// The plan of a query that only reads.
    ///
    /// Errors: `Invalid` for SQL that does not parse or plan, or that would change something.
    pub async fn plan(&self, sql: &str) -> Result<LogicalPlan> {
        let plan = self.try_plan(sql).await.map_err(|e| self.query_error(sql, e))?;
        SQLOptions::new()
            .with_allow_ddl(false)
            .with_allow_dml(false)
            .with_allow_statements(false)
            .verify_plan(&plan)
            .map_err(|e| {
                Error::new(Kind::Invalid, "queries only read")
                    .because(e)
                    .hint("tables are filled by models: see `clickwatch run`")
            })?;
        Ok(plan)
    }

    pub(super) async fn try_plan(&self, sql: &str) -> datafusion::common::Result<LogicalPlan> {
        within_limits(sql)?;
        let (state, sql) = (self.context.state(), sql.to_owned());
        apart(async move { without_unions(state.create_logical_plan(&sql).await?) }).await
    }

    /// `plan` after all that can be improved without looking at rows.
    pub(super) fn optimized(&self, plan: &LogicalPlan) -> datafusion::common::Result<LogicalPlan> {
        self.context.state().optimize(plan)
    }

    /// The rows of a query that only reads.
    pub async fn query(&self, sql: &str) -> Result<DataFrame> {
        Ok(self.frame(self.plan(sql).await?))
    }

    /// The rows of `plan`.
    pub fn frame(&self, plan: LogicalPlan) -> DataFrame {
        DataFrame::new(self.context.state(), plan)
    }

    /// The rows of one table.
    pub fn table(&self, provider: Arc<dyn TableProvider>) -> Result<DataFrame> {
        self.context.read_table(provider).map_err(|e| engine_error("cannot read a table", e))
    }

    /// `plan` as it will be executed, in as many parts as there are cores.
    pub async fn physical(&self, plan: &LogicalPlan) -> Result<Arc<dyn ExecutionPlan>> {
        let (state, plan) = (self.context.state(), plan.clone());
        let physical = apart(async move {
            let plan = state.optimize(&plan)?;
            if let Some(bytes) = too_long_constant(&plan)? {
                return plan_err!(
                    "a constant of {bytes} bytes would be written for every row: shorten it"
                );
            }
            state.query_planner().create_physical_plan(&plan, &state).await
        });
        physical.await.map_err(|e| engine_error("cannot plan the query", e))
    }

    /// The rows of one part of `plan`.
    pub fn execute(
        &self,
        plan: &Arc<dyn ExecutionPlan>,
        part: usize,
    ) -> Result<SendableRecordBatchStream> {
        plan.execute(part, self.context.task_ctx())
            .map(caught_rows)
            .map_err(|e| engine_error("cannot run the query", e))
    }

    /// The rows of several plans with a session for each, one after the other.
    pub fn execute_in_turn(
        plans: Vec<(Self, Arc<dyn ExecutionPlan>)>,
    ) -> Option<SendableRecordBatchStream> {
        let schema = plans.first()?.1.schema();
        let rows = stream::iter(plans)
            .map(|(session, plan)| execute_stream(plan, session.context.task_ctx()))
            .try_flatten();
        Some(caught_rows(Box::pin(RecordBatchStreamAdapter::new(schema, rows))))
    }

    /// The rows of all parts of `plan`.
    pub fn execute_all(&self, plan: Arc<dyn ExecutionPlan>) -> Result<SendableRecordBatchStream> {
        execute_stream(plan, self.context.task_ctx())
            .map(caught_rows)
            .map_err(|e| engine_error("cannot run the query", e))
    }

    pub(super) fn expression(
        &self,
        sql: &str,
        schema: &DFSchema,
    ) -> datafusion::common::Result<Expr> {
        within_limits(sql)?;
        self.context.state().create_logical_expr(sql, schema)
    }

    /// A predicate over rows of `schema`, ready to be evaluated.
    pub fn predicate(&self, sql: &str, schema: &DFSchema) -> Result<Arc<dyn PhysicalExpr>> {
        self.expression(sql, schema)
            .and_then(|expression| self.context.state().create_physical_expr(expression, schema))
            .map_err(|e| engine_error("cannot plan an expectation", e).at("check", sql))
    }

    /// The tables that a query names.
    pub fn tables_of(&self, sql: &str) -> Result<Vec<TableName>> {
        let state = self.context.state();
        let dialect = state.config().options().sql_parser.dialect;
        let references = within_limits(sql)
            .and_then(|()| state.sql_to_statement(sql, &dialect))
            .and_then(|statement| state.resolve_table_references(&statement))
            .map_err(|e| self.query_error(sql, e))?;
        Ok(references
            .iter()
            .filter_map(|reference| {
                let layer = reference.schema().unwrap_or("gold");
                format!("{layer}.{}", reference.table()).parse().ok()
            })
            .collect())
    }

    /// An error about a query, with the place in it when that is known.
    fn query_error(&self, sql: &str, error: DataFusionError) -> Error {
        // An error of the catalog is about storage, and has its own kind; so has a panic.
        if matches!(
            error.find_root(),
            DataFusionError::External(_)
                | DataFusionError::ExecutionJoin(_)
                | DataFusionError::ObjectStore(_)
                | DataFusionError::IoError(_)
                | DataFusionError::ParquetError(_)
        ) {
            return engine_error("cannot answer the query", error);
        }
        let mistake = mistake_of(&error);
        match mistake.message.strip_prefix(&format!("table '{CATALOG}.")) {
            Some(rest) => self.unknown_table(rest.split('\'').next().unwrap_or_default()),
            None => mistaken(sql, mistake),
        }
    }

    fn unknown_table(&self, table: &str) -> Error {
        let catalog = self.context.catalog(CATALOG);
        let schema =
            |layer: Layer| catalog.as_ref().and_then(|catalog| catalog.schema(layer.as_str()));
        let known: Vec<String> = Layer::ALL
            .into_iter()
            .filter_map(|layer| Some((layer, schema(layer)?)))
            .flat_map(|(layer, schema)| {
                schema.table_names().into_iter().map(move |name| format!("{layer}.{name}"))
            })
            .collect();
        let error = Error::new(Kind::Missing, "there is no such table").at("table", table);
        match did_you_mean(table, known.iter().map(String::as_str)) {
            Some(hint) => error.hint(hint),
            None if known.is_empty() => {
                error.hint("the lake is empty: fill it with `clickwatch run`")
            }
            None => error.hint("see `clickwatch tables list`"),
        }
    }
}

/// An error that shows where in the query the mistake is.
fn mistaken(sql: &str, mistake: Mistake) -> Error {
    let mut text = Error::new(Kind::Invalid, format!("cannot plan the query: {}", mistake.message));
    if mistake.line > 0 {
        let line = sql.lines().nth(mistake.line - 1).unwrap_or_default().trim_end();
        text = text
            .at("line", mistake.line)
            .at("column", mistake.column)
            .showing(line, mistake.column);
    }
    match mistake.hint {
        Some(hint) => text.hint(hint),
        None => text,
    }
}

/// Fails, with the place, when `sql` nests deeper than it can be planned.
fn within_limits(sql: &str) -> datafusion::common::Result<()> {
    check_nesting(sql).map_err(|excess| {
        let place = Location { line: excess.line, column: excess.column };
        let span = Some(Span::new(place, place));
        let diagnostic = Diagnostic::new_error(excess.message.clone(), span);
        DataFusionError::Plan(excess.message).with_diagnostic(diagnostic)
    })
}

/// Does `work` in a task of its own, so that whoever waits for it can leave: planning computes what is
/// constant, which may take long, and nothing can interrupt it.
async fn apart<T: Send + 'static>(
    work: impl Future<Output = datafusion::common::Result<T>> + Send + 'static,
) -> datafusion::common::Result<T> {
    let done = SpawnedTask::spawn(caught(work)).join().await;
    done.map_err(|e| DataFusionError::ExecutionJoin(Box::new(e)))?
}
