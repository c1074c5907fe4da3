-- _epoch() is the publications' alone to replace; after a restore or an upgrade it is made again from their log.
-- The lock comes first, in a statement of its own, so that the next one sees what was published before it was had.
LOCK TABLE modeldb.publication IN SHARE ROW EXCLUSIVE MODE;
SELECT modeldb._write_epoch(coalesce(max(epoch), 0)) FROM modeldb.publication;
SELECT pg_catalog.setval('modeldb.epoch_seq', greatest(
    (SELECT last_value FROM modeldb.epoch_seq), (SELECT coalesce(max(epoch), 0) + 1 FROM modeldb.publication)), true);
