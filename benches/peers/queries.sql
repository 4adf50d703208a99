-- What analysts ask, in SQL that clickwatch and DuckDB both understand. {user} is a user with many sessions.

-- one day by platform
SELECT platform, count(*) AS sessions, count(*) FILTER (WHERE conversion) AS conversions
FROM silver.sessions WHERE session_date = DATE '2025-07-15' GROUP BY platform ORDER BY platform;

-- all days by platform and device
SELECT platform, device_type, count(*) AS sessions, avg(engaged_seconds) AS seconds
FROM silver.sessions GROUP BY platform, device_type ORDER BY platform, device_type;

-- distinct users per day
SELECT session_date, count(DISTINCT user_id) AS users FROM silver.sessions GROUP BY session_date ORDER BY session_date;

-- top pages of a week
SELECT page_path, count(*) AS sessions, count(DISTINCT user_id) AS users, sum(engaged_seconds) AS seconds
FROM silver.sessions WHERE session_date BETWEEN DATE '2025-07-07' AND DATE '2025-07-13'
GROUP BY page_path ORDER BY sessions DESC, page_path LIMIT 10;

-- two Gold tables by day
SELECT a.session_date, sum(a.sessions) AS sessions, sum(a.conversions) AS conversions, max(r.visitors) AS visitors,
    max(r.known_visitors) AS known
FROM gold.utm_attribution a JOIN gold.return_visitors r ON a.session_date = r.session_date
GROUP BY a.session_date ORDER BY a.session_date;

-- one user's history
SELECT timestamp AT TIME ZONE 'UTC' AS began, session_id, page_url, platform, event_type, element_id,
    event_timestamp AT TIME ZONE 'UTC' AS happened
FROM silver.final_cookies WHERE user_id = '{user}' ORDER BY began, session_id, event_index;

-- median and 95th percentile of time spent, per platform
SELECT platform, percentile_cont(0.5) WITHIN GROUP (ORDER BY time_spent_seconds) AS median,
    percentile_cont(0.95) WITHIN GROUP (ORDER BY time_spent_seconds) AS p95
FROM silver.sessions GROUP BY platform ORDER BY platform;

-- moving average of conversions over seven days, per channel
SELECT channel, session_date, avg(conversions) OVER (
    PARTITION BY channel ORDER BY session_date ROWS BETWEEN 6 PRECEDING AND CURRENT ROW) AS per_day
FROM (SELECT channel, session_date, sum(conversions) AS conversions FROM gold.utm_attribution GROUP BY channel, session_date)
ORDER BY channel, session_date;

-- what is clicked, and by how many sessions
SELECT element_id, event_type, count(*) AS events, count(DISTINCT session_id) AS sessions
FROM silver.final_cookies WHERE event_type IN ('click', 'submit') AND session_date >= DATE '2025-07-24'
GROUP BY element_id, event_type ORDER BY events DESC, element_id, event_type;

-- visits by weekday and hour
SELECT extract(dow FROM timestamp) AS weekday, extract(hour FROM timestamp) AS hour, count(*) AS sessions
FROM silver.sessions GROUP BY weekday, hour ORDER BY weekday, hour;
