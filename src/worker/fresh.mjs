// The fresh lane at Cloudflare (docs/adr/0056): the object that has the newest head, and the entrypoint before which
// Workers Cache stands. Another Worker that binds them gets a signed head, and can purge the cache of it.
import { DurableObject, WorkerEntrypoint } from "cloudflare:workers";
import { CHUNK_BYTES, HeadKeeper, PURGE_LOST_MS } from "./head_keeper.mjs";

const TAG = "head";

/** Values in SQLite, in pieces that fit into a row. */
class Rows {
  #storage;

  constructor(storage) {
    this.#storage = storage;
    storage.sql.exec("CREATE TABLE IF NOT EXISTS state (id INTEGER PRIMARY KEY CHECK (id = 1), json TEXT NOT NULL)");
    storage.sql.exec("CREATE TABLE IF NOT EXISTS chunk (n INTEGER PRIMARY KEY, data BLOB NOT NULL)");
  }

  load() {
    const [row] = this.#storage.sql.exec("SELECT json FROM state");
    if (row === undefined) return undefined;
    const chunks = [...this.#storage.sql.exec("SELECT data FROM chunk ORDER BY n")].map(({ data }) => new Uint8Array(data));
    const value = new Uint8Array(chunks.reduce((length, chunk) => length + chunk.length, 0));
    chunks.reduce((at, chunk) => (value.set(chunk, at), at + chunk.length), 0);
    return { state: JSON.parse(row.json), value: value.length === 0 ? undefined : value };
  }

  save(state, value) {
    this.#storage.transactionSync(() => {
      const { sql } = this.#storage;
      sql.exec("INSERT OR REPLACE INTO state VALUES (1, ?)", JSON.stringify(state));
      if (value === undefined) return;
      sql.exec("DELETE FROM chunk");
      for (let n = 0; n * CHUNK_BYTES < value.length; n++) {
        sql.exec("INSERT INTO chunk VALUES (?, ?)", n, value.slice(n * CHUNK_BYTES, (n + 1) * CHUNK_BYTES));
      }
    });
  }
}

/** Fails when a purge has taken too long: an alarm that waits for it keeps the next one from coming. */
function lost() {
  return new Promise((_, reject) => setTimeout(() => reject(new Error("no answer in time")), PURGE_LOST_MS));
}

/** The newest head of this Worker. There is one, named `head`. */
export class FreshHead extends DurableObject {
  #keeper;

  constructor(ctx, env) {
    super(ctx, env);
    this.#keeper = new HeadKeeper({
      storage: new Rows(ctx.storage),
      now_ms: () => Date.now(),
      purge: () => Promise.race([ctx.exports.Fresh.purge(), lost()]),
      wake_at: (ms) => ctx.storage.setAlarm(ms),
      log: (problem, times) => console.log(JSON.stringify({ event: "lane", problem, times })),
    });
  }

  // While a new version of the Worker takes over, entrypoints and objects of both ask each other: a method with other
  // arguments or another outcome needs another name, so that they fail and do not misunderstand each other.

  offer(value, over) {
    const newer = this.#keeper.announce(value, over);
    // Not awaited: the answer goes out first. The alarm comes back to what is left.
    if (this.#keeper.is_dirty()) this.ctx.waitUntil(this.#keeper.drive());
    return newer;
  }

  current() {
    return { value: this.#keeper.newest(), max_age_secs: this.#keeper.max_age_secs() };
  }

  alarm() {
    return this.#keeper.drive();
  }
}

/** The newest head for the isolates of one place. Its body is empty before the first head. */
export class Fresh extends WorkerEntrypoint {
  async fetch() {
    const { value, max_age_secs } = await this.env.FRESH_HEAD.getByName("head").current();
    const headers = {
      "content-type": "application/octet-stream",
      "cache-control": `public, max-age=${max_age_secs}`,
      "cache-tag": TAG,
    };
    return new Response(value ?? "", { headers });
  }

  /** A purge reaches the caches of the entrypoint that calls for it. Where there are none, there is no `ctx.cache`. */
  purge() {
    return this.ctx.cache?.purge({ tags: [TAG] });
  }
}
