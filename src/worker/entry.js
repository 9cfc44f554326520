// The Worker's entry. It takes the place of worker-build's, which makes two proxies and a promise for each request and
// offers every exported function to other Workers as a method; docs/adr/0010 and docs/adr/0065 have the reasons and the
// numbers, docs/adr/0011 and docs/adr/0046 those for known viewers, docs/adr/0050 those for calls by other Workers.
import { WorkerEntrypoint } from "cloudflare:workers";
import {
  answer, grant, granted_init, granted_numbers, inputs, is_ready, item_texts, repeat, told, viewer_text,
} from "admit-wasm";
import { console_page, is_console } from "./console.mjs";
export { Fresh, FreshHead } from "./fresh.mjs";
import { fetch as fetch_of_rust, has_ended } from "./instance.mjs";
import { Known, is_page, item_of } from "./known.mjs";
import { points_of } from "./points.mjs";
import {
  FAILED, INVALID_CUSTOMER, INVALID_ITEM, INVALID_ITEMS, NOT_ALLOWED, RESULTS, is_id, may_call, merchant_of,
} from "./rpc.mjs";

let names;
let known;
// `null` without the binding, undefined before the first request.
let points;

/** Handles, texts and answers are of one instance: another one does not know them. */
function forget(request, env, ctx) {
  known = undefined;
  return fetch_of_rust(request, env, ctx);
}

/** Whether there is an instance with a service, whose viewers `known` has. */
function is_prepared() {
  if (known !== undefined && !has_ended()) return true;
  // The first request of an instance, and the one after a panic, are Rust's `fetch`'s.
  if (has_ended() || !is_ready()) return false;
  names ??= inputs();
  known = new Known({ grant, granted_init, granted_numbers, item_texts, repeat, viewer_text }, names);
  return true;
}

/** An answer, with a data point for it where the binding is there. */
function pointed(answered, item, kind) {
  // Asked when the answer is there: what a request has loaded is in memory then.
  return points ? points.answered(answered, kind, () => (is_prepared() && is_ready() ? told(item) : [0, 0])) : answered;
}

/** The console's answer, if the request is for it. */
function shown_page(request, url, env) {
  return is_console(url) ? console_page(request, env) : undefined;
}

export default {
  fetch(request, env, ctx) {
    if (points === undefined) points = points_of(env);
    if (!is_prepared()) return shown_page(request, request.url, env) ?? pointed(forget(request, env, ctx), 0, "other");
    const { headers, method, url } = request;
    const authorization = headers.get("authorization");
    const address = headers.get(names.address);
    const country = names.country === undefined ? request.cf?.country : headers.get(names.country);
    const origin = names.origin ? headers.get("origin") : undefined;
    const min_seq = names.min_seq === undefined ? null : headers.get(names.min_seq);

    // Checks of known viewers; whether an answer is new enough for `min_seq`, the ordinary way says.
    const may_be_known = method === "GET" && authorization !== null && min_seq === null;
    const item = may_be_known ? item_of(url) : 0;
    const page = may_be_known && item === 0 && is_page(url);
    const viewer = item === 0 && !page ? undefined : known.viewer(authorization);
    if (viewer !== undefined) {
      const response =
        known.repeated(viewer, url, address, country, origin) ??
        (page ? undefined : known.granted(viewer, item, url, address, country, origin));
      if (response !== undefined) {
        if (points) points.kept(known.merchant_of(item));
        return response;
      }
    }
    const shown = shown_page(request, url, env);
    if (shown !== undefined) return shown;
    // Asked each time before `answer`: after a trap, wasm-bindgen's glue makes a new instance at the next call, but only
    // when the call's texts are in the memory of the old one. Neither this call nor `repeat` nor `grant` has any.
    if (!is_ready()) return pointed(forget(request, env, ctx), 0, "other");
    const asked = item === 0 && !page ? undefined : { handle: 0, body: undefined };
    const answered = answer(request, ctx, asked, method, url, authorization, address, country, origin, min_seq);
    if (asked !== undefined && asked.handle !== 0) known?.add(authorization, asked.handle);
    if (asked !== undefined && asked.body !== undefined) known?.keep(authorization, url, address, country, origin, asked);
    return pointed(answered ?? fetch_of_rust(request, env, ctx), item, item !== 0 ? "check" : page ? "checks" : "other");
  },
};

