/** The one view that all screens show, kept in the URL's hash. */

import { readView, SCREENS, writeHash } from "./hash.ts";

const languages = navigator.languages;

/** What `softxent explain --html` wrote into the page counts where the URL has no hash. */
const written = document.querySelector<HTMLMetaElement>('meta[name="softxent-view"]')?.content ?? "";
const current = () => readView(location.hash.length > 1 ? location.hash : written, languages);

export const view = $state(current());

/** What the reader predicted on each screen: the index of a choice; skipped screens have none. */
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
  if (scores.length !== view.scores.length) view.labels = [];
  view.scores = scores;
  view.target = Math.min(view.target, scores.length - 1);
}

/** Follows the view with the hash and the hash with the view; returns what stops that. */
export function keepInHash(): () => void {
  const follow = () => Object.assign(view, current());
  addEventListener("popstate", follow);
  let timer = 0;
  const stop = $effect.root(() => {
    $effect(() => {
      const hash = `#${writeHash(view)}`;
      clearTimeout(timer);
      // browsers refuse more than about 100 changes in 30 s: a drag is written once it rests
      timer = setTimeout(() => hash !== location.hash && history.replaceState(history.state, "", hash), 300);
    });
  });
  return () => (removeEventListener("popstate", follow), clearTimeout(timer), stop());
}
