//! Models that are awkward to keep up to date: after every batch they equal their rebuild, however
//! the batch was dealt with. And what else users do to a project and its lake.

use std::{fs, thread};

use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

use crate::differences::differences;
use crate::support::Bench;

/// What all of these projects land, each in a directory of its own.
const SOURCES: [(&str, &str); 3] = [
    ("s", "id BIGINT, day TEXT, person TEXT, v BIGINT"),
    ("p", "person TEXT, w BIGINT"),
    ("t", "day TEXT, n BIGINT"),
];

/// Each of these was once kept up to date wrongly; `models` says how to read it.
const KNOWN: &str = "
    gold.cross | day/ person/ | SELECT day, person, count(*) AS n FROM bronze.s GROUP BY 1, 2;
    silver.newest | upsert person/ | SELECT person, id, v, LINEAGE FROM bronze.s;
    silver.joined | person | SELECT s.person, substr(s.person, 1, 1) AS initial, s.id,
        s._batch, s._source, s._position FROM bronze.s s JOIN bronze.p p ON p.person = s.person;
    silver.latest | upsert initial | SELECT initial, id, LINEAGE FROM silver.joined;
    silver.greatest | upsert person | SELECT person, v, coalesce(v, 0) AS _batch, _source, _position
        FROM bronze.s;
    gold.last_day | day | SELECT day, v FROM bronze.s WHERE day = (SELECT max(day) FROM bronze.t);
    gold.above_mean | day | SELECT day, v FROM bronze.s WHERE v >= (SELECT avg(w) FROM bronze.p);
    gold.above_most | day | SELECT day, sum(v) AS v FROM bronze.s
        GROUP BY day HAVING sum(v) > (SELECT max(w) FROM bronze.p);
    gold.total | day | SELECT 'all' AS day, count(*) AS n FROM bronze.s
        UNION ALL SELECT day, count(*) FROM bronze.s GROUP BY day;
    gold.kinds | day kind | SELECT day, 'n' AS kind, count(*) AS n FROM bronze.s GROUP BY 1
        UNION ALL SELECT day, person, max(v) FROM bronze.s GROUP BY 1, 2;
    gold.either | day | SELECT day, CAST(NULL AS TEXT) AS person FROM bronze.t UNION ALL
        SELECT s.day, p.person FROM bronze.p p LEFT JOIN bronze.s s ON s.person = p.person;
    gold.last_seen | day | SELECT max(day) AS day, person FROM bronze.s GROUP BY person
        UNION ALL SELECT day, CAST(n AS TEXT) FROM bronze.t;
    silver.most | day person | SELECT day, person, max(v) AS v FROM bronze.s GROUP BY day, person;
    gold.once | day | SELECT s.day, count(*) AS n, max(p.w) AS w
        FROM (SELECT day, person FROM silver.most GROUP BY day, person HAVING count(*) = 1) s
        JOIN bronze.p p ON p.person = s.person GROUP BY s.day;
";

