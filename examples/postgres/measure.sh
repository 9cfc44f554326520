#!/bin/sh
# Prints what the feed costs a shop: purchases a second by 16 clients, without the trigger, with it, and with it as a
# plain row trigger, which locks the counter for as long as a transaction takes. Starts a server of its own in /tmp and
# removes it. Usage: measure.sh [SECONDS for each of the six runs, 5 by default]
set -eu
secs=${1:-5}
here=$(cd "$(dirname "$0")" && pwd)
bin=${PG_BIN:-$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -1)}
bin=${bin:-$(pg_config --bindir)}
dir=$(mktemp -d /tmp/admit-measure-XXXXXX)
as=
if [ "$(id -u)" = 0 ]; then
    as='runuser -u postgres --'
    chown postgres "$dir"
fi
cd "$dir"
trap '$as "$bin/pg_ctl" -D "$dir/data" -m immediate stop >/dev/null 2>&1 || true; rm -rf "$dir"' EXIT
trap 'exit 1' INT TERM

$as "$bin/initdb" -D "$dir/data" -A trust -U postgres -E UTF8 --locale=C.UTF-8 -N >/dev/null
$as "$bin/pg_ctl" -D "$dir/data" -l "$dir/log" -w -o "-k $dir -c listen_addresses= -c max_connections=50" start >/dev/null
export PGHOST="$dir" PGUSER=postgres PGDATABASE=postgres
for file in shop admit samples; do
    "$bin/psql" -qX -v ON_ERROR_STOP=1 -f - <"$here/$file.sql" >/dev/null
done

# run NAME TRIGGER(on|off) FIRST-STATEMENT: one line of the table.
run() {
    verb=ENABLE
    [ "$2" = on ] || verb=DISABLE
    "$bin/psql" -qXc "ALTER TABLE shop.purchases $verb TRIGGER admit_customer" >/dev/null
    line="| $1 |"
    for wait in '' '\sleep 10 ms'; do
        printf '%s\n' '\set customer random(1, 200)' 'BEGIN;' "$3" \
            "SELECT shop.pay(('11a7ed90-65d3-4ee2-9d91-' || lpad(to_hex(:customer), 12, '0'))::uuid, 7, gen_random_uuid()::text);" \
            "$wait" 'COMMIT;' >"$dir/buy.sql"
        tps=$("$bin/pgbench" -n -c 16 -j 2 -T "$secs" -f "$dir/buy.sql" postgres 2>&1 | sed -n 's/^tps = \([0-9]*\).*/\1/p')
        line="$line $tps |"
    done
    echo "$line"
}

echo "$("$bin/postgres" --version), 16 clients, $secs s a run, $(nproc) processors: purchases a second"
echo
echo '| trigger | BEGIN; pay; COMMIT | with 10 ms before COMMIT |'
echo '| --- | --- | --- |'
run none off 'SELECT 1;'
run 'deferred, as in the kit' on 'SELECT 1;'
run 'at once, as a plain trigger' on 'SET CONSTRAINTS ALL IMMEDIATE;'
echo
"$bin/psql" -AtqX -c "SELECT format('%s changes, %s missing, %s out of order', count(*), max(seq) - count(*), count(*) FILTER (WHERE is_earlier)) FROM (SELECT seq, at < lag(at) OVER (ORDER BY seq) AS is_earlier FROM admit.feed) f"
