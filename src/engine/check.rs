//! Planning every model before anything is read or written.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, SchemaRef};
use datafusion::catalog::TableProvider;
use datafusion::common::{DFSchema, DataFusionError, SchemaError};
use datafusion::datasource::empty::EmptyTable;
use datafusion::logical_expr::{ExprSchemable as _, LogicalPlan};

use crate::error::{Error, Kind, Problem, Result};
use crate::lake::storable;
use crate::name::{TableName, did_you_mean};
use crate::project::{Mistake, Model, Project, Strategy};
use crate::source::bronze_schema;

use super::expressions::Calls;
use super::origin::row_by_row;
use super::{Engine, LINEAGE, Session, Tables};

/// A project all of whose SQL plans.
#[derive(Clone, Debug, Default)]
pub struct Checked {
    /// The stored schema of every table that the project declares.
    pub schemas: HashMap<TableName, SchemaRef>,
    /// The models that keep one record for each key.
    pub upserts: HashMap<TableName, Model>,
    /// What the rows of each model depend on besides its SQL and its inputs: the versions of the engine
    /// and of our functions that it and its expectations call. A model whose text here is another than
    /// when it was built is built anew.
    pub semantics: HashMap<TableName, String>,
}

/// Plans every model of `project` over empty tables, in the order of the building.
///
/// Errors: `Invalid` with every problem of every model, and those that were found when the project
/// was loaded. A model that reads one with a problem is not checked: its problems would be echoes.
pub async fn check(engine: &Engine, project: &Project) -> Result<Checked> {
    let mut schemas = HashMap::new();
    for source in project.sources() {
        schemas.insert(source.table.clone(), bronze_schema(&source.columns));
    }
    let mut semantics = HashMap::new();
    let mut problems = project.problems.clone();
    let mut waiting: Vec<&Model> = project.models().collect();
    // Models of different pipelines may read each other, so their order is found by waiting.
    loop {
        let (ready, later): (Vec<_>, Vec<_>) = waiting
            .into_iter()
            .partition(|model| model.reads.iter().all(|read| schemas.contains_key(read)));
        if ready.is_empty() {
            break;
        }
        for (table, found) in check_models(engine, &ready, &schemas).await? {
            match found {
                Ok(sound) => {
                    semantics.insert(table.clone(), sound.semantics);
                    schemas.insert(table, sound.schema);
                }
                Err(found) => problems.extend(found),
            }
        }
        waiting = later;
    }
    if problems.is_empty() {
        let upserts = project.models().filter(|model| model.strategy == Strategy::Upsert);
        let upserts = upserts.map(|model| (model.table.clone(), model.clone())).collect();
        Ok(Checked { schemas, upserts, semantics })
    } else {
        Err(Error::problems("the project has mistakes", problems))
    }
}

/// The schemas of `models`, or their problems, in their order: they are checked on all cores.
async fn check_models(
    engine: &Engine,
    models: &[&Model],
    schemas: &HashMap<TableName, SchemaRef>,
) -> Result<Vec<(TableName, Found)>> {
    let checks = models.iter().map(|model| {
        let mut tables = Tables::default();
        for (name, schema) in schemas.iter().filter(|(name, _)| model.reads.contains(name)) {
            let table: Arc<dyn TableProvider> = Arc::new(EmptyTable::new(Arc::clone(schema)));
            tables.add(name.clone(), table);
        }
        let (engine, model) = (engine.clone(), (*model).clone());
        tokio::spawn(async move {
            let session = engine.session(tables.into_catalog());
            let found = check_model(&session, &model).await?;
            Ok::<_, Error>((model.table, found))
        })
    });
    let mut checked = Vec::with_capacity(models.len());
    for check in checks.collect::<Vec<_>>() {
        let bug = |e| Error::new(Kind::Bug, "a check ended by itself").because(e);
        checked.push(check.await.map_err(bug)??);
    }
    Ok(checked)
}

/// A model whose SQL plans.
struct Sound {
    schema: SchemaRef,
    semantics: String,
}

/// A sound model, or what is wrong with it.
type Found = Result<Sound, Vec<Problem>>;

/// Errors: when the engine fails for another reason than what the model says.
async fn check_model(session: &Session, model: &Model) -> Result<Found> {
    let plan = match session.try_plan(&model.sql).await {
        Ok(plan) => plan,
        Err(e) => return Ok(Err(vec![in_sql(model, mistake_of(&e))])),
    };
    // What only shows once the plan is optimised, such as types that do not compare.
    match session.physical(&plan).await {
        Ok(_) => Ok(check_plan(session, model, &plan)),
        Err(e) if matches!(e.kind(), Kind::Invalid | Kind::Data) => {
            // What is wrong with the columns says more than what the engine makes of it.
            let cause =
                std::error::Error::source(&e).map_or_else(|| e.to_string(), ToString::to_string);
            let mistake = Mistake::of_file(cause.lines().next().unwrap_or_default().to_owned());
            Ok(Err(check_columns_of(model, &plan)
                .err()
                .unwrap_or_else(|| vec![in_sql(model, mistake)])))
        }
        Err(e) => Err(e.at("table", &model.table)),
    }
}