/// What a user may well come up with, besides the joins of `joins`.
const LIKELY: &str = "
    gold.full_day | day | SELECT coalesce(s.day, t.day) AS day, s.v, t.n
        FROM bronze.s s FULL JOIN bronze.t t ON t.day = s.day;
    gold.counted | day | SELECT s.day, count(p.w) AS n
        FROM bronze.s s LEFT JOIN bronze.p p ON p.person = s.person GROUP BY s.day;
    gold.same_day | day | SELECT t.day, count(s.id) AS n
        FROM bronze.t t LEFT JOIN bronze.s s ON s.day IS NOT DISTINCT FROM t.day GROUP BY t.day;
    gold.three | day w | SELECT s.day, p.w, sum(t.n) AS n FROM bronze.s s
        JOIN bronze.p p ON p.person = s.person JOIN bronze.t t ON t.day = s.day GROUP BY s.day, p.w;
    gold.not_in | day | SELECT day, v FROM bronze.s WHERE day NOT IN (SELECT day FROM bronze.t);
    gold.without | day | SELECT day, person FROM bronze.s EXCEPT
        SELECT t.day, p.person FROM bronze.t t JOIN bronze.p p ON p.w = t.n;
    gold.in_day | day | SELECT day, v, rank() OVER (PARTITION BY day ORDER BY v) AS r FROM bronze.s;
    gold.of_all | day | SELECT day, v, rank() OVER (ORDER BY v) AS r FROM bronze.s;
    gold.best | person | SELECT b.person, b.day, p.w FROM (SELECT *,
        row_number() OVER (PARTITION BY person ORDER BY v DESC, id) AS r FROM bronze.s) b
        JOIN bronze.p p ON p.person = b.person WHERE b.r = 1;
    gold.pairs | day/ | SELECT DISTINCT day, person FROM bronze.s;
    gold.itself | day | SELECT a.day, count(*) AS n
        FROM bronze.s a JOIN bronze.s b ON b.person = a.person AND b.v > a.v GROUP BY a.day;
    gold.busy | day | SELECT day, max(v) AS v FROM bronze.s GROUP BY day HAVING count(*) > 2;
    gold.top | day | SELECT day, v, id FROM bronze.s ORDER BY v DESC, id LIMIT 4;
    gold.swapped | day | SELECT person AS day, day AS person, v FROM bronze.s;
    gold.initials | i | SELECT substr(day, 1, 1) AS i, count(*) AS n FROM bronze.s GROUP BY 1;
    gold.subtotals | day | SELECT day, count(*) AS n FROM bronze.s GROUP BY ROLLUP (day);
    gold.days | day | SELECT day, count(*) AS n, sum(v) AS v FROM bronze.s GROUP BY day;
    gold.sizes | n | SELECT n, count(*) AS days, sum(v) AS v FROM gold.days GROUP BY n;
    gold.both | day | SELECT day, d.v, c.n FROM gold.days d LEFT JOIN gold.counted c USING (day);
    silver.ids | upsert day/ id | SELECT nullif(day, '') AS day, id, v, LINEAGE FROM bronze.s;
    gold.of_newest | day | SELECT s.day, n.v, count(*) AS n
        FROM bronze.s s JOIN silver.newest n ON n.person = s.person GROUP BY s.day, n.v;
";

/// What comes is nasty: however much of it may go to quarantine.
const ANY_NUMBER: &str = "max-quarantined = \"100%\"\n";

/// All kinds of joins by a key of either side, as `models` reads them.
fn joins() -> String {
    let mut text = String::new();
    for kind in ["INNER", "LEFT", "RIGHT", "FULL", "LEFT SEMI", "LEFT ANTI"] {
        let gives_both = !kind.contains(' ');
        for key in ["s.day", if gives_both { "p.person" } else { "s.person" }] {
            let name = format!("{kind}_{key}").to_lowercase().replace([' ', '.'], "_");
            let (by, value) = (&key[2..], if gives_both { "p.w" } else { "s.id" });
            text += &format!(
                "gold.{name} | {by} | SELECT {key}, s.v, {value}
                FROM bronze.s s {kind} JOIN bronze.p p ON p.person = s.person;"
            );
        }
    }
    text
}

/// A table, its section in the pipeline, its SQL.
type Model = (String, String, String);

/// Reads `table | strategy keys | SELECT …;` as often as it comes; without a strategy it is
/// `recompute`. A key with `/` behind it separates the table's files, too.
fn models(text: &str) -> Vec<Model> {
    let text = text.replace("LINEAGE", "_batch, _source, _position");
    let read = |one: &str| {
        let [table, how, sql] = one.splitn(3, '|').map(str::trim).collect::<Vec<_>>()[..] else {
            panic!("this is no model: {one}")
        };
        let mut keys: Vec<&str> = how.split_whitespace().collect();
        let is_strategy = ["append", "upsert", "full"].contains(&keys[0]);
        let strategy = if is_strategy { keys.remove(0) } else { "recompute" };
        let apart: Vec<&str> = keys.iter().filter_map(|key| key.strip_suffix('/')).collect();
        let mut section = format!("strategy = {strategy:?}\npartition-by = {apart:?}\n");
        if strategy != "full" {
            let by: Vec<&str> = keys.iter().map(|key| key.trim_end_matches('/')).collect();
            section += &format!("by = {by:?}\n");
        }
        (table.to_owned(), section, sql.to_owned())
    };
    text.split(';').filter(|one| !one.trim().is_empty()).map(read).collect()
}

/// A record of the values in `row`, in the order of the source's columns. `-` leaves one out, and
/// so does the end of the row.
fn record(source: &str, row: &str) -> Value {
    let (_, columns) = SOURCES.into_iter().find(|(name, _)| *name == source).unwrap();
    let names = columns.split(", ").filter_map(|column| column.split(' ').next());
    let values = names.zip(row.split_whitespace()).filter(|(_, word)| *word != "-");
    let value = |word: &str| serde_json::from_str(word).unwrap_or_else(|_| json!(word));
    values.map(|(name, word)| (name.to_owned(), value(word))).collect()
}

