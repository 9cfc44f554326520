// Writes the graph for wasm-metadce: the exports of the Wasm module in argv[2] that can be reached.
//
// Every class that a dependency exports to JavaScript, as wasm-streams and workers-rs do, brings its methods along,
// used or not. A class is out of reach if no code makes an object of it: Rust would import its constructor for that, and
// JavaScript would call one that Rust exports.
import { readFileSync } from "node:fs";

const module = new WebAssembly.Module(readFileSync(process.argv[2]));
const names = (list) => list.map(({ name }) => name);
const imports = names(WebAssembly.Module.imports(module));
const exports = names(WebAssembly.Module.exports(module));
const unmade = exports
  .map((name) => /^__wbg_([a-z0-9]+)_free$/.exec(name)?.[1])
  .filter((made) => made && !imports.some((name) => name.startsWith(`__wbg_${made}_new`)))
  .filter((made) => !exports.includes(`${made}_new`));
const isOf = (name, type) => new RegExp(`^(${type}|__wbg_((get|set)_)?${type})_`).test(name);
const used = exports.filter((name) => !unmade.some((type) => isOf(name, type)));
process.stdout.write(JSON.stringify(used.map((name) => ({ name, export: name, root: true }))));
