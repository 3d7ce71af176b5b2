/** A file that differs between two states of a source tree. The path is as the version control names it, one char per byte. */
export type SourceChange = { readonly kind: 'changed' | 'added' | 'removed'; readonly path: string }

/** One commit, or for CVS the revision of one file. Seconds since 1970. */
export type Commit = { readonly id: string; readonly seconds: number; readonly message: string; readonly paths: readonly string[] }
