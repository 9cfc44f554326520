using Workerd = import "/workerd/workerd.capnp";

const config :Workerd.Config = (
  services = [(name = "bench", worker = .bench)],
  # The address is given on the command line.
  sockets = [(name = "http", http = (), service = "bench")],
);

const bench :Workerd.Worker = (
  modules = [
    (name = "worker.js", esModule = embed "worker.js"),
    (name = "bench_bg.wasm", wasm = embed "bench_bg.wasm"),
    (name = "pack.bin", data = embed "pack.bin"),
    (name = "names.txt", text = embed "names.txt"),
    (name = "customers.json", text = embed "customers.json"),
  ],
  compatibilityDate = "2026-11-17",
);
