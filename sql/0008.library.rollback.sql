DROP TABLE loop_tags;
