-- Which paths over channels end in a conversion, per day, and which do not.
SELECT
    session_date,
    path,
    count(*) AS journeys,
    count(*) FILTER (WHERE is_converting) AS conversions,
    CAST(count(*) FILTER (WHERE is_converting) AS DOUBLE) / count(*) AS conversion_rate,
    CAST(sum(touches) AS DOUBLE) / count(*) AS avg_touches
FROM gold.journeys
GROUP BY session_date, path