// Calls have no URL of their own, and reads no body: one request stands for all.
const NOWHERE = "https://call.invalid";
const READ = new Request(NOWHERE);

const text_or_none = (value) => (typeof value === "string" ? value : undefined);
const bearer = (token) => (typeof token === "string" ? `Bearer ${token}` : undefined);

/** The request of a call with a body. */
function posted(path, body) {
  const headers = { "content-type": "application/json" };
  return new Request(NOWHERE + path, { method: "POST", headers, body: JSON.stringify(body) });
}

/**
 * Status and body of the answer to a call, as one text, or the promise of it. `asked` is as in `answer`; `body` makes the
 * call a POST.
 */
function ask({ env, ctx }, merchant, { path, token, viewer, asked, body }) {
  if (points === undefined) points = points_of(env);
  if (!is_prepared() || !is_ready()) {
    return started(env, ctx, () => ask({ env, ctx }, merchant, { path, token, viewer, asked, body }));
  }
  const [method, request] = body === undefined ? ["GET", READ] : ["POST", posted(path, body)];
  const authorization = bearer(token);
  const address = text_or_none(viewer?.address);
  const country = text_or_none(viewer?.country);
  const answered = answer(
    request, ctx, asked, method, NOWHERE + path, authorization, address, country, undefined, null, merchant ?? NaN,
  );
  if (asked !== undefined && asked.handle !== 0) known?.add(authorization, asked.handle);
  return pointed(answered ?? FAILED, asked === undefined ? 0 : item_of(NOWHERE + path), "call");
}

/** Makes an instance by a request that asks for nothing, as the first of all requests does. */
async function started(env, ctx, then) {
  await forget(new Request(NOWHERE, { method: "OPTIONS" }), env, ctx);
  return is_prepared() && is_ready() ? then() : FAILED;
}

/** The result of a method. A trap costs this call alone, like that of a request. */
function called(method, { ctx }, about) {
  const merchant = merchant_of(ctx.props);
  const result = RESULTS[method];
  const failed = (error) => {
    console.error(`${method}: ${error}`);
    return result(FAILED);
  };
  if (!may_call(ctx.props, method)) return result(NOT_ALLOWED);
  try {
    const answered = about(merchant);
    if (typeof answered === "string") return result(answered);
    return answered instanceof Promise ? answered.then(result).catch(failed) : answered;
  } catch (error) {
    return failed(error);
  }
}

/** What other Workers may call by a service binding (docs/rpc.md). Every method of the class is theirs. */
export class Entitlements extends WorkerEntrypoint {
  check(token, item, viewer) {
    return called("check", this, (merchant) => {
      if (!is_id(item)) return INVALID_ITEM;
      const held = is_prepared() ? known.viewer(bearer(token)) : undefined;
      const granted = held === undefined ? undefined : known.called(held, item, merchant);
      if (granted !== undefined && points) points.kept(known.merchant_of(item));
      const path = `/items/${item}/access`;
      return granted ?? ask(this, merchant, { path, token, viewer, asked: { handle: 0 } });
    });
  }

  checkMany(token, items, viewer) {
    return called("checkMany", this, (merchant) => {
      const is_list = Array.isArray(items) && items.length > 0 && items.length <= 200 && items.every(is_id);
      if (!is_list) return INVALID_ITEMS;
      return ask(this, merchant, { path: `/access?items=${items.join(",")}`, token, viewer });
    });
  }

  licenses(token, viewer) {
    return called("licenses", this, (merchant) => ask(this, merchant, { path: "/license", token, viewer }));
  }

  playback(token, item, viewer) {
    return called("playback", this, (merchant) => {
      if (!is_id(item)) return INVALID_ITEM;
      return ask(this, merchant, { path: `/items/${item}/playback`, token, viewer });
    });
  }

  explain(token, item, customer) {
    return called("explain", this, (merchant) => {
      if (!is_id(item)) return INVALID_ITEM;
      if (typeof customer !== "string") return INVALID_CUSTOMER;
      const body = {
        subject: { type: "customer", id: customer },
        action: { name: "play" },
        resource: { type: "item", id: String(item) },
      };
      return ask(this, merchant, { path: "/access/v1/evaluation", token, body });
    });
  }
}
