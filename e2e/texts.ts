/** The console's texts, read from its sources: what no screen in another language may show. */
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Page } from "@playwright/test";

const folder = join(dirname(fileURLToPath(import.meta.url)), "../frontend/texts/src");

/** Every text of a language, by key. */
function texts(tag: string): Map<string, string> {
  const all = new Map<string, string>();
  for (const file of readdirSync(join(folder, tag))) {
    for (const [, key, raw] of readFileSync(join(folder, tag, file), "utf8").matchAll(/^ {4}(\w+): "(.*)",$/gm)) {
      all.set(key, raw.replaceAll(/\\u\{(\w+)\}/g, (_, hex) => String.fromCodePoint(parseInt(hex, 16))).replaceAll('\\"', '"'));
    }
  }
  return all;
}

/** Matches a text's words wherever they stand by themselves, whatever its placeholders hold. */
function pattern(text: string): RegExp {
  const literal = (part: string) => part.replaceAll(/[.*+?^${}()|[\]\\]/g, "\\$&");
  const words = text.split(/\{\w+\}/).map(literal).join(".+");
  // What follows a colon at once is a value that one types, such as `kind:network`: the same in every language.
  return new RegExp(`(?<![\\p{L}\\d_./:-])${words}(?![\\p{L}\\d_./-])`, "u");
}

/** English texts, by key, as patterns: those that Russian says otherwise and that have a word to tell them by. */
function english(): [string, RegExp][] {
  const russian = texts("ru");
  const told: [string, RegExp][] = [];
  for (const [key, text] of texts("en")) {
    for (const form of text.split("|")) {
      const word = /\p{L}{2}/u.test(form.replaceAll(/\{\w+\}/g, " "));
      // Days, hours and such are told by `{n}` and a letter or two: numbers and all.
      if (word && russian.get(key) !== text && !/^\{n\}\W?\w{1,3}$/u.test(form)) told.push([key, pattern(form)]);
    }
  }
  if (told.length < 300) throw new Error(`only ${told.length} English texts were found: is ${folder} read right?`);
  return told;
}

const ENGLISH = english();

/** All that a page says: in sight, on hover, and to screen readers. */
async function said(page: Page): Promise<string[]> {
  return page.evaluate(() => {
    const found = new Set<string>([document.title]);
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_ELEMENT | NodeFilter.SHOW_TEXT);
    for (let node = walker.nextNode(); node; node = walker.nextNode()) {
      if (node instanceof Element) {
        for (const name of ["aria-label", "title", "placeholder", "alt"]) found.add(node.getAttribute(name) ?? "");
      } else if (!node.parentElement!.closest("noscript, code, [lang]:not(html):not([lang=ru])")) {
        found.add(node.textContent!.trim());
      }
    }
    return [...found].filter((text) => text !== "");
  });
}

/** Texts on a page that are English: what is said, and the key it is. */
export async function englishOn(page: Page): Promise<string[]> {
  const all = await said(page);
  return all.flatMap((text) =>
    ENGLISH.filter(([, words]) => words.test(text)).map(([key]) => `“${text}” is ${key}`),
  );
}
