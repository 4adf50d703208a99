-- Where clicks come from, per day, as far as visitors let it be known.
SELECT click_date, country, city, clicks, users, rank
FROM gold.clicks_by_dimension
WHERE dimension = 'location'
