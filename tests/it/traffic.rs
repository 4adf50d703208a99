//! Sessions by chance, and the files in which they are delivered: new, late, again, corrected,
//! spoiled and broken.

use chrono::{Days, NaiveDate, NaiveTime, TimeDelta};
use rand::seq::SliceRandom as _;
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

use crate::support::{Bench, CRAWLER};

const USERS: u64 = 30;
/// How much comes at once where little is enough.
const FEW: usize = 6;

const PAGES: [&str; 7] = [
    "/",
    "/pricing",
    "/pricing?plan=2#faq",
    "/product-idea-page?x=1#top",
    "https://shop.example/cart?step=2",
    "https://shop.example",
    "/login?next=https://shop.example/cart",
];

/// What a source leaves out now and then.
const FORGOTTEN: [&str; 8] = [
    "events",
    "time_spent_seconds",
    "page_url",
    "conversion",
    "bounce",
    "visit_count",
    "utm_source",
    "device_type",
];

/// Before the earliest day, and long after the record came.
const ODD_TIMES: [&str; 5] = [
    "0001-01-01T00:00:00Z",
    "1677-09-20T23:59:59Z",
    "1994-12-31T23:59:59.999Z",
    "2262-04-12T00:00:00Z",
    "9999-12-31T23:59:59Z",
];

const BROKEN: [&str; 5] = [
    "{\"session_id\": \"cut off in the mid",
    "{\"session_id\": \"s-1\", \"user_id\": \"u-1\"",
    "{\"session_id\": \"s-1, \"user_id\": \"u-1\"}",
    "2025-07-22 ERROR upstream timed out",
    "42",
];

/// The files that are there for one run; none when nothing is new.
#[derive(Default)]
pub(crate) struct Batch {
    pub files: Vec<Delivery>,
}

/// A file: its name, and its lines, each the text of a record or something broken.
pub(crate) struct Delivery {
    pub name: String,
    pub lines: Vec<String>,
}

impl Batch {
    /// Puts the files into the landing directory.
    pub(crate) fn land(&self, bench: &Bench) {
        for file in &self.files {
            bench.land(&file.name, file.lines.join("\n") + "\n");
        }
    }
}

/// A source of sessions; the same seed tells the same of them.
pub(crate) struct Traffic {
    chance: ChaCha8Rng,
    /// The first day of which nothing was told yet, late deliveries aside.
    today: u64,
    /// How many sessions there were, and how many batches.
    sessions: u64,
    batches: usize,
    /// What may be delivered again: sessions as they were told last, and their days.
    known: Vec<(u64, Value)>,
}

impl Traffic {
    pub(crate) fn new(seed: u64) -> Self {
        let chance = ChaCha8Rng::seed_from_u64(seed);
        Self { chance, today: 0, sessions: 0, batches: 0, known: Vec::new() }
    }

