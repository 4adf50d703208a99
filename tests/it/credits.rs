//! Random journeys: credits add up to the conversions by every model, whatever touches come along.

use chrono::{DateTime, TimeDelta};
use rand::seq::IndexedRandom as _;
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use serde_json::Value;

use crate::support::Bench;
use crate::ways::MODELS;

/// Sessions of a few users by chance, of whom some convert.
fn random_sessions(chance: &mut ChaCha8Rng, count: usize) -> Vec<Value> {
    let one = |number: usize| {
        let minute = chance.random_range(0..60 * 24 * 60);
        let at = DateTime::UNIX_EPOCH + TimeDelta::days(20_000) + TimeDelta::minutes(minute);
        let source = ["google", "instagram", "newsletter", ""].choose(chance).unwrap();
        serde_json::json!({
            "session_id": format!("s-{number}"), "user_id": format!("u-{}", chance.random_range(0..6)),
            "timestamp": at.to_rfc3339(), "utm_source": source,
            "utm_medium": if source.is_empty() { "" } else { "email" },
            "conversion": chance.random_bool(0.2),
        })
    };
    (0..count).map(one).collect()
}

fn land(bench: &Bench, name: &str, records: &[Value]) {
    let lines: Vec<_> = records.iter().map(Value::to_string).collect();
    bench.land(name, lines.join("\n"));
    bench.run();
}

#[test]
fn credits_add_up_whatever_touches_come_along() {
    let totals = "SELECT conversion_date, model, sum(credit) AS credit FROM attribution \
                  GROUP BY conversion_date, model ORDER BY conversion_date, model";
    let paths = "SELECT user_id, conversion_session_id, session_id, first_touch, last_touch, \
                 last_non_direct, linear, position_based, time_decay FROM conversion_paths \
                 ORDER BY conversion_session_id, touch_number";
    for seed in 0..2 {
        let mut chance = ChaCha8Rng::seed_from_u64(seed);
        let bench = Bench::new();
        let sessions = random_sessions(&mut chance, 60);
        land(&bench, "a.json", &sessions);
        let (before, paths_before) = (bench.query(totals), bench.query(paths));
        let conversions = bench.value("SELECT count(*) FROM silver.sessions WHERE conversion");
        for model in MODELS {
            let sum = format!(
                "SELECT sum(credit) = {conversions} FROM attribution WHERE model = '{model}'"
            );
            assert_eq!(bench.value(&sum), true, "{model}");
        }
        let part = "SELECT count(*) FROM conversion_paths WHERE touches = 1 AND (first_touch <> 1 OR \
                    last_touch <> 1 OR last_non_direct <> 1 OR linear <> 1 OR position_based <> 1 OR \
                    time_decay <> 1)";
        assert_eq!(bench.value(part), 0, "the only touch gets everything");

        // Touches of others, long before, and after all conversions: they change nobody's credit.
        let irrelevant = [(400, "u-x"), (-400, "u-0"), (-400, "u-1"), (400, "u-2"), (0, "u-y")];
        let irrelevant: Vec<Value> = irrelevant
            .iter()
            .enumerate()
            .map(|(number, (days, user))| {
                let at = DateTime::UNIX_EPOCH + TimeDelta::days(20_000 + days);
                serde_json::json!({"session_id": format!("x-{number}"), "user_id": user,
                    "timestamp": at.to_rfc3339(), "utm_source": "google", "utm_medium": "organic"})
            })
            .collect();
        land(&bench, "b.json", &irrelevant);
        assert_eq!(bench.query(totals), before);
        assert_eq!(bench.query(paths), paths_before);

        // Direct touches in between take their part of some, and the whole stays what it was.
        let direct = random_sessions(&mut chance, 20).into_iter().enumerate();
        let direct: Vec<Value> = direct
            .map(|(number, mut session)| {
                session["session_id"] = serde_json::json!(format!("d-{number}"));
                for field in ["utm_source", "utm_medium", "conversion"] {
                    session[field] = Value::Null;
                }
                session
            })
            .collect();
        land(&bench, "c.json", &direct);
        assert_eq!(bench.query(totals), before);
        assert_ne!(bench.query(paths), paths_before);
        bench.command(&["verify"]).ok();
    }
}
