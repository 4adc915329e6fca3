/** Everything that a page gets from the server to read, so that a test can say what was never in it. */
import type { Page, Response } from "@playwright/test";

/** An answer to what a page asked. */
export interface Answer {
  url: string;
  status: number;
  body: string;
}

/** Writes down every byte of event streams and every answer to what a page asks. */
export class Recorder {
  private readonly streams = new Map<string, string>();
  private readonly answered: Answer[] = [];
  private readonly reading: Promise<void>[] = [];

  private constructor() {}

  /** Of a page, from now on. */
  static async of(page: Page): Promise<Recorder> {
    const recorder = new Recorder();
    const browser = await page.context().newCDPSession(page);
    browser.on("Network.responseReceived", ({ requestId, type }) => {
      if (type !== "EventSource") return;
      // From here on the browser hands on the bytes of this answer as well; first those that came already.
      const bytes = browser.send("Network.streamResourceContent", { requestId });
      recorder.reading.push(bytes.then(({ bufferedData }) => recorder.hear(requestId, bufferedData)));
    });
    browser.on("Network.dataReceived", ({ requestId, data }) => recorder.hear(requestId, data ?? ""));
    await browser.send("Network.enable");
    page.on("response", (response) => {
      if (["fetch", "xhr"].includes(response.request().resourceType())) recorder.reading.push(recorder.read(response));
    });
    return recorder;
  }

  /** What came by event streams so far. */
  async events(): Promise<string> {
    await Promise.all(this.reading);
    return [...this.streams.values()].join("\n");
  }

  /** What was answered so far. */
  async answers(): Promise<Answer[]> {
    await Promise.all(this.reading);
    return this.answered;
  }

  private hear(stream: string, base64: string): void {
    this.streams.set(stream, (this.streams.get(stream) ?? "") + Buffer.from(base64, "base64").toString());
  }

  private async read(response: Response): Promise<void> {
    // What a page left behind half read, it never had.
    const body = await response.text().catch(() => "");
    this.answered.push({ url: response.url(), status: response.status(), body });
  }
}
