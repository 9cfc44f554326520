// The numbers of a run, as `cargo xtask test` counts them.
export default class Tally {
  #counts = { passed: 0, failed: 0, skipped: 0 };

  onTestEnd(test, result) {
    // A test that is tried again counts by its last outcome; there are no retries here.
    if (result.status === "skipped") this.#counts.skipped += 1;
    else this.#counts[test.ok() ? "passed" : "failed"] += 1;
  }

  onEnd() {
    const { passed, failed, skipped } = this.#counts;
    console.log(`# pass ${passed}\n# fail ${failed}\n# skipped ${skipped}`);
  }

  printsToStdio() {
    return false;
  }
}
