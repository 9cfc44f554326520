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

test("the preview of a rollback is what admit diff says", async ({ page }) => {
  const merchant = persona("merchant").token;
  const form = new URLSearchParams({ item_id: "5102", consumer_id: "88005", access_fee_id: String(await feeOf(5102)) });
  const bought = await ask("/items/access", merchant, { method: "POST", body: form });
  expect(bought.status).toBe(201);
  const { id } = (await bought.json()) as { id: number };
  try {
    // Until the published head has it.
    const published = async () => (await ask("/snapshot/diff?from=1&to=head", token("operator"))).text();
    await expect.poll(published, { timeout: 30_000 }).toContain(`"id":${id}`);
    const diff = JSON.parse(admit("diff", "head", "1", "--list", "500", "--json")) as Diff;
    // A rollback takes away what was bought since.
    const lost = diff.customers.changes.flatMap((change) => change.lost?.accesses ?? []);
    expect(lost.map((access) => access.id)).toContain(id);

    await open(page, "#/operations");
    await page.getByRole("button", { name: "Preview rollback to 1", exact: true }).click();
    const preview = page.getByRole("region", { name: "Preview of a rollback to version 1" });
    const table = preview.getByRole("table", { name: "Customers" });
    await expect(table).toBeVisible();
    const { added, changed, removed, changes } = diff.customers;
    await expect(preview.locator(".facts")).toContainText(`${added} added, ${changed} changed, ${removed} removed`);
    expect(await table.locator("tbody tr").count()).toBe(changes.length);
    for (const change of changes) {
      const cells = table.getByRole("row").filter({ hasText: new RegExp(`^${change.id} `) }).getByRole("cell");
      for (const [grants, cell] of [[change.gained, cells.nth(2)], [change.lost, cells.nth(3)]] as const) {
        const expected = (grants?.accesses ?? []).map((access) => `item ${access.item_id} access ${access.id}`);
        const shown = (await cell.getByRole("listitem").allTextContents()).map((text) => text.split(",")[0]);
        expect(shown).toEqual(expected);
      }
    }
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
