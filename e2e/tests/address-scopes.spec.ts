/** Address scopes: automation makes them, the list shows them as they come. */
import { dirname } from "node:path";
import { expect } from "../fixtures";
import { test } from "../maker";
import { run } from "../shell";

test("address scopes come with the openstack client, and the page says so", async ({ maker, baseURL }, info) => {
  const program = process.env.PORTOLAN_OPENSTACK;
  info.skip(!program, process.env.PORTOLAN_OPENSTACK_LACKS || "`cargo xtask test` installs the openstack client");
  const { app, world } = maker;
  const openstack = (what: string) =>
    run(`openstack address scope ${what}`, {
      PATH: `${dirname(program!)}:${process.env.PATH}`,
      OS_AUTH_URL: `${baseURL}/v3`,
      OS_IDENTITY_API_VERSION: "3",
      OS_USERNAME: world.customer.name,
      OS_PASSWORD: world.customer.password,
      OS_PROJECT_ID: world.project.id,
      OS_USER_DOMAIN_NAME: "Default",
    });
  await app.page.getByRole("navigation", { name: "Main navigation" }).getByRole("link", { name: "Address scopes" }).click();
  await expect(app.heading("Address scopes")).toBeVisible();
  await expect(app.page.getByText("/v2.0/address-scopes")).toBeVisible();
  await app.inspect("address-scopes-empty");

  openstack("create --ip-version 6 inner -f value -c id");
  const row = app.rows("address_scope").filter({ hasText: "inner" });
  await expect(row).toContainText("IPv6");
  await expect(row).toContainText("This project");
  await app.inspect("address-scopes");
  expect(openstack("show inner -f value -c name -c ip_version -c shared").split("\n").slice(0, 3).sort()).toEqual(["6", "False", "inner"]);

  openstack("delete inner");
  await expect(row).toHaveClass(/row--gone/);
});
