-- Which elements are clicked most, per day: the most clicked has rank 1.
SELECT click_date, element_id, element_text, clicks, users, rank
FROM gold.clicks_by_dimension
WHERE dimension = 'element'
