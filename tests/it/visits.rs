//! What the tables about visits must hold: the funnel, cohorts, how often users come, and claims beside
//! what events say. Worked out from the sessions that count, each by the plainest loop that does it.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Datelike as _, Days, NaiveDate, Utc};
use serde_json::Value;

use crate::oracle::{Session, row, text};
use crate::ways::{Expected, Users, by_user, channel};

const FUNNEL: &str = "SELECT [CAST(session_date AS TEXT), channel, CAST(step AS TEXT), \
    CAST(sessions AS TEXT), CAST(CAST(round(avg_seconds_since_step * 1000) AS BIGINT) AS TEXT)] AS r \
    FROM gold.funnel";
const COHORTS: &str = "SELECT [CAST(cohort_week AS TEXT), CAST(week_number AS TEXT), CAST(week AS TEXT), \
    CAST(visitors AS TEXT), CAST(active_visitors AS TEXT)] AS r FROM gold.visitor_cohorts";
const ACTIVITY: &str = "SELECT [user_id, CAST(sessions AS TEXT), CAST(active_days AS TEXT), \
    CAST(conversions AS TEXT), CAST(CAST(first_seen_at AS DATE) AS TEXT), \
    CAST(CAST(last_seen_at AS DATE) AS TEXT)] AS r FROM silver.visit_count";
const RECENCY: &str = "SELECT [CAST(recency_days AS TEXT), CAST(frequency AS TEXT), \
    CAST(users AS TEXT), CAST(conversions AS TEXT)] AS r FROM gold.recency_frequency";
const CLAIMS: &str = "SELECT [CAST(session_date AS TEXT), CAST(conversions_only_claimed AS TEXT), \
    CAST(conversions_only_derived AS TEXT), CAST(bounces_only_claimed AS TEXT), \
    CAST(bounces_only_derived AS TEXT)] AS r FROM gold.reconciliation";

/// Each table, a query for what is compared of it, and the rows that it must give: `people` are those of
/// the `sessions` that are no bots'.
pub(crate) fn expected(sessions: &[Session], people: &[Session]) -> Vec<Expected> {
    let users = by_user(people);
    vec![
        ("gold.funnel", FUNNEL, funnel(people)),
        ("gold.visitor_cohorts", COHORTS, cohorts(&users)),
        ("silver.visit_count in full", ACTIVITY, activity(&by_user(sessions))),
        ("gold.recency_frequency", RECENCY, recency(&users)),
        ("gold.reconciliation", CLAIMS, claims(people)),
    ]
}

fn funnel(sessions: &[Session]) -> Vec<String> {
    type Steps = ([usize; 4], [i64; 2]);
    let mut channels: BTreeMap<(NaiveDate, &str), Steps> = BTreeMap::new();
    for session in sessions {
        let (counts, times) = channels.entry((session.day, channel(session))).or_default();
        counts[0] += 1;
        let view = (session.started_at, -1);
        let Some(click) = first(session, view, "click", |id| {
            ["button", "demo"].iter().any(|word| id.contains(word))
        }) else {
            continue;
        };
        counts[1] += 1;
        times[0] += (click.0 - view.0).num_microseconds().unwrap();
        let Some(submission) = first(session, click, "submit", |_| true) else { continue };
        counts[2] += 1;
        times[1] += (submission.0 - click.0).num_microseconds().unwrap();
        counts[3] += usize::from(session.says("conversion"));
    }
    let mut rows = Vec::new();
    for ((day, channel), (counts, times)) in channels {
        let times = [None, Some(times[0]), Some(times[1]), None];
        for (step, (count, time)) in counts.iter().zip(times).enumerate() {
            let average = |time: i64| (time as f64 / *count as f64 / 1e6 * 1000.0).round();
            let average = time.filter(|_| *count > 0).map(average);
            rows.push(row(&[
                text(day),
                text(channel),
                text(step + 1),
                text(count),
                average.and_then(text),
            ]));
        }
    }
    rows
}

type Moment = (DateTime<Utc>, i64);

