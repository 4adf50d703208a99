//! What a run did, for people, for scripts and for `ops`.

use serde::Serialize;

use crate::error::Error;
use crate::name::TableName;
use crate::runtime::Timestamp;

/// What a run did.
#[derive(Debug, Serialize)]
pub struct Report {
    /// The run's name in `ops`.
    pub run_id: String,
    /// The lake.
    pub lake: String,
    /// How long it took to plan all SQL of the project, before the first pipeline began.
    pub preparing_milliseconds: u64,
    /// Each pipeline, in the order of the running.
    pub pipelines: Vec<PipelineReport>,
}

/// How a pipeline ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// All of it is done.
    Succeeded,
    /// An error ended it.
    Failed,
    /// It was asked to stop.
    Stopped,
}

impl Status {
    /// The status as it stands in `ops.runs`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Stopped => "stopped",
        }
    }
}

/// What one pipeline did.
#[derive(Debug, Serialize)]
pub struct PipelineReport {
    /// Its name.
    pub pipeline: String,
    /// How it ended.
    pub status: Status,
    /// When it began.
    pub started_at: Timestamp,
    /// How long it took.
    pub milliseconds: u64,
    /// How long it took to write the report into `ops` afterwards.
    pub recording_milliseconds: u64,
    /// How often it started over because another run had won.
    pub restarts: u64,
    /// The epoch that it published, if it did.
    pub epoch: Option<u64>,
    /// Why it published none.
    pub unpublished: Option<String>,
    /// The sources, in order.
    pub sources: Vec<SourceReport>,
    /// The models, in order.
    pub tables: Vec<TableReport>,
    /// The expectations that were evaluated.
    pub expectations: Vec<ExpectationReport>,
    /// Why it did not end well.
    #[serde(rename = "error", skip_serializing_if = "Option::is_none")]
    pub error_text: Option<String>,
    /// The same with all its causes.
    #[serde(skip)]
    pub error: Option<Error>,
}

/// How the files of a source differ from what has landed of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Deliveries {
    /// New ones.
    pub new: u64,
    /// Those with more behind what had landed; only that lands.
    pub grown: u64,
    /// Those with another content than had landed under their name; all their records land.
    pub rewritten: u64,
    /// Those that hold what had landed and only have another time; nothing of them lands.
    pub touched: u64,
    /// Those that hold what had landed under a name that no longer holds it; nothing of them lands.
    pub moved: u64,
    /// New and rewritten ones that hold what another file holds as well.
    pub copies: u64,
}

impl Deliveries {
    /// `3 new files, 2 grown, 1 rewritten, 4 touched (known)`; None when there is nothing to say.
    pub fn described(&self) -> Option<String> {
        let files = if self.new == 1 { "file" } else { "files" };
        let parts = [
            (self.new, format!("{} new {files}", self.new)),
            (self.grown, format!("{} grown", self.grown)),
            (self.rewritten, format!("{} rewritten", self.rewritten)),
            (self.touched, format!("{} touched (known)", self.touched)),
            (self.moved, format!("{} renamed (known)", self.moved)),
            (self.copies, format!("{} with the content of another", self.copies)),
        ];
        let said = parts.into_iter().filter(|(count, _)| *count > 0).map(|(_, text)| text);
        Some(said.collect::<Vec<_>>().join(", ")).filter(|text| !text.is_empty())
    }

    /// Whether there are others than new ones.
    pub fn has_more_than_new(&self) -> bool {
        *self != Self { new: self.new, ..Self::default() }
    }
}

/// What landed from one source.
#[derive(Clone, Debug, Serialize)]
pub struct SourceReport {
    /// The Bronze table.
    #[serde(serialize_with = "as_text")]
    pub table: TableName,
    /// The batch, when something was new.
    pub batch: Option<i64>,
    /// Whether this batch had been planned by an earlier run that did not finish it.
    pub resumed: bool,
    /// Files read.
    pub files: u64,
    /// What was changed about the columns of the table, because their declaration was.
    pub redeclared: Option<String>,
    /// When the newest file was changed that is in this batch or one before.
    pub newest_file: Option<Timestamp>,
    /// How they, and those that were not read, differ from what had landed.
    pub deliveries: Deliveries,
    /// Their bytes on disk.
    pub bytes_read: u64,
    /// Records in them: landed and quarantined.
    pub records_read: u64,
    /// Rows that are in Bronze now.
    pub rows_landed: u64,
    /// Of those, rows with something in `_rescued`.
    pub rows_rescued: u64,
    /// Records that are in `ops.quarantine` now.
    pub records_quarantined: u64,
    /// Those of them that could not be cut into records and may be more than one each.
    pub pieces_uncut: u64,
    /// Their bytes.
    pub bytes_uncut: u64,
    /// What was not read, or not to its end, and why.
    pub warnings: Vec<String>,
    /// The files that were written.
    pub files_written: u64,
    /// Their bytes.
    pub bytes_written: u64,
    /// Whether the table has a new version.
    pub committed: bool,
    /// The version of the table afterwards.
    pub version: u64,
    /// How long it took.
    pub milliseconds: u64,
}

