//! From what was written to what is meant, with every problem of every file at once.

use std::collections::{BTreeMap, BTreeSet};

use crate::error::Problem;
use crate::name::{Layer, TableName, did_you_mean, is_identifier};

use super::channels::Fingerprints;
use super::load::{Files, TextFile};
use super::parameters::Parameters;
use super::raw::{At, RawExpectation, RawModel, RawPipeline};
use super::{
    Channels, Expectation, Mistake, Model, Outcome, Pipeline, Schedule, Strategy, graph, model, raw,
};

/// What is right in the files of a project, and all that is wrong.
pub(super) struct Resolved {
    pub pipelines: Vec<Pipeline>,
    pub channels: Channels,
    pub problems: Vec<Problem>,
}

/// Resolves the files of a project.
pub(super) fn resolve(files: &Files) -> Resolved {
    let mut problems = Vec::new();
    let channels = Channels::of_files(&files.channels, &mut problems);
    let rules = channels.fingerprints.clone();
    let mut resolver = Resolver { sql: sql_files(files), rules, problems, ..Resolver::default() };
    resolver.misplaced_files(files);
    let mut pipelines = Vec::new();
    for file in &files.pipelines {
        if let Some(raw) = raw::read(file, &mut resolver.problems) {
            pipelines.push(resolver.pipeline(file, raw));
        }
    }
    // What a file that is no TOML declares is not known.
    if pipelines.len() == files.pipelines.len() {
        resolver.undeclared_files();
    }
    resolver.unknown_tables(&pipelines);
    resolver.order_models(&mut pipelines);
    Resolved { pipelines, channels, problems: resolver.problems }
}

/// The SQL files by the table that they are named after.
fn sql_files(files: &Files) -> BTreeMap<TableName, TextFile> {
    let table = |layer: &str, file: &TextFile| TableName::new(layer.parse().ok()?, &file.stem).ok();
    files.sql.iter().filter_map(|(layer, file)| Some((table(layer, file)?, file.clone()))).collect()
}

/// What is known while the files of a project are resolved, one after the other.
#[derive(Default)]
pub(super) struct Resolver {
    sql: BTreeMap<TableName, TextFile>,
    /// Where each table was declared first: file and line.
    declared: BTreeMap<TableName, (String, usize)>,
    /// The fingerprints of the rules of channels.
    rules: Fingerprints,
    problems: Vec<Problem>,
}

impl Resolver {
    fn pipeline(&mut self, file: &TextFile, raw: RawPipeline) -> Pipeline {
        if !is_identifier(&file.stem) {
            let message = format!(
                "`{}` is no pipeline name: use lower-case letters, digits and `_`",
                file.stem
            );
            self.problem::<()>(&file.path, 0, message, None);
        }
        let sources = raw.sources.iter().filter_map(|source| self.source(file, source)).collect();
        let mut parameters = Parameters::new(&raw.parameters);
        let models = raw.models.iter();
        let models = models.filter_map(|model| self.model(file, model, &mut parameters)).collect();
        for (name, line) in parameters.unused() {
            let message = format!("no model of this pipeline uses the parameter `{name}`");
            self.problem::<()>(&file.path, line, message, Some(format!("a model says ${name}")));
        }
        Pipeline {
            name: file.stem.clone(),
            file: file.path.clone(),
            description: raw.description.map_or_else(String::new, |text| text.value),
            schedule: raw.schedule.and_then(|text| self.schedule(file, &text)),
            sources,
            models,
        }
    }

    fn schedule(&mut self, file: &TextFile, raw: &At<String>) -> Option<Schedule> {
        match Schedule::parse(&raw.value) {
            Ok(schedule) => Some(schedule),
            Err(wrong) => {
                self.problem_at(&file.path, (raw.line, raw.column), wrong.message, wrong.hint);
                None
            }
        }
    }

