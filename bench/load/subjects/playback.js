// What a peer answers to a granted question for playback: a token for the vendor's player, signed by jose each time.
import { SignJWT, importPKCS8 } from "jose";

let signing;

/** `PLAYBACK` has one entry, and the key is imported once. */
async function configured({ PLAYBACK, SIGNING_KEY }) {
  const [{ signer, key_id }] = JSON.parse(PLAYBACK);
  if (signer === "mux") return { signer, kid: key_id, key: await importPKCS8(SIGNING_KEY, "RS256") };
  const algorithm = { name: "HMAC", hash: "SHA-256" };
  const key = await crypto.subtle.importKey("raw", new TextEncoder().encode(SIGNING_KEY), algorithm, false, ["sign"]);
  return { signer, key };
}

export async function playback(env, { expires_at: exp, item }) {
  const { signer, kid, key } = await (signing ??= configured(env));
  const id = JSON.parse(item.content).video_id;
  const [header, claims, url] = signer === "mux"
    ? [{ alg: "RS256", kid, typ: "JWT" }, { aud: "v", exp, kid, sub: id }, `https://stream.mux.com/${id}.m3u8`]
    : [{ alg: "HS256", typ: "JWT" }, { exp, resource: `/v2/media/${id}` }, `https://cdn.jwplayer.com/v2/media/${id}`];
  const token = await new SignJWT(claims).setProtectedHeader(header).sign(key);
  return { expires_at: exp, sources: [{ type: signer, url: `${url}?token=${token}`, token, expires_at: exp }] };
}
