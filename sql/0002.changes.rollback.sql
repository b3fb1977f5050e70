DROP TRIGGER default_config_notify ON default_config;
DROP TRIGGER track_mappings_notify ON track_mappings;
DROP FUNCTION radio_notify_mappings();
DROP TRIGGER track_mappings_updated_at ON track_mappings;
DROP FUNCTION radio_touch();
