/** A folder of packages, here or behind HTTP. */
export type PackageMirror = {
  /** How messages name it. */
  readonly place: string
  /** Regular files with plain names, in byte order or in that of the mirror's own list. */
  list(): Promise<readonly MirrorFile[]>
  /** A small file as a whole; undefined where there is none. `over-limit` beyond `limit` bytes. */
  read(name: string, limit: number): Promise<Uint8Array | undefined>
  /** The beginning of a file. `former` is what it had as `tag` when it was read before. */
  open(file: MirrorFile, former: string | undefined): Promise<OpenedHead | 'unchanged'>
}

export type MirrorFile = {
  readonly name: string
  readonly size: number | undefined
  /** Changes when the file does, together with its size; undefined where only opening it would tell. */
  readonly stamp: string | undefined
}

export type OpenedHead = {
  /** Of the file that was opened, which may be another than the one that was listed. */
  readonly size: number | undefined
  /** An entity tag. */
  readonly tag: string | undefined
  /** The first `count` bytes, fewer at the end of the file. `io` or `network` where it is another file by now. */
  upTo(count: number): Promise<Uint8Array>
  close(): Promise<void>
}