fn first(
    session: &Session,
    after: Moment,
    kind: &str,
    is_wanted: impl Fn(&str) -> bool,
) -> Option<Moment> {
    let mut found: Option<Moment> = None;
    for (place, event) in session.events().iter().enumerate() {
        let id = event["element_id"].as_str().unwrap_or_default().to_lowercase();
        let Ok(at) = DateTime::parse_from_rfc3339(event["timestamp"].as_str().unwrap()) else {
            continue;
        };
        let moment = (at.to_utc(), i64::try_from(place).unwrap());
        let is_it = event["event_type"] == kind && is_wanted(&id) && moment > after;
        if is_it && found.is_none_or(|found| moment < found) {
            found = Some(moment);
        }
    }
    found
}

pub(crate) fn week(day: NaiveDate) -> NaiveDate {
    day - Days::new(u64::from(day.weekday().num_days_from_monday()))
}

fn cohorts(users: &Users<'_>) -> Vec<String> {
    let weeks =
        |own: &[&Session]| own.iter().map(|session| week(session.day)).collect::<BTreeSet<_>>();
    let all: Vec<_> = users.values().map(|own| weeks(own)).collect();
    let Some(latest) = all.iter().filter_map(BTreeSet::last).max().copied() else {
        return Vec::new();
    };
    let cohorts: BTreeSet<_> = all.iter().filter_map(BTreeSet::first).copied().collect();
    let mut rows = Vec::new();
    for cohort in cohorts {
        let members: Vec<_> = all.iter().filter(|weeks| weeks.first() == Some(&cohort)).collect();
        for number in 0.. {
            let week = cohort + Days::new(7 * number);
            if week > latest {
                break;
            }
            let active = members.iter().filter(|weeks| weeks.contains(&week)).count();
            let shown = (week < latest).then_some(active).and_then(text);
            rows.push(row(&[text(cohort), text(number), text(week), text(members.len()), shown]));
        }
    }
    rows
}

/// First and last day, number of days, sessions, conversions.
fn seen(own: &[&Session]) -> (NaiveDate, NaiveDate, usize, usize, usize) {
    let days: BTreeSet<_> = own.iter().map(|session| session.day).collect();
    let conversions = own.iter().filter(|session| session.says("conversion")).count();
    (*days.first().unwrap(), *days.last().unwrap(), days.len(), own.len(), conversions)
}

fn activity(users: &Users<'_>) -> Vec<String> {
    let line = |(user, own): (&&str, &Vec<&Session>)| {
        let (first, last, days, sessions, conversions) = seen(own);
        row(&[text(user), text(sessions), text(days), text(conversions), text(first), text(last)])
    };
    users.iter().map(line).collect()
}

fn recency(users: &Users<'_>) -> Vec<String> {
    let Some(latest) = users.values().map(|own| seen(own).1).max() else { return Vec::new() };
    let mut buckets: BTreeMap<(i64, usize), [usize; 2]> = BTreeMap::new();
    for own in users.values() {
        let (_, last, _, sessions, conversions) = seen(own);
        let bucket = buckets.entry(((latest - last).num_days(), sessions.min(10))).or_default();
        bucket[0] += 1;
        bucket[1] += conversions;
    }
    let line = |((recency, frequency), [users, conversions]): ((i64, usize), [usize; 2])| {
        row(&[text(recency), text(frequency), text(users), text(conversions)])
    };
    buckets.into_iter().map(line).collect()
}

fn claims(sessions: &[Session]) -> Vec<String> {
    let mut days: BTreeMap<NaiveDate, [usize; 4]> = BTreeMap::new();
    for session in sessions {
        let of_kind = |kind: &str| {
            session.events().iter().filter(|event| event["event_type"] == kind).count()
        };
        let converts = of_kind("submit") > 0;
        let seconds = session.record.get("time_spent_seconds").and_then(Value::as_i64).unwrap_or(0);
        let bounces = !converts && of_kind("view") < 2 && seconds < 10;
        let (claims_conversion, claims_bounce) =
            (session.says("conversion"), session.says("bounce"));
        let differences = days.entry(session.day).or_default();
        differences[0] += usize::from(claims_conversion && !converts);
        differences[1] += usize::from(converts && !claims_conversion);
        differences[2] += usize::from(claims_bounce && !bounces);
        differences[3] += usize::from(bounces && !claims_bounce);
    }
    days.into_iter()
        .map(|(day, all)| row(&[vec![text(day)], all.map(text).to_vec()].concat()))
        .collect()
}