/// A project of the three sources and some models, and the files that were landed for it.
struct Nasty {
    bench: Bench,
    models: Vec<Model>,
    landed: Vec<(String, String)>,
}

impl Nasty {
    fn new(text: &str) -> Self {
        Self::of(Bench::new(), models(text))
    }

    fn of(bench: Bench, models: Vec<Model>) -> Self {
        for shipped in ["pipelines", "sql", "sample_data"] {
            fs::remove_dir_all(bench.path(shipped)).unwrap();
        }
        let nasty = Self { bench, models, landed: Vec::new() };
        let mut pipeline = String::new();
        for (source, columns) in SOURCES {
            let ddl = format!("CREATE TABLE {source} ({columns})");
            nasty.write(&format!("sql/bronze/{source}.sql"), &ddl);
            fs::create_dir(nasty.bench.path(source)).unwrap();
            let limit = format!("[source.{source}]\n{ANY_NUMBER}");
            pipeline += &format!("{limit}[source.{source}.files]\npath = {source:?}\n");
        }
        for (table, section, sql) in &nasty.models {
            nasty.write(&format!("sql/{}.sql", table.replace('.', "/")), sql);
            pipeline += &format!("[model.{table:?}]\n{ANY_NUMBER}{section}");
        }
        nasty.write("pipelines/nasty.toml", &pipeline);
        nasty
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.bench.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// Lands the records between the commas of `rows` in a file that comes after all others.
    fn land(&mut self, source: &str, rows: &str) {
        let lines = rows.split(',').map(|row| record(source, row).to_string() + "\n");
        let file = (format!("{source}/{:03}.json", self.landed.len()), lines.collect::<String>());
        self.write(&file.0, &file.1);
        self.landed.push(file);
    }

    /// Lands records of `s`, runs, and checks.
    #[track_caller]
    fn deliver(&mut self, rows: &str) {
        self.land("s", rows);
        self.bench.run();
        self.check(rows);
    }

    #[track_caller]
    fn verify(&self, when: &str) {
        let ended = self.bench.command(&["verify"]);
        assert_eq!(ended.code, 0, "{when}: {}\n{}", ended.out, ended.err);
    }

    /// Every table equals its rebuild, and the same table of a lake that was filled by one run.
    #[track_caller]
    fn check(&self, when: &str) {
        self.verify(when);
        let at_once = Self::of(Bench::new(), self.models.clone());
        self.landed.iter().for_each(|(name, text)| at_once.write(name, text));
        at_once.bench.run();
        for (table, ..) in &self.models {
            let expected = at_once.bench.content(table);
            let wrong = differences(table, &expected, &self.bench.content(table));
            assert!(wrong.is_empty(), "{when}, unlike all at once: {}", wrong.join("\n"));
        }
    }
}

#[test]
fn what_was_once_wrong_equals_its_rebuild() {
    let mut nasty = Nasty::new(KNOWN);
    let first = "1 d1 a 1, 2 d2 b 5, 3 d1 b 3, 4 d2 a 4, 5 d5 b 6, 6 d3 ca 1, 7 d3 \"\" 1,
        8 d3 null 1, 9 - - 2";
    for [s, p, t] in [
        [first, "a 5, b 6", "d1 1"],
        // Two of the pairs of d1 and d2 with a and b; and d5 only by what is new about b.
        ["11 d1 a 2, 12 d2 b 7, 13 d3 cb 9, 14 d6 b 1", "b 2, cb 1", "d1 1"],
        // The record of ca, which is older than that of cb, comes to light.
        ["21 \"\" \"\" 3, 22 null null 3, 23 - - 3", "ca 1", "d2 5"],
        ["31 d9 a 0", "z 90", "d2 5"],
        ["41 - - -, 42 d9 z 8, 43 d1 \"\" 4", "z 90", "d0 1"],
    ] {
        nasty.land("p", p);
        nasty.land("t", t);
        nasty.deliver(s);
    }
}

/// Records by chance. Each has an id of its own, so that only one order by it is possible.
fn delivery(chance: &mut ChaCha8Rng, source: &str, count: u32, id: &mut u32) -> String {
    let mut rows = Vec::new();
    for _ in 0..count {
        let choices: [&[&str]; 3] = [
            &["d1", "d2", "d3", "\"\"", "null", "-"],
            &["a", "b", "ca", "cb", "\"\"", "null", "-"],
            &["0", "1", "2", "3", "5", "8", "null"],
        ];
        let [day, person, number] =
            choices.map(|choices| choices[chance.random_range(0..choices.len())]);
        *id += 1;
        rows.push(match source {
            "s" => format!("{id} {day} {person} {number}"),
            "p" => format!("{person} {number}"),
            _ => format!("{day} {number}"),
        });
    }
    // Some come twice.
    rows.extend(chance.random_bool(0.2).then(|| rows[0].clone()));
    rows.join(",")
}

#[test]
fn whatever_comes_every_model_equals_its_rebuild() {
    let live = |seed: u64| {
        let mut chance = ChaCha8Rng::seed_from_u64(seed);
        let mut nasty = Nasty::new(&format!("{KNOWN}{LIKELY}{}", joins()));
        let mut id = 0;
        for batch in 1..=6 {
            // At first much from all three sources, later less and less from one or two of them.
            let busy = if batch == 1 { 0b111_u8 } else { chance.random_range(0b001..0b111) };
            for (index, (source, _)) in SOURCES.iter().enumerate() {
                if (busy >> index) & 1 == 1 {
                    let rows = delivery(&mut chance, source, 12 / batch, &mut id);
                    nasty.land(source, &rows);
                }
            }
            nasty.bench.run();
            nasty.verify(&format!("seed {seed}, batch {batch}"));
        }
        nasty.check(&format!("seed {seed}"));
    };
    thread::scope(|scope| {
        for seed in 0..3 {
            scope.spawn(move || live(seed));
        }
    });
}

#[test]
fn instants_that_are_stored_alike_are_one_key() {
    let mut nasty = Nasty::new(
        "silver.at | upsert at | SELECT CAST(day AS TIMESTAMP) AS at, id, LINEAGE FROM bronze.s;
        gold.at | k | SELECT CAST(day AS TIMESTAMP) AS k, count(*) AS n FROM bronze.s GROUP BY 1;",
    );
    let (day, old) = ("2025-07-01T00:00:00", "1960-07-01T00:00:00");
    nasty.deliver(&format!("1 {day}.123456789 a 1, 2 {day} a 1, 3 {old}.123456789 a 1, 4 null"));
    nasty.deliver(&format!("5 {day}.123456789 a 1, 6 {day}.5 a 1, 7 {old}.123456789 a 1, 8"));
    nasty.deliver(&format!("9 {day}.123456 a 1, 10 {day}.123456001 a 1"));
    assert_eq!(nasty.bench.value("SELECT count(*) FROM silver.at WHERE at IS NOT NULL"), 4);
}

#[test]
fn a_model_may_say_that_the_first_delivery_wins() {
    let first = "SELECT id, v, -_batch AS _batch, _source, _position FROM bronze.s";
    let mut nasty = Nasty::new(&format!("silver.first | upsert id | {first}"));
    for rows in ["1 d1 a 10, 2 d1 a 10", "1 d1 a 20, 3 d1 a 20", "1 d1 a 30, 3 d1 a 30"] {
        nasty.land("s", rows);
        nasty.bench.run();
        nasty.verify(rows);
    }
    let expected = [(1, 10), (2, 10), (3, 20)].map(|(id, v)| json!({"id": id, "v": v}));
    assert_eq!(nasty.bench.query("SELECT id, v FROM silver.first ORDER BY id"), expected);
}

#[test]
fn no_name_of_a_column_is_taken() {
    let mut nasty = Nasty::new(
        "silver.named | upsert records newness came went rows_added _file | SELECT id AS records,
            v AS newness, person AS came, day AS went, id AS rows_added, v AS _file, LINEAGE
            FROM bronze.s;
        gold.named | records newness came went rows_added _file | SELECT records, newness, came,
            went, rows_added, _file, count(*) AS n FROM silver.named
            GROUP BY records, newness, came, went, rows_added, _file;
        gold.joined | day | SELECT s.day, count(n.came) AS came, max(n.went) AS went
            FROM bronze.s s JOIN silver.named n ON n.records = s.id GROUP BY s.day;",
    );
    // Enough files that the last delivery is worth no rebuild.
    for rows in ["1 d1 a 1, 2 d2 b 2, 3", "4 d1 a 4, 5 d3 c 2", "6 d2 b 1, 7 d4 b 1", "8 d5 a 1"] {
        nasty.land("s", rows);
        nasty.bench.run();
    }
    nasty.deliver("1 d1 a 1, 2 d2 b 3, 9 d1 a 4");
}

#[test]
fn what_cannot_be_kept_up_to_date_is_refused() {
    for model in [
        "silver.suspect | upsert id | SELECT id, v, LINEAGE FROM bronze.s ORDER BY v LIMIT 2",
        "silver.suspect | append | SELECT id, v FROM bronze.s ORDER BY v DESC, id LIMIT 2",
        "silver.suspect | append | SELECT id FROM (SELECT * FROM bronze.s ORDER BY v LIMIT 2) x",
        "silver.suspect | upsert x | SELECT CAST(v AS DOUBLE) AS x, LINEAGE FROM bronze.s",
        "gold.suspect | x | SELECT DISTINCT CAST(v AS DOUBLE) AS x FROM bronze.s",
        "silver.suspect | upsert x | SELECT named_struct('a', v) AS x, LINEAGE FROM bronze.s",
        "silver.suspect | upsert x | SELECT make_array(v) AS x, LINEAGE FROM bronze.s",
        "gold.suspect | full x/ | SELECT id, arrow_cast(day, 'Binary') AS x FROM bronze.s",
        "gold.suspect | full x/ | SELECT id, CAST(v AS DOUBLE) AS x FROM bronze.s",
        "gold.suspect | day/ | SELECT DISTINCT day FROM bronze.s",
        "gold.suspect | day day | SELECT DISTINCT day, person FROM bronze.s",
        "gold.suspect | full day/ day/ | SELECT id, day FROM bronze.s",
    ] {
        let ended = Nasty::new(model).bench.command(&["plan"]);
        assert_eq!(ended.code, 2, "{model}: {}\n{}", ended.out, ended.err);
        assert!(ended.err.contains("suspect"), "{model}: {}", ended.err);
    }
}

#[test]
fn what_was_landed_comes_back_but_only_when_it_is_written_down() {
    let mut nasty = Nasty::new("silver.ids | upsert id | SELECT id, v, LINEAGE FROM bronze.s");
    for rows in ["1 d1 a 1, 2 d2 b 1", "3 d1 a 2", "4 d3 c 3, 5 d1 b 3"] {
        nasty.land("s", rows);
        nasty.bench.run();
    }
    let bronze = nasty.bench.path("lake/bronze/s");
    fs::remove_dir_all(&bronze).unwrap();
    nasty.bench.run();
    assert_eq!(nasty.bench.value("SELECT count(*) FROM bronze.s"), 5);
    nasty.check("after Bronze was thrown away");
    let commits = || fs::read_dir(bronze.join("_delta_log")).unwrap().count();
    let before = commits();
    fs::remove_dir_all(nasty.bench.path("lake/ops")).unwrap();
    for rows in ["6 d4 d 4", "7 d4 d 4"] {
        let ended = nasty.bench.command(&["run"]);
        assert_eq!(ended.code, 2, "{}\n{}", ended.out, ended.err);
        assert!(ended.err.contains("ops.batches"), "{}", ended.err);
        assert_eq!(commits(), before, "something has landed");
        nasty.land("s", rows);
    }
}

#[test]
fn a_lake_may_lie_below_odd_names_but_not_below_escapes() {
    let parent = tempfile::tempdir().unwrap();
    let below = |name: &str| {
        fs::create_dir(parent.path().join(name)).unwrap();
        let model = "silver.ids | upsert day/ id | SELECT day, id, LINEAGE FROM bronze.s";
        Nasty::of(Bench::with_directory(&parent.path().join(name)), models(model))
    };
    let mut odd = below("a [x] ü");
    odd.deliver("1 d1 a 1, 2 a/b=%20 a 1");
    odd.deliver("2 a/b=%20 a 2");
    let mut escaped = below("a%20b");
    escaped.land("s", "1 d1 a 1");
    let ended = escaped.bench.command(&["run"]);
    assert_eq!(ended.code, 2, "{}\n{}", ended.out, ended.err);
    assert!(!escaped.bench.path("lake").exists(), "something was written");
}

#[test]
fn a_pipeline_may_read_one_whose_name_comes_later() {
    let mut nasty = Nasty::new("gold.days | day | SELECT day, v FROM bronze.s");
    nasty.write("pipelines/a.toml", "[model.\"gold.count\"]\nstrategy = \"full\"\n");
    nasty.write("sql/gold/count.sql", "SELECT count(*) AS n, sum(v) AS v FROM gold.days");
    for (rows, n, v) in [("1 d1 a 1, 2 d2 b 2, 3 d2 b 3", 3, 6), ("4 d2 a 4", 4, 10)] {
        nasty.land("s", rows);
        nasty.bench.command(&["run"]).ok();
        assert_eq!(nasty.bench.query("SELECT * FROM gold.count"), [json!({"n": n, "v": v})]);
        nasty.verify(rows);
    }
}
