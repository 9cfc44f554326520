// The fresh lane as the service asks it (docs/adr/0056): the entrypoint for the newest head, behind its cache, and the
// Durable Object for a new one. Both are of this Worker, so that no request's `env` or `ctx` is needed.
import { env, exports } from "cloudflare:workers";

const NEWEST = "https://fresh.invalid/head";

/** Whether the Durable Object is bound. */
export function is_there() {
  return env.FRESH_HEAD !== undefined && exports.Fresh !== undefined;
}

/** The newest head's value, at most one byte longer than `most`; undefined if there is none. */
export async function newest(most) {
  const response = await exports.Fresh.fetch(NEWEST);
  if (response.status !== 200) throw new Error(`status ${response.status}`);
  const value = new Uint8Array(await response.arrayBuffer());
  return value.length === 0 ? undefined : value.subarray(0, most + 1);
}

/** Makes a stored head the newest one. */
export async function announce(value) {
  await env.FRESH_HEAD.getByName("head").announce(value);
}
