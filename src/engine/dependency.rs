//! What of a model has to be computed anew when a table that it reads changes.
//!
//! A model that is kept up to date `by` some columns is asked, for each table that it reads, which
//! columns of that table decide into which keys a row goes. The optimizer gives the proof: a filter
//! `key = x` over the model that it can push down to `column = x` over the table says that rows with
//! other values cannot matter to that key.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, SchemaRef, TimeUnit};
use async_trait::async_trait;
use datafusion::catalog::{Session as CatalogSession, TableProvider};
use datafusion::common::tree_node::{TreeNode as _, TreeNodeRecursion};
use datafusion::common::{DataFusionError, Result as DfResult, ScalarValue};
use datafusion::datasource::TableType;
use datafusion::logical_expr::{
    BinaryExpr, Expr, JoinType, LogicalPlan, LogicalPlanBuilder, Operator,
    TableProviderFilterPushDown, ident, lit,
};
use datafusion::physical_plan::ExecutionPlan;

use crate::error::{Error, Result};
use crate::name::TableName;
use crate::project::Model;

use super::origin::{is_traceable, origins, table_of};
use super::{Engine, Session, Tables, engine_error};

/// How rows of a table lead to the keys of a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyMapping {
    /// These columns of the table hold the keys, in the order of `by`.
    Keyed(Vec<String>),
    /// The model, run over nothing but the changed rows of the table, yields the keys.
    Linked,
    /// There is no telling, for the reason given.
    Opaque(String),
}

/// What a model needs of a table that it reads.
#[derive(Clone, Debug)]
pub struct Dependency {
    /// How a change finds the keys that it touches.
    pub keys: KeyMapping,
    /// The columns that matter to the model.
    pub columns: Vec<String>,
    /// Whether seeing a row of the table twice, or one that is gone, can only add to what the model
    /// yields.
    pub is_plain: bool,
}

/// What `model` needs of each table that it reads; `schemas` has the columns of all of these.
pub async fn dependencies(
    engine: &Engine,
    model: &Model,
    schemas: &HashMap<TableName, SchemaRef>,
) -> Result<HashMap<TableName, Dependency>> {
    let failed = |e| engine_error("cannot tell what a change of an upstream table touches", e);
    let probed = Probed::new(engine, model, schemas, failed).await?;
    let keys = model.by.iter().map(|column| key_columns(&probed, column));
    let keys = keys.collect::<DfResult<Vec<_>>>().map_err(failed)?;
    let Probed { whole, scans, .. } = probed;
    let outside = tables_outside_of_subqueries(&whole).map_err(failed)?;
    // A key that no table holds is computed from several rows, and then anything may touch it.
    let unheld = model.by.iter().zip(&keys).find(|(_, holders)| holders.is_empty());
    let mut dependencies = HashMap::new();
    for (table, Scans { columns, .. }) in scans {
        let held: Option<Vec<String>> =
            keys.iter().map(|holders| holders.get(&table).cloned()).collect();
        let path = match outside.get(&table) {
            Some(true) => path_to(&whole, &table).map(drop),
            _ => Err(format!("the model reads {table} in a subquery")),
        };
        let is_plain = path.is_ok();
        let mapping = match (unheld, held, path) {
            (Some((column, _)), _, _) => {
                KeyMapping::Opaque(format!("no table holds the key `{column}`"))
            }
            (None, Some(columns), _) if !columns.is_empty() => KeyMapping::Keyed(columns),
            (None, _, Ok(())) => KeyMapping::Linked,
            (None, _, Err(reason)) => KeyMapping::Opaque(reason),
        };
        dependencies.insert(table, Dependency { keys: mapping, columns, is_plain });
    }
    Ok(dependencies)
}