/// What became of one model.
#[derive(Clone, Debug, Serialize)]
pub struct TableReport {
    /// The table.
    #[serde(serialize_with = "as_text")]
    pub table: TableName,
    /// How it was brought up to date: a strategy, or `none` when nothing was to do.
    pub strategy: &'static str,
    /// Why so.
    pub reason: String,
    /// Rows that its SELECT gave.
    pub rows_in: u64,
    /// Rows that were written.
    pub rows_landed: u64,
    /// Rows that were there before and went.
    pub rows_replaced: u64,
    /// Rows that an expectation put into quarantine.
    pub rows_quarantined: u64,
    /// Rows that an expectation left out.
    pub rows_dropped: u64,
    /// Bytes of the files that were opened.
    pub bytes_read: u64,
    /// The files that were written.
    pub files_written: u64,
    /// Their bytes.
    pub bytes_written: u64,
    /// Rows in the table afterwards.
    pub rows: Option<u64>,
    /// Whether the table has a new version, if only because how far it has read was noted.
    pub committed: bool,
    /// The version of the table afterwards.
    pub version: u64,
    /// How long it took.
    pub milliseconds: u64,
}

/// How one expectation was met.
#[derive(Clone, Debug, Serialize)]
pub struct ExpectationReport {
    /// The table.
    #[serde(serialize_with = "as_text")]
    pub table: TableName,
    /// The expectation's name.
    pub expectation: String,
    /// The predicate.
    pub check: String,
    /// What happens to rows for which it is not true.
    pub otherwise: &'static str,
    /// Rows for which it is true.
    pub passed: u64,
    /// Rows for which it is false.
    pub failed: u64,
    /// Rows for which it is NULL; they count as not satisfying it.
    pub unknown: u64,
}

impl Report {
    pub(super) fn new(run_id: &str, lake: String) -> Self {
        Self { run_id: run_id.to_owned(), lake, preparing_milliseconds: 0, pipelines: Vec::new() }
    }

    /// The error that ended the run, if one did.
    pub fn error(&self) -> Option<&Error> {
        self.pipelines.iter().find_map(|pipeline| pipeline.error.as_ref())
    }
}

impl PipelineReport {
    pub(super) fn new(pipeline: &str, started_at: Timestamp) -> Self {
        Self {
            pipeline: pipeline.to_owned(),
            status: Status::Succeeded,
            started_at,
            milliseconds: 0,
            recording_milliseconds: 0,
            restarts: 0,
            epoch: None,
            unpublished: None,
            sources: Vec::new(),
            tables: Vec::new(),
            expectations: Vec::new(),
            error_text: None,
            error: None,
        }
    }

    /// Records read, landed and quarantined from all sources.
    pub fn records(&self) -> (u64, u64, u64) {
        self.sources.iter().fold((0, 0, 0), |(read, landed, quarantined), source| {
            (
                read + source.records_read,
                landed + source.rows_landed,
                quarantined + source.records_quarantined,
            )
        })
    }

    /// Takes over what an earlier attempt of the same run wrote before it had to start over.
    pub(super) fn continue_from(&mut self, earlier: Self) {
        self.restarts = earlier.restarts + 1;
        self.started_at = earlier.started_at;
        self.milliseconds += earlier.milliseconds;
        let own = std::mem::take(&mut self.sources);
        self.sources = earlier.sources;
        self.sources.retain(|source| source.committed);
        self.sources.extend(own);
        let own = std::mem::take(&mut self.tables);
        self.tables = earlier.tables;
        self.tables.retain(|table| table.committed);
        self.tables.extend(own);
        let own = std::mem::take(&mut self.expectations);
        self.expectations = earlier.expectations;
        self.expectations.extend(own);
    }

    /// Whether any Bronze, Silver or Gold table has a new version.
    pub fn wrote_anything(&self) -> bool {
        self.sources.iter().any(|source| source.committed)
            || self.tables.iter().any(|table| table.committed)
    }
}

pub(super) fn as_text<S: serde::Serializer>(
    table: &TableName,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_str(table)
}
