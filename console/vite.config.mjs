// Builds the console into static assets of the Worker, at /console/.
import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { defineConfig } from "vite";

const here = dirname(fileURLToPath(import.meta.url));
const swagger = dirname(createRequire(import.meta.url).resolve("swagger-ui-dist/package.json"));

/** Files that are shipped as they are: Swagger UI, and the description of the API where there is one. */
const COPIED = [
  [join(swagger, "swagger-ui-bundle.js"), "reference/swagger-ui-bundle.js"],
  [join(swagger, "swagger-ui.css"), "reference/swagger-ui.css"],
  [join(swagger, "LICENSE"), "reference/LICENSE.txt"],
  [join(here, "../docs/openapi.json"), "openapi.json"],
];

const copied = {
  name: "copied",
  generateBundle() {
    for (const [from, fileName] of COPIED.filter(([from]) => existsSync(from))) {
      // Each comment that names a source map would make browsers look for a file that is not there.
      const source = readFileSync(from, "utf8").replace(/\n?(\/\/|\/\*)# sourceMappingURL=\S+( \*\/)?\s*$/, "\n");
      this.emitFile({ type: "asset", fileName, source });
    }
  },
};

export default defineConfig({
  root: here,
  base: "/console/",
  // What a build makes depends on the sources only.
  envDir: false,
  plugins: [copied],
  build: {
    outDir: join(here, "dist/console"),
    emptyOutDir: true,
    // A `data:` URL would need an exception in the content security policy.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
    target: "es2022",
  },
});
