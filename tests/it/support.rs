//! A project and a lake in a temporary directory, driven through the same door as users'.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};

use serde_json::Value;
use tempfile::TempDir;

/// The tables of the shipped models.
pub(crate) const MODELS: [&str; 23] = [
    "silver.sessions",
    "silver.final_cookies",
    "silver.visit_count",
    "gold.bot_sessions",
    "gold.utm_attribution",
    "gold.conversions",
    "gold.return_visitors",
    "gold.page_engagement",
    "gold.user_page_engagement",
    "gold.session_durations",
    "gold.visits_by_dimension",
    "gold.journeys",
    "gold.path_summary",
    "gold.channel_transitions",
    "gold.markov_attribution",
    "gold.channel_effects",
    "gold.conversion_paths",
    "gold.attribution",
    "gold.funnel",
    "gold.reconciliation",
    "gold.cohort_activity",
    "gold.visitor_cohorts",
    "gold.recency_frequency",
];

/// What a command printed and how it ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub code: u8,
    pub out: String,
    pub err: String,
}

impl Ended {
    /// The output of a command that must have succeeded.
    #[track_caller]
    pub(crate) fn ok(self) -> String {
        assert_eq!(self.code, 0, "{}\n{}", self.out, self.err);
        self.out
    }
}

/// A project with one of the shipped pipelines, a landing directory, and a lake that is not there yet.
pub(crate) struct Bench {
    directory: TempDir,
    /// The source that the pipeline lands.
    source: &'static str,
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self::with_directory(&std::env::temp_dir())
    }

    /// The same in a temporary directory inside of `parent`: on the disk that is to be tried.
    pub(crate) fn with_directory(parent: &Path) -> Self {
        Self::of("web_traffic", "web_sessions", parent)
    }

    /// The pipeline of clicks instead of that of sessions.
    pub(crate) fn of_clicks() -> Self {
        Self::of("clicks", "clicks", &std::env::temp_dir())
    }

    /// A project whose lake has twenty sessions.
    pub(crate) fn filled() -> Self {
        let bench = Self::new();
        let records = (0..20).map(|number| session(number).to_string() + "\n");
        bench.land("a.json", records.collect::<String>());
        bench.run();
        bench
    }

    /// An empty project.
    pub(crate) fn bare() -> Self {
        let bench = Self { directory: tempfile::tempdir().unwrap(), source: "" };
        bench.command(&["init", "--bare", bench.directory.path().to_str().unwrap()]).ok();
        bench
    }

    fn of(pipeline: &str, source: &'static str, parent: &Path) -> Self {
        let bench = Self { directory: tempfile::tempdir_in(parent).unwrap(), source };
        let shipped = Path::new(env!("CARGO_MANIFEST_DIR"));
        copy(&shipped.join("pipelines"), &bench.path("pipelines"));
        copy(&shipped.join("sql"), &bench.path("sql"));
        for other in fs::read_dir(bench.path("pipelines")).unwrap() {
            let path = other.unwrap().path();
            if path.file_stem().unwrap() != pipeline {
                bench.remove_pipeline(&path);
            }
        }
        fs::create_dir_all(bench.landing()).unwrap();
        bench
    }

    /// Removes a pipeline and the SQL of the tables that it fills.
    fn remove_pipeline(&self, path: &Path) {
        for line in fs::read_to_string(path).unwrap().lines() {
            let model = line.strip_prefix("[model.\"").and_then(|rest| rest.strip_suffix("\"]"));
            let source =
                line.strip_prefix("[source.").and_then(|rest| rest.strip_suffix(".files]"));
            let table = model.map(str::to_owned).or(source.map(|name| format!("bronze.{name}")));
            if let Some(table) = table {
                fs::remove_file(self.path(&format!("sql/{}.sql", table.replace('.', "/"))))
                    .unwrap();
            }
        }
        fs::remove_file(path).unwrap();
    }

    /// A path inside of the bench.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Where the shipped pipeline looks for sessions.
    pub(crate) fn landing(&self) -> PathBuf {
        self.path("sample_data").join(self.source)
    }

    /// Leaves everything where it is, for somebody to look at, and says where that is.
    pub(crate) fn keep(&mut self) -> &Path {
        self.directory.disable_cleanup(true);
        self.directory.path()
    }

    /// Puts a file into the landing directory.
    pub(crate) fn land(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.landing().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::File::create(path).unwrap().write_all(content.as_ref()).unwrap();
    }

    /// Changes a file of the project.
    #[track_caller]
    pub(crate) fn edit(&self, name: &str, from: &str, to: &str) {
        let text = fs::read_to_string(self.path(name)).unwrap();
        assert!(text.contains(from), "{name} does not hold {from:?}");
        fs::write(self.path(name), text.replace(from, to)).unwrap();
    }

    /// Runs a command on this project and lake.
    pub(crate) fn command(&self, arguments: &[&str]) -> Ended {
        let project = self.directory.path().to_str().unwrap().to_owned();
        let lake = self.path("lake").to_str().unwrap().to_owned();
        let mut all = vec!["clickwatch".to_owned()];
        all.extend(arguments.iter().map(|argument| (*argument).to_owned()));
        all.extend([
            "--project".into(),
            project,
            "--lake".into(),
            lake,
            "--memory".into(),
            "1GiB".into(),
        ]);
        let (mut out, mut err) = (Buffer::default(), Buffer::default());
        let code = clickwatch::cli::main_with(all.into_iter().map(Into::into), &mut out, &mut err);
        Ended { code, out: out.text(), err: err.text() }
    }

    /// The real program on this project and lake; which command is for the caller to add.
    pub(crate) fn process(&self) -> Command {
        let mut process = Command::new(env!("CARGO_BIN_EXE_clickwatch"));
        process.args(["--memory", "512MiB", "--project"]).arg(self.directory.path());
        process.arg("--lake").arg(self.path("lake"));
        process
    }

    /// Runs the pipeline and gives its part of the report.
    #[track_caller]
    pub(crate) fn run(&self) -> Value {
        let report: Value =
            serde_json::from_str(&self.command(&["run", "--format", "json"]).ok()).unwrap();
        report["pipelines"][0].clone()
    }

    /// The rows of a query.
    #[track_caller]
    pub(crate) fn query(&self, sql: &str) -> Vec<Value> {
        serde_json::from_str(&self.command(&["sql", "--format", "json", sql]).ok()).unwrap()
    }

    /// The one value of a query.
    #[track_caller]
    pub(crate) fn value(&self, sql: &str) -> Value {
        let rows = self.query(sql);
        assert_eq!(rows.len(), 1, "{sql}");
        rows[0].as_object().unwrap().values().next().unwrap().clone()
    }

    /// The names of all tables of a layer, and their versions.
    pub(crate) fn versions(&self) -> Vec<(String, u64)> {
        let listing = self.command(&["tables", "list", "--format", "json"]).ok();
        let rows: Vec<Value> = serde_json::from_str(&listing).unwrap();
        rows.iter()
            .map(|row| {
                (row["table"].as_str().unwrap().to_owned(), row["version"].as_u64().unwrap())
            })
            .collect()
    }

    /// All rows of a table as sorted lines, without the columns that name where a row came from.
    pub(crate) fn content(&self, table: &str) -> Vec<String> {
        let mut lines: Vec<String> = self
            .query(&format!("SELECT * FROM {table}"))
            .into_iter()
            .map(|mut row| {
                row.as_object_mut().unwrap().retain(|name, _| !name.starts_with('_'));
                row.to_string()
            })
            .collect();
        lines.sort();
        lines
    }
}

