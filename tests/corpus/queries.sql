-- What was once answered wrongly or not at all, one query a line.
SELECT session_number(instant('2025-07-01'), INTERVAL '999999999 days', INTERVAL '1 day') OVER ()
SELECT session_number(at, INTERVAL '-2147483648 days', INTERVAL '2147483647 days') OVER (ORDER BY at) FROM (VALUES (instant('0001-01-01')), (instant('9999-12-31'))) v (at)
SELECT removal_effects('a', 9223372036854775807, 1) FROM generate_series(1, 5)
SELECT removal_effects('a', -1, 9223372036854775807), removal_effects('a', 9223372036854775807, -9223372036854775808)
SELECT removal_effects(value || ' > x', 1, 1) FROM generate_series(1, 200)
SELECT journeys([struct(instant('0001-01-01'), 'a', 'A', true), struct(instant('9999-12-31'), 'b', 'B', false)], INTERVAL '2147483647 days', 9223372036854775807)
SELECT journeys(NULL, INTERVAL '1 day', 50), journeys([], NULL, NULL), journeys([NULL], INTERVAL '1 month', 0)
SELECT touch([], NULL, NULL, NULL, NULL), channel(1, 2, 3, 4)
SELECT first_event([], NULL, 'click', '('), first_event(NULL, NULL, NULL, NULL)
SELECT first_event([named_struct('event_type', 'click', 'element_id', 'b', 'timestamp', '2025-07-01')], named_struct('at', instant('2025-07-01'), 'place', -9223372036854775808), 'click', '(((((((((((((((a?)*)*)*)*)*)*)*)*)*)*)*)*)*)*)*')
SELECT share(CAST('NaN' AS DOUBLE)) OVER (), share(1e308 * value) OVER () FROM generate_series(1, 3)
SELECT share(1) OVER (ORDER BY value ROWS BETWEEN 1 PRECEDING AND 1 FOLLOWING) FROM generate_series(1, 3)
SELECT instant('999999-01-01'), instant('-999999-01-01'), instant(1e400), instant('2025-02-30'), instant([1]), instant(instant('2025-07-01'))
SELECT date_trunc('week', instant('0001-01-01')), date_trunc('week', DATE '9999-12-31')
SELECT url_parts('http://[::1'), url_parts('//'), url_parts('?' || repeat('utm_source=%', 5000)), url_parts(repeat('/..', 100000))
SELECT user_agent(repeat('Mozilla/5.0 (', 10000)), user_agent(''), user_agent(NULL)
SELECT count_events([NULL], 'click'), count_events(NULL, NULL), count_events([1], 'click')
SELECT FROM silver.sessions
SELECT
;
SELECT 1; SELECT 'é
