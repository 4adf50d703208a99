//! The shipped models over hand-made records: `tests/models/*.slt`.
//!
//! Three verbs besides queries: `land bronze.TABLE`, followed by one JSON record per line, fills a
//! Bronze table through the real decoder, as of now or of the instant in `land bronze.TABLE at INSTANT`;
//! `build LAYER.TABLE` fills the table of the real model from what was built before; `sort_out
//! LAYER.TABLE` takes out of it the rows that its expectations do not let in. Set `UPDATE_MODELS=1` to
//! write the actual rows into the files, and read the difference before you commit it.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use clickwatch::engine::{Engine, Session, Tables, newest_only};
use clickwatch::lake::{storable, to_stored};
use clickwatch::name::TableName;
use clickwatch::project::{Expectation, Model, Outcome as Otherwise, Project, Strategy};
use clickwatch::runtime::{Memory, Timestamp, now};
use clickwatch::source::{Decoder, Lineage, Piece, Records, bronze_schema};
use datafusion::datasource::MemTable;
use sqllogictest::{AsyncDB, DBOutput, DefaultColumnType};

struct Models {
    project: Project,
    engine: Engine,
    tables: HashMap<TableName, (SchemaRef, Vec<RecordBatch>)>,
    landed: i64,
}

#[derive(Debug)]
struct Refused(String);

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Refused {}

impl<E: std::error::Error> From<&E> for Refused {
    fn from(error: &E) -> Self {
        Self(error.to_string())
    }
}

type Outcome<T> = Result<T, Refused>;

fn refused(error: impl std::fmt::Display) -> Refused {
    Refused(error.to_string())
}

impl Models {
    fn new() -> Self {
        let project = Project::load(Path::new(env!("CARGO_MANIFEST_DIR"))).unwrap();
        Self {
            engine: Engine::new(Memory::new(1 << 30).unwrap(), &project.channels).unwrap(),
            project,
            tables: HashMap::new(),
            landed: 0,
        }
    }

    fn session(&self) -> Session {
        let mut tables = Tables::default();
        for (name, (schema, batches)) in &self.tables {
            let table = MemTable::try_new(Arc::clone(schema), vec![batches.clone()]).unwrap();
            tables.add(name.clone(), Arc::new(table));
        }
        self.engine.session(tables.into_catalog())
    }

    /// Adds records to a Bronze table, as one more batch.
    fn land(&mut self, what: &str, records: &str) -> Outcome<()> {
        let (name, ingested_at) = match what.split_once(" at ") {
            Some((name, instant)) => (name, instant.trim().parse::<Timestamp>().map_err(refused)?),
            None => (what, now()),
        };
        let table: TableName = name.parse().map_err(Refused)?;
        let source = self
            .project
            .sources()
            .find(|source| source.table == table)
            .ok_or_else(|| Refused(format!("no source fills {name}")))?;
        self.landed += 1;
        let lineage = Lineage { batch: self.landed, ingested_at };
        let mut decoder =
            Decoder::new(&source.columns, source.keep_raw, lineage).map_err(refused)?;
        decoder.decode(&Piece {
            file: Arc::from(format!("{}.json", self.landed)),
            start: 0,
            bytes: records.as_bytes().to_vec(),
            records: Records::Lines,
        });
        if let Some(broken) = decoder.take_quarantined().first() {
            return Err(Refused(format!("this is no record: {}", broken.reason)));
        }
        let schema = bronze_schema(&source.columns);
        let rows = decoder.take_rows().map_err(refused)?;
        self.tables.entry(table).or_insert_with(|| (schema, Vec::new())).1.push(rows);
        Ok(())
    }

    fn model(&self, name: &str) -> Outcome<&Model> {
        let model = self.project.models().find(|model| model.table.to_string() == name);
        model.ok_or_else(|| Refused(format!("no model fills {name}")))
    }

