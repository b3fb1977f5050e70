CREATE OR REPLACE FUNCTION radio_purge(history_days integer, error_days integer)
RETURNS TABLE (plays bigint, errors bigint)
LANGUAGE sql AS $$
    WITH gone_plays AS (
        DELETE FROM play_history
        WHERE started_at < now() - make_interval(days => greatest(history_days, 1))
        RETURNING 1
    ),
    gone_errors AS (
        DELETE FROM error_log
        WHERE timestamp < now() - make_interval(days => greatest(error_days, 1))
        RETURNING 1
    ),
    gone_audit AS (
        DELETE FROM audit_log
        WHERE timestamp < now() - make_interval(days => greatest(history_days, 1))
    )
    SELECT (SELECT count(*) FROM gone_plays), (SELECT count(*) FROM gone_errors);
$$;
