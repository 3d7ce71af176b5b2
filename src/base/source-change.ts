/** A file that differs between two states of a source tree. The path is as the version control names it, one char per byte. */
export type SourceChange = { readonly kind: 'changed' | 'added' | 'removed'; readonly path: string }

/**
 * One state of a source tree, which goes on being that state: a commit of git; or a tag of CVS and a time, since a branch of CVS has no names
 * for what it was. Seconds since 1970.
 */
export type Revision = { readonly name: string; readonly seconds: number | undefined }

/** One commit, or for CVS the revision of one file. Seconds since 1970. */
export type Commit = { readonly id: string; readonly seconds: number; readonly message: string; readonly paths: readonly string[] }
