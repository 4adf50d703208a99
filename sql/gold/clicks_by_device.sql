-- What clicks are made with, per day.
SELECT click_date, device_type, os, browser, clicks, users, rank
FROM gold.clicks_by_dimension
WHERE dimension = 'device'
