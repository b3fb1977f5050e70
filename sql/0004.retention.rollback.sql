DROP FUNCTION radio_purge(integer, integer);
