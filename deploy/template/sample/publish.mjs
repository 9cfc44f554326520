// The first publish: uploads the sample's objects by the publish API, then the head that names them, signed here.
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { AUDIENCE, ROOT, jws, token } from "./keys.mjs";

const SAMPLE = join(ROOT, "sample");
const TOKEN_TTL_SECS = 600;

export async function publish(url, keys) {
  const claims = { iss: "https://publisher.dev.admit.example", aud: AUDIENCE, sub: "sample", scope: "snapshot:publish" };
  const authorization = `Bearer ${token(keys.publisher, claims, TOKEN_TTL_SECS)}`;
  const put = async (key, body) => {
    const answer = await fetch(`${url}/snapshot/${key}`, { method: "PUT", headers: { authorization }, body });
    const text = await answer.text();
    if (answer.status !== 200 && answer.status !== 201) throw new Error(`PUT /snapshot/${key}: ${answer.status} ${text}`);
  };
  for (const file of readdirSync(join(SAMPLE, "objects"))) {
    await put(file.replace("-", "/"), readFileSync(join(SAMPLE, "objects", file)));
  }
  // The data has not changed since the release; that it is true is said now.
  const head = { ...JSON.parse(readFileSync(join(SAMPLE, "head.json"), "utf8")), as_of: Math.floor(Date.now() / 1000) };
  const signed = jws(keys.snapshot, JSON.stringify(head), "admit-head");
  await put(`version/${head.seq}`, signed);
  await put("head", signed);
}
