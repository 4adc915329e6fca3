import { existsSync } from "node:fs";
import { defineConfig, devices } from "@playwright/test";

/** Where browsers are on ordinary machines; `CHROMIUM` overrides. */
const browsers = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome", "/usr/bin/google-chrome-stable"];
const executablePath = process.env.CHROMIUM ?? browsers.find((path) => existsSync(path));

export default defineConfig({
  testDir: "tests",
  outputDir: "test-results/files",
  globalSetup: "./global-setup.ts",
  // One lab, one database: tests make their own data in it and run one after the other.
  workers: 1,
  fullyParallel: false,
  retries: 0,
  forbidOnly: !!process.env.CI,
  // Nothing is held to these on an idle machine; they end what never will be on a busy one.
  timeout: 240_000,
  expect: { timeout: 30_000 },
  reporter: [["list"], ["json", { outputFile: "test-results/report.json" }]],
  use: {
    ...devices["Desktop Chrome"],
    viewport: { width: 1360, height: 860 },
    locale: "en-GB",
    timezoneId: "UTC",
    screenshot: "only-on-failure",
    trace: "retain-on-failure",
    launchOptions: {
      executablePath,
      args: [
        // Chromium refuses its sandbox to root.
        ...(process.getuid?.() === 0 ? ["--no-sandbox"] : []),
        "--disable-gpu",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--no-first-run",
      ],
    },
  },
});
