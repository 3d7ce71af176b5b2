declare module 'pako' {
  export type Level = 0 | 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8 | 9
  export function gzip(data: Uint8Array, options: { readonly level: Level; readonly memLevel: 8 | 9 }): Uint8Array
}