    fn model(
        &mut self,
        file: &TextFile,
        raw: &RawModel,
        parameters: &mut Parameters<'_>,
    ) -> Option<Model> {
        let table = match raw.name.value.parse::<TableName>() {
            Ok(table) if matches!(table.layer(), Layer::Silver | Layer::Gold) => table,
            Ok(_) => {
                let message = format!("`{}`: a model is in silver or gold", raw.name.value);
                return self.problem(&file.path, raw.name.line, message, None);
            }
            Err(message) => return self.problem(&file.path, raw.name.line, message, None),
        };
        self.declare(file, raw.name.line, &table);
        let chosen = self.choice(file, raw.strategy.as_ref(), &Strategy::NAMES);
        let strategy = chosen.unwrap_or_default();
        if chosen.is_some() || raw.strategy.is_none() {
            self.check_keys(file, raw, strategy);
        }
        let expectations = raw
            .expectations
            .iter()
            .filter_map(|expectation| self.expectation(file, &table, expectation, parameters))
            .collect();
        let thresholds = self.thresholds(file, &raw.thresholds);
        let sql = self.file_of(file, &raw.name, &table)?;
        let text = match parameters.fill(&sql.text) {
            Ok(text) => text,
            Err(mistakes) => return self.mistakes(&sql, mistakes),
        };
        match model::read(&text) {
            Ok(select) => Some(Model {
                file: sql.path,
                rules: select.rules(&self.rules),
                description: select.description,
                sql: text,
                normal_sql: select.normal_sql,
                reads: select.reads,
                strategy,
                by: values(&raw.by),
                partition_by: values(&raw.partition_by),
                expectations,
                thresholds,
                declared_at: (file.path.clone(), raw.name.line),
                table,
            }),
            Err(mistakes) => self.mistakes(&sql, mistakes),
        }
    }

    /// `by` goes with the strategies that replace, and holds the partition columns.
    fn check_keys(&mut self, file: &TextFile, raw: &RawModel, strategy: Strategy) {
        let replaces = matches!(strategy, Strategy::Upsert | Strategy::Recompute);
        let table = &raw.name.value;
        if replaces && raw.by.is_empty() {
            let message = format!("`{table}`: strategy `{}` needs `by`", strategy.as_str());
            let hint = "name the columns whose rows are replaced together".to_owned();
            self.problem::<()>(&file.path, raw.name.line, message, Some(hint));
        }
        if !replaces && let Some(first) = raw.by.first() {
            let message =
                format!("`{table}`: strategy `{}` has no use for `by`", strategy.as_str());
            self.problem::<()>(&file.path, first.line, message, None);
        }
        for columns in [&raw.by, &raw.partition_by] {
            for (index, column) in columns.iter().enumerate() {
                if columns.iter().take(index).any(|other| other.value == column.value) {
                    let message = format!("`{table}`: `{}` stands twice", column.value);
                    self.problem::<()>(&file.path, column.line, message, None);
                }
            }
        }
        for column in &raw.partition_by {
            let is_upsert = strategy == Strategy::Upsert;
            if is_upsert && !raw.by.iter().any(|by| by.value == column.value) {
                let message =
                    format!("`{table}`: partition column `{}` is not in `by`", column.value);
                let hint = "only partitions whose keys were touched are opened".to_owned();
                self.problem::<()>(&file.path, column.line, message, Some(hint));
            }
        }
    }

    fn expectation(
        &mut self,
        file: &TextFile,
        table: &TableName,
        raw: &RawExpectation,
        parameters: &mut Parameters<'_>,
    ) -> Option<Expectation> {
        let otherwise = self.choice(file, raw.otherwise.as_ref(), &Outcome::NAMES);
        let missing = match (&raw.check, &raw.otherwise) {
            (None, _) => Some("check"),
            (_, None) => Some("otherwise"),
            _ => None,
        };
        if let Some(key) = missing {
            let message = format!("expectation `{}` of `{table}` has no `{key}`", raw.name.value);
            return self.problem(&file.path, raw.name.line, message, None);
        }
        let check = raw.check.as_ref()?;
        let filled = match parameters.fill(&check.value) {
            Ok(filled) => filled,
            Err(mistakes) => {
                for Mistake { message, hint, .. } in mistakes {
                    self.problem::<()>(&file.path, check.line, message, hint);
                }
                return None;
            }
        };
        Some(Expectation {
            name: raw.name.value.clone(),
            check: filled,
            otherwise: otherwise?,
            declared_at: (file.path.clone(), check.line),
        })
    }

