// The fresh lane as the service asks it (docs/adr/0056): the entrypoint for the newest head, behind its cache, and the
// Durable Object for a new one. Both are of this Worker, so that no request's `env` or `ctx` is needed.
import { env, exports } from "cloudflare:workers";

const NEWEST = "https://fresh.invalid/head";

/** Whether the Durable Object is bound. */
export function is_there() {
  return env.FRESH_HEAD !== undefined && exports.Fresh !== undefined;
}

/** The newest head's value; undefined if there is none. */
export async function newest() {
  const response = await exports.Fresh.fetch(NEWEST);
  if (response.status !== 200) throw new Error(`status ${response.status}`);
  const value = new Uint8Array(await response.arrayBuffer());
  return value.length === 0 ? undefined : value;
}

/** Makes a stored head the newest one. The value of a newer one that the object has, unless that is `over`. */
export async function announce(value, over) {
  return env.FRESH_HEAD.getByName("head").offer(value, over);
}

const METHODS = { is_there, newest, announce };

/** What the service calls: one function, which is one import of its Wasm. */
export function lane(method, value, over) {
  return METHODS[method](value, over);
}
