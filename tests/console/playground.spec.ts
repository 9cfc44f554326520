// The playground: from a denial over its reason and a purchase to a grant, and back.
import { expect, expectAccessible, open, picture, test } from "./support/test";
import { ask, persona } from "./support/run";

/** A revocation comes with the next snapshot. */
const PUBLISHED_MS = 30_000;

test("denied, why, buy, granted, revoke, denied", async ({ page }) => {
  await open(page, "");
  // A stranger sees a denied viewer first, without a choice.
  await expect(page.getByRole("heading", { name: "Denied 402" })).toBeVisible();
  const why = page.getByRole("region", { name: "Why?" });
  await expect(why).toContainText("Nothing that the customer holds leads to this item.");
  await picture(page, "denied");

  await page.getByRole("button", { name: "Buy" }).click();
  await expect(page.getByRole("heading", { name: "Granted 200" })).toBeVisible();
  await expect(page.getByText("The viewer can play at once.")).toBeVisible();

  await page.getByRole("button", { name: "Revoke" }).click();
  await expect(page.getByText("Revoked, and published.")).toBeVisible({ timeout: PUBLISHED_MS });
  await expect(page.getByRole("heading", { name: "Denied 402" })).toBeVisible();
});

test("the request, its answer and their copies are shown", async ({ page, context }) => {
  await open(page, "#/playground?viewer=item-buyer&item=5110");
  const region = page.getByRole("region", { name: "Request and answer" });
  await expect(region.getByLabel("Request", { exact: true })).toContainText("GET /items/5110/access");
  await expect(region.getByLabel("Body of the answer")).toContainText('"title": "Meridian"');
  // A command line is kept in a history: no token is in it.
  const token = persona("item-buyer").token;
  for (const [form, part] of [["curl", "$(cargo xtask token item-buyer"], ["fetch", "/items/5110/access"], ["SDK", "checkAccessForAsset(5110)"]] as const) {
    await region.getByLabel("Copy as").selectOption(form);
    await region.getByRole("button", { name: /^Cop/ }).click();
    const copied = await page.evaluate(() => navigator.clipboard.readText());
    expect(copied).toContain(part);
    expect(copied).not.toContain(token);
  }
  expect(await context.cookies()).toEqual([]);
});

test("the moment of the decision can be moved", async ({ page }) => {
  await open(page, "#/playground?viewer=expired&item=5110");
  const why = page.getByRole("region", { name: "Why?" });
  await expect(why.locator(".reason")).toContainText("denied now");
  await expect(why.getByRole("cell", { name: "has ended" })).toBeVisible();
  // Four days ago the access still counted: a quarter of a day is a step.
  const slider = why.getByRole("slider");
  await slider.focus();
  for (let step = 0; step < 16; step += 1) await page.keyboard.press("ArrowLeft");
  await expect(why.locator(".reason")).toContainText("granted on");
  await why.getByRole("button", { name: "Now" }).click();
  await expect(why.locator(".reason")).toContainText("denied now");
});

test("items are found by title and by number", async ({ page }) => {
  await open(page, "");
  const field = page.getByRole("combobox", { name: "Item" });
  await field.fill("merid");
  await page.getByRole("option", { name: /Meridian/ }).first().click();
  await expect(page.getByText("May never bought play Meridian?")).toBeVisible();
  await field.fill("123456");
  await page.keyboard.press("Enter");
  await expect(page.getByRole("heading", { name: "No such item 404" })).toBeVisible();
});

test("a whole shelf is one question, with the decisions of the single checks", async ({ page }) => {
  await open(page, "#/playground?viewer=item-buyer&item=5110");
  const shelf = page.getByRole("region", { name: "The whole shelf" });
  await shelf.getByRole("button", { name: /Ask about all/ }).click();
  const rows = shelf.getByRole("row");
  await expect(shelf.getByText(/of \d+ are open/)).toBeVisible();
  expect(await rows.count()).toBeGreaterThan(20);
  const { token } = persona("item-buyer");
  for (const [title, item] of [["Meridian", 5110], ["The Salt Road", 5101]] as const) {
    const status = (await ask(`/items/${item}/access`, token)).status;
    const row = shelf.getByRole("row").filter({ has: page.getByRole("button", { name: title, exact: true }) });
    await expect(row).toContainText(status === 200 ? "granted" : "denied");
  }
});

test("a playback token is shown decoded, and none for a denial", async ({ page }) => {
  await open(page, "#/playground?viewer=subscriber&item=5101");
  const playback = page.getByRole("region", { name: "Playback", exact: true });
  await expect(playback).toContainText("Signer");
  await expect(playback).toContainText("cat");
  await page.getByLabel("Viewer", { exact: true }).selectOption("never-bought");
  await expect(playback).toContainText("Nothing is signed");
});

test("the page has no serious finding of axe", async ({ page }) => {
  await open(page, "#/playground?viewer=several-grants");
  await expect(page.getByRole("region", { name: "Why?" })).toContainText("Every grant that was looked at");
  await expectAccessible(page);
  await page.emulateMedia({ colorScheme: "dark" });
  await expectAccessible(page);
});