/// A report's entry about one table.
#[track_caller]
pub(crate) fn entry<'a>(report: &'a Value, table: &str) -> &'a Value {
    let entries =
        ["sources", "tables"].into_iter().filter_map(|part| report[part].as_array()).flatten();
    entries
        .into_iter()
        .find(|entry| entry["table"] == table)
        .unwrap_or_else(|| panic!("no {table} in {report:#}"))
}

/// What a well-known crawler says of itself.
pub(crate) const CRAWLER: &str =
    "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)";

/// A session record.
pub(crate) fn session(number: u64) -> Value {
    serde_json::json!({
        "session_id": format!("s-{number}"),
        "user_id": format!("u-{}", number % 7),
        "timestamp": format!("2025-07-{:02}T10:{:02}:00Z", 1 + number % 5, number % 60),
        "user_agent": "Browser/1.0 \"quoted\" \\ / ü",
        "device_type": "mobile", "os": "iOS", "browser": "Safari",
        "page_url": "/product-idea-page?x=1#top", "referrer": "techpro",
        "utm_source": "instagram", "utm_medium": "ad", "utm_campaign": "newidea_july",
        "events": (0..number % 4).map(|event| serde_json::json!({
            "event_type": if event == 0 { "click" } else { "submit" },
            "element_id": format!("b{event}"),
            "timestamp": format!("2025-07-01T10:00:{:02}Z", event),
        })).collect::<Vec<_>>(),
        "time_spent_seconds": number * 3, "is_returning_visitor": number.is_multiple_of(2),
        "visit_count": number % 3 + 1, "bounce": false, "conversion": number.is_multiple_of(5),
    })
}

#[derive(Clone, Default)]
struct Buffer(Arc<Mutex<Vec<u8>>>);

impl Buffer {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl std::io::Write for Buffer {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Copies a directory with all that is in it.
pub(crate) fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}
