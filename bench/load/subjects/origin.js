// The origin behind all subjects: it answers at once, and knows of no grant that the edge lacks.
import { DENIED } from "./check.js";
import written from "./written.json";

const denied = JSON.stringify(DENIED);
const headers = { "content-type": "application/json" };

export default {
  async fetch(request) {
    if (request.method !== "POST") return new Response(denied, { status: 402, headers });
    await request.text();
    return new Response(written, { status: 201, headers });
  },
};