    async fn build(&mut self, name: &str) -> Outcome<()> {
        let model = self.model(name)?;
        let session = self.session();
        let mut plan = session.plan(&model.sql).await.map_err(refused)?;
        if model.strategy == Strategy::Upsert {
            plan = newest_only(&session, &session, plan, &model.by).await.map_err(refused)?.plan;
        }
        let schema =
            storable(plan.schema().as_arrow()).map_err(|wrong| Refused(wrong.join("; ")))?;
        let batches = session.frame(plan).collect().await.map_err(refused)?;
        let rows = batches
            .iter()
            .map(|batch| to_stored(batch, &schema, &[]))
            .collect::<Result<_, _>>()
            .map_err(refused)?;
        let table = model.table.clone();
        self.tables.insert(table, (schema, rows));
        Ok(())
    }

    async fn sort_out(&mut self, name: &str) -> Outcome<()> {
        let model = self.model(name)?;
        let table = model.table.clone();
        let keeps_out =
            |one: &&Expectation| matches!(one.otherwise, Otherwise::Quarantine | Otherwise::Drop);
        let checks = model.expectations.iter().filter(keeps_out);
        let checks: Vec<String> = checks.map(|one| format!("({}) IS TRUE", one.check)).collect();
        let sql = format!("SELECT * FROM {name} WHERE {}", checks.join(" AND "));
        let rows = self.session().query(&sql).await.map_err(refused)?;
        let rows = rows.collect().await.map_err(refused)?;
        let built = self.tables.get_mut(&table).ok_or_else(|| refused("not built yet"))?;
        built.1 = rows;
        Ok(())
    }

    async fn query(&self, sql: &str) -> Outcome<DBOutput<DefaultColumnType>> {
        let frame = self.session().query(sql).await.map_err(refused)?;
        let types = vec![DefaultColumnType::Any; frame.schema().fields().len()];
        let options = FormatOptions::default().with_null("NULL");
        let mut rows = Vec::new();
        for batch in frame.collect().await.map_err(refused)? {
            let columns = batch
                .columns()
                .iter()
                .map(|column| ArrayFormatter::try_new(column, &options))
                .collect::<Result<Vec<_>, _>>()
                .map_err(refused)?;
            for row in 0..batch.num_rows() {
                let text = |column: &ArrayFormatter<'_>| match column.value(row).to_string() {
                    empty if empty.is_empty() => "(empty)".to_owned(),
                    text => text.replace(' ', "·"),
                };
                rows.push(columns.iter().map(text).collect());
            }
        }
        Ok(DBOutput::Rows { types, rows })
    }
}

#[async_trait::async_trait]
impl AsyncDB for Models {
    type Error = Refused;
    type ColumnType = DefaultColumnType;

    async fn run(&mut self, statement: &str) -> Outcome<DBOutput<DefaultColumnType>> {
        let (first, rest) = statement.split_once('\n').unwrap_or((statement, ""));
        match first.split_once(' ') {
            Some(("land", table)) => self.land(table.trim(), rest)?,
            Some(("build", table)) => self.build(table.trim()).await?,
            Some(("sort_out", table)) => self.sort_out(table.trim()).await?,
            _ => return self.query(statement).await,
        }
        Ok(DBOutput::StatementComplete(0))
    }

    async fn shutdown(&mut self) {}
}

fn files() -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/models");
    let mut files: Vec<_> =
        std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "slt"));
    files.sort();
    files
}

#[tokio::test(flavor = "multi_thread")]
async fn models_give_the_rows_that_their_tests_expect() {
    let mut failures = Vec::new();
    for file in files() {
        let mut runner = sqllogictest::Runner::new(|| async { Ok(Models::new()) });
        if std::env::var_os("UPDATE_MODELS").is_some() {
            let validator = sqllogictest::default_validator;
            let columns = sqllogictest::default_column_validator;
            let normalizer = sqllogictest::default_normalizer;
            runner.update_test_file(&file, " ", validator, normalizer, columns).await.unwrap();
        } else if let Err(error) = runner.run_file_async(&file).await {
            failures.push(error.display(false).to_string());
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}
