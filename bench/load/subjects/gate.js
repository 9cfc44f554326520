// A Worker that asks Admit before it serves, over a service binding: by a call (`ASKS` is `rpc`) or by the HTTP route.
async function expires_at(env, request, token) {
  const [, item] = /\/items\/(\d+)\/access/.exec(request.url);
  if (env.ASKS === "rpc") {
    const answer = await env.ADMIT.check(token, Number(item));
    return answer.access ? answer.expires_at : undefined;
  }
  const headers = { authorization: `Bearer ${token}` };
  const response = await env.ADMIT.fetch(`https://edge.example/items/${item}/access`, { headers });
  return response.ok ? (await response.json()).expires_at : undefined;
}

export default {
  async fetch(request, env) {
    const token = request.headers.get("authorization")?.slice(7) ?? "";
    const ends = await expires_at(env, request, token);
    return ends === undefined ? new Response("denied", { status: 402 }) : Response.json({ expires_at: ends });
  },
};