    /// The value of `choices` that `raw` names; a problem when it names none.
    pub(super) fn choice<T: Copy>(
        &mut self,
        file: &TextFile,
        raw: Option<&At<String>>,
        choices: &[(&str, T)],
    ) -> Option<T> {
        let raw = raw?;
        let found = choices.iter().find(|(name, _)| *name == raw.value).map(|(_, value)| *value);
        if found.is_none() {
            let hint = did_you_mean(&raw.value, choices.iter().map(|(name, _)| *name));
            let message = format!("`{}` is not one of the choices here", raw.value);
            self.problem_at(&file.path, (raw.line, raw.column), message, hint);
        }
        found
    }

    pub(super) fn declare(&mut self, file: &TextFile, line: usize, table: &TableName) {
        if let Some((other, at)) = self.declared.get(table) {
            let message = format!("`{table}` is declared a second time");
            let hint = format!("first in {other}:{at}");
            self.problem::<()>(&file.path, line, message, Some(hint));
        } else {
            self.declared.insert(table.clone(), (file.path.clone(), line));
        }
    }

    pub(super) fn file_of(
        &mut self,
        file: &TextFile,
        name: &At<String>,
        table: &TableName,
    ) -> Option<TextFile> {
        let found = self.sql.get(table).cloned();
        if found.is_none() {
            let message =
                format!("`{table}` has no file sql/{}/{}.sql", table.layer(), table.name());
            let undeclared = self.sql.keys().map(ToString::to_string).collect::<Vec<_>>();
            let hint =
                crate::name::nearest(&table.to_string(), undeclared.iter().map(String::as_str))
                    .map(|near| format!("there is one for `{near}`"));
            self.problem::<()>(&file.path, name.line, message, hint);
        }
        found
    }

    fn misplaced_files(&mut self, files: &Files) {
        for (layer, file) in &files.sql {
            let message = match layer.parse::<Layer>() {
                Err(message) => message,
                Ok(Layer::Ops) => "clickwatch fills the tables of `ops` itself".to_owned(),
                Ok(_) if !is_identifier(&file.stem) => {
                    format!(
                        "`{}` is no table name: use lower-case letters, digits and `_`",
                        file.stem
                    )
                }
                Ok(_) => continue,
            };
            self.problem::<()>(&file.path, 0, message, None);
        }
    }

    fn undeclared_files(&mut self) {
        let undeclared: Vec<_> = self
            .sql
            .iter()
            .filter(|(table, _)| table.layer() != Layer::Ops && !self.declared.contains_key(table))
            .map(|(table, file)| (table.clone(), file.path.clone()))
            .collect();
        for (table, path) in undeclared {
            let hint = match table.layer() {
                Layer::Bronze => format!("add [source.{}.files] to a pipeline", table.name()),
                _ => format!("add [model.\"{table}\"] to a pipeline"),
            };
            self.problem::<()>(&path, 0, format!("no pipeline declares `{table}`"), Some(hint));
        }
    }

    fn unknown_tables(&mut self, pipelines: &[Pipeline]) {
        // A table whose own declaration is at fault is no second problem where it is read.
        let mut known: BTreeSet<TableName> = self.declared.keys().cloned().collect();
        known.extend(self.sql.keys().cloned());
        let names: Vec<_> = known.iter().map(ToString::to_string).collect();
        for model in pipelines.iter().flat_map(|pipeline| &pipeline.models) {
            for table in model.reads.iter().filter(|table| !known.contains(table)) {
                let line = model::line_of(&model.sql, &table.to_string());
                let hint = did_you_mean(&table.to_string(), names.iter().map(String::as_str));
                self.problem::<()>(&model.file, line, format!("there is no table `{table}`"), hint);
            }
        }
    }

    fn order_models(&mut self, pipelines: &mut [Pipeline]) {
        let reads = pipelines
            .iter()
            .flat_map(|pipeline| &pipeline.models)
            .map(|model| (model.table.clone(), model.reads.clone()))
            .collect();
        match graph::order(&reads) {
            Ok(order) => {
                let rank: BTreeMap<_, _> = order.into_iter().zip(0..).collect();
                for pipeline in pipelines {
                    pipeline
                        .models
                        .sort_by_key(|model| rank.get(&model.table).copied().unwrap_or(usize::MAX));
                }
            }
            Err(cycle) => self.cycle(pipelines, &cycle),
        }
    }