    /// A number below `end`.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.chance.random_range(0..end)
    }

    /// What a lake begins with: some sessions of five days.
    pub(crate) fn first(&mut self) -> Batch {
        self.today = 5;
        let mut lines = self.new_sessions(40, 0, 5);
        lines.push(self.spoiled(0));
        self.deliver(lines, 2)
    }

    /// A few sessions of a day of which nothing was told yet.
    pub(crate) fn new_day(&mut self) -> Batch {
        let day = self.today;
        self.today += 1;
        let mut lines = self.new_sessions(FEW, day, day + 1);
        lines.push(self.spoiled(day));
        self.deliver(lines, 1)
    }

    /// A few sessions of earlier batches as they are now said to have been, none of them twice.
    pub(crate) fn corrections(&mut self) -> Batch {
        let mut indexes: Vec<usize> = (0..self.known.len()).collect();
        indexes.shuffle(&mut self.chance);
        indexes.truncate(FEW);
        let mut lines: Vec<String> =
            indexes.into_iter().map(|index| self.corrected(index)).collect();
        lines.push(self.spoiled(0));
        self.deliver(lines, 1)
    }

    /// The one or the other.
    pub(crate) fn more(&mut self) -> Batch {
        if self.one_in(2) { self.new_day() } else { self.corrections() }
    }

    /// What comes until `day`: so many new sessions, up to 90 days late, old ones again, the same
    /// one several times, dirt; or nothing at all.
    pub(crate) fn until(&mut self, day: u64, sessions: usize) -> Batch {
        if !self.known.is_empty() && self.one_in(10) {
            return Batch::default();
        }
        let began = std::mem::replace(&mut self.today, day);
        // Now and then nothing is told but of new days.
        let only_new_days = self.one_in(3);
        let late = if only_new_days { 0 } else { self.chance.random_range(0..=sessions / 2) };
        let mut lines = self.new_sessions(sessions - late, began, day);
        lines.extend(self.new_sessions(late, day.saturating_sub(90), day));
        if !only_new_days {
            for _ in 0..self.chance.random_range(0..=sessions) {
                lines.push(self.again());
            }
        }
        for _ in 0..self.below(3) {
            lines.push(self.spoiled(began));
        }
        let broken = self.below(3);
        self.deliver(lines, broken)
    }

    fn one_in(&mut self, many: u64) -> bool {
        self.below(many) == 0
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.chance.random_range(0..from.len())]
    }

    /// So many new sessions of the days from `from` and before `to`.
    fn new_sessions(&mut self, count: usize, from: u64, to: u64) -> Vec<String> {
        let one = |_| {
            let day = self.chance.random_range(from..to);
            let session = self.session(day);
            let line = session.to_string();
            self.known.push((day, session));
            line
        };
        (0..count).map(one).collect()
    }

    fn session(&mut self, day: u64) -> Value {
        self.sessions += 1;
        // Ids repeat between users.
        let id = if self.one_in(8) { self.sessions / 2 } else { self.sessions };
        // Every tenth session is a crawler's, on behalf of whichever user.
        let agent = match self.sessions.is_multiple_of(10) {
            true => CRAWLER,
            false => "Browser/1.0 \"quoted\" \\ / ü",
        };
        let mut session = json!({
            "session_id": format!("s-{id}"),
            "user_id": format!("u-{}", self.below(USERS)),
            "timestamp": self.moment(day),
            "user_agent": agent,
            "device_type": self.pick(&["mobile", "desktop", "tablet"]),
            "os": "iOS", "browser": "Safari",
            "page_url": self.pick(&PAGES),
            "referrer": self.pick(&["techpro", "https://news.example/a", ""]),
            "utm_source": self.pick(&["instagram", "google", "newsletter"]),
            "utm_medium": self.pick(&["ad", "cpc", "email"]),
            "utm_campaign": self.pick(&["newidea_july", "spring"]),
            "events": self.events(),
            "time_spent_seconds": self.seconds(),
            "is_returning_visitor": self.one_in(2),
            "visit_count": self.below(5),
            "bounce": self.one_in(3),
            "conversion": self.one_in(5),
        });
        match self.below(10) {
            // Some come by themselves, and some say where from in another way.
            0 | 1 => {
                for field in ["utm_source", "utm_medium", "utm_campaign", "referrer"] {
                    session[field] = Value::Null;
                }
            }
            2 => session["utm_source"] = json!(" Google"),
            _ => {}
        }
        if self.one_in(6) {
            session.as_object_mut().unwrap().remove(self.pick(&FORGOTTEN));
        }
        if self.one_in(20) {
            session["experiment"] = json!("undeclared");
        }
        session
    }

    /// An instant of a day, written in one of several ways.
    fn moment(&mut self, day: u64) -> String {
        let first = NaiveDate::from_ymd_opt(2025, 3, 1).unwrap().and_time(NaiveTime::MIN);
        let since = TimeDelta::milliseconds(self.chance.random_range(0..86_400_000));
        let at = first + Days::new(day) + since;
        let elsewhere = at + TimeDelta::hours(2);
        match self.below(8) {
            0 => elsewhere.format("%Y-%m-%dT%H:%M:%S%.3f+02:00").to_string(),
            1 => at.format("%Y-%m-%dT%H:%M:%S%.3fZ").to_string(),
            _ => at.format("%Y-%m-%dT%H:%M:%SZ").to_string(),
        }
    }

    fn events(&mut self) -> Value {
        let count = self.below(4);
        let event = |_| {
            json!({
                "event_type": self.pick(&["view", "click", "click", "submit"]),
                "element_id": self.pick(&[Some("button1"), Some("button2"), Some("email"), Some("Demo"), None]),
                "timestamp": self.pick(&[
                    "2025-07-01T10:00:00Z", "2025-07-01T10:00:00Z", "2025-07-01T10:00:01Z",
                    "2025-07-01T10:00:02.5Z", "2025-01-01T00:00:00Z", "some time",
                ]),
            })
        };
        (0..count).map(event).collect()
    }

    /// How long a session took, as its source says.
    fn seconds(&mut self) -> Value {
        match self.below(16) {
            0 => json!(-7),
            1 => json!(90_000),
            2 => Value::Null,
            3 => json!("12"),
            _ => json!(self.below(900)),
        }
    }

    /// A known session once more: as it was, corrected, or moved to another day.
    fn again(&mut self) -> String {
        let index = self.chance.random_range(0..self.known.len());
        match self.below(12) {
            0..=3 => self.known[index].1.to_string(),
            4 => {
                let mut session = self.known[index].1.clone();
                let day = self.below(self.today);
                session["timestamp"] = json!(self.moment(day));
                session.to_string()
            }
            _ => self.corrected(index),
        }
    }

    /// A known session of which something is told otherwise from now on.
    fn corrected(&mut self, index: usize) -> String {
        let (day, mut session) = self.known[index].clone();
        match self.below(6) {
            0 => session["time_spent_seconds"] = self.seconds(),
            1 => session["events"] = self.events(),
            2 => session["page_url"] = json!(self.pick(&PAGES)),
            3 => session["conversion"] = json!(self.one_in(2)),
            4 => session["visit_count"] = json!(self.below(9)),
            _ => session["timestamp"] = json!(self.moment(day)),
        }
        let line = session.to_string();
        self.known[index].1 = session;
        line
    }

    /// A session of a day that lacks what every session must have, or with a time that nobody believes.
    fn spoiled(&mut self, day: u64) -> String {
        let mut session = self.session(day);
        match self.below(6) {
            0 => drop(session.as_object_mut().unwrap().remove("user_id")),
            1 => session["user_id"] = json!(""),
            2 => session["session_id"] = Value::Null,
            3 => session["timestamp"] = json!("yesterday"),
            _ => session["timestamp"] = json!(self.pick(&ODD_TIMES)),
        }
        session.to_string()
    }

    /// The lines in any order in one to three files, and broken ones between them. No file holds
    /// broken lines only: such a one is not known to hold lines at all.
    fn deliver(&mut self, mut lines: Vec<String>, broken: u64) -> Batch {
        self.batches += 1;
        lines.shuffle(&mut self.chance);
        let size = lines.len().div_ceil(self.chance.random_range(1..=3));
        let mut files: Vec<Delivery> = lines
            .chunks(size)
            .enumerate()
            .map(|(part, lines)| Delivery {
                name: format!("{:03}-{part}.json", self.batches),
                lines: lines.to_vec(),
            })
            .collect();
        for _ in 0..broken {
            let file = self.chance.random_range(0..files.len());
            let place = self.chance.random_range(0..=files[file].lines.len());
            files[file].lines.insert(place, self.pick(&BROKEN).to_owned());
        }
        Batch { files }
    }
}
