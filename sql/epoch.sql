-- _epoch() is the publications' alone to replace; after a restore or an upgrade it is made again from their log.
SELECT modeldb._write_epoch(coalesce(max(epoch), 0)) FROM modeldb.publication;
SELECT pg_catalog.setval('modeldb.epoch_seq', greatest(
    (SELECT last_value FROM modeldb.epoch_seq), (SELECT coalesce(max(epoch), 0) + 1 FROM modeldb.publication)), true);
