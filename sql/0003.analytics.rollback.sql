DROP VIEW error_rate_by_hour;
DROP VIEW most_played_tracks;
DROP VIEW tracks_per_hour;
