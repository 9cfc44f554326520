// Operations and the reference: the report in pictures, and what a rollback would change.
import { admit, ask, persona, token } from "./support/run";
import { expect, expectAccessible, open, picture, test } from "./support/test";

interface Grants {
  accesses: { id: number; item_id: number }[];
}

interface Diff {
  customers: { added: number; changed: number; removed: number; changes: { id: number; gained?: Grants; lost?: Grants }[] };
}

test("the report shows head, delta, sizes, lease and configuration", async ({ page }) => {
  await open(page, "#/operations");
  const { seq } = (await (await ask("/healthz", token("operator"))).json()) as { seq: number };
  await expect(page.getByRole("region", { name: "Health" })).toContainText("ok");
  const head = page.getByRole("region", { name: "Head" });
  await expect(head).toContainText("verified");
  await expect(head.locator("dt", { hasText: /^Version$/ }).locator("xpath=following-sibling::dd")).toHaveText(new RegExp(`^${seq}\\d*$`));
  const objects = page.getByRole("region", { name: "Objects" });
  await expect(objects.getByRole("img", { name: /Customers: shards by size\. ≤ .*: \d+/ })).toBeVisible();
  await expect(page.getByRole("region", { name: "Publisher" })).toContainText("holds the lease");
  await expect(page.getByRole("region", { name: "Configuration" })).toContainText(/ISSUERS|Nothing in it/);
  await picture(objects, "operations");
  await expectAccessible(page);
});

test("the preview of a rollback is what admit diff says, the other way round", async ({ page }) => {
  const merchant = persona("merchant").token;
  const form = new URLSearchParams({ item_id: "5102", consumer_id: "88005", access_fee_id: String(await feeOf(5102)) });
  const bought = await ask("/items/access", merchant, { method: "POST", body: form });
  expect(bought.status).toBe(201);
  const { id } = (await bought.json()) as { id: number };
  try {
    // Until the snapshot has it.
    await expect.poll(() => admit("diff", "1", "head", "--list", "500", "--json"), { timeout: 30_000 }).toContain(`${id}`);
    const diff = JSON.parse(admit("diff", "1", "head", "--list", "500", "--json")) as Diff;

    await open(page, "#/operations");
    await page.getByRole("button", { name: "Preview rollback to 1", exact: true }).click();
    const preview = page.getByRole("region", { name: "Preview of a rollback to version 1" });
    await expect(preview.getByRole("table", { name: "Customers" })).toBeVisible();
    const { added, changed, removed } = diff.customers;
    // What was added since is removed by the rollback.
    await expect(preview.locator(".facts")).toContainText(`${removed} added, ${changed} changed, ${added} removed`);
    for (const change of diff.customers.changes) {
      const row = preview.getByRole("row").filter({ hasText: new RegExp(`^${change.id} `) });
      for (const access of change.gained?.accesses ?? []) await expect(row.getByRole("cell").nth(3)).toContainText(`access ${access.id}`);
      for (const access of change.lost?.accesses ?? []) await expect(row.getByRole("cell").nth(2)).toContainText(`access ${access.id}`);
    }
    expect(await preview.getByRole("table", { name: "Customers" }).locator("tbody tr").count()).toBe(diff.customers.changes.length);
    expect(diff.customers.changes.some((change) => change.gained?.accesses.some((access) => access.id === id))).toBe(true);
  } finally {
    const revoked = await ask("/items/5102/access?consumer_id=88005", merchant, { method: "DELETE" });
    expect(revoked.status).toBe(204);
  }
});

async function feeOf(item: number): Promise<number> {
  const fees = (await (await ask(`/items/${item}/access-fees`, "")).json()) as { id: number }[];
  return fees[0]!.id;
}

test("a token without the scope sees what strangers see", async ({ page }) => {
  await open(page, "#/operations");
  await page.getByText("Asking with the sample token of an operator").click();
  await page.getByLabel("Operator's token").fill(persona("subscriber").token);
  await expect(page.getByRole("region", { name: "Health" })).toContainText("ok");
  await expect(page.getByRole("region", { name: "Report" }).getByRole("alert")).toContainText("This token may not see this.");
  await expect(page.getByRole("region", { name: "Head" })).toHaveCount(0);
});

test("the reference shows the routes of this edge, and sends requests to it alone", async ({ page }) => {
  await open(page, "#/reference");
  await expect(page.locator(".swagger-ui .opblock").first()).toBeVisible({ timeout: 30_000 });
  expect(await page.locator(".swagger-ui .opblock").count()).toBeGreaterThan(20);
  const health = page.locator(".opblock", { hasText: "/healthz" }).first();
  await health.locator(".opblock-summary-control").click();
  await health.getByRole("button", { name: "Execute" }).click();
  await expect(health.locator(".live-responses-table tbody .response-col_status").first()).toContainText("200");
});
