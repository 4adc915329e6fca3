/** *Show as code* is held to its word: what it prints is copied, run by the real clients, and makes what the form says. */
import { dirname } from "node:path";
import { expect } from "../fixtures";
import { type Maker, test as base } from "../maker";
import { run } from "../shell";

/** Makes what a sample says; the object's id. */
type Client = (text: string) => string;

/** Runs samples by the clients of their names, logged in as the console tells; skipped, with the reason, where there is none. */
const test = base.extend<{ clients: (maker: Maker) => Promise<Record<"openstack" | "curl", Client>> }>({
  clients: async ({}, use, info) => {
    const program = process.env.PORTOLAN_OPENSTACK;
    info.skip(!program, process.env.PORTOLAN_OPENSTACK_LACKS || "`cargo xtask test` installs the openstack client");
    const path = `${dirname(program!)}:${process.env.PATH}`;
    await use(async (maker) => {
      await maker.code("openstack");
      const note = await maker.app.page.getByTestId("code-note").innerText();
      const told = [...note.matchAll(/(OS_\w+)=([^\s,]+)/g)].map(([, name, value]) => [name, value]);
      const { name, password } = maker.world.customer;
      const env = { PATH: path, ...Object.fromEntries(told), OS_USERNAME: name, OS_PASSWORD: password };
      const token = run("openstack token issue -f value -c id", env).trim();
      return {
        openstack: (text) => /^\| id +\| (\S+) +\|$/m.exec(run(text, env))![1],
        curl: (text) => {
          const said = run(text, { OS_TOKEN: token });
          const { network, subnet, port } = JSON.parse(said);
          expect(network ?? subnet ?? port, said).toBeDefined();
          return (network ?? subnet ?? port).id;
        },
      };
    });
  },
});

/** What a shell, a program's options, JSON and a table make of it must be the same. */
const HARD = `it's "so": $(id) \`id\` \${HOME} %{x} \\n \\ & тихая 网络 é #!~*?`;
/** What would be taken for an option. */
const DASHED = `-rf --help "$PATH"`;

/** Rows of what is there: what was deleted stays on the screen for a moment. */
const STANDING = ":not(.row--gone)";

/** What each client makes of the form as it is filled in; what was made by one is gone before the other begins. */
async function compare(
  maker: Maker,
  clients: Record<string, Client>,
  kind: "network" | "subnet" | "port",
  mark: string,
  expected: object,
): Promise<void> {
  const samples = new Map<string, string>();
  for (const tool of Object.keys(clients)) samples.set(tool, await maker.copied(tool, mark));
  let last = "";
  for (const [tool, text] of samples) {
    if (last) await maker.ask("DELETE", last);
    last = `/v2.0/${kind}s/${clients[tool](text)}`;
    const made = await maker.ask("GET", last);
    expect(made[kind], `${tool}: ${text}`).toMatchObject(expected);
  }
}

test("networks, by the clients that customers have", async ({ maker, clients }) => {
  const { app } = maker;
  const { page } = app;
  await maker.grantShadowport(await maker.askShadowport());
  await page.getByRole("button", { name: "Create network" }).first().click();
  await expect(app.heading("Create network")).toBeVisible();
  const by = await clients(maker);
  const access = page.getByLabel("Internet access");
  const services = page.getByLabel("Access to provider services");
  const shown = async (name: string, internet: string) => {
    await app.open("Networks");
    const row = app.rows("network").filter({ has: page.getByRole("link", { name, exact: true }) });
    await expect(row.locator("[data-column=internet]")).toHaveText(internet);
    await page.getByRole("button", { name: "Create network" }).first().click();
  };

  const lines = `mark-1 of\ntwo "lines" with 'quotes' and $HOME`;
  await maker.field("Name").fill(HARD);
  await access.uncheck();
  await page.getByLabel("Description").fill(lines);
  const closed = { name: HARD, description: lines, internet_access: false, enable_shadow_port: false };
  await compare(maker, by, "network", "mark-1", { ...closed, admin_state_up: true });
  await shown(HARD, "No");

  await maker.field("Name").fill(DASHED);
  await page.getByLabel("Description").fill("--name=mark-2");
  await compare(maker, by, "network", "mark-2", { name: DASHED, description: "--name=mark-2", internet_access: true });
  await shown(DASHED, "Yes");

  await maker.field("Name").fill("quiet");
  await access.uncheck();
  await services.check();
  await page.getByLabel("Description").fill("mark-3");
  await compare(maker, by, "network", "mark-3", { name: "quiet", internet_access: false, enable_shadow_port: true });
  await shown("quiet", "Services only");
});

