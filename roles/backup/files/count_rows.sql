SELECT json_object_agg(relname, counted ORDER BY relname)
FROM (
    SELECT
        relname,
        (xpath('/row/rows/text()', query_to_xml(format('SELECT count(*) AS rows FROM public.%I', relname), false, true, '')))[1]
            ::text::bigint AS counted
    FROM pg_stat_user_tables
    WHERE schemaname = 'public'
) AS tables
