-- Which pages are clicked most, per day: the most clicked has rank 1.
SELECT click_date, host, page, clicks, users, rank
FROM gold.clicks_by_dimension
WHERE dimension = 'page'