    fn cycle(&mut self, pipelines: &[Pipeline], cycle: &[TableName]) {
        let round = cycle.iter().chain(cycle.first()).map(ToString::to_string).collect::<Vec<_>>();
        let models = pipelines.iter().flat_map(|pipeline| &pipeline.models);
        for model in models.filter(|model| cycle.contains(&model.table)) {
            let next = model.reads.iter().find(|read| cycle.contains(read));
            let line = next.map_or(0, |read| model::line_of(&model.sql, &read.to_string()));
            let message = format!("models read each other: {}", round.join(" → "));
            self.problem::<()>(&model.file, line, message, None);
        }
    }

    pub(super) fn mistakes<T>(&mut self, file: &TextFile, mistakes: Vec<Mistake>) -> Option<T> {
        self.problems.extend(mistakes.into_iter().map(|mistake| mistake.in_file(&file.path)));
        None
    }

    /// Notes a problem; gives `None` so that callers can return it.
    pub(super) fn problem<T>(
        &mut self,
        file: &str,
        line: usize,
        message: String,
        hint: Option<String>,
    ) -> Option<T> {
        self.problem_at(file, (line, 0), message, hint);
        None
    }

    pub(super) fn problem_at(
        &mut self,
        file: &str,
        place: (usize, usize),
        message: String,
        hint: Option<String>,
    ) {
        let (line, column) = place;
        self.problems.push(Problem { file: file.to_owned(), line, column, message, hint });
    }
}

fn values(texts: &[At<String>]) -> Vec<String> {
    texts.iter().map(|text| text.value.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, text: &str) -> TextFile {
        let stem = path.rsplit('/').next().unwrap().split('.').next().unwrap().to_owned();
        TextFile { path: path.into(), stem, text: text.into() }
    }

    fn files(pipeline: &str, sql: &[(&str, &str)]) -> Files {
        Files {
            pipelines: vec![file("pipelines/web.toml", pipeline)],
            sql: sql
                .iter()
                .map(|(path, text)| (path.split('/').nth(1).unwrap().into(), file(path, text)))
                .collect(),
            ..Files::default()
        }
    }

    #[test]
    fn all_problems_of_all_files_come_at_once() {
        let files = files(
            "scedule = \"x\"\n[source.b.files]\npath = \"in\"\n[model.\"silver.s\"]\nstrategy = \"upsrt\"\n\
             [model.\"gold.none\"]\n",
            &[
                ("sql/bronze/b.sql", "CREATE TABLE b (x TEXT)"),
                ("sql/silver/s.sql", "SELECT *\nFROM bronze.bb"),
                ("sql/gold/orphan.sql", "SELECT 1 AS one"),
            ],
        );
        let mut problems: Vec<_> =
            resolve(&files).problems.iter().map(ToString::to_string).collect();
        problems.sort();
        assert_eq!(
            problems,
            [
                "pipelines/web.toml:1:1: unknown key `scedule` (did you mean `schedule`?)",
                "pipelines/web.toml:5:12: `upsrt` is not one of the choices here (did you mean `upsert`?)",
                "pipelines/web.toml:6: `gold.none` has no file sql/gold/none.sql",
                "sql/gold/orphan.sql: no pipeline declares `gold.orphan` (add [model.\"gold.orphan\"] to a pipeline)",
                "sql/silver/s.sql:2: there is no table `bronze.bb` (did you mean `bronze.b`?)",
            ]
        );
    }

    #[test]
    fn models_that_read_each_other_are_both_named() {
        let files = files(
            "[model.\"silver.x\"]\n[model.\"silver.y\"]\n",
            &[
                ("sql/silver/x.sql", "SELECT * FROM silver.y"),
                ("sql/silver/y.sql", "SELECT * FROM silver.x"),
            ],
        );
        let problems = resolve(&files).problems;
        assert_eq!(problems.len(), 2);
        assert!(
            problems
                .iter()
                .all(|problem| problem.message.contains("silver.x → silver.y → silver.x"))
        );
    }

    #[test]
    fn a_partition_column_belongs_to_the_key() {
        let files = files(
            "[source.b.files]\npath = \"in\"\n[model.\"silver.s\"]\nstrategy = \"upsert\"\nby = [\"x\"]\n\
             partition-by = [\"day\"]\n",
            &[
                ("sql/bronze/b.sql", "CREATE TABLE b (x TEXT)"),
                ("sql/silver/s.sql", "SELECT x FROM bronze.b"),
            ],
        );
        let problems = resolve(&files).problems;
        assert_eq!(problems[0].line, 6);
    }
}
