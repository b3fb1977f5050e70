-- The original's three analytics queries, for each station. Hours are UTC's, whatever the session's time zone is.
-- Add ORDER BY and LIMIT, and a WHERE on the station, where they are used.

CREATE VIEW tracks_per_hour AS
SELECT station, date_trunc('hour', started_at, 'UTC') AS hour, count(*) AS tracks
FROM play_history
GROUP BY 1, 2;

CREATE VIEW most_played_tracks AS
SELECT
    station,
    track_key,
    (array_agg(artist ORDER BY started_at DESC))[1] AS artist,
    (array_agg(title ORDER BY started_at DESC))[1] AS title,
    count(*) AS plays,
    max(started_at) AS last_played_at
FROM play_history
GROUP BY 1, 2;

CREATE VIEW error_rate_by_hour AS
SELECT station, date_trunc('hour', timestamp, 'UTC') AS hour, severity, count(*) AS errors
FROM error_log
GROUP BY 1, 2, 3;
