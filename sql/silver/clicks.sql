-- One row per click (click_date, click_id), the newest delivery, without those that are wrong.
SELECT
    click_date,
    clicked_at,
    click_id,
    shape,
    user_id,
    url,
    host,
    page,
    source,
    medium,
    campaign,
    channel,
    element_tag,
    element_id,
    element_class,
    element_text,
    duration_seconds,
    device_type,
    os,
    browser,
    city,
    country,
    _source,
    _position,
    _batch
FROM silver.click_events
WHERE problem IS NULL
