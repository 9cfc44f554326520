"""An HTTP origin over the two views, for those who want one: export and change feed, nothing else.

    PGHOST=/run/postgresql PGDATABASE=shop PGUSER=admit_reader FEED_TOKEN=... python3 origin.py 8080

Needs Python 3.10 and pg8000 (requirements.txt). `admit publish --from postgres://...` needs none of this.
"""

import hmac
import json
import os
import re
import ssl
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pg8000.native

TOKEN = os.environ["FEED_TOKEN"]
HOST = os.environ.get("PGHOST", "/run/postgresql")
PORT = int(os.environ.get("PGPORT", "5432"))
ROWS = 1_000  # lines in one part of an answer
CHANGES_MAX = 20_000  # lines in one answer of the feed
WAIT_MAX_SECS = 25  # many proxies give up after 30 s


def connect():
    place = {"unix_sock": f"{HOST}/.s.PGSQL.{PORT}"} if HOST.startswith("/") else {"host": HOST, "port": PORT}
    password = os.environ.get("PGPASSWORD")
    if HOST not in ("localhost", "127.0.0.1", "::1") and not HOST.startswith("/"):
        place["ssl_context"] = ssl.create_default_context(cafile=os.environ.get("PGSSLROOTCERT"))
    return pg8000.native.Connection(
        os.environ["PGUSER"], password=password, database=os.environ.get("PGDATABASE"), timeout=60, **place
    )


class Origin(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        given = self.headers.get("Authorization", "").encode()
        url = urlsplit(self.path)
        if not hmac.compare_digest(given, f"Bearer {TOKEN}".encode()):
            self.error(401, "A valid token is needed")
        elif url.path != "/export":
            self.error(404, "There is nothing here")
        else:
            after = parse_qs(url.query).get("after")
            if after is None:
                self.answer("SELECT line::text FROM admit_export")
            elif re.fullmatch("[0-9]{1,18}", after[-1]):
                self.changes(int(after[-1]))
            else:
                self.error(422, "after must be a count of changes")

    def changes(self, after):
        """One line for each change; 410 if some are purged, or if `after` lies ahead; nothing if there are none."""
        wait = re.search(r"\bwait=(\d{1,4})", self.headers.get("Prefer", ""))
        end = time.monotonic() + min(int(wait[1]) if wait else 0, WAIT_MAX_SECS)
        around = f"""SELECT (SELECT seq FROM admit_changes WHERE seq <= {after} ORDER BY seq DESC LIMIT 1),
                            (SELECT seq FROM admit_changes WHERE seq > {after} ORDER BY seq LIMIT 1)"""
        is_quiet, connection = True, connect()
        try:
            while is_quiet:
                before, following = connection.run(around)[0]
                is_quiet = following is None and before == (after or None)
                if time.monotonic() >= end:
                    break
                time.sleep(0.25 if is_quiet else 0)
        finally:
            connection.close()
        if not is_quiet and following != after + 1 and before != after:
            return self.error(410, "These changes are no longer kept, or have not happened")
        self.answer(
            f"""SELECT (line || jsonb_build_object('seq', seq))::text FROM admit_changes
                WHERE seq > {after} ORDER BY seq LIMIT {CHANGES_MAX}""",
            count=True,
        )

    def answer(self, query, count=False):
        """The rows in chunks. If the database breaks off, so does the answer, without the chunk that ends it."""
        connection = connect()
        try:
            connection.run("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            connection.run(f"DECLARE lines CURSOR FOR {query}")
            newest = connection.run("SELECT coalesce(max(seq), 0) FROM admit_changes")[0][0] if count else None
            self.send_response(200)
            if count:  # so that a reader knows how far behind it is
                self.send_header("Entitlement-Seq", str(newest))
            self.send_header("Content-Type", "application/x-ndjson")
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            while rows := connection.run(f"FETCH {ROWS} FROM lines"):
                part = "".join(f"{line}\n" for (line,) in rows).encode()
                self.wfile.write(b"%x\r\n%s\r\n" % (len(part), part))
            self.wfile.write(b"0\r\n\r\n")
        finally:
            connection.close()

    def error(self, status, message):
        body = json.dumps({"code": status, "message": message, "errors": {"explain": message}}).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Cache-Control", "private, no-store")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Origin)
    print(f"http://127.0.0.1:{server.server_port}/export", flush=True)
    server.serve_forever()
