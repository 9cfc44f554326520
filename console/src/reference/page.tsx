// The reference: Swagger UI on the description of this edge's API. It is large, so it is loaded here only.
import { useEffect, useRef, useState } from "preact/hooks";
import { send } from "../api";
import { Loading, Notice } from "../parts/basic";
import { tokenOf, useSession } from "../session";

interface SwaggerRequest {
  url: string;
  headers: Record<string, string>;
}

declare global {
  interface Window {
    SwaggerUIBundle?: (options: object) => unknown;
  }
}

const BASE = "/console/reference";

/** Loads script and styles once. */
function load(): Promise<void> {
  if (window.SwaggerUIBundle) return Promise.resolve();
  const styles = document.createElement("link");
  styles.rel = "stylesheet";
  styles.href = `${BASE}/swagger-ui.css`;
  const script = document.createElement("script");
  script.src = `${BASE}/swagger-ui-bundle.js`;
  return new Promise((resolve, reject) => {
    script.onload = () => resolve();
    script.onerror = () => reject(new Error("the script cannot be loaded"));
    document.head.append(styles, script);
  });
}

type Paths = Record<string, Record<string, { servers?: unknown; "x-served-by"?: string[] }>>;

/** The operations that an edge serves; a description has those of an origin as well. */
function pathsOfEdge(description: object): Paths {
  const { paths = {} } = description as { paths?: Paths };
  const kept: Paths = {};
  for (const [path, operations] of Object.entries(paths)) {
    for (const [method, operation] of Object.entries(operations)) {
      if (operation["x-served-by"]?.includes("edge") === false) continue;
      const { servers: _elsewhere, ...rest } = operation;
      (kept[path] ??= {})[method] = rest;
    }
  }
  return kept;
}

export function ReferencePage(_: { params: URLSearchParams }) {
  const session = useSession();
  const place = useRef<HTMLDivElement>(null);
  const [state, setState] = useState<"loading" | "ready" | "missing" | "failed">("loading");
  const token = tokenOf(session, "support");
  const held = useRef(token);
  held.current = token;
  useEffect(() => {
    let isGone = false;
    const start = async () => {
      const description = await send("GET", "/console/openapi.json");
      const { body } = description;
      if (description.status !== 200 || typeof body !== "object" || body === null) return setState("missing");
      await load();
      if (isGone || !place.current || !window.SwaggerUIBundle) return;
      window.SwaggerUIBundle({
        // This edge, whatever address the description names.
        spec: { ...body, paths: pathsOfEdge(body), servers: [{ url: location.origin }] },
        domNode: place.current,
        // Without this the page would ask a host of Swagger's.
        validatorUrl: null,
        deepLinking: false,
        docExpansion: "list",
        // The schemas are shown where they are used.
        defaultModelsExpandDepth: -1,
        tryItOutEnabled: true,
        requestInterceptor: (request: SwaggerRequest) => {
          const has = Object.keys(request.headers).some((name) => name.toLowerCase() === "authorization");
          const isHere = new URL(request.url, location.href).origin === location.origin;
          if (!has && isHere && held.current !== "") request.headers["authorization"] = `Bearer ${held.current}`;
          return request;
        },
      });
      setState("ready");
    };
    start().catch(() => isGone || setState("failed"));
    return () => {
      isGone = true;
    };
  }, []);
  return (
    <>
      <p class="lead">Every route of this edge, with its parameters and answers. Requests carry the token of support staff unless you authorise another one.</p>
      {state === "loading" && <Loading what="the reference" />}
      {state === "missing" && <Notice>This build has no description of the API.</Notice>}
      {state === "failed" && <Notice kind="bad">The reference cannot be loaded. Is the edge running?</Notice>}
      <div ref={place} class="swagger" />
    </>
  );
}
