/** Numbers as a short text for the URL's hash, and back: eight bytes each, in base64url. */

export function pack(numbers: readonly number[]): string {
  return packBytes(new Uint8Array(new Float64Array(numbers).buffer));
}

export function unpack(text: string): number[] | undefined {
  const bytes = unpackBytes(text);
  if (bytes === undefined || bytes.length % 8 !== 0) return undefined;
  return [...new Float64Array(bytes.buffer)];
}

export function packBytes(bytes: Uint8Array): string {
  const letters = btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
  return letters.replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

export function unpackBytes(text: string): Uint8Array<ArrayBuffer> | undefined {
  if (!/^[\w-]*$/.test(text) || text.length % 4 === 1) return undefined;
  const letters = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
  return Uint8Array.from(letters, (letter) => letter.charCodeAt(0));
}