/// Whether the values of `columns` in what `model` yields are those of the columns of the same names
/// of `table`, unchanged.
pub async fn passed_on(
    engine: &Engine,
    model: &Model,
    schemas: &HashMap<TableName, SchemaRef>,
    table: &TableName,
    columns: &[&str],
) -> Result<bool> {
    let failed = |e| engine_error("cannot tell where a column comes from", e);
    let probed = Probed::new(engine, model, schemas, failed).await?;
    for column in columns {
        let holders = key_columns(&probed, column).map_err(failed)?;
        if holders.get(table).map(String::as_str) != Some(*column) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// A model planned over tables that let every filter come down to them.
struct Probed {
    session: Session,
    /// As it was written.
    plan: LogicalPlan,
    /// Optimized.
    whole: LogicalPlan,
    scans: HashMap<TableName, Scans>,
}

impl Probed {
    async fn new(
        engine: &Engine,
        model: &Model,
        schemas: &HashMap<TableName, SchemaRef>,
        failed: impl Fn(DataFusionError) -> Error,
    ) -> Result<Self> {
        let mut tables = Tables::default();
        for (name, schema) in schemas {
            tables.add(name.clone(), Arc::new(Probe(Arc::clone(schema))));
        }
        let session = engine.session(tables.into_catalog());
        let plan = session.plan(&model.sql).await?;
        let whole = session.optimized(&plan).map_err(&failed)?;
        let scans = scans(&whole).map_err(&failed)?;
        Ok(Self { session, plan, whole, scans })
    }
}

/// How a plan reads one table.
#[derive(Clone, Debug, Default)]
struct Scans {
    /// The columns that it reads, each once.
    columns: Vec<String>,
    /// How often it reads the table.
    count: usize,
}

/// The tables that `plan` scans.
fn scans(plan: &LogicalPlan) -> DfResult<HashMap<TableName, Scans>> {
    let mut scans: HashMap<TableName, Scans> = HashMap::new();
    plan.apply_with_subqueries(|node| {
        if let LogicalPlan::TableScan(scan) = node
            && let Some(table) = table_of(scan)
        {
            let own = scans.entry(table).or_default();
            own.count += 1;
            for field in scan.projected_schema.fields() {
                if !own.columns.contains(field.name()) {
                    own.columns.push(field.name().clone());
                }
            }
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(scans)
}

/// For each table whether all of its scans are outside of subqueries that are left in expressions.
fn tables_outside_of_subqueries(plan: &LogicalPlan) -> DfResult<HashMap<TableName, bool>> {
    let mut outside: HashMap<TableName, usize> = HashMap::new();
    plan.apply(|node| {
        if let LogicalPlan::TableScan(scan) = node
            && let Some(table) = table_of(scan)
        {
            *outside.entry(table).or_default() += 1;
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    let all = scans(plan)?;
    Ok(all
        .into_iter()
        .map(|(table, scans)| {
            let is_outside = outside.get(&table) == Some(&scans.count);
            (table, is_outside)
        })
        .collect())
}

/// For each table all of whose scans hold the key `column` of the model, the column that does.
fn key_columns(model: &Probed, column: &str) -> DfResult<HashMap<TableName, String>> {
    let Probed { session, plan, whole, scans } = model;
    if is_traceable(whole) {
        return Ok(traced(whole, scans, column));
    }
    let field = plan.schema().field_with_unqualified_name(column)?;
    let Some(value) = probe_value(field.data_type()) else { return Ok(HashMap::new()) };
    let filtered = |filter: Expr| {
        let plan = LogicalPlanBuilder::from(plan.clone()).filter(filter)?.build()?;
        session.optimized(&plan)
    };
    let equal = filters(&filtered(ident(column).eq(lit(value.clone())))?)?;
    let null = filters(&filtered(ident(column).is_null())?)?;
    let mut holders = HashMap::new();
    for (table, of_scans) in equal {
        // A scan that is gone yields rows of a key of its own, whatever the table holds.
        if scans.get(&table).map(|scans| scans.count) != Some(of_scans.len()) {
            continue;
        }
        let mut columns = of_scans.iter().map(|filters| column_equal_to(filters, &value));
        let Some(Some(holder)) = columns.next() else { continue };
        let is_same = columns.all(|other| other.as_ref() == Some(&holder));
        // The rows of the key NULL must come from the column as well: behind an outer join they
        // come from rows that have no partner, whatever their columns hold.
        let nulls = null.get(&table).map_or(&[][..], Vec::as_slice);
        if is_same && nulls.iter().all(|filters| demands_null(filters, &holder)) {
            holders.insert(table, holder);
        }
    }
    Ok(holders)
}

/// The same for a plan that only reshapes and groups rows: there it can be read off.
fn traced(
    whole: &LogicalPlan,
    scans: &HashMap<TableName, Scans>,
    column: &str,
) -> HashMap<TableName, String> {
    let origins = origins(whole, column).unwrap_or_default();
    let holder = |(table, columns): (TableName, Vec<String>)| {
        let first = columns.first()?.clone();
        let is_all = scans.get(&table).map(|scans| scans.count) == Some(columns.len());
        (is_all && columns.iter().all(|column| *column == first)).then_some((table, first))
    };
    origins.into_iter().filter_map(holder).collect()
}

/// The filters of each scan of each table.
fn filters(plan: &LogicalPlan) -> DfResult<HashMap<TableName, Vec<Vec<Expr>>>> {
    let mut filters: HashMap<TableName, Vec<Vec<Expr>>> = HashMap::new();
    plan.apply_with_subqueries(|node| {
        if let LogicalPlan::TableScan(scan) = node
            && let Some(table) = table_of(scan)
        {
            filters.entry(table).or_default().push(scan.filters.clone());
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(filters)
}

/// The column that one of `filters` says to be `value`.
fn column_equal_to(filters: &[Expr], value: &ScalarValue) -> Option<String> {
    filters.iter().find_map(|filter| match filter {
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Eq, right }) => {
            match (left.as_ref(), right.as_ref()) {
                (Expr::Column(column), Expr::Literal(literal, _))
                | (Expr::Literal(literal, _), Expr::Column(column)) => {
                    (literal == value).then(|| column.name.clone())
                }
                _ => None,
            }
        }
        _ => None,
    })
}

/// Whether one of `filters` says that `column` is NULL.
fn demands_null(filters: &[Expr], column: &str) -> bool {
    filters.iter().any(|filter| match filter {
        Expr::IsNull(inner) => {
            matches!(inner.as_ref(), Expr::Column(found) if found.name == column)
        }
        _ => false,
    })
}

/// A value that no query contains by chance.
fn probe_value(data_type: &DataType) -> Option<ScalarValue> {
    Some(match data_type {
        DataType::Utf8 => ScalarValue::Utf8(Some("\u{1}a key of nothing".into())),
        DataType::LargeUtf8 => ScalarValue::LargeUtf8(Some("\u{1}a key of nothing".into())),
        DataType::Utf8View => ScalarValue::Utf8View(Some("\u{1}a key of nothing".into())),
        DataType::Int16 => ScalarValue::Int16(Some(-31_337)),
        DataType::Int32 => ScalarValue::Int32(Some(-1_978_230_117)),
        DataType::Int64 => ScalarValue::Int64(Some(-7_046_029_254_386_353)),
        DataType::Date32 => ScalarValue::Date32(Some(-611_953)),
        DataType::Timestamp(TimeUnit::Microsecond, zone) => {
            ScalarValue::TimestampMicrosecond(Some(-7_046_029_254_386_353), zone.clone())
        }
        _ => return None,
    })
}

/// Whether the one scan of `table` in `plan` lies below an aggregation; an error when a changed
/// row of it may touch keys that the row itself does not lead to.
fn path_to(plan: &LogicalPlan, table: &TableName) -> std::result::Result<Option<bool>, String> {
    if let LogicalPlan::TableScan(scan) = plan {
        return Ok((table_of(scan).as_ref() == Some(table)).then_some(false));
    }
    let mut found = None;
    for (index, input) in plan.inputs().into_iter().enumerate() {
        if let Some(aggregated) = path_to(input, table)? {
            if found.is_some() {
                return Err(format!("the model reads {table} more than once"));
            }
            found = Some((index, aggregated));
        }
    }
    let Some((side, aggregated)) = found else { return Ok(None) };
    match plan {
        LogicalPlan::Projection(_) | LogicalPlan::SubqueryAlias(_) | LogicalPlan::Unnest(_) => {
            Ok(Some(aggregated))
        }
        LogicalPlan::Filter(_) if !aggregated => Ok(Some(false)),
        LogicalPlan::Aggregate(_) | LogicalPlan::Distinct(_) => Ok(Some(true)),
        LogicalPlan::Join(join) if !aggregated && leads_on(join.join_type, side) => Ok(Some(false)),
        _ => Err(format!("the model reads {table} below `{}`", plan.display())),
    }
}

/// Whether every row of a join that depends on a row of the input `side` (0 is the left) is found
/// by joining that row alone.
fn leads_on(join_type: JoinType, side: usize) -> bool {
    match join_type {
        JoinType::Inner | JoinType::LeftSemi | JoinType::RightSemi => true,
        JoinType::Left | JoinType::LeftAnti => side == 0,
        JoinType::Right | JoinType::RightAnti => side == 1,
        _ => false,
    }
}

/// A table that is only planned over, and lets every filter come down to it.
#[derive(Debug)]
struct Probe(SchemaRef);

#[async_trait]
impl TableProvider for Probe {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.0)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> DfResult<Vec<TableProviderFilterPushDown>> {
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }

    async fn scan(
        &self,
        _: &dyn CatalogSession,
        _: Option<&Vec<usize>>,
        _: &[Expr],
        _: Option<usize>,
    ) -> DfResult<Arc<dyn ExecutionPlan>> {
        Err(DataFusionError::Internal("a probe has no rows".into()))
    }
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::{Field, Schema};

    use super::*;
    use crate::project::{Channels, Expectation, Strategy, Thresholds};
    use crate::runtime::Memory;

    fn model(sql: &str, by: &[&str]) -> Model {
        Model {
            table: "gold.m".parse().unwrap(),
            file: String::new(),
            description: String::new(),
            sql: sql.to_owned(),
            normal_sql: String::new(),
            rules: String::new(),
            reads: Vec::new(),
            strategy: Strategy::Recompute,
            by: by.iter().map(|column| (*column).to_owned()).collect(),
            partition_by: Vec::new(),
            expectations: Vec::<Expectation>::new(),
            thresholds: Thresholds::default(),
            declared_at: (String::new(), 0),
        }
    }

    async fn mapping(sql: &str, by: &[&str], table: &str) -> KeyMapping {
        let engine =
            Engine::new(Memory::new(1 << 30).unwrap(), &Channels::shipped().into()).unwrap();
        let schema = |columns: &[&str]| -> SchemaRef {
            let fields = columns.iter().map(|name| Field::new(*name, DataType::Utf8, true));
            Arc::new(Schema::new(fields.collect::<Vec<_>>()))
        };
        let schemas = HashMap::from([
            ("silver.s".parse().unwrap(), schema(&["day", "person", "page", "at"])),
            ("silver.p".parse().unwrap(), schema(&["person", "first"])),
        ]);
        let all = dependencies(&engine, &model(sql, by), &schemas).await.unwrap();
        all[&table.parse().unwrap()].keys.clone()
    }

    fn keyed(columns: &[&str]) -> KeyMapping {
        KeyMapping::Keyed(columns.iter().map(|column| (*column).to_owned()).collect())
    }

    #[tokio::test]
    async fn a_group_is_touched_by_the_rows_that_go_into_it() {
        let sql = "SELECT day AS d, count(*) AS n FROM silver.s GROUP BY day";
        assert_eq!(mapping(sql, &["d"], "silver.s").await, keyed(&["day"]));
        let sql = "WITH v AS (SELECT day, person, count(*) AS n FROM silver.s GROUP BY day, person)
            SELECT day, count(*) AS n FROM v GROUP BY day HAVING count(*) > 1";
        assert_eq!(mapping(sql, &["day"], "silver.s").await, keyed(&["day"]));
        let sql = "SELECT *, row_number() OVER (PARTITION BY day ORDER BY at) AS r FROM silver.s";
        assert_eq!(mapping(sql, &["day"], "silver.s").await, keyed(&["day"]));
    }

    #[tokio::test]
    async fn what_looks_beyond_its_key_is_not_narrowed() {
        for sql in [
            "SELECT *, row_number() OVER (ORDER BY at) AS r FROM silver.s",
            "SELECT * FROM silver.s ORDER BY at LIMIT 10",
            "SELECT max(day) AS day, person FROM silver.s GROUP BY person",
            "SELECT day, count(*) * 1.0 / (SELECT count(*) FROM silver.s) AS part FROM silver.s GROUP BY day",
            "SELECT 'all' AS day, count(*) AS n FROM silver.s UNION ALL SELECT day, count(*) FROM silver.s GROUP BY day",
            "SELECT max(day) AS day, person FROM silver.s GROUP BY person UNION ALL SELECT first, person FROM silver.p",
        ] {
            let found = mapping(sql, &["day"], "silver.s").await;
            assert!(matches!(found, KeyMapping::Opaque(_)), "{sql}: {found:?}");
        }
    }

    #[tokio::test]
    async fn a_joined_table_leads_to_the_keys_when_each_of_its_rows_does() {
        let sql = "SELECT s.day, count(*) AS n FROM silver.s s JOIN silver.p p ON p.person = s.person GROUP BY s.day";
        assert_eq!(mapping(sql, &["day"], "silver.s").await, keyed(&["day"]));
        assert_eq!(mapping(sql, &["day"], "silver.p").await, KeyMapping::Linked);
        let both = "SELECT s.person, count(*) AS n FROM silver.s s JOIN silver.p p ON p.person = s.person GROUP BY s.person";
        assert_eq!(mapping(both, &["person"], "silver.s").await, keyed(&["person"]));
        assert_eq!(mapping(both, &["person"], "silver.p").await, keyed(&["person"]));
        for sql in [
            "SELECT s.day, count(p.first) AS n FROM silver.s s LEFT JOIN silver.p p ON p.person = s.person GROUP BY s.day",
            "SELECT s.day, count(*) AS n FROM silver.s s WHERE s.person NOT IN (SELECT person FROM silver.p WHERE person IS NOT NULL) GROUP BY s.day",
            "SELECT s.day, count(*) AS n FROM silver.s s JOIN (SELECT first, count(*) AS k FROM silver.p GROUP BY first) p ON p.k > length(s.page) GROUP BY s.day",
        ] {
            let found = mapping(sql, &["day"], "silver.p").await;
            assert!(matches!(found, KeyMapping::Opaque(_)), "{sql}: {found:?}");
        }
    }

    #[tokio::test]
    async fn a_key_from_the_far_side_of_an_outer_join_is_not_trusted() {
        let sql = "SELECT p.first, count(*) AS n FROM silver.s s LEFT JOIN silver.p p ON p.person = s.person GROUP BY p.first";
        for table in ["silver.s", "silver.p"] {
            assert!(
                matches!(mapping(sql, &["first"], table).await, KeyMapping::Opaque(_)),
                "{table}"
            );
        }
    }
}