test("subnets, by the clients that customers have", async ({ maker, clients }) => {
  const { app } = maker;
  const { page } = app;
  const network = await maker.network("basin", true);
  await app.openNetwork("basin");
  const panel = app.panel("Add subnet");
  const open = async () => {
    await page.getByRole("button", { name: "Add subnet" }).first().click();
    await expect(panel.getByLabel("CIDR")).not.toHaveValue("");
  };
  const close = async (name: string) => {
    await page.keyboard.press("Escape");
    await page.getByRole("button", { name: "Discard" }).click();
    await expect(panel).toBeHidden();
    const rows = app.rows("subnet").and(page.locator(STANDING));
    await expect(rows.getByRole("link", { name, exact: true })).toBeVisible();
  };

  await open();
  const by = await clients(maker);
  await panel.getByLabel("Name").fill(HARD);
  await panel.getByLabel("CIDR").fill("10.77.0.0/20");
  await panel.getByLabel(/^Gateway/).fill("10.77.15.254");
  await panel.getByLabel("DHCP").uncheck();
  await panel.getByLabel("Pools").fill("10.77.0.10 - 10.77.0.99\n10.77.1.0 - 10.77.1.255");
  await panel.getByLabel("DNS").fill("10.77.0.2, 9.9.9.9");
  await panel.getByLabel("Static routes").fill("10.8.0.0/16 - 10.77.0.9\n0.0.0.0/1 - 10.77.0.8");
  await panel.getByLabel("Description").fill(`${DASHED} mark-1`);
  await compare(maker, by, "subnet", "mark-1", {
    network_id: network,
    name: HARD,
    description: `${DASHED} mark-1`,
    cidr: "10.77.0.0/20",
    ip_version: 4,
    gateway_ip: "10.77.15.254",
    enable_dhcp: false,
    allocation_pools: [
      { start: "10.77.0.10", end: "10.77.0.99" },
      { start: "10.77.1.0", end: "10.77.1.255" },
    ],
    dns_nameservers: ["10.77.0.2", "9.9.9.9"],
    host_routes: [
      { destination: "10.8.0.0/16", nexthop: "10.77.0.9" },
      { destination: "0.0.0.0/1", nexthop: "10.77.0.8" },
    ],
  });
  await close(HARD);

  await open();
  await panel.getByLabel("Name").fill(DASHED);
  await panel.getByLabel("CIDR").fill("fd00:77:0:1::/64");
  await panel.getByLabel("No gateway").check();
  await panel.getByLabel("DNS").fill("2620:fe::fe");
  await panel.getByLabel("Static routes").fill("fd00:99::/48 - fd00:77:0:1::9");
  await panel.getByLabel("Description").fill(`${HARD} mark-2`);
  await compare(maker, by, "subnet", "mark-2", {
    name: DASHED,
    description: `${HARD} mark-2`,
    cidr: "fd00:77:0:1::/64",
    ip_version: 6,
    gateway_ip: null,
    enable_dhcp: true,
    dns_nameservers: ["2620:fe::fe"],
    host_routes: [{ destination: "fd00:99::/48", nexthop: "fd00:77:0:1::9" }],
  });
  await close(DASHED);

  const row = app.rows("subnet").and(page.locator(STANDING));
  await row.getByRole("link", { name: HARD, exact: true }).click();
  await expect(app.tab("Information")).toBeVisible();
  for (const value of ["10.77.0.0/20", "10.77.15.254", "10.77.0.99", "10.77.1.255", "9.9.9.9", "0.0.0.0/1"]) {
    await expect(page.getByRole("main")).toContainText(value);
  }
});

