/** The one view that all screens show, kept in the URL's hash. */

import { readView, SCREENS, writeHash } from "./hash.ts";

/** What `softxent explain --html` wrote into the page counts where the URL has no hash. */
const written = document.querySelector<HTMLMetaElement>('meta[name="softxent-view"]')?.content ?? "";
const current = () => readView(location.hash.length > 1 ? location.hash : written, navigator.languages);

export const view = $state(current());

/** What the reader predicted on each screen: the index of a choice; a skipped screen has none. */
export const answers: Record<number, number | undefined> = $state({});

export const revealed = (screen: number) => view.shown.includes(screen);

export function reveal(screen: number, answer?: number): void {
  answers[screen] = answer;
  if (!revealed(screen)) view.shown = [...view.shown, screen].sort();
}

export function go(screen: number): void {
  view.screen = Math.min(Math.max(screen, 1), SCREENS.length);
  history.pushState(null, "", `#${writeHash(view)}`);
}

export function setScores(scores: number[]): void {
  const last = scores.length - 1;
  if (scores.length !== view.scores.length) view.labels = [];
  view.scores = scores;
  view.target = Math.min(view.target, last);
  view.cell = [Math.min(view.cell[0], last), Math.min(view.cell[1], last)];
}

/** Takes the view from the hash: after back, forward, or another hash typed in. */
export const follow = () => void Object.assign(view, current());

// browsers refuse more than about 100 changes in 30 s: a drag is written once it rests
const REST = 300;

/** An effect: puts the view into the hash. */
export function remember(): () => void {
  const hash = `#${writeHash(view)}`;
  const timer = setTimeout(() => hash !== location.hash && history.replaceState(null, "", hash), REST);
  return () => clearTimeout(timer);
}
