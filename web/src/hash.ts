/** The view as the text behind # and back. What a hash says wrongly, or another version said, becomes the default. */

import { readScores } from "./scores.ts";

export const VERSION = "1";
export const LANGUAGES = ["en", "zh"] as const;
export const SCREENS = ["softmax", "formula", "loss", "cases", "gradient", "network", "train", "float32"] as const;

export type Language = (typeof LANGUAGES)[number];
export type ScreenName = (typeof SCREENS)[number];

export interface View {
  lang: Language;
  screen: number; // 1 … 8
  scores: number[];
  labels: string[]; // one a class, or none
  target: number; // an index of scores
  T: number; // temperature
  shown: number[]; // the screens whose question has been answered or skipped
  network: string; // what screens 6 and 7 remember, in their own words
  train: string;
}

export const defaults = (lang: Language): View => ({
  lang,
  screen: 1,
  scores: [1, 5, 3],
  labels: [],
  target: 1,
  T: 1,
  shown: [],
  network: "",
  train: "",
});

export const TEMPERATURES = { least: 0.05, most: 20 };
const LONGEST_LABEL = 40;

export function readView(hash: string, languages: readonly string[]): View {
  const given = new URLSearchParams(hash.replace(/^#/, ""));
  const lang = oneOf(LANGUAGES, given.get("lang")) ?? (/^zh\b/i.test(languages[0] ?? "") ? "zh" : "en");
  const view = defaults(lang);
  if (given.get("v") !== VERSION) return view;

  view.screen = whole(given.get("screen"), 1, SCREENS.length) ?? view.screen;
  const scores = readScores(given.get("scores") ?? "");
  if ("scores" in scores) view.scores = scores.scores;
  const last = view.scores.length - 1;
  view.target = whole(given.get("target"), 0, last) ?? Math.min(view.target, last);
  const labels = given.getAll("label").map((label) => label.slice(0, LONGEST_LABEL));
  if (labels.length === view.scores.length) view.labels = labels;
  const T = Number(given.get("T") || NaN);
  if (T >= TEMPERATURES.least && T <= TEMPERATURES.most) view.T = T;
  view.shown = [...new Set(given.get("shown") ?? "")].map(Number).filter((n) => n >= 1 && n <= SCREENS.length).sort();
  view.network = given.get("network") ?? "";
  view.train = given.get("train") ?? "";
  return view;
}

export function writeHash(view: View): string {
  const parts: [string, string][] = [
    ["v", VERSION],
    ["lang", view.lang],
    ["screen", String(view.screen)],
    ["scores", view.scores.join(",")],
    ["target", String(view.target)],
    ["T", String(view.T)],
    ["shown", view.shown.join("")],
    ...view.labels.map((label): [string, string] => ["label", label]),
    ["network", view.network],
    ["train", view.train],
  ];
  return parts
    .filter(([, value]) => value !== "")
    .map(([name, value]) => `${name}=${encodeURIComponent(value).replaceAll("%2C", ",")}`)
    .join("&");
}

function oneOf<T extends string>(all: readonly T[], given: string | null): T | undefined {
  return all.find((one) => one === given);
}

function whole(text: string | null, least: number, most: number): number | undefined {
  const n = text !== null && /^\d{1,3}$/.test(text) ? Number(text) : NaN;
  return n >= least && n <= most ? n : undefined;
}