test("ports, by the clients that customers have", async ({ maker, clients }) => {
  const { app } = maker;
  const { page } = app;
  const network = await maker.network("quay", true);
  const subnets: Record<string, string> = {};
  for (const [name, cidr] of [
    ["four", "10.78.0.0/24"],
    ["six", "fd00:78::/64"],
  ]) {
    const subnet = { network_id: network, name, cidr, ip_version: cidr.includes(":") ? 6 : 4 };
    subnets[name] = (await maker.ask("POST", "/v2.0/subnets", { subnet })).subnet.id;
  }
  const panel = app.panel("Add port");
  const open = async (subnet: string) => {
    await app.openNetwork("quay");
    await app.rows("subnet").getByRole("link", { name: subnet, exact: true }).click();
    await app.openTab("Ports");
    await page.getByRole("button", { name: "Add port" }).first().click();
  };
  const close = async (address: string) => {
    await page.keyboard.press("Escape");
    await page.getByRole("button", { name: "Discard" }).click();
    await expect(panel).toBeHidden();
    await expect(portAt(address)).toBeVisible();
  };
  const portAt = (address: string) => app.portAt(address).and(page.locator(STANDING));

  await open("four");
  const by = await clients(maker);
  await panel.getByLabel("Name").fill(HARD);
  await panel.getByLabel("These addresses").check();
  await panel.getByLabel("IP addresses").fill("10.78.0.200, 10.78.0.7");
  await panel.getByLabel("MAC").fill("FA-16-3E-00-78-01");
  await panel.getByLabel("Enabled").uncheck();
  await panel.getByLabel("Description").fill(`${DASHED} mark-1`);
  await compare(maker, by, "port", "mark-1", {
    network_id: network,
    name: HARD,
    description: `${DASHED} mark-1`,
    admin_state_up: false,
    mac_address: "fa:16:3e:00:78:01",
    fixed_ips: [
      { subnet_id: subnets.four, ip_address: "10.78.0.200" },
      { subnet_id: subnets.four, ip_address: "10.78.0.7" },
    ],
  });
  await close("10.78.0.200");
  await expect(portAt("10.78.0.200")).toContainText("fa:16:3e:00:78:01");

  await open("six");
  await panel.getByLabel("Name").fill(DASHED);
  await panel.getByLabel("These addresses").check();
  await panel.getByLabel("IP addresses").fill("FD00:78::00ff");
  await panel.getByLabel("Description").fill(`${HARD} mark-2`);
  await compare(maker, by, "port", "mark-2", {
    name: DASHED,
    description: `${HARD} mark-2`,
    admin_state_up: true,
    fixed_ips: [{ subnet_id: subnets.six, ip_address: "fd00:78::ff" }],
  });
  await close("fd00:78::ff");

  // A port needs no name, and any address will do.
  await open("four");
  await panel.getByLabel("Description").fill("mark-3");
  await compare(maker, by, "port", "mark-3", {
    name: "",
    fixed_ips: [{ subnet_id: subnets.four, ip_address: expect.stringMatching(/^10\.78\.0\.\d+$/) }],
  });
});

test("a cluster, by a request of its own", async ({ maker }) => {
  const { app } = maker;
  const network = await maker.network(HARD, true, "10.79.0.0/24");
  await maker.start("crane");
  await maker.field("Network").selectOption(network);
  await expect(maker.field("Node subnet")).toContainText("10.79.0.0/24");
  await maker.field("Pod addresses").fill("10.80.0.0/17");
  await maker.field("Service addresses").fill("10.81.0.0/21");
  await maker.field("Routes").check();
  await maker.field("Nodes expected").fill("17");
  const { item } = await maker.run(await maker.copied("curl", '"nodes": 17'));
  expect(item).toMatchObject({
    name: "crane",
    network: { id: network, name: HARD },
    private_network: false,
    node_subnet: { cidr: "10.79.0.0/24" },
    pod_subnet: { cidr: "10.80.0.0/17" },
    service_range: "10.81.0.0/21",
    path: "routes",
    nodes_wanted: 17,
  });
  await app.open("Clusters");
  await expect(app.rows("cluster").filter({ hasText: "crane" })).toContainText("10.80.0.0/17");
});
