DROP TABLE default_config;
DROP TABLE error_log;
DROP TABLE play_history;
DROP TABLE track_mappings;