/// The stored schema of `plan`, or what is wrong with its columns.
fn check_columns_of(model: &Model, plan: &LogicalPlan) -> Result<SchemaRef, Vec<Problem>> {
    let problem = |message: String| in_sql(model, Mistake::of_file(message));
    if plan.schema().fields().is_empty() {
        let message = "it selects no column: name those that the table has";
        return Err(vec![problem(message.to_owned())]);
    }
    storable(plan.schema().as_arrow())
        .map_err(|wrong| wrong.into_iter().map(problem).collect::<Vec<_>>())
}

fn check_plan(session: &Session, model: &Model, plan: &LogicalPlan) -> Found {
    let wrong = |e| vec![in_sql(model, mistake_of(&e))];
    let schema = check_columns_of(model, plan)?;
    let mut problems = check_columns(model, &schema);
    problems.extend(check_strategy(session, model, plan));
    let mut calls = Calls::of_plan(plan).map_err(wrong)?;
    problems.extend(calls.unrepeatable().map(|names| Problem {
        line: line_of_call(&model.sql, names),
        ..in_sql(model, unrepeatable(names))
    }));
    let columns = DFSchema::try_from(Arc::clone(&schema)).map_err(wrong)?;
    for expectation in &model.expectations {
        match check_expectation(session, &expectation.check, &columns) {
            Ok(found) => calls.extend(found),
            Err(mistake) => {
                let (file, line) = expectation.declared_at.clone();
                let Mistake { message, hint, .. } = mistake;
                problems.push(Problem { file, line, column: 0, message, hint });
            }
        }
    }
    if problems.is_empty() {
        Ok(Sound { schema, semantics: calls.semantics() })
    } else {
        Err(problems)
    }
}

/// What the expectation `check` over `columns` calls, or what is wrong with it.
fn check_expectation(session: &Session, check: &str, columns: &DFSchema) -> Result<Calls, Mistake> {
    let expression = session.expression(check, columns).map_err(|e| mistake_of(&e))?;
    let data_type = expression.get_type(columns).map_err(|e| mistake_of(&e))?;
    if data_type != DataType::Boolean {
        return Err(Mistake::of_file(format!("`{check}` is neither true nor false")));
    }
    let calls = Calls::of_expression(&expression).map_err(|e| mistake_of(&e))?;
    let first = calls.unrepeatable().next().map(unrepeatable);
    first.map_or(Ok(calls), Err)
}

/// A table equals its SQL only as long as the SQL means the same tomorrow.
fn unrepeatable(names: &[String]) -> Mistake {
    let name = names.first().map_or("", String::as_str);
    Mistake::of_file(format!("`{name}()` gives something else in every run"))
        .hint("take it from the rows, as the time of an event, or ask ad hoc with `sql`")
}

/// The first line in which a function is called by one of `names`; 0 for none.
fn line_of_call(sql: &str, names: &[String]) -> usize {
    let is_part = |letter: char| letter.is_alphanumeric() || letter == '_';
    let calls = |line: &str| {
        let code = line.split("--").next().unwrap_or_default().to_lowercase();
        code.split(|letter| !is_part(letter)).any(|word| names.iter().any(|name| name == word))
    };
    sql.lines().position(calls).map_or(0, |index| index + 1)
}

/// The columns that the declaration names must be in the result.
fn check_columns(model: &Model, schema: &SchemaRef) -> Vec<Problem> {
    let names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    let (file, line) = model.declared_at.clone();
    let mut problems = Vec::new();
    for column in model.by.iter().chain(&model.partition_by) {
        if !names.contains(&column.as_str()) {
            problems.push(Problem {
                file: file.clone(),
                line,
                column: 0,
                message: format!("`{}` has no column `{column}`", model.table),
                hint: did_you_mean(column, names.iter().copied()),
            });
        }
    }
    problems.extend(check_types(model, schema));
    let missing: Vec<_> =
        LINEAGE.iter().filter(|column| !names.contains(*column)).copied().collect();
    if model.strategy == Strategy::Upsert && !missing.is_empty() {
        let list = missing.join(", ");
        problems.push(Problem {
            file: model.file.clone(),
            line: 0,
            column: 0,
            message: format!(
                "an upsert tells the newest record by its origin, but selects no {list}"
            ),
            hint: Some(format!("add {list} to the SELECT")),
        });
    }
    problems
}

