// Runs the benchmark in workerd. Time stands still there while code runs, so the caller measures: how long the
// answer to /<work>?times=N takes.
import { do_work, hash, initSync, load, load_wasm, open, prepare, shard } from "./bench.js";
import module from "./bench_bg.wasm";
import customers from "./customers.json";
import names from "./names.txt";
import pack from "./pack.bin";
import { IN_DELTA } from "./numbers.js";

initSync({ module });
// The largest shard, and one of each size.
const LOADS = ["load", "load_16k", "load_64k", "load_256k"];
let shards;

function run(work, times) {
  if (shards === undefined) {
    prepare(new Uint8Array(pack), names, IN_DELTA);
    shards = LOADS.map((_, which) => shard(which));
  }
  const which = LOADS.indexOf(work);
  if (which >= 0) return load(which, shards[which], times);
  if (work === "load_wasm") return load_wasm(0, shards[0], times);
  if (work === "open") return open(shards[0], times);
  if (work === "json") {
    let length = 0;
    for (let i = 0; i < times; i += 1) length = JSON.parse(customers).length;
    return length;
  }
  const [, by, bytes] = work.match(/^hash_(wasm|platform)_([0-9]+)$/) ?? [];
  if (by) return hash(Number(bytes), by === "platform", times);
  return do_work(work, times);
}

export default {
  fetch(request) {
    const url = new URL(request.url);
    try {
      return new Response(String(run(url.pathname.slice(1), Number(url.searchParams.get("times")))));
    } catch (error) {
      return new Response(String(error), { status: 500 });
    }
  },
};
