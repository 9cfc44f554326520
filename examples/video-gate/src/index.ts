// Serves videos to viewers who may play them, and to nobody else: /videos/<item>/<file>.
import type { Check, Entitlements } from "../../../types/entitlements";

interface Env {
  ENTITLEMENTS: Service<typeof Entitlements>;
  /** Where the videos are; only this Worker may reach it. */
  MEDIA_URL: string;
}

/** What a viewer's player may send on to the media. */
const PASSED = ["range", "if-range", "if-none-match"];

/** A call that fails says nothing about the viewer. */
const UNKNOWN: Check = { access: false, code: 503, message: "Service unavailable" };

export default {
  async fetch(request, env): Promise<Response> {
    const [, item, file] = /^\/videos\/(\d+)\/([\w-]+\.\w+)$/.exec(new URL(request.url).pathname) ?? [];
    if (item === undefined) return new Response("Not found", { status: 404 });
    if (request.method !== "GET" && request.method !== "HEAD") {
      return new Response("Method not allowed", { status: 405, headers: { allow: "GET, HEAD" } });
    }

    const token = request.headers.get("authorization")?.replace(/^Bearer +/i, "") ?? "";
    const viewer = { address: request.headers.get("cf-connecting-ip"), country: request.cf?.country as string };
    const answer = await env.ENTITLEMENTS.check(token, Number(item), viewer).catch((error: unknown) => {
      console.error(`no answer: ${error}`);
      return UNKNOWN;
    });
    if (!answer.access) return refusal(answer.code, answer.message);

    const headers = new Headers({ "user-agent": "video-gate" });
    for (const name of PASSED) {
      const value = request.headers.get(name);
      if (value !== null) headers.set(name, value);
    }
    const video = await fetch(`${env.MEDIA_URL}/${item}/${file}`, { method: request.method, headers });
    const response = new Response(video.body, video);
    // Another viewer must not get it from a cache.
    response.headers.set("cache-control", "private, no-store");
    return response;
  },
} satisfies ExportedHandler<Env>;

function refusal(status: number, message: string): Response {
  const headers = new Headers({ "cache-control": "no-store" });
  if (status === 401) headers.set("www-authenticate", "Bearer");
  if (status === 503) headers.set("retry-after", "5");
  return Response.json({ message }, { status, headers });
}