/// Keys must compare as they are stored, and partitions be spelled in paths.
fn check_types(model: &Model, schema: &SchemaRef) -> Vec<Problem> {
    let (file, line) = model.declared_at.clone();
    let problem = |message: String, hint: &str| Problem {
        file: file.clone(),
        line,
        column: 0,
        message,
        hint: Some(hint.to_owned()),
    };
    let of_type = |column: &String| Some(schema.field_with_name(column).ok()?.data_type().clone());
    let is_exact = |data_type: &DataType| {
        !data_type.is_nested() && !data_type.is_floating() && *data_type != DataType::Binary
    };
    let mut problems = Vec::new();
    for (columns, what) in [(&model.by, "a key"), (&model.partition_by, "a partition")] {
        for column in columns {
            if of_type(column).is_some_and(|data_type| !is_exact(&data_type)) {
                let message = format!("`{}`: `{column}` cannot be {what}", model.table);
                problems.push(problem(message, "use a text, a number without fraction, a day"));
            }
        }
    }
    let is_partition = |field: &Arc<Field>| model.partition_by.contains(field.name());
    if !model.partition_by.is_empty() && schema.fields().iter().all(is_partition) {
        let message = format!("`{}` has no column besides its partitions", model.table);
        problems.push(problem(message, "drop one from partition-by"));
    }
    problems
}

/// What sees only new rows must not need the old ones.
fn check_strategy(session: &Session, model: &Model, plan: &LogicalPlan) -> Option<Problem> {
    if !matches!(model.strategy, Strategy::Append | Strategy::Upsert) {
        return None;
    }
    let optimized = session.optimized(plan).ok()?;
    let reason = row_by_row(&optimized).err()?;
    let (file, line) = model.declared_at.clone();
    let strategy = model.strategy.as_str();
    Some(Problem {
        file,
        line,
        column: 0,
        message: format!("`{}` {reason}, and an {strategy} sees only the new ones", model.table),
        hint: Some("use strategy = \"recompute\" with `by`, or \"full\"".to_owned()),
    })
}

fn in_sql(model: &Model, mistake: Mistake) -> Problem {
    mistake.in_file(&model.file)
}

/// What the planner says is wrong with a query, with the place and the nearest names read out of
/// `error`.
pub(super) fn mistake_of(error: &DataFusionError) -> Mistake {
    if let DataFusionError::SQL(parser, _) = error.find_root() {
        return Mistake::of_syntax(parser);
    }
    let start = error.diagnostic().and_then(|diagnostic| diagnostic.span).map(|span| span.start);
    let number = |number: u64| usize::try_from(number).unwrap_or(0);
    let (line, column) = start.map_or((0, 0), |start| (number(start.line), number(start.column)));
    if let DataFusionError::SchemaError(schema, _) = error.find_root()
        && let SchemaError::FieldNotFound { field, valid_fields } = schema.as_ref()
    {
        let message = format!("there is no column `{}`", field.flat_name());
        let valid: Vec<_> = valid_fields.iter().map(|column| column.name.as_str()).collect();
        let hint = did_you_mean(&field.name, valid);
        return Mistake { hint, ..Mistake::at(line, column, message) };
    }
    let message = message_of(error);
    dot_behind_word(&message).unwrap_or_else(|| Mistake::at(line, column, message))
}

/// The mistake of which the parser says only how it has stored it: `user` has a meaning in SQL, so that
/// `user.id` is no field of a column.
fn dot_behind_word(said: &str) -> Option<Mistake> {
    let (_, expression) = said.split_once("Dot access not supported for non-string expr")?;
    let place = |text: &str| {
        let (line, rest) = text.split_once(',')?;
        let (column, _) = rest.split_once(')')?;
        Some((line.parse::<usize>().ok()?, column.parse::<usize>().ok()?))
    };
    let found = expression.split_once("Location(").and_then(|(_, text)| place(text));
    let (line, column) = found.unwrap_or((0, 0));
    let message = "a dot does not lead on from a word that has a meaning in SQL";
    let hint = "put the word in quotes, as in \"user\".id, or write user['id']";
    Some(Mistake::at(line, column, message).hint(hint))
}

/// The planner's words without its prefixes and without what it says to its own developers.
fn message_of(error: &DataFusionError) -> String {
    let text = error.find_root().strip_backtrace();
    let text = text.lines().next().unwrap_or_default();
    text.trim_start_matches("Error during planning: ")
        .trim_start_matches("Schema error: ")
        .trim_start_matches("Internal error: ")
        .to_owned()
}
