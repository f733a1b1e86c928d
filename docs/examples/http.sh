#!/bin/sh
# Writes, reads and watches over HTTP with nothing but curl, in two regions.
#
#   npm run cli -- start --regions 2
#   sh docs/examples/http.sh http://127.0.0.1:7402 http://127.0.0.1:7412
#
# Ends with 0 when everything was as it should be. Every key has the script's process id in it, so it can run again and again.
set -eu

HERE=${1:-http://127.0.0.1:7402}
THERE=${2:-http://127.0.0.1:7412}
ME=$$
WORK=$(mktemp -d)
WATCHERS=
trap 'for pid in $WATCHERS; do kill "$pid" 2>/dev/null || true; done; rm -rf "$WORK"' EXIT

# expect WHAT TEXT GOT: GOT contains TEXT.
expect() {
  case $3 in
    *"$2"*) echo "ok: $1" ;;
    *)
      echo "not ok: $1: expected $2, got $3" >&2
      exit 1
      ;;
  esac
}

# header NAME: of the last answer that was saved with -D "$WORK/headers".
header() {
  tr -d '\r' < "$WORK/headers" | awk -v name="$1:" 'tolower($1) == tolower(name) { $1 = ""; print substr($0, 2) }'
}

# await WHAT FILE TEXT: until the file contains the text; a minute at most.
await() {
  tries=0
  until grep -qF "$3" "$2" 2>/dev/null; do
    tries=$((tries + 1))
    [ "$tries" -lt 600 ] || { echo "not ok: $1: $3 did not come" >&2; exit 1; }
    sleep 0.1
  done
  echo "ok: $1"
}

expect 'alive' '"status":"ok"' "$(curl -sS "$HERE/livez")"
expect 'ready' '"ready":true' "$(curl -sS "$HERE/readyz")"
expect 'collections are told' '"name":"counters"' "$(curl -sS "$HERE/v1/demo")"

# A value is the body, byte for byte.
PROFILE=v1/demo/profiles/anna-$ME
curl -sS -D "$WORK/headers" -X PUT --json '{"city": "Oslo"}' "$HERE/$PROFILE" > "$WORK/answer"
expect 'written' '"duplicate":false' "$(cat "$WORK/answer")"
FIRST=$(header ETag)
SESSION=$(header Causeway-Session)
expect 'read where it was written' '{"city": "Oslo"}' "$(curl -sS "$HERE/$PROFILE")"

# In the other region: at least what the session has seen, however long it took to get there.
expect 'read in the other region' '{"city": "Oslo"}' \
  "$(curl -sS -H "Causeway-Session: $SESSION" "$THERE/$PROFILE?deadlineMs=60000")"

# Compare-and-set: the second writer loses.
expect 'replaced' '"duplicate":false' \
  "$(curl -sS -X PUT -H "If-Match: $FIRST" --json '{"city": "Bergen"}' "$HERE/$PROFILE")"
expect 'lost against it' '"code":"failed_precondition"' \
  "$(curl -sS -X PUT -H "If-Match: $FIRST" --json '{"city": "Trondheim"}' "$HERE/$PROFILE")"
expect 'not modified since' 304 "$(curl -sS -o "$WORK/answer" -w '%{http_code}' \
  -H "If-None-Match: $(curl -sSI "$HERE/$PROFILE" | tr -d '\r' | awk 'tolower($1) == "etag:" { print $2 }')" "$HERE/$PROFILE")"

# Follow one collection, from now on, in the background.
curl -sSN "$HERE/v1/demo/counters?watch&form=op&prefix=c-$ME" > "$WORK/here" &
WATCHERS="$WATCHERS $!"
FIRST_WATCH=$!
await 'the watch stands' "$WORK/here" 'event: ready'

# Counters: both regions count, nothing is lost. A retry with the same key counts once.
COUNTER=v1/demo/counters/c-$ME
ISSUED="Causeway-Issued-At-Ms: $(date +%s)000"
curl -sS --json '{"increment": 2}' "$HERE/$COUNTER" > "$WORK/answer"
curl -sS --json '{"increment": 3}' -H "Idempotency-Key: third-$ME" -H "$ISSUED" "$HERE/$COUNTER" > "$WORK/answer"
curl -sS --json '{"increment": 3}' -H "Idempotency-Key: third-$ME" -H "$ISSUED" "$HERE/$COUNTER" > "$WORK/answer"
expect 'a retry counts once' '"duplicate":true' "$(cat "$WORK/answer")"
curl -sS -D "$WORK/headers" --json '{"increment": 10}' "$THERE/$COUNTER" > "$WORK/answer"
expect 'counted in the other region' '"entry":{"key":"c-' "$(cat "$WORK/answer")"
expect 'both count' '"value":"15"' \
  "$(curl -sS -H "Causeway-Session: $(header Causeway-Session)" "$HERE/$COUNTER?deadlineMs=60000")"
await 'the watch has seen it' "$WORK/here" '"by":"10"'

# The watcher goes, things happen, and it comes back in the other region, with its last id: it misses nothing.
kill "$FIRST_WATCH"
LAST=$(sed -n 's/^id: //p' "$WORK/here" | tail -n 1)
curl -sS --json '{"increment": 100}' "$HERE/$COUNTER" > "$WORK/answer"
curl -sSN -H "Last-Event-ID: $LAST" "$THERE/v1/demo/counters?watch&form=op&prefix=c-$ME" > "$WORK/there" &
WATCHERS="$WATCHERS $!"
await 'the watch goes on in the other region' "$WORK/there" '"by":"100"'
expect 'and repeats nothing' 1 "$(grep -c '^event: change' "$WORK/there")"

# Sets and maps.
curl -sS --json '{"add": ["news", "oslo"]}' "$HERE/v1/demo/sets/s-$ME" > "$WORK/answer"
curl -sS --json '{"remove": ["news"]}' "$HERE/v1/demo/sets/s-$ME" > "$WORK/answer"
expect 'a set' '"members":["oslo"]' "$(curl -sS "$HERE/v1/demo/sets/s-$ME")"
curl -sS --json '{"set": {"gate": "B12", "delay": 5}, "remove": ["terminal"]}' "$HERE/v1/demo/flights/f-$ME" > "$WORK/answer"
expect 'a map' '"value":"B12"' "$(curl -sS "$HERE/v1/demo/flights/f-$ME")"

# Many keys, page by page.
for name in 1 2 3; do curl -sS -X PUT --json "$name" "$HERE/v1/demo/profiles/page-$ME-$name" > "$WORK/answer"; done
curl -sS "$HERE/v1/demo/profiles?prefix=page-$ME-&pageSize=2" > "$WORK/answer"
expect 'a page' '"value":2' "$(cat "$WORK/answer")"
TOKEN=$(sed -n 's/.*"nextPageToken":"\([^"]*\)".*/\1/p' "$WORK/answer")
expect 'the next page' '"value":3' "$(curl -sS "$HERE/v1/demo/profiles?prefix=page-$ME-&pageSize=2&pageToken=$TOKEN")"

# And away.
curl -sS -X DELETE "$HERE/$PROFILE" > "$WORK/answer"
expect 'gone' '"code":"not_found"' "$(curl -sS "$HERE/$PROFILE")"
echo done
