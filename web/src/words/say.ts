/** Says a phrase in the view's language, with its values filled in: the page's twin of softxent/words.py. */

import { LANGUAGES } from "../hash.ts";
import { view } from "../state.svelte.ts";

export type Phrases = Record<string, readonly [en: string, zh: string]>;

/** Returns `say` for a table of phrases; a key that the table lacks does not compile. */
export function speaker<P extends Phrases>(phrases: P) {
  return (key: keyof P & string, values: Record<string, string | number> = {}): string => {
    const phrase = phrases[key][LANGUAGES.indexOf(view.lang)];
    return phrase.replace(/\{(\w+)\}/g, (_, name: string) => String(values[name]));
  };
}
