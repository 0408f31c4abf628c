/** RFC 6901: `` is the whole, `/a/0` the first item of `a`; `~1` stands for `/`, `~0` for `~`. */
export const POINTER = /^(?:\/(?:[^~/]|~[01])*)*$/;

/** From a parsed JSON value to the one that the pointer names, or undefined where there is none. */
export type Pointer = (value: unknown) => unknown;

export function compilePointer(pointer: string): Pointer {
  const names = pointer
    .split('/')
    .slice(1)
    .map((name) => name.replaceAll('~1', '/').replaceAll('~0', '~'));
  return (value) => {
    let at = value;
    for (const name of names) {
      if (typeof at !== 'object' || at === null || !Object.hasOwn(at, name)) return undefined;
      at = (at as Record<string, unknown>)[name];
    }
    return at;
  };
}
