// The instance of the Wasm. A trap ends it: the request that it meets fails, and the next one gets another instance.
import { __wbg_reset_state, __worker_init_state, fetch as fetch_of_wasm } from "admit-wasm";

// Of the `worker` crate, whose panic hook sets `criticalError`.
const state = __worker_init_state();

// A panic's trace goes through many functions of Rust.
Error.stackTraceLimit = 100;

addEventListener("error", ({ error }) => note(error));

function note(error) {
  if (!(error instanceof WebAssembly.RuntimeError)) return;
  console.error("Critical", error);
  state.criticalError = true;
}

/** Whether a trap or a panic has ended the instance. */
export function has_ended() {
  return state.criticalError;
}

/** Answers by Rust's `fetch`, in another instance if the last one has ended. */
export function fetch(request, env, ctx) {
  try {
    if (state.criticalError) {
      console.log("Reinitializing Wasm application");
      __wbg_reset_state();
      state.criticalError = false;
      state.instanceId += 1;
    }
    return fetch_of_wasm(request, env, ctx);
  } catch (error) {
    note(error);
    throw error;
  }
}
