#!/bin/sh
# Healthy is a server whose Python runs modeldb, not one that merely accepts connections.
exec psql --no-psqlrc --quiet --tuples-only --output /dev/null --command 'SELECT count(*) FROM modeldb.cache()'
