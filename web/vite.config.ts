import { createHash } from "node:crypto";
import { svelte } from "@sveltejs/vite-plugin-svelte";
import { defineConfig, type Plugin } from "vite";
import { viteSingleFile } from "vite-plugin-singlefile";

const sha256 = (text: string) => `'sha256-${createHash("sha256").update(text).digest("base64")}'`;

/** Allows the page its own script and style, by their hashes, and nothing else: no request, no eval, no inline handler. */
const contentSecurityPolicy: Plugin = {
  name: "content-security-policy",
  enforce: "post",
  generateBundle: {
    order: "post",
    handler(_, bundle) {
      for (const file of Object.values(bundle)) {
        if (file.type !== "asset" || !file.fileName.endsWith(".html")) continue;
        const html = String(file.source);
        const hashes = (tag: string) =>
          [...html.matchAll(new RegExp(`<${tag}[^>]*>([^]*?)</${tag}>`, "g"))].map(([, text]) => sha256(text)).join(" ");
        const policy = [
          "default-src 'none'",
          `script-src ${hashes("script")}`,
          `style-src ${hashes("style")}`,
          "base-uri 'none'",
          "form-action 'none'",
        ].join("; ");
        file.source = html.replace(
          '<meta charset="utf-8">',
          (charset) => `${charset}\n    <meta http-equiv="Content-Security-Policy" content="${policy}">`,
        );
      }
    },
  },
};

export default defineConfig({
  plugins: [svelte(), viteSingleFile({ removeViteModuleLoader: true }), contentSecurityPolicy],
  build: {
    outDir: "../src/softxent/app/explore",
    emptyOutDir: false, // the folder has Python files too
    target: "es2022",
    modulePreload: { polyfill: false }, // there is one module
    rollupOptions: { input: "explorer.html" },
  },
});
